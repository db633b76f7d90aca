//! A data directory that a real Kafka wrote, opened here, and one of ours opened by Kafka.
//!
//! Kafka writes topics of several segments with every compression type, and is stopped cleanly at first, then killed.
//! Each time, every record must be at its offset in three ways: `levada log dump` finds nothing wrong, `levada log import`
//! takes it over, and a broker opens Kafka's own files in place. At last Kafka opens what Levada wrote.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};

use levada_end_to_end::{Admin, COMPRESSIONS, KafkaServer, Outcome, fail};
use levada_harness::{Node, levada_binary};

use crate::{
    contents::{self, Contents},
    plan::Client,
};

/// The directory with Kafka's jars, in the environment of the plan's entry.
const JARS: &str = "LEVADA_KAFKA_JARS";

const PARTITIONS: i32 = 2;

/// The smallest that Kafka 4 takes, so that each partition has several.
const SEGMENT_BYTES: (&str, &str) = ("segment.bytes", "1048576");

/// Records of each topic in each round: some 2.5 MB for each partition.
const RECORDS: u64 = 800;

/// Where the first partition of each topic starts after records were deleted: within a batch, as likely as not.
const DELETED_BELOW: i64 = 237;

/// The mark of a clean shutdown.
const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";

/// Where the log start offsets are noted.
const LOG_STARTS: &str = "log-start-offset-checkpoint";

/// Which topic a directory is of: the one thing that stays when files of another cluster take a log's place.
const PARTITION_METADATA: &str = "partition.metadata";

/// What a server holds, by topic.
type Topics = BTreeMap<String, Contents>;

/// Runs everything.
pub(crate) fn run(client: &Client) -> Outcome {
    let jars = PathBuf::from(client.env.get(JARS).ok_or_else(|| format!("the plan does not tell {JARS}"))?);
    let mut kafka = KafkaServer::prepare(&jars)?;
    kafka.start()?;
    create_topics(kafka.address())?;
    let written = fill(kafka.address())?;
    check_refused(&kafka.data_dir())?;
    kafka.terminate()?;
    if !kafka.data_dir().join(CLEAN_SHUTDOWN).is_file() {
        return fail("Kafka did not stop cleanly");
    }
    let ours = check(&kafka.data_dir(), &written).map_err(|error| format!("after a clean stop: {error}"))?;

    // A new leader epoch, and records behind the recovery point.
    kafka.start()?;
    let written = fill(kafka.address())?;
    kafka.kill()?;
    check(&kafka.data_dir(), &written).map_err(|error| format!("after SIGKILL: {error}"))?;

    opens_in_kafka(&jars, ours).map_err(|error| format!("Levada's directory in Kafka: {error}"))?;
    Ok(())
}

fn topics() -> impl Iterator<Item = String> {
    COMPRESSIONS.iter().map(|compression| format!("kafka.{compression}"))
}

fn create_topics(bootstrap: SocketAddr) -> Outcome {
    let admin = Admin::connect(bootstrap)?;
    topics().try_for_each(|topic| admin.create_topic(&topic, PARTITIONS, &[SEGMENT_BYTES]))
}

/// Produces to each topic, deletes its first records, and reads what it holds then.
fn fill(bootstrap: SocketAddr) -> Outcome<Topics> {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let admin = Admin::connect(bootstrap)?;
    for (topic, compression) in topics().zip(COMPRESSIONS) {
        contents::produce(bootstrap, &topic, PARTITIONS, compression, RECORDS, now - 3_600_000)?;
        admin.delete_records(&topic, 0, DELETED_BELOW)?;
    }
    read(bootstrap)
}

fn read(bootstrap: SocketAddr) -> Outcome<Topics> {
    topics().map(|topic| Ok((topic.clone(), contents::read(bootstrap, &topic)?))).collect()
}

fn compare(expected: &Topics, bootstrap: SocketAddr) -> Outcome {
    let found = read(bootstrap)?;
    expected.iter().try_for_each(|(topic, contents)| match found.get(topic) {
        Some(found) => contents.check(topic, found),
        None => fail(format!("{topic} is gone")),
    })
}

/// While Kafka runs, its directory is not for others.
fn check_refused(kafka: &Path) -> Outcome {
    let mut node = Node::start()?;
    create_topics(node.kafka()?)?;
    node.terminate()?;
    match log_import(kafka, &node).output()? {
        output if output.status.success() => fail("a directory was imported while Kafka used it"),
        output if String::from_utf8_lossy(&output.stderr).contains("stop its broker first") => Ok(()),
        output => fail(format!("the import failed otherwise: {}", String::from_utf8_lossy(&output.stderr))),
    }
}

/// Everything that Levada can do with a directory of Kafka's that is not in use; gives a node that has imported it.
fn check(kafka: &Path, written: &Topics) -> Outcome<Node> {
    dump(kafka)?;
    let before = files(kafka)?;
    let imported = imports(kafka, written)?;
    opens_in_place(kafka, written).map_err(|error| format!("in place: {error}"))?;
    if files(kafka)? != before {
        return fail("Kafka's directory was changed");
    }
    Ok(imported)
}

/// `levada log dump` finds nothing wrong.
fn dump(directory: &Path) -> Outcome {
    let output = Command::new(levada_binary()?).args(["log", "dump"]).arg(directory).output()?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let problems: Vec<&str> = text.lines().filter(|line| line.starts_with("PROBLEM")).take(5).collect();
    fail(format!("log dump of {}: {}", directory.display(), problems.join("; ")))
}

fn log_import(kafka: &Path, node: &Node) -> Command {
    let mut command = Command::new(levada_binary().unwrap_or_default());
    command.args(["log", "import"]).arg(kafka).arg("--into").arg(logs(node)).stdin(Stdio::null());
    command
}

fn logs(node: &Node) -> PathBuf {
    node.data_dir().join("logs")
}

/// A node with the topics, empty, and stopped.
fn empty_node() -> Outcome<Node> {
    let mut node = Node::start()?;
    create_topics(node.kafka()?)?;
    node.terminate()?;
    Ok(node)
}

/// `levada log import`, as docs/compatibility.md tells it. New records follow, from producers that this cluster numbers
/// from 0 on as Kafka did.
fn imports(kafka: &Path, written: &Topics) -> Outcome<Node> {
    let mut node = empty_node()?;
    let output = log_import(kafka, &node).output()?;
    if !output.status.success() {
        return fail(format!("log import: {}", String::from_utf8_lossy(&output.stderr)));
    }
    dump(&logs(&node))?;
    node.start_again()?;
    let bootstrap = node.kafka()?;
    compare(written, bootstrap).map_err(|error| format!("imported: {error}"))?;
    for (topic, compression) in topics().zip(COMPRESSIONS) {
        contents::produce(bootstrap, &topic, PARTITIONS, compression, RECORDS, 0)?;
    }
    let grown = read(bootstrap)?;
    for (topic, contents) in written {
        let found = grown.get(topic).ok_or("a topic is gone")?;
        for (partition, range) in &contents.ranges {
            let due = range.end + i64::try_from(RECORDS)? / i64::from(PARTITIONS);
            if found.ranges.get(partition).is_none_or(|found| found.end != due) {
                return fail(format!("{topic}-{partition}: new records do not follow the imported ones up to {due}"));
            }
        }
    }
    Ok(node)
}

/// A broker recovers and serves Kafka's own files: segments, indexes, snapshots, epochs.
fn opens_in_place(kafka: &Path, written: &Topics) -> Outcome {
    let mut node = empty_node()?;
    take_place(kafka, &logs(&node))?;
    node.start_again()?;
    compare(written, node.kafka()?)?;
    node.terminate()?;
    dump(&logs(&node))
}

/// Kafka recovers and serves what Levada wrote.
fn opens_in_kafka(jars: &Path, mut node: Node) -> Outcome {
    let written = read(node.kafka()?)?;
    node.terminate()?;
    let mut kafka = KafkaServer::prepare(jars)?;
    kafka.start()?;
    create_topics(kafka.address())?;
    kafka.terminate()?;
    take_place(&logs(&node), &kafka.data_dir())?;
    kafka.start()?;
    compare(&written, kafka.address())
}

/// Puts the files of the topics' logs in `from` in the place of those in `to`, whose owner then has to recover them.
fn take_place(from: &Path, to: &Path) -> Outcome {
    for topic in topics() {
        for partition in 0..PARTITIONS {
            let name = format!("{topic}-{partition}");
            for (file, _) in files(&to.join(&name))?.iter().filter(|(file, _)| *file != PARTITION_METADATA) {
                fs::remove_file(to.join(&name).join(file))?;
            }
            for (file, _) in files(&from.join(&name))?.iter().filter(|(file, _)| *file != PARTITION_METADATA) {
                fs::copy(from.join(&name).join(file), to.join(&name).join(file))?;
            }
        }
    }
    fs::copy(from.join(LOG_STARTS), to.join(LOG_STARTS))?;
    Ok(fs::remove_file(to.join(CLEAN_SHUTDOWN))?)
}

/// The files in a directory and below, with their lengths; without the lock, which has none.
fn files(directory: &Path) -> Outcome<BTreeMap<String, u64>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|_| "a name that is no text")?;
        if entry.file_type()?.is_dir() {
            found.extend(files(&entry.path())?.into_iter().map(|(file, len)| (format!("{name}/{file}"), len)));
        } else {
            found.insert(name, entry.metadata()?.len());
        }
    }
    Ok(found)
}
