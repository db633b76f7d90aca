//! What a batch costs: parse and check, iterate, build, compress and decompress.
//!
//! `cargo bench -p levada-records`; the throughput is in bytes of uncompressed batch.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use levada_records::{BatchBuilder, Compression, Limits, RecordBatch, RecordBuffer};

/// Sizes of one record's value and of a whole batch that the measurements of the project use.
const SHAPES: [(usize, usize); 3] = [(100, 64 << 10), (1 << 10, 64 << 10), (100 << 10, 1 << 20)];

/// Words that the values are made of, so that codecs find about as much to do as in text.
const WORDS: [&str; 8] = ["stream", "of", "water", "channel", "the", "field", "irrigates", "many"];

fn values(size: usize, batch: usize) -> Vec<Vec<u8>> {
    let mut state = 1u32;
    let mut word = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        format!("{} {} ", WORDS[(state >> 29) as usize], state % 1_000)
    };
    (0..batch / size)
        .map(|_| {
            let mut value = String::new();
            while value.len() < size {
                value.push_str(&word());
            }
            value.truncate(size);
            value.into_bytes()
        })
        .collect()
}

fn build(builder: &mut BatchBuilder, values: &[Vec<u8>], compression: Compression) -> Bytes {
    for value in values {
        if builder.append(1_700_000_000_000, None, Some(value), &[]).is_err() {
            unreachable!("the values fit a batch");
        }
    }
    builder.build(compression, None).unwrap_or_default()
}

fn sum(bytes: &Bytes, buffer: &mut RecordBuffer) -> usize {
    let Ok(batch) = RecordBatch::parse_only(bytes) else { return 0 };
    let Ok(records) = batch.records(buffer) else { return 0 };
    records.flatten().map(|record| record.value.map_or(0, <[u8]>::len)).sum()
}

fn plain(c: &mut Criterion) {
    for (size, batch_size) in SHAPES {
        let values = values(size, batch_size);
        let mut builder = BatchBuilder::new();
        let batch = build(&mut builder, &values, Compression::None);
        let mut group = c.benchmark_group(format!("{size} B records"));
        group.throughput(Throughput::Bytes(batch.len() as u64));
        group.bench_function("parse and check", |b| {
            b.iter(|| RecordBatch::parse_only(black_box(&batch)).and_then(|batch| batch.validate(&Limits::NONE)));
        });
        let mut buffer = RecordBuffer::new();
        group.bench_function("iterate", |b| b.iter(|| sum(black_box(&batch), &mut buffer)));
        group.bench_function("build", |b| b.iter(|| build(&mut builder, black_box(&values), Compression::None)));
        group.finish();
    }
}

fn compressed(c: &mut Criterion) {
    let values = values(1 << 10, 64 << 10);
    let mut builder = BatchBuilder::new();
    let size = build(&mut builder, &values, Compression::None).len() as u64;
    let mut group = c.benchmark_group("1 KiB records, compressed");
    group.throughput(Throughput::Bytes(size));
    for compression in Compression::ALL {
        let batch = build(&mut builder, &values, compression);
        let mut buffer = RecordBuffer::new();
        group.bench_function(BenchmarkId::new("build", compression.name()), |b| {
            b.iter(|| build(&mut builder, black_box(&values), compression));
        });
        group.bench_function(BenchmarkId::new("iterate", compression.name()), |b| {
            b.iter(|| sum(black_box(&batch), &mut buffer));
        });
    }
    group.finish();
}

criterion_group!(benches, plain, compressed);
criterion_main!(benches);
