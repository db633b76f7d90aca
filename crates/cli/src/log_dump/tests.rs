//! A data directory made by hand is sound, and each kind of damage is told.

use std::fs;
use std::path::{Path, PathBuf};

use levada_log::format::{IndexEntry, OffsetEntry, TimeEntry};
use levada_records::{BatchBuilder, Compression};
use tempfile::TempDir;

use super::*;

const ALL: Detail = Detail { batches: true, records: true, entries: true };

/// The name of the first segment's files, without what follows the dot.
const FIRST: &str = "00000000000000000000";

/// A data directory with one partition of two segments: offsets 0 to 5 in two batches, 6 to 8 in one.
fn data_directory() -> (TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(root.path().join(name), bytes).unwrap();
    write("meta.properties", b"#\ncluster.id=AAECAwQFBgcICQoLDA0ODw\nnode.id=1\nversion=1\n");
    write("recovery-point-offset-checkpoint", b"0\n1\norders 0 9\n");
    fs::create_dir(root.path().join("orders-0")).unwrap();
    write("orders-0/partition.metadata", b"version: 0\ntopic_id: AAECAwQFBgcICQoLDA0ODw\n");
    write("orders-0/leader-epoch-checkpoint", b"0\n2\n0 0\n4 6\n");
    let batches = [batch(0, 2), batch(2, 4), batch(6, 3)];
    write(&format!("orders-0/{FIRST}.log"), &batches[..2].concat());
    write("orders-0/00000000000000000006.log", &batches[2]);
    let mut index = Vec::new();
    OffsetEntry { relative_offset: 5, position: batches[0].len() as u32 }.encode(&mut index);
    // The room that is reserved for more entries.
    index.extend([0; 80]);
    write(&format!("orders-0/{FIRST}.index"), &index);
    let mut index = Vec::new();
    TimeEntry { timestamp: 1_005, relative_offset: 5 }.encode(&mut index);
    write(&format!("orders-0/{FIRST}.timeindex"), &index);
    let partition = root.path().join("orders-0");
    (root, partition)
}

fn batch(base_offset: i64, count: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    builder.set_position(base_offset, 0);
    for offset in base_offset..base_offset + count {
        builder.append(1_000 + offset, Some(b"key"), Some(b"value\n"), &[]).unwrap();
    }
    builder.build(Compression::Lz4, None).unwrap().to_vec()
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

fn problems(path: &Path) -> Vec<String> {
    let dump = dump(path, ALL).unwrap();
    let mut problems: Vec<String> = dump.directory.map(|directory| directory.problems).unwrap_or_default();
    for partition in dump.partitions {
        problems.extend(partition.problems);
        problems.extend(partition.segments.into_iter().flat_map(|segment| segment.problems));
    }
    assert_eq!(problems.len(), dump.problem_count);
    problems
}

#[test]
fn a_sound_directory_is_told_to_be_sound() {
    let (root, partition) = data_directory();
    assert_eq!(problems(root.path()), Vec::<String>::new());
    assert_eq!(problems(&partition), Vec::<String>::new());
    let text = dump(root.path(), ALL).unwrap().text();
    for part in
        ["node 1", "orders-0", "AAECAwQFBgcICQoLDA0ODw", "0 from 0, 4 from 6", "lz4", "value\\n", "nothing is wrong"]
    {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    let dump = dump(&partition, ALL).unwrap();
    let segments = &dump.partitions[0].segments;
    let counts: Vec<_> =
        segments.iter().map(|s| (s.base_offset, s.batch_count, s.record_count, s.next_offset)).collect();
    assert_eq!(counts, [(0, 2, 6, Some(6)), (6, 1, 3, Some(9))]);
}

#[test]
fn each_kind_of_damage_is_told() {
    type Damage = (&'static str, fn(&mut Vec<u8>), &'static str);
    let log = "00000000000000000000.log";
    let cases: [Damage; 9] = [
        (log, |bytes| *bytes.last_mut().unwrap() ^= 1, "checksum"),
        (log, |bytes| bytes.truncate(bytes.len() - 1), "torn at byte"),
        (log, |bytes| bytes[16] = 9, "no batch at byte 0"),
        (log, |bytes| bytes.drain(..70).for_each(drop), "no batch at byte 0"),
        ("00000000000000000000.index", |bytes| bytes[7] ^= 1, "where no batch starts"),
        ("00000000000000000000.index", |bytes| bytes[3] ^= 1, "where the batch ends"),
        ("00000000000000000000.timeindex", |bytes| bytes[7] -= 1, "newer than"),
        ("leader-epoch-checkpoint", |bytes| bytes.truncate(6), "leader-epoch-checkpoint"),
        ("partition.metadata", |bytes| bytes.clear(), "partition.metadata"),
    ];
    for (file, damage, told) in cases {
        let (_root, partition) = data_directory();
        change(&partition.join(file), damage);
        let problems = problems(&partition);
        assert!(problems.iter().any(|problem| problem.contains(told)), "{file}: {told:?} in {problems:?}");
    }
}

#[test]
fn segments_that_overlap_are_told() {
    let (_root, partition) = data_directory();
    fs::rename(partition.join("00000000000000000006.log"), partition.join("00000000000000000005.log")).unwrap();
    assert!(problems(&partition).iter().any(|problem| problem.contains("which follows it")));
}

#[test]
fn a_snapshot_within_a_segment_is_no_segment() {
    let (_root, partition) = data_directory();
    let none = 0i32.to_be_bytes();
    let snapshot = [&1i16.to_be_bytes()[..], &levada_records::crc32c(&none).to_be_bytes(), &none].concat();
    fs::write(partition.join("00000000000000000003.snapshot"), snapshot).unwrap();
    assert_eq!(problems(&partition), Vec::<String>::new());
}

#[test]
fn what_is_no_directory_is_a_usage_error() {
    let (root, _) = data_directory();
    assert!(matches!(dump(&root.path().join("meta.properties"), ALL), Err(CliError::Usage(_))));
    let empty = tempfile::tempdir().unwrap();
    assert!(problems(empty.path())[0].contains("meta.properties is missing"));
}

#[test]
fn what_is_about_to_be_deleted_is_told_apart() {
    let (root, partition) = data_directory();
    fs::rename(&partition, root.path().join("orders-0.14e88db2b7c545e4a8c6b4597412186d-delete")).unwrap();
    assert!(dump(root.path(), ALL).unwrap().text().contains("-delete (to be deleted): topic id"));
}
