//! The JSON of Kafka's `kafka-reassign-partitions`: what to move where.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use levada_client::NewReassignment;
use levada_types::BrokerId;
use serde::Deserialize;

use crate::CliError;
use crate::cluster::partition_choice::partition;

/// The version of the format that there is.
const VERSION: i64 = 1;

/// What stands for "no directory in particular" in Kafka's files.
const ANY_DIRECTORY: &str = "any";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    #[serde(default = "latest")]
    version: i64,
    partitions: Vec<Move>,
}

fn latest() -> i64 {
    VERSION
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Move {
    topic: String,
    partition: i32,
    replicas: Vec<i32>,
    #[serde(default)]
    log_dirs: Vec<String>,
}

/// Reads the file at `path`; `-` is standard input.
pub(super) fn read(path: &Path) -> Result<Vec<NewReassignment>, CliError> {
    let text = if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map_err(CliError::io("standard input"))?;
        text
    } else {
        fs::read_to_string(path).map_err(CliError::io(path.display().to_string()))?
    };
    parse(&text).map_err(|reason| CliError::Usage(format!("{}: {reason}", path.display())))
}

fn parse(text: &str) -> Result<Vec<NewReassignment>, String> {
    let plan: Plan = serde_json::from_str(text).map_err(|error| {
        format!(r#"{error}; it must be like {{"version":1,"partitions":[{{"topic":"orders","partition":0,"replicas":[1,2,3]}}]}}"#)
    })?;
    if plan.version != VERSION {
        return Err(format!("version {} is not known; there is version {VERSION}", plan.version));
    }
    if plan.partitions.is_empty() {
        return Err("it names no partition".to_owned());
    }
    let mut seen = BTreeSet::new();
    let mut moves = Vec::new();
    for new in plan.partitions {
        let at = partition(&new.topic, new.partition).map_err(|error| error.to_string())?;
        if new.log_dirs.iter().any(|dir| dir != ANY_DIRECTORY) {
            return Err(format!(
                "{at} asks for log_dirs; move it first, then use `levada cluster move-replica` at its new broker"
            ));
        }
        if !seen.insert(at.clone()) {
            return Err(format!("{at} occurs twice"));
        }
        moves.push(NewReassignment { partition: at, replicas: new.replicas.into_iter().map(BrokerId).collect() });
    }
    Ok(moves)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_kafkas_tool_is_understood() {
        let moves = parse(
            r#"{"version":1,"partitions":[
                {"topic":"orders","partition":0,"replicas":[2,3],"log_dirs":["any","any"]},
                {"topic":"orders","partition":1,"replicas":[3,1]}]}"#,
        )
        .unwrap();
        let read: Vec<_> =
            moves.iter().map(|new| (new.partition.to_string(), new.replicas.iter().map(|id| id.0).collect())).collect();
        assert_eq!(read, [("orders-0".to_owned(), vec![2, 3]), ("orders-1".to_owned(), vec![3, 1])]);
    }

    #[test]
    fn what_is_not_understood_says_what_to_do() {
        let refused = |text: &str| parse(text).unwrap_err();
        assert!(refused("[]").contains("it must be like"));
        assert!(refused(r#"{"version":2,"partitions":[]}"#).contains("version 2"));
        assert!(refused(r#"{"version":1,"partitions":[]}"#).contains("no partition"));
        let dir = r#"{"partitions":[{"topic":"t","partition":0,"replicas":[1],"log_dirs":["/d"]}]}"#;
        assert!(refused(dir).contains("move-replica"));
        let one = r#"{"topic":"t","partition":0,"replicas":[1]}"#;
        assert!(refused(&format!(r#"{{"partitions":[{one},{one}]}}"#)).contains("t-0 occurs twice"));
    }
}
