//! Replicas hold the same bytes.

use std::{
    fs::{self, File},
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use levada_end_to_end::{Outcome, fail};
use levada_harness::{Cluster, Role};

/// How much is compared at once.
const PIECE_BYTES: usize = 1 << 16;

/// Every replica of every partition holds the same bytes, however it has cut them into segments. Nothing may be written
/// meanwhile, and everything has to be in sync. What is compacted is left out: each broker does that by itself.
pub(super) fn check_equal(cluster: &Cluster) -> Outcome<usize> {
    let mut brokers = cluster.machines().iter().filter(|machine| machine.role() == Role::Broker);
    let first = brokers.next().ok_or("there is no broker")?;
    let rest: Vec<_> = brokers.collect();
    let partitions = partitions(&first.data_dir())?;
    for name in &partitions {
        for other in &rest {
            let (mut one, mut two) = (log(&first.data_dir().join(name))?, log(&other.data_dir().join(name))?);
            let mut at = 0;
            loop {
                let (left, right) = (piece(&mut one)?, piece(&mut two)?);
                if left != right {
                    let name = name.display();
                    return fail(format!(
                        "{first} and {other} hold different bytes of {name}, {at} bytes on or soon after"
                    ));
                }
                if left.is_empty() {
                    break;
                }
                at += left.len();
            }
        }
    }
    if partitions.is_empty() { fail("no replicas were found") } else { Ok(partitions.len()) }
}

/// The directories of partitions: those that hold a segment.
fn partitions(data: &Path) -> Outcome<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(data)? {
        let entry = entry?;
        let is_compacted = entry.file_name().to_string_lossy().starts_with("__consumer_offsets-");
        if entry.file_type()?.is_dir() && !is_compacted && !segments(&entry.path())?.is_empty() {
            found.push(entry.file_name().into());
        }
    }
    found.sort();
    Ok(found)
}

/// The segment files of a partition, in the order of offsets.
fn segments(partition: &Path) -> Outcome<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(partition)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            found.push(path);
        }
    }
    // The names are offsets with leading zeros.
    found.sort();
    Ok(found)
}

/// All that a partition holds, as one stream.
fn log(partition: &Path) -> Outcome<Box<dyn Read>> {
    let mut log: Box<dyn Read> = Box::new(std::io::empty());
    for segment in segments(partition)? {
        log = Box::new(log.chain(BufReader::new(File::open(segment)?)));
    }
    Ok(log)
}

fn piece(log: &mut dyn Read) -> Outcome<Vec<u8>> {
    let mut piece = Vec::with_capacity(PIECE_BYTES);
    log.take(PIECE_BYTES as u64).read_to_end(&mut piece)?;
    Ok(piece)
}
