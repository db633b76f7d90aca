//! Lag at `/metrics`: the very figures of `levada group describe`, told by the coordinator of a group alone, and nothing of a
//! group that is gone.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::SocketAddr,
};

use levada_end_to_end::{Outcome, metrics_at};
use levada_harness::{Node, NodeOptions, Sandbox, SandboxOptions};
use serde_json::Value;

use crate::{
    operator::{levada, written},
    patience::{LIMIT, until, wait_until},
};

/// What begins the names of all metrics of groups.
const PREFIX: &str = "levada_consumer_group_";

/// Refreshed so often that a test need not wait.
const SOON: (&str, &str) = ("coordinator.lag.refresh.interval.ms", "50");

/// Runs `levada` against the brokers, which must succeed, and returns what it wrote to stdout.
fn succeed(grpc: SocketAddr, arguments: &[&str]) -> Outcome<String> {
    Ok(String::from_utf8(written(arguments, levada(&grpc.to_string(), arguments)?)?)?)
}

/// What is told of groups: values by names, less their prefix, and labels.
fn told(http: SocketAddr) -> Outcome<BTreeMap<String, f64>> {
    let text = metrics_at(http, LIMIT)?;
    let lines = text.lines().filter_map(|line| line.strip_prefix(PREFIX)?.rsplit_once(' '));
    lines.map(|(name, value)| Ok((name.to_owned(), value.parse()?))).collect()
}

/// The groups that anything is told of.
fn groups(http: SocketAddr) -> Outcome<BTreeSet<String>> {
    let group = |name: &str| Some(name.split_once("group=\"")?.1.split_once('"')?.0.to_owned());
    Ok(told(http)?.keys().filter_map(|name| group(name)).collect())
}

/// A topic with so many records in each of two partitions.
fn fill(grpc: SocketAddr, topic: &str, records: usize) -> Outcome {
    succeed(grpc, &["topic", "create", topic, "--partitions", "2"])?;
    let home = tempfile::tempdir()?;
    let file = home.path().join("lines");
    fs::write(&file, "line\n".repeat(records))?;
    for partition in ["0", "1"] {
        succeed(grpc, &["produce", topic, "--partition", partition, "--file", &file.display().to_string()])?;
    }
    Ok(())
}

/// Commits these offsets, `topic,partition,offset`, for a group without members.
fn commit(grpc: SocketAddr, group: &str, offsets: &str) -> Outcome {
    let home = tempfile::tempdir()?;
    let file = home.path().join("offsets.csv");
    fs::write(&file, offsets)?;
    let (grpc, file) = (grpc.to_string(), file.display().to_string());
    let command = ["group", "reset-offsets", group, "--from-file", &file, "--execute"];
    // The first one waits for shards that have to be made.
    wait_until("offsets are committed", || Ok(levada(&grpc, &command)?.status.success()))
}

/// What `describe` says of a group in the words of the metrics; seconds apart from the rest.
fn described(grpc: SocketAddr, group: &str) -> Outcome<(BTreeMap<String, f64>, BTreeMap<String, f64>)> {
    let text = succeed(grpc, &["group", "describe", group, "--output", "json"])?;
    let all: Value = serde_json::from_str(&text)?;
    let (mut figures, mut seconds) = (BTreeMap::new(), BTreeMap::new());
    let mut total = 0.0;
    for offset in all[0]["offsets"].as_array().into_iter().flatten() {
        let labels = format!(r#"{{group="{group}",topic={},partition="{}"}}"#, offset["topic"], offset["partition"]);
        let number = |name: &str| offset[name].as_f64().ok_or(format!("there is no {name} in {offset}"));
        total += number("lag")?;
        figures.insert(format!("lag_records{labels}"), number("lag")?);
        figures.insert(format!("committed_offset{labels}"), number("committed_offset")?);
        seconds.insert(format!("lag_seconds{labels}"), number("lag_seconds")?);
    }
    figures.insert(format!(r#"total_lag_records{{group="{group}"}}"#), total);
    let state = all[0]["state"].as_str().unwrap_or_default();
    figures.insert(format!(r#"state{{group="{group}",state="{state}"}}"#), 1.0);
    let members = all[0]["members"].as_array().map_or(0, Vec::len);
    figures.insert(format!(r#"members{{group="{group}"}}"#), members as f64);
    Ok((figures, seconds))
}

#[test]
fn lag_is_told_as_describe_tells_it_and_goes_with_its_group() -> Outcome {
    let node = Node::start_with(NodeOptions::default().set(SOON.0, SOON.1))?;
    let (grpc, http) = (node.grpc()?, node.http()?);
    fill(grpc, "orders", 30)?;
    fill(grpc, "bills", 5)?;
    commit(grpc, "billing", "orders,0,10\norders,1,30\nbills,1,2\n")?;
    commit(grpc, "late", "orders,0,0\n")?;
    let (figures, before) = described(grpc, "billing")?;
    let lags: Vec<_> =
        figures.iter().filter(|(name, _)| name.starts_with("lag_records")).map(|(_, lag)| *lag).collect();
    assert_eq!(lags, [3.0, 20.0, 0.0], "{figures:?}");
    let has = |told: &BTreeMap<String, f64>, figures: &BTreeMap<String, f64>| {
        figures.iter().all(|(name, value)| told.get(name) == Some(value))
    };
    until(|| told(http), |told| has(told, &figures))?;
    // What was told after one description, and before another.
    let is_later = |told: &BTreeMap<String, f64>| {
        before.iter().all(|(name, seconds)| told.get(name).is_some_and(|told| told >= seconds))
    };
    let between = until(|| told(http), is_later)?;
    let (_, after) = described(grpc, "billing")?;
    for (name, seconds) in &after {
        assert!(between[name] <= *seconds, "{name} is {}, and described later as {seconds}", between[name]);
    }
    let zero: Vec<_> = after.iter().filter(|(_, seconds)| **seconds == 0.0).map(|(name, _)| name).collect();
    assert_eq!(zero, [r#"lag_seconds{group="billing",topic="orders",partition="1"}"#]);
    let greatest = before.keys().map(|name| between[name]).fold(0.0, f64::max);
    assert_eq!(between[r#"max_lag_seconds{group="billing"}"#], greatest);
    assert_eq!(between["partitions_left_out"], 0.0);

    commit(grpc, "billing", "orders,0,30\nbills,1,5\n")?;
    let (figures, _) = described(grpc, "billing")?;
    assert_eq!(figures[r#"total_lag_records{group="billing"}"#], 0.0);
    until(|| told(http), |told| has(told, &figures) && told[r#"max_lag_seconds{group="billing"}"#] == 0.0)?;
    succeed(grpc, &["group", "delete", "billing"])?;
    until(|| groups(http), |groups| *groups == BTreeSet::from(["late".to_owned()]))?;
    Ok(())
}

#[test]
fn a_group_is_told_of_by_its_coordinator_and_what_is_too_much_is_left_out() -> Outcome {
    let options = SandboxOptions::new(1, 1).group_coordinators(2);
    let options = options.set_group_coordinators(SOON.0, SOON.1);
    let mut sandbox = Sandbox::start(&options.set_group_coordinators("coordinator.lag.max.partitions", "0"))?;
    let grpc = sandbox.broker(1)?.grpc()?;
    let http = [sandbox.group_coordinator(2001)?.http, sandbox.group_coordinator(2002)?.http];
    fill(grpc, "orders", 3)?;
    // Their names lie in so many shards that each coordinator has some of them.
    let names: BTreeSet<String> = (0..12).map(|number| format!("group-{}", number * 9)).collect();
    for name in &names {
        commit(grpc, name, "orders,0,1\norders,1,1\n")?;
    }
    wait_until("each group is told of by one of the two", || {
        let (one, other) = (groups(http[0])?, groups(http[1])?);
        Ok(!one.is_empty() && !other.is_empty() && one.is_disjoint(&other) && (&one | &other) == names)
    })?;
    // Of its shards the one that stays tells nothing twice.
    sandbox.group_coordinator(2001)?.terminate()?;
    let all = until(|| told(http[1]), |told| told.get("partitions_left_out") == Some(&24.0))?;
    for name in &names {
        assert_eq!(all.get(&format!(r#"total_lag_records{{group="{name}"}}"#)), Some(&4.0), "{all:?}");
    }
    assert!(!all.keys().any(|name| name.starts_with("lag_")), "{all:?}");
    // What goes to another is told of no more: the shards are shared again.
    sandbox.group_coordinator(2001)?.start_again()?;
    let http = [sandbox.group_coordinator(2001)?.http, http[1]];
    wait_until("each group is told of by one of the two again", || {
        let (one, other) = (groups(http[0])?, groups(http[1])?);
        Ok(!one.is_empty() && !other.is_empty() && one.is_disjoint(&other) && (&one | &other) == names)
    })
}
