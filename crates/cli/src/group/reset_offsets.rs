//! `levada group reset-offsets`: committed offsets moved to a place, a time, by a number, or to what a file says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::{ArgGroup, Args};
use levada_client::{Admin, MovedOffset, OffsetTarget, OffsetToCommit, PartitionOutcome, ResetTarget, TopicSelection};
use levada_types::{ErrorCode, Offset, TimestampMs, TopicPartition};
use serde::Serialize;

use super::moment::{Moment, Span};
use super::offsets_file;
use super::selection::Selection;
use crate::CliError;
use crate::clock::now_ms;
use crate::connect::ConnectArgs;
use crate::output::{Format, OutputArgs, counted, print_line, table, tell};

/// Arguments of `group reset-offsets`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("target").required(true))]
#[command(group = ArgGroup::new("scope").required(true))]
pub struct ResetOffsetsArgs {
    /// The group, which must not have members.
    group: String,
    /// All partitions of this topic, or some of them; may be repeated.
    #[arg(long = "topic", value_name = "TOPIC[:0,1]", group = "scope")]
    topics: Vec<Selection>,
    /// Everything that the group has committed.
    #[arg(long, group = "scope", conflicts_with = "topics")]
    all_topics: bool,
    /// To the first record that there is.
    #[arg(long, group = "target")]
    to_earliest: bool,
    /// To the end.
    #[arg(long, group = "target")]
    to_latest: bool,
    /// To what is committed now; for --export, and to move what lies outside of its partition.
    #[arg(long, group = "target")]
    to_current: bool,
    /// To the first record of this time or later, such as 2026-01-31T12:00:00.000, which is UTC, or …+02:00.
    #[arg(long, value_name = "TIME", group = "target")]
    to_datetime: Option<Moment>,
    /// To the first record that is not older than this, such as PT15M, P1DT2H or 15m.
    #[arg(long, value_name = "SPAN", group = "target")]
    by_duration: Option<Span>,
    /// By so many records, backward if it is negative.
    #[arg(long, value_name = "N", group = "target", allow_hyphen_values = true)]
    shift_by: Option<i64>,
    /// To this offset, in every partition.
    #[arg(long, value_name = "OFFSET", group = "target", value_parser = clap::value_parser!(i64).range(0..))]
    to_offset: Option<i64>,
    /// To the offsets in this file, a line topic,partition,offset for each partition, as --export writes it; - is standard
    /// input.
    #[arg(long, value_name = "FILE", groups = ["target", "scope"])]
    from_file: Option<PathBuf>,
    /// Move the offsets. Without it nothing is changed.
    #[arg(long)]
    execute: bool,
    /// Change nothing, which is the default.
    #[arg(long, conflicts_with = "execute")]
    dry_run: bool,
    /// Write the new offsets as lines topic,partition,offset.
    #[arg(long, conflicts_with = "output")]
    export: bool,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// An offset that is moved, as it is shown.
#[derive(Debug, Serialize)]
struct MovedView {
    group: String,
    topic: String,
    partition: i32,
    old_offset: Option<Offset>,
    /// Absent where it could not be moved.
    new_offset: Option<Offset>,
    error: Option<String>,
}

type Outcome = PartitionOutcome<MovedOffset>;

pub(super) async fn run(args: ResetOffsetsArgs) -> Result<(), CliError> {
    let target = args.target(now_ms())?;
    // A file that makes no sense is told before anybody is asked.
    let wanted = match &args.from_file {
        Some(path) => Some(offsets_file::read(path, &args.group)?),
        None => None,
    };
    let admin = args.connect.client()?.admin();
    let outcomes = match (wanted, target) {
        (Some(wanted), _) => move_to(&admin, &args.group, &wanted, !args.execute).await?,
        (None, Some(target)) => {
            let topics: Vec<TopicSelection> = args.topics.iter().map(|selection| selection.0.clone()).collect();
            admin.reset_group_offsets(&args.group, &topics, target, !args.execute).await?
        }
        (None, None) => return Err(CliError::Usage("say where to move the offsets".to_owned())),
    };
    let views: Vec<MovedView> = outcomes.into_iter().map(|outcome| MovedView::new(&args.group, outcome)).collect();
    if args.export {
        let moved = |view| MovedView::csv(view);
        print_line(&offsets_file::write(views.iter().filter_map(moved)))?;
    } else {
        args.output.print(&views, |views| moved_table(views))?;
    }
    for view in &views {
        if let Some(error) = &view.error {
            tell(format_args!("{}-{}: {error}", view.topic, view.partition));
        }
    }
    if !args.execute && !args.export && args.output.output == Format::Table {
        tell(format_args!("nothing was changed; --execute moves the offsets"));
    }
    match views.iter().filter(|view| view.error.is_some()).count() {
        0 => Ok(()),
        failed => Err(CliError::Failed(counted(failed, "offset was not moved", "offsets were not moved"))),
    }
}

impl ResetOffsetsArgs {
    /// Where to, unless a file says it.
    fn target(&self, now_ms: TimestampMs) -> Result<Option<ResetTarget>, CliError> {
        let target = if self.to_earliest {
            ResetTarget::Earliest
        } else if self.to_latest {
            ResetTarget::Latest
        } else if self.to_current {
            ResetTarget::Current
        } else if let Some(Moment(timestamp_ms)) = self.to_datetime {
            ResetTarget::Timestamp(timestamp_ms)
        } else if let Some(Span(span)) = self.by_duration {
            let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
            let before = now_ms.checked_sub(span).filter(|before| *before >= 0);
            ResetTarget::Timestamp(before.ok_or_else(|| CliError::Usage("that is before 1970".to_owned()))?)
        } else if let Some(records) = self.shift_by {
            ResetTarget::ShiftBy(records)
        } else if let Some(offset) = self.to_offset {
            ResetTarget::Offset(offset)
        } else {
            return Ok(None);
        };
        Ok(Some(target))
    }
}

/// Moves offsets to those that a file names, each into what its partition holds.
async fn move_to(
    admin: &Admin,
    group: &str,
    wanted: &BTreeMap<TopicPartition, Offset>,
    dry_run: bool,
) -> Result<Vec<Outcome>, CliError> {
    let committed = committed(admin, group).await?;
    let topics: BTreeSet<&str> = wanted.keys().map(|partition| partition.topic.as_str()).collect();
    let mut outcomes = Vec::new();
    for topic in topics {
        let of_topic: Vec<_> = wanted.iter().filter(|(partition, _)| partition.topic.as_str() == topic).collect();
        let numbers: Vec<i32> = of_topic.iter().map(|(partition, _)| partition.partition).collect();
        let starts = admin.list_offsets(topic, &numbers, OffsetTarget::Earliest).await?;
        let ends = admin.list_offsets(topic, &numbers, OffsetTarget::Latest).await?;
        let bound = |bounds: &[levada_client::ListedOffset], partition: i32| {
            bounds.iter().find(|found| found.partition == partition).map(|found| found.offset)
        };
        for (partition, offset) in of_topic {
            let start = bound(&starts, partition.partition).unwrap_or(*offset);
            let end = bound(&ends, partition.partition).unwrap_or(*offset);
            let moved = MovedOffset { from: committed.get(partition).copied(), to: (*offset).min(end).max(start) };
            outcomes.push(PartitionOutcome { partition: partition.clone(), result: Ok(moved) });
        }
    }
    if dry_run {
        return Ok(outcomes);
    }
    let to_commit = |outcome: &Outcome| {
        let moved = outcome.result.as_ref().ok()?;
        Some(OffsetToCommit::new(outcome.partition.clone(), moved.to))
    };
    let offsets: Vec<OffsetToCommit> = outcomes.iter().filter_map(to_commit).collect();
    for done in admin.commit_group_offsets(group, &offsets).await? {
        let Err(error) = done.result else { continue };
        for outcome in outcomes.iter_mut().filter(|outcome| outcome.partition == done.partition) {
            outcome.result = Err(error.clone());
        }
    }
    Ok(outcomes)
}

/// What the group has committed; nothing, if there is no such group. It must not have members.
async fn committed(admin: &Admin, group: &str) -> Result<BTreeMap<TopicPartition, Offset>, CliError> {
    let described = match admin.describe_group(group).await {
        Ok(described) => described,
        Err(error) if error.code() == ErrorCode::GroupIdNotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error.into()),
    };
    if !described.members.is_empty() {
        let members = counted(described.members.len(), "member", "members");
        return Err(CliError::Failed(format!("group {group} has {members}; stop them first")));
    }
    Ok(described.offsets.into_iter().filter_map(|offset| Some((offset.partition, offset.committed?))).collect())
}

impl MovedView {
    fn new(group: &str, outcome: Outcome) -> Self {
        let (moved, error) = match outcome.result {
            Ok(moved) => (Some(moved), None),
            Err(error) => (None, Some(error.to_string())),
        };
        Self {
            group: group.to_owned(),
            topic: outcome.partition.topic.to_string(),
            partition: outcome.partition.partition,
            old_offset: moved.and_then(|moved| moved.from),
            new_offset: moved.map(|moved| moved.to),
            error,
        }
    }

    fn csv(&self) -> Option<(&str, i32, Offset)> {
        Some((self.topic.as_str(), self.partition, self.new_offset?))
    }
}

fn moved_table(views: &[MovedView]) -> String {
    let or_nothing = |offset: Option<Offset>| offset.map_or_else(|| "-".to_owned(), |offset| offset.to_string());
    let row = |view: &MovedView| {
        [
            view.group.clone(),
            view.topic.clone(),
            view.partition.to_string(),
            or_nothing(view.old_offset),
            or_nothing(view.new_offset),
        ]
    };
    table(&["GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "NEW-OFFSET"], views.iter().map(row))
}
