//! Offsets in a file, as `kafka-consumer-groups --export` and `--from-file` have them: a line `topic,partition,offset` for
//! each partition, or `group,topic,partition,offset`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use levada_types::{Offset, TopicName, TopicPartition};

use crate::CliError;

/// Reads what the file at `path` has for `group`; `-` is standard input.
pub(super) fn read(path: &Path, group: &str) -> Result<BTreeMap<TopicPartition, Offset>, CliError> {
    let text = if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map_err(CliError::io("standard input"))?;
        text
    } else {
        fs::read_to_string(path).map_err(CliError::io(path.display().to_string()))?
    };
    parse(&text, group).map_err(|reason| CliError::Usage(format!("{}: {reason}", path.display())))
}

fn parse(text: &str, group: &str) -> Result<BTreeMap<TopicPartition, Offset>, String> {
    let mut offsets = BTreeMap::new();
    for (line, number) in text.lines().zip(1..) {
        if line.trim().is_empty() {
            continue;
        }
        let line = parse_line(line, group).map_err(|reason| format!("line {number}: {reason}"))?;
        let Some((partition, offset)) = line else { continue };
        if offsets.insert(partition.clone(), offset).is_some() {
            return Err(format!("line {number}: {partition} is named twice"));
        }
    }
    if offsets.is_empty() { Err(format!("it has no offset for group {group}")) } else { Ok(offsets) }
}

/// `None` where the line is for another group.
fn parse_line(line: &str, group: &str) -> Result<Option<(TopicPartition, Offset)>, String> {
    let fields: Vec<&str> = line.split(',').map(|field| field.trim().trim_matches('"')).collect();
    let (topic, partition, offset) = match fields.as_slice() {
        [topic, partition, offset] => (topic, partition, offset),
        [other, ..] if fields.len() == 4 && *other != group => return Ok(None),
        [_, topic, partition, offset] => (topic, partition, offset),
        _ => return Err(format!("{line:?} is not topic,partition,offset")),
    };
    let topic = TopicName::new(topic).map_err(|error| error.to_string())?;
    let partition = partition.parse().ok().filter(|partition| *partition >= 0);
    let partition = partition.ok_or_else(|| format!("{line:?} names no partition"))?;
    let offset = offset.parse().ok().filter(|offset| *offset >= 0);
    let offset = offset.ok_or_else(|| format!("{line:?} names no offset"))?;
    Ok(Some((TopicPartition { topic, partition }, offset)))
}

/// The lines for these offsets.
pub(super) fn write<'a>(offsets: impl Iterator<Item = (&'a str, i32, Offset)>) -> String {
    let lines: Vec<String> =
        offsets.map(|(topic, partition, offset)| format!("{topic},{partition},{offset}")).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<(String, Offset)>, String> {
        parse(text, "billing").map(|read| read.into_iter().map(|(at, offset)| (at.to_string(), offset)).collect())
    }

    #[test]
    fn lines_with_and_without_a_group_are_read() {
        let read = parsed("orders,0,12\n\n\"orders\", 1, 7\nbilling,orders,2,5\nother,orders,3,9\n").unwrap();
        assert_eq!(read, [("orders-0".to_owned(), 12), ("orders-1".to_owned(), 7), ("orders-2".to_owned(), 5)]);
        for wrong in
            ["", "other,orders,0,1", "orders,0", "orders,x,1", "orders,0,-1", "orders,0,1\norders,0,2", "a b,0,1"]
        {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let text = write([("orders", 0, 12), ("pay", 3, 0)].into_iter());
        assert_eq!(parsed(&text).unwrap(), [("orders-0".to_owned(), 12), ("pay-3".to_owned(), 0)]);
    }
}
