//! `levada log import DIR --into DIR`: takes over the topics of a data directory that Kafka wrote.
//!
//! Kafka's directory is only read, so the way back stays open. Topics are created first, while Levada runs, because what
//! exists and under which id is the controller's to say; then their empty logs are filled, while it is stopped.

mod copy;
mod source;
mod target;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use clap::Args;
use levada_log::LogWriter;
use levada_types::{TimestampMs, TopicName};
use serde::Serialize;

use crate::CliError;
use crate::clock::now_ms;
use crate::output::{OutputArgs, table};
use copy::{Copied, copy};
use source::Source;
use target::Target;

/// Arguments of `log import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// A data directory of Kafka (`log.dirs`), whose broker is stopped. It is only read.
    dir: PathBuf,
    /// The data directory of a Levada that is stopped; `levada dev` keeps it in `levada-data/logs`. It must have the topics,
    /// with as many partitions and without records.
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
    /// Only this topic; may be repeated [default: all but Kafka's own].
    #[arg(long = "topic", value_name = "NAME", value_parser = topic_name)]
    topics: Vec<TopicName>,
    #[command(flatten)]
    output: OutputArgs,
}

/// What was imported.
#[derive(Debug, Serialize)]
struct Imported {
    partitions: Vec<Copied>,
    /// Partitions of Kafka's own topics, which were left out.
    left_out: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(args: &ImportArgs) -> Result<(), CliError> {
    args.output.print(&import(args)?, Imported::text)
}

fn import(args: &ImportArgs) -> Result<Imported, CliError> {
    let now_ms = now_ms();
    let source = Source::open(&args.dir, &args.topics)?;
    let target = Target::open(&args.into)?;
    let mut logs = target.logs_of(&source.partitions, now_ms)?;
    match fill(&source, &mut logs, now_ms) {
        Ok(partitions) => {
            target.close(logs, now_ms)?;
            let left_out = source.internal.iter().map(ToString::to_string).collect();
            Ok(Imported { partitions, left_out })
        }
        Err(error) => {
            // All or nothing: a part of it would be taken for the whole.
            for log in &mut logs {
                let emptied = log.truncate_fully_and_start_at(0, now_ms);
                emptied.map_err(target::failed(format!("{error}; and emptying {} again", log.topic_partition())))?;
            }
            target.close(logs, now_ms)?;
            Err(error)
        }
    }
}

fn fill(source: &Source, logs: &mut [LogWriter], now_ms: TimestampMs) -> Result<Vec<Copied>, CliError> {
    source.partitions.iter().zip(logs).map(|(from, into)| copy(from, into, now_ms)).collect()
}

impl Imported {
    fn text(&self) -> String {
        let rows = self.partitions.iter().map(|copied| {
            let numbers = [copied.start, copied.end].map(|offset| offset.to_string());
            let sizes = [copied.batches, copied.bytes, copied.torn_bytes].map(|size| size.to_string());
            std::iter::once(copied.partition.clone()).chain(numbers).chain(sizes)
        });
        let mut text = table(&["PARTITION", "START", "END", "BATCHES", "BYTES", "TORN BYTES"], rows);
        if !self.left_out.is_empty() {
            text += &format!("\n\nleft out, being Kafka's own: {}", self.left_out.join(", "));
        }
        text
    }
}

fn topic_name(text: &str) -> Result<TopicName, String> {
    TopicName::new(text).map_err(|error| error.to_string())
}
