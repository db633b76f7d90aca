//! Disks that fail and disks that fill up under a running node, without privilege.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use levada_end_to_end::{Admin, Outcome, Reader, fail};
use levada_harness::{Node, NodeOptions, SmallVolume};

use crate::wire::{Answer, Batch, Bytes, Connection, api, code, record, request};

/// How long the node may take to notice something before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Kafka's error codes for a partition without a leader and for a failed disk.
const LEADER_NOT_AVAILABLE: i16 = 5;
const STORAGE_ERROR: i16 = 56;

/// Bytes of the small file system: enough for the metadata log with its reserve and for some segments.
const VOLUME_BYTES: u64 = 64 << 20;

/// How a partition stands in the answer to a Metadata request.
#[derive(Debug, PartialEq, Eq)]
struct Standing {
    error: i16,
    leader: i32,
    offline: Vec<i32>,
}

/// Asks for partition 0 of `topic` with Metadata v5.
fn standing(connection: &mut Connection, topic: &str) -> Outcome<Standing> {
    let body = Bytes::default().i32(1).string(topic).i8(0);
    let mut answer = Answer::new(connection.ask(&request(api::METADATA, 5, &body))?);
    answer.skip(4)?; // throttle time
    for _ in 0..answer.i32()? {
        answer.skip(4)?; // node id
        let host = answer.i16()?;
        answer.skip(usize::try_from(host)? + 4)?; // host and port
        let rack = answer.i16()?;
        answer.skip(usize::try_from(rack).unwrap_or(0))?;
    }
    let cluster = answer.i16()?;
    answer.skip(usize::try_from(cluster).unwrap_or(0) + 4)?; // cluster id and controller
    if answer.i32()? != 1 || answer.i16()? != code::NONE {
        return fail(format!("{topic} is not there"));
    }
    answer.skip(2 + topic.len() + 1)?; // name, internal
    if answer.i32()? != 1 {
        return fail(format!("{topic} does not have one partition"));
    }
    let error = answer.i16()?;
    answer.skip(4)?; // its index
    let leader = answer.i32()?;
    for _ in 0..2 {
        let count = answer.i32()?; // replicas, in sync
        answer.skip(usize::try_from(count)? * 4)?;
    }
    let count = answer.i32()?;
    let offline = (0..count).map(|_| answer.i32()).collect::<Outcome<_>>()?;
    Ok(Standing { error, leader, offline })
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

/// Asks again and again until `holds`; fails with the last answer.
fn until<T: std::fmt::Debug>(mut ask: impl FnMut() -> Outcome<T>, holds: impl Fn(&T) -> bool) -> Outcome<T> {
    let begun = Instant::now();
    loop {
        let now = ask()?;
        if holds(&now) {
            return Ok(now);
        }
        if begun.elapsed() > PATIENCE {
            return fail(format!("it stayed at {now:?}"));
        }
    }
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
    let now = until(|| standing(&mut connection, lost), |now| now.leader == -1)?;
    assert_eq!(now, Standing { error: LEADER_NOT_AVAILABLE, leader: -1, offline: vec![1] });
    assert_eq!(connection.produce(lost, &batch)?.0, STORAGE_ERROR);
    assert_eq!(directory_errors(&mut connection)?, [STORAGE_ERROR, code::NONE]);
    assert_eq!(standing(&mut connection, kept)?, Standing { error: code::NONE, leader: 1, offline: vec![] });
    assert_eq!(connection.produce(kept, &batch)?, (code::NONE, 1));
    assert_eq!(connection.create_topic("new", &[])?, code::NONE);
    assert_eq!(connection.produce("new", &batch)?, (code::NONE, 0));
    let told = node.log().lines().filter(|line| line.contains("ERROR") && line.contains("offline")).count();
    assert_eq!(told, 2, "the directory, and how many replicas went with it:\n{}", node.log());

    // A start finds it as it is, and serves the rest.
    node.kill()?;
    node.start_again()?;
    let mut connection = Connection::open(node.kafka()?)?;
    assert_eq!(standing(&mut connection, lost)?.leader, -1);
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
    until(|| standing(&mut connection, lost), |now| now.leader == 1)?;
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
