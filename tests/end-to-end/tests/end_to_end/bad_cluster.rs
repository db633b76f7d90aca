//! Members of a cluster that are not what they should be: of another cluster, of an older registration, of an older leader
//! epoch, with other voters, with damaged files, or asleep while their topic was replaced. Each is refused in words, and
//! nothing is overwritten.

use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
};

use levada_end_to_end::{Admin, Outcome, client_config, fail};
use levada_harness::{Sandbox, SandboxOptions, levada_binary, without_options};
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::{
    patience::{LIMIT, until},
    records,
    replicas::{first_segment, wait_until_in_sync},
};

const TOPIC: &str = "kept";

/// Sends records with these values through a broker, and waits until each is acknowledged.
fn produce(sandbox: &mut Sandbox, through: u32, values: &[&str]) -> Outcome {
    records::produce(sandbox.broker(through)?.kafka()?, TOPIC, "all", values)
}

/// The values of the topic's records.
fn values(sandbox: &mut Sandbox, through: u32) -> Outcome<Vec<String>> {
    records::values(sandbox.broker(through)?.kafka()?, TOPIC)
}

/// Every file below a directory with what is in it.
fn contents(directory: &Path) -> Outcome<BTreeMap<PathBuf, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.is_dir() {
                directories.push(path);
            } else {
                found.insert(path.clone(), fs::read(path)?);
            }
        }
    }
    Ok(found)
}

/// Starts a role with the configuration of a process of a sandbox, changed by `settings`, and waits for its end, which must
/// be a failure; gives what it said.
fn refused(role: &str, directory: &Path, settings: &[(&str, String)]) -> Outcome<String> {
    let mut command = Command::new(levada_binary()?);
    without_options(&mut command);
    command.arg(role).arg("--config").arg(directory.join("levada.toml"));
    for (name, value) in settings {
        command.arg("--set").arg(format!("{name}={value}"));
    }
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let mut stderr = child.stderr.take().ok_or("no standard error")?;
    let (sender, said) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        // Its end is the end of the process; nobody listens after a failure.
        let read = stderr.read_to_string(&mut text).map(|_| text);
        drop(sender.send(read));
    });
    let said = said.recv_timeout(LIMIT);
    if said.is_err() {
        child.kill()?;
    }
    let status = child.wait()?;
    let said = said.map_err(|_| format!("{role} goes on with {settings:?} after {LIMIT:?}"))??;
    if status.success() { fail(format!("{role} ended as if all were well:\n{said}")) } else { Ok(said) }
}

#[test]
fn a_broker_of_another_cluster_is_refused_and_keeps_what_it_has() -> Outcome {
    let mut here = Sandbox::start(&SandboxOptions::new(1, 1))?;
    let mut there = Sandbox::start(&SandboxOptions::new(1, 2))?;
    let admin = Admin::connect(there.broker(1)?.kafka()?)?;
    admin.create_replicated_topic(TOPIC, (1, 2), &[])?;
    wait_until_in_sync(&mut there, 1, TOPIC, &[1, 2])?;
    produce(&mut there, 1, &["one", "two"])?;

    there.broker(2)?.terminate()?;
    let directory = there.broker(2)?.directory().to_owned();
    let mut before = contents(&directory.join("logs"))?;
    // Whether the last stop was clean is asked once, by whoever opens the directory next.
    before.remove(&directory.join("logs/.kafka_cleanshutdown"));
    let controller = here.controller(1001)?.internal.to_string();
    let said = refused("broker", &directory, &[("controller.quorum.bootstrap.servers", controller)])?;
    assert!(said.contains(&here.cluster_id) && said.contains(&there.cluster_id), "both clusters are named: {said}");
    assert_eq!(contents(&directory.join("logs"))?, before, "nothing was changed");

    there.broker(2)?.start_again()?;
    wait_until_in_sync(&mut there, 1, TOPIC, &[1, 2])?;
    assert_eq!(values(&mut there, 2)?, ["one", "two"]);
    Ok(())
}

#[test]
fn a_broker_that_slept_while_its_topic_was_replaced_serves_the_new_one_alone() -> Outcome {
    let mut sandbox = Sandbox::start(&SandboxOptions::new(1, 3))?;
    let admin = Admin::connect(sandbox.broker(1)?.kafka()?)?;
    admin.create_replicated_topic(TOPIC, (1, 3), &[])?;
    let sleeper = wait_until_in_sync(&mut sandbox, 1, TOPIC, &[1, 2, 3])?[0];
    produce(&mut sandbox, 1, &["old one", "old two", "old three"])?;
    let others: Vec<u32> = [1, 2, 3].into_iter().filter(|id| *id != sleeper).collect();
    let awake = others[0];

    // It led the old topic, and learns of its end only when it is awake again.
    sandbox.broker(sleeper)?.freeze()?;
    let admin = Admin::connect(sandbox.broker(awake)?.kafka()?)?;
    wait_until_in_sync(&mut sandbox, awake, TOPIC, &others)?;
    admin.delete_topic(TOPIC)?;
    admin.create_replicated_topic(TOPIC, (1, 2), &[])?;
    wait_until_in_sync(&mut sandbox, awake, TOPIC, &others)?;
    produce(&mut sandbox, awake, &["new one"])?;
    sandbox.broker(sleeper)?.thaw()?;

    // Through the one that slept: what it knows when it is back, and nothing of its old log.
    let found = || Ok(values(&mut sandbox, sleeper).map_err(|error| error.to_string()));
    let found = until(found, |found| found.as_ref().is_ok_and(|found| found == &["new one"]));
    found.map_err(|error| format!("{error}\n{}", sandbox.log()))??;
    // It is killed and comes back with the remains of the old topic on its disk, if any are left.
    sandbox.broker(sleeper)?.kill()?;
    sandbox.broker(sleeper)?.start_again()?;
    produce(&mut sandbox, sleeper, &["new two"])?;
    assert_eq!(values(&mut sandbox, sleeper)?, ["new one", "new two"]);
    assert_eq!(values(&mut sandbox, awake)?, ["new one", "new two"]);
    Ok(())
}

#[test]
fn a_broker_that_was_down_while_its_topic_was_replaced_begins_the_new_one_afresh() -> Outcome {
    let mut sandbox = Sandbox::start(&SandboxOptions::new(1, 2))?;
    let admin = Admin::connect(sandbox.broker(1)?.kafka()?)?;
    admin.create_replicated_topic(TOPIC, (1, 2), &[])?;
    wait_until_in_sync(&mut sandbox, 1, TOPIC, &[1, 2])?;
    produce(&mut sandbox, 1, &["old one", "old two", "old three"])?;
    sandbox.broker(2)?.kill()?;
    admin.delete_topic(TOPIC)?;
    admin.create_replicated_topic(TOPIC, (1, 1), &[])?;
    produce(&mut sandbox, 1, &["new one"])?;
    let old = fs::read(first_segment(&mut sandbox, 2, TOPIC, 0)?)?;
    assert!(!old.is_empty(), "the old replica is still on the disk");

    sandbox.broker(2)?.start_again()?;
    assert_eq!(values(&mut sandbox, 2)?, ["new one"]);
    let logs = sandbox.broker(2)?.directory().join("logs");
    assert!(!logs.join(format!("{TOPIC}-0")).exists(), "what is no replica any more does not bear a replica's name");
    Ok(())
}

#[test]
fn a_controller_with_other_voters_neither_votes_nor_founds_anything() -> Outcome {
    let mut sandbox = Sandbox::start(&SandboxOptions::new(3, 1))?;
    let before = sandbox.cluster_id.clone();
    // The third controller's place is taken by one with an empty directory and another idea of who votes.
    sandbox.controller(1003)?.kill()?;
    let voters: Vec<String> = [1001, 1002]
        .into_iter()
        .map(|id| Ok(format!("{id}@{}", sandbox.controller(id)?.internal)))
        .collect::<Outcome<_>>()?;
    let directory = sandbox.controller(1003)?.directory().to_owned();
    let own = sandbox.controller(1003)?.internal;
    let strange = tempfile::tempdir()?;
    let log = strange.path().join("stderr");
    let mut command = Command::new(levada_binary()?);
    without_options(&mut command);
    let mut stranger = command
        .arg("controller")
        .arg("--config")
        .arg(directory.join("levada.toml"))
        .args(["--set", "node.id=1009"])
        .args(["--set", &format!("metadata.log.dir={}", strange.path().join("metadata").display())])
        .args(["--set", &format!("controller.quorum.voters={},1009@{own}", voters.join(","))])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(&log)?)
        .spawn()?;
    let said = until(|| Ok(fs::read_to_string(&log)?), |said| said.contains("does not know this controller"));
    stranger.kill()?;
    stranger.wait()?;
    let said = said?;
    assert!(said.contains("has no vote"), "{said}");

    // The cluster goes on, is the same, and takes its third controller back.
    Admin::connect(sandbox.broker(1)?.kafka()?)?.create_replicated_topic(TOPIC, (1, 1), &[])?;
    produce(&mut sandbox, 1, &["one"])?;
    sandbox.controller(1003)?.start_again()?;
    sandbox.controller(1001)?.kill()?;
    let admin = Admin::connect(sandbox.broker(1)?.kafka()?)?;
    let grown = || Ok(admin.create_partitions(TOPIC, 2).map_err(|error| error.to_string()));
    until(grown, Result::is_ok)
        .map_err(|error| format!("without the first controller: {error}\n{}", sandbox.log()))??;
    let client: BaseConsumer = client_config(sandbox.broker(1)?.kafka()?).set("group.id", "none").create()?;
    assert_eq!(client.client().fetch_cluster_id(LIMIT).as_deref(), Some(before.as_str()));
    Ok(())
}

/// Turns a few bytes in the middle of a file round.
fn damage(path: &Path) -> Outcome {
    let mut bytes = fs::read(path)?;
    let middle = bytes.len() / 2;
    for byte in bytes.iter_mut().skip(middle).take(64) {
        *byte ^= 0x5a;
    }
    Ok(fs::write(path, bytes)?)
}

/// The file below a directory that has the most bytes.
fn largest_file(directory: &Path) -> Outcome<PathBuf> {
    let files = contents(directory)?.into_iter();
    let largest = files.max_by_key(|(_, bytes)| bytes.len()).ok_or("no files")?;
    Ok(largest.0)
}

#[test]
fn a_damaged_metadata_log_stops_its_controller_and_stays_as_it_is() -> Outcome {
    let mut sandbox = Sandbox::start(&SandboxOptions::new(3, 1))?;
    let admin = Admin::connect(sandbox.broker(1)?.kafka()?)?;
    // Enough entries that the middle of the file is in use.
    for number in 0..50 {
        admin.create_topic(&format!("topic-{number}"), 5, &[])?;
    }
    sandbox.controller(1002)?.terminate()?;
    let directory = sandbox.controller(1002)?.directory().to_owned();
    damage(&largest_file(&directory.join("metadata/log"))?)?;
    let before = contents(&directory.join("metadata"))?;
    let said = refused("controller", &directory, &[])?;
    assert!(said.contains("damaged") || said.contains("corrupt"), "{said}");
    assert!(said.contains(&directory.join("metadata").display().to_string()), "it says where: {said}");
    let after = contents(&directory.join("metadata"))?;
    for (path, bytes) in &before {
        assert_eq!(after.get(path), Some(bytes), "{} was changed", path.display());
    }
    // The others have a majority.
    admin.create_topic("without-it", 1, &[])
}

#[test]
fn a_replica_with_a_damaged_log_gives_up_what_is_damaged_and_gets_it_again() -> Outcome {
    let mut sandbox = Sandbox::start(&SandboxOptions::new(1, 2))?;
    let admin = Admin::connect(sandbox.broker(1)?.kafka()?)?;
    admin.create_replicated_topic(TOPIC, (1, 2), &[])?;
    let leader = wait_until_in_sync(&mut sandbox, 1, TOPIC, &[1, 2])?[0];
    let follower = if leader == 1 { 2 } else { 1 };
    let sent: Vec<String> = (0..200).map(|number| format!("value {number} {}", "x".repeat(200))).collect();
    let values_sent: Vec<&str> = sent.iter().map(String::as_str).collect();
    for chunk in values_sent.chunks(20) {
        produce(&mut sandbox, leader, chunk)?;
    }
    sandbox.broker(follower)?.kill()?;
    let damaged = first_segment(&mut sandbox, follower, TOPIC, 0)?;
    damage(&damaged)?;
    sandbox.broker(follower)?.start_again()?;
    wait_until_in_sync(&mut sandbox, leader, TOPIC, &[1, 2])?;
    let whole = first_segment(&mut sandbox, leader, TOPIC, 0)?;
    assert!(fs::read(whole)? == fs::read(damaged)?, "the replicas are equal again");

    // And the damaged one leads with everything.
    sandbox.broker(leader)?.kill()?;
    wait_until_in_sync(&mut sandbox, follower, TOPIC, &[follower])?;
    // A client may first meet the one that is gone.
    let found = until(|| Ok(values(&mut sandbox, follower).map_err(|error| error.to_string())), Result::is_ok)?;
    assert!(found? == sent, "nothing is missing");
    Ok(())
}
