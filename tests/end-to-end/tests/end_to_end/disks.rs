//! Disks that fail and disks that fill up under a running node, without privilege.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
    sync::Arc,
};

use levada_end_to_end::{Admin, Metadata, Outcome, Reader};
use levada_harness::{Node, NodeOptions, SmallVolume};

use crate::{
    patience::{LIMIT, until},
    wire::{Answer, Batch, Bytes, Connection, code, record, request},
};

/// Kafka's error codes for a partition without a leader and for a failed disk.
const LEADER_NOT_AVAILABLE: i16 = 5;
const STORAGE_ERROR: i16 = 56;

/// Bytes of the small file system: enough for the metadata log with its reserve and for some segments.
const VOLUME_BYTES: u64 = 64 << 20;

/// How partition 0 of `topic` stands: its error, its leader, and whether its replica is offline.
fn standing(node: &Node, topic: &str) -> Outcome<(i16, i32, bool)> {
    let told = Metadata::told_by(node.kafka()?, LIMIT)?;
    let found = told.partitions.iter().find(|partition| partition.topic == topic && partition.partition == 0);
    let found = found.ok_or_else(|| format!("{topic} is not there"))?;
    Ok((found.error, found.leader, found.offline.contains(&1)))
}

/// The error of each data directory, with DescribeLogDirs v1, in the order of `log.dirs`.
fn directory_errors(connection: &mut Connection) -> Outcome<Vec<i16>> {
    const DESCRIBE_LOG_DIRS: i16 = 35;
    let mut answer = Answer::new(connection.ask(&request(DESCRIBE_LOG_DIRS, 1, &Bytes::default().i32(-1)))?);
    answer.skip(4)?; // throttle time
    let count = answer.i32()?;
    let mut errors = Vec::new();
    for _ in 0..count {
        errors.push(answer.i16()?);
        let path = answer.i16()?;
        answer.skip(usize::try_from(path)?)?;
        for _ in 0..answer.i32()? {
            let name = answer.i16()?;
            answer.skip(usize::try_from(name)?)?;
            let partitions = answer.i32()?;
            answer.skip(usize::try_from(partitions)? * (4 + 8 + 8 + 1))?; // index, size, lag, is future
        }
    }
    Ok(errors)
}

#[test]
fn a_data_directory_that_fails_takes_only_its_own_partitions_with_it_and_may_be_replaced() -> Outcome {
    let home = tempfile::tempdir()?;
    let (a, b, aside) = (home.path().join("a"), home.path().join("b"), home.path().join("aside"));
    let dirs = format!("{},{}", a.display(), b.display());
    let options = NodeOptions::default().set("log.dirs", &dirs).set("log.dir.full.probe.interval.ms", "50");
    let mut node = Node::start_with(options)?;
    let mut connection = Connection::open(node.kafka()?)?;
    let batch = Batch::sound().encode();
    for topic in ["one", "two"] {
        assert_eq!(connection.create_topic(topic, &[])?, code::NONE);
        assert_eq!(connection.produce(topic, &batch)?, (code::NONE, 0));
    }
    let (lost, kept) = if a.join("one-0").exists() { ("one", "two") } else { ("two", "one") };

    fs::rename(&a, &aside)?;
    fs::write(&a, "this is no directory")?;
    let now = until(|| standing(&node, lost), |(_, leader, _)| *leader == -1)?;
    assert_eq!(now, (LEADER_NOT_AVAILABLE, -1, true));
    assert_eq!(connection.produce(lost, &batch)?.0, STORAGE_ERROR);
    assert_eq!(directory_errors(&mut connection)?, [STORAGE_ERROR, code::NONE]);
    assert_eq!(standing(&node, kept)?, (code::NONE, 1, false));
    assert_eq!(connection.produce(kept, &batch)?, (code::NONE, 1));
    assert_eq!(connection.create_topic("new", &[])?, code::NONE);
    assert_eq!(connection.produce("new", &batch)?, (code::NONE, 0));
    let told = node.log().lines().filter(|line| line.contains("ERROR") && line.contains("offline")).count();
    assert_eq!(told, 2, "the directory, and how many replicas went with it:\n{}", node.log());

    // A start finds it as it is, and serves the rest.
    node.kill()?;
    node.start_again()?;
    let mut connection = Connection::open(node.kafka()?)?;
    assert_eq!(standing(&node, lost)?.1, -1);
    assert_eq!(connection.end_offset(kept)?, 2);

    // Repaired, it is back with what it held.
    node.terminate()?;
    fs::remove_file(&a)?;
    fs::rename(&aside, &a)?;
    node.start_again()?;
    let mut connection = Connection::open(node.kafka()?)?;
    assert_eq!(connection.end_offset(lost)?, 1);
    assert_eq!(connection.produce(lost, &batch)?, (code::NONE, 1));

    // Replaced by an empty one, its only replica starts with what it has.
    node.terminate()?;
    fs::remove_dir_all(&a)?;
    node.start_again()?;
    let mut connection = Connection::open(node.kafka()?)?;
    until(|| standing(&node, lost), |(_, leader, _)| *leader == 1)?;
    assert_eq!(until(|| connection.produce(lost, &batch), |(error, _)| *error == code::NONE)?.1, 0);
    assert_eq!(connection.end_offset(kept)?, 2);
    assert!(node.log().contains("records that were acknowledged may be missing"), "{}", node.log());
    Ok(())
}

#[test]
fn a_full_disk_refuses_writes_serves_the_rest_and_takes_writes_again() -> Outcome {
    let Some(volume) = SmallVolume::of(VOLUME_BYTES)? else { return Ok(()) };
    let volume = Arc::new(volume);
    let options = NodeOptions {
        data_dir: Some(volume.path().join("data")),
        volume: Some(Arc::clone(&volume)),
        ..NodeOptions::default()
    };
    let options = options.set("log.dir.full.probe.interval.ms", "50");
    let mut node = Node::start_with(options)?;
    let mut connection = Connection::open(node.kafka()?)?;
    let large = Batch { records: record(b"key", &[b'x'; 64 << 10]), ..Batch::sound() }.encode();
    for topic in ["kept", "deleted"] {
        assert_eq!(connection.create_topic(topic, &[("file.delete.delay.ms", "0")])?, code::NONE);
        assert_eq!(connection.produce(topic, &large)?.0, code::NONE);
    }

    fill(&volume.from_outside())?;
    until(|| connection.produce("kept", &large), |(error, _)| *error == STORAGE_ERROR)?;
    let end = connection.end_offset("kept")?;
    let read = |node: &Node| -> Outcome<i64> {
        let mut seen = 0;
        Reader::connect(node.kafka()?, "kept")?.read_all(|_| {
            seen += 1;
            Ok(())
        })?;
        Ok(seen)
    };
    assert_eq!(read(&node)?, end);
    let admin = Admin::connect(node.kafka()?)?;
    admin.delete_topic("deleted")?;
    admin.delete_records("kept", 0, 1)?;
    assert_eq!(read(&node)?, end - 1);

    // What the deletion has freed is taken too, and a start finds the disk full.
    node.terminate()?;
    fill(&volume.from_outside())?;
    node.start_again()?;
    let mut connection = Connection::open(node.kafka()?)?;
    until(|| connection.produce("kept", &large), |(error, _)| *error == STORAGE_ERROR)?;
    let end = connection.end_offset("kept")?;
    // Where the log starts is noted from time to time and at the stop; with no room to note it, what was deleted is back.
    assert!((end - 1..=end).contains(&read(&node)?));
    node.kill()?;
    node.start_again()?;
    let mut connection = Connection::open(node.kafka()?)?;
    assert_eq!(connection.end_offset("kept")?, end);

    // With space, writes resume by themselves.
    for filler in fillers(&volume.from_outside())? {
        fs::remove_file(filler)?;
    }
    let resumed = until(|| connection.produce("kept", &large), |(error, _)| *error == code::NONE)?;
    assert_eq!(resumed.1, end);
    assert_eq!(connection.create_topic("new", &[])?, code::NONE);
    Ok(())
}

/// Writes files into `dir` until nothing more fits.
fn fill(dir: &Path) -> Outcome {
    let number = fillers(dir)?.len();
    let mut file = File::create(dir.join(format!("filler-{number}")))?;
    for chunk in [1 << 20, 4096] {
        let bytes = vec![0; chunk];
        loop {
            match file.write_all(&bytes) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::StorageFull => break,
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

fn fillers(dir: &Path) -> Outcome<Vec<std::path::PathBuf>> {
    let entries = fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    let is_filler =
        |path: &std::path::PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("filler-"));
    Ok(entries.into_iter().filter(is_filler).collect())
}
