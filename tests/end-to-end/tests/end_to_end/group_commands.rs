//! `levada consume --group` and `levada group`: what is left of a topic is what describe says is left, and offsets go where
//! their operator moves them.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use levada_end_to_end::Outcome;
use levada_harness::{Node, NodeOptions, ask_to_stop, levada_binary};
use serde_json::Value;

use crate::{
    operator::{levada, written},
    patience::wait_until,
};

/// Lines that are produced.
const LINES: usize = 100;

/// A node with the topic `orders` of three partitions and [`LINES`] different records.
fn node() -> Outcome<Node> {
    let options = NodeOptions::default()
        .set("group.consumer.min.heartbeat.interval.ms", "100")
        .set("group.consumer.heartbeat.interval.ms", "100");
    let node = Node::start_with(options)?;
    succeed(&node, &["topic", "create", "orders", "--partitions", "3"])?;
    let home = tempfile::tempdir()?;
    let file = home.path().join("lines");
    fs::write(&file, lines(0..LINES).join("\n") + "\n")?;
    // With a key each line goes where its key does; without, whole batches would.
    let keyed = ["produce", "orders", "--key-separator", " ", "--file", &file.display().to_string()];
    succeed(&node, &keyed)?;
    Ok(node)
}

fn lines(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| format!("{number} line {number}")).collect()
}

/// The values of all lines.
fn everything() -> BTreeSet<String> {
    (0..LINES).map(|number| format!("line {number}")).collect()
}

/// Runs `levada` against the node, which must succeed, and returns what it wrote to stdout.
fn succeed(node: &Node, arguments: &[&str]) -> Outcome<String> {
    Ok(String::from_utf8(written(arguments, levada(&node.grpc()?.to_string(), arguments)?)?)?)
}

fn exit_code(node: &Node, arguments: &[&str]) -> Outcome<Option<i32>> {
    Ok(levada(&node.grpc()?.to_string(), arguments)?.status.code())
}

/// So many lines consumed as a member of `billing`.
fn consume(node: &Node, records: usize) -> Outcome<Vec<String>> {
    let text = succeed(node, &["consume", "orders", "--group", "billing", "--max-records", &records.to_string()])?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// The group `billing` as JSON.
fn described(node: &Node) -> Outcome<Value> {
    let told: Value = serde_json::from_str(&succeed(node, &["group", "describe", "billing", "--output", "json"])?)?;
    Ok(told[0].clone())
}

/// Of each partition of the group in order: its committed offset, its end and its lag.
fn standing(node: &Node) -> Outcome<Vec<(i64, i64, i64)>> {
    let told = described(node)?;
    let number = |offset: &Value, name: &str| offset[name].as_i64().ok_or(format!("there is no {name} in {offset}"));
    let mut standing = Vec::new();
    for offset in told["offsets"].as_array().into_iter().flatten() {
        let (committed, end) = (number(offset, "committed_offset")?, number(offset, "log_end_offset")?);
        standing.push((committed, end, number(offset, "lag")?));
    }
    Ok(standing)
}

fn committed(node: &Node) -> Outcome<Vec<i64>> {
    Ok(standing(node)?.into_iter().map(|(committed, ..)| committed).collect())
}

/// Resets all topics of the group.
fn reset(node: &Node, arguments: &[&str]) -> Outcome<String> {
    let command = ["group", "reset-offsets", "billing", "--all-topics"];
    succeed(node, &[command.as_slice(), arguments].concat())
}

/// A member of `billing` that consumes until it is told to stop.
struct Running(Child);

impl Running {
    fn start(node: &Node) -> Outcome<Self> {
        let mut command = Command::new(levada_binary()?);
        command.args(["consume", "orders", "--group", "billing", "--server", &node.grpc()?.to_string()]);
        Ok(Self(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?))
    }

    fn line(&mut self) -> Outcome<String> {
        let output = self.0.stdout.as_mut().ok_or("it has no output")?;
        let mut line = String::new();
        BufReader::with_capacity(1, output).read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_describe_says_is_left_is_left() -> Outcome {
    let node = node()?;
    let first = consume(&node, 40)?;
    assert_eq!(first.len(), 40);
    let told = standing(&node)?;
    assert!(told.iter().all(|(committed, end, lag)| end - committed == *lag), "{told:?}");
    assert_eq!(told.iter().map(|(committed, ..)| committed).sum::<i64>(), 40, "what was written, and nothing else");

    let rest = consume(&node, 60)?;
    let seen: BTreeSet<String> = first.iter().chain(&rest).cloned().collect();
    assert_eq!((first.len() + rest.len(), seen), (LINES, everything()), "each line came once");
    let group = described(&node)?;
    assert_eq!((group["group"].as_str(), group["state"].as_str()), (Some("billing"), Some("Empty")));
    for offset in group["offsets"].as_array().into_iter().flatten() {
        assert_eq!((offset["lag"].as_i64(), offset["lag_seconds"].as_f64()), (Some(0), Some(0.0)), "{offset}");
    }
    let table = succeed(&node, &["group", "describe", "billing"])?;
    let header: Vec<&str> = table.lines().next().unwrap_or_default().split_whitespace().collect();
    let columns = "GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG LAG-SECONDS CONSUMER-ID HOST CLIENT-ID";
    assert_eq!(header, columns.split(' ').collect::<Vec<_>>());
    assert_eq!(table.lines().count(), 4);
    Ok(())
}

#[test]
fn offsets_go_where_they_are_moved_and_only_when_they_shall() -> Outcome {
    let node = node()?;
    consume(&node, LINES)?;
    let ends = committed(&node)?;
    let planned = reset(&node, &["--to-earliest"])?;
    assert!(planned.trim_start().starts_with("GROUP") && planned.contains("NEW-OFFSET"), "{planned}");
    assert_eq!(committed(&node)?, ends, "that was only a plan");

    reset(&node, &["--to-earliest", "--execute"])?;
    assert_eq!(committed(&node)?, [0, 0, 0]);
    reset(&node, &["--shift-by", "5", "--execute"])?;
    assert_eq!(committed(&node)?, [5, 5, 5]);
    reset(&node, &["--shift-by", "-2", "--execute"])?;
    assert_eq!(committed(&node)?, [3, 3, 3]);
    reset(&node, &["--shift-by", "-20", "--execute"])?;
    assert_eq!(committed(&node)?, [0, 0, 0], "there is nothing before the first");
    succeed(&node, &["group", "reset-offsets", "billing", "--topic", "orders:1", "--to-offset", "7", "--execute"])?;
    assert_eq!(committed(&node)?, [0, 7, 0]);

    let home = tempfile::tempdir()?;
    let file = home.path().join("offsets.csv");
    fs::write(&file, reset(&node, &["--to-current", "--export"])?)?;
    assert_eq!(fs::read_to_string(&file)?, "orders,0,0\norders,1,7\norders,2,0\n");
    reset(&node, &["--to-latest", "--execute"])?;
    assert_eq!(committed(&node)?, ends);
    let from_file = ["group", "reset-offsets", "billing", "--from-file", &file.display().to_string()];
    succeed(&node, &from_file)?;
    assert_eq!(committed(&node)?, ends, "that was only a plan");
    succeed(&node, &[from_file.as_slice(), &["--execute"]].concat())?;
    assert_eq!(committed(&node)?, [0, 7, 0]);

    reset(&node, &["--by-duration", "P1D", "--execute"])?;
    assert_eq!(committed(&node)?, [0, 0, 0], "all of it is younger than a day");
    reset(&node, &["--to-datetime", "2100-01-01T00:00:00.000", "--execute"])?;
    assert_eq!(committed(&node)?, ends, "nothing is that young");
    reset(&node, &["--to-datetime", "2020-01-01T00:00:00+02:00", "--execute"])?;
    assert_eq!(committed(&node)?, [0, 0, 0]);

    let again: BTreeSet<String> = consume(&node, LINES)?.into_iter().collect();
    assert_eq!(again, everything(), "it is consumed once more");
    Ok(())
}

#[test]
fn a_group_with_a_member_keeps_its_offsets_until_it_leaves() -> Outcome {
    let node = node()?;
    let mut member = Running::start(&node)?;
    assert!(everything().contains(&member.line()?));
    let group = described(&node)?;
    let members = group["members"].as_array().map(Vec::len);
    assert_eq!((members, group["members"][0]["client_id"].as_str()), (Some(1), Some("levada-consume")));
    let owned = group["members"][0]["assigned"]["orders"].as_array().map(Vec::len);
    assert_eq!(owned, Some(3));
    let member_rows = succeed(&node, &["group", "describe", "billing", "--members"])?;
    assert!(member_rows.contains("orders(0,1,2)"), "{member_rows}");
    let command = ["group", "reset-offsets", "billing", "--all-topics", "--to-earliest", "--execute"];
    assert_eq!(exit_code(&node, &command)?, Some(1), "it has a member");
    assert_eq!(exit_code(&node, &["group", "delete", "billing"])?, Some(1), "it has a member");

    // It commits what it has written, and leaves; to be told twice, as `timeout` does, is no reason to do less.
    ask_to_stop(&member.0)?;
    ask_to_stop(&member.0)?;
    wait_until("the member ends", || Ok(member.0.try_wait()?.is_some()))?;
    let listed: Value = serde_json::from_str(&succeed(&node, &["group", "list", "--output", "json"])?)?;
    assert_eq!(listed[0]["state"].as_str(), Some("Empty"), "{listed}");
    succeed(&node, &command)?;
    succeed(&node, &["group", "delete", "billing"])?;
    assert_eq!(succeed(&node, &["group", "list", "--output", "json"])?.trim(), "[]");
    Ok(())
}

#[test]
fn what_a_group_forgets_is_gone_and_what_is_not_there_is_told() -> Outcome {
    let node = node()?;
    consume(&node, LINES)?;
    succeed(&node, &["group", "delete-offsets", "billing", "--topic", "orders:0,2"])?;
    let told = described(&node)?;
    let left: Vec<&Value> = told["offsets"].as_array().into_iter().flatten().collect();
    let left: Vec<_> = left.iter().filter(|offset| !offset["committed_offset"].is_null()).collect();
    assert_eq!(left.iter().map(|offset| offset["partition"].as_i64()).collect::<Vec<_>>(), [Some(1)]);
    assert_eq!(exit_code(&node, &["group", "describe", "nobody"])?, Some(1));
    assert_eq!(exit_code(&node, &["group", "delete", "nobody"])?, Some(1));
    let nowhere = ["group", "reset-offsets", "billing", "--topic", "nowhere", "--to-earliest"];
    assert_eq!(exit_code(&node, &nowhere)?, Some(1));
    assert_eq!(exit_code(&node, &["group", "reset-offsets", "billing", "--all-topics"])?, Some(2), "to where?");
    assert_eq!(exit_code(&node, &["consume", "orders", "--group", "billing", "--from", "10"])?, Some(2));
    // Offsets that are committed for a group that nobody has been in.
    let home = tempfile::tempdir()?;
    let file = home.path().join("offsets.csv");
    fs::write(&file, "orders,0,1\n")?;
    let imported = ["group", "reset-offsets", "imported", "--from-file", &file.display().to_string(), "--execute"];
    succeed(&node, &imported)?;
    assert!(succeed(&node, &["group", "describe", "imported"])?.contains("imported"));
    File::create(&file)?;
    assert_eq!(exit_code(&node, &imported)?, Some(2), "the file is empty");
    Ok(())
}
