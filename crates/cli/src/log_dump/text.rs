//! The dump for people.

use super::Dump;
use super::directory::DirectoryDump;
use super::partition::PartitionDump;
use super::segment::SegmentDump;
use crate::output::table;

impl Dump {
    pub(super) fn text(&self) -> String {
        let mut parts = Vec::new();
        if let Some(directory) = &self.directory {
            parts.push(directory.headline());
            parts.extend(problems(&directory.problems));
            parts.extend(checkpoints(directory));
        }
        parts.extend(self.partitions.iter().flat_map(partition));
        parts.push(match self.problem_count {
            0 => "nothing is wrong".to_owned(),
            count => format!("problems: {count}"),
        });
        parts.join("\n\n")
    }
}

fn problems(problems: &[String]) -> Option<String> {
    let lines: Vec<String> = problems.iter().map(|problem| format!("PROBLEM {problem}")).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn checkpoints(directory: &DirectoryDump) -> Vec<String> {
    let lines = |checkpoint: &super::directory::CheckpointDump| {
        let rows = checkpoint.offsets.iter().map(|line| [line.partition.clone(), line.offset.to_string()]);
        format!("{}\n{}", checkpoint.file, table(&["PARTITION", "OFFSET"], rows))
    };
    directory.checkpoints.iter().filter(|checkpoint| !checkpoint.offsets.is_empty()).map(lines).collect()
}

fn partition(partition: &PartitionDump) -> Vec<String> {
    let id = partition.topic_id.as_deref().unwrap_or("unknown");
    let epochs: Vec<String> =
        partition.leader_epochs.iter().map(|epoch| format!("{} from {}", epoch.epoch, epoch.start_offset)).collect();
    let epochs = if epochs.is_empty() { "none".to_owned() } else { epochs.join(", ") };
    let rows = partition.segments.iter().map(segment_row);
    let header = ["SEGMENT", "BYTES", "BATCHES", "RECORDS", "NEXT OFFSET", "MAX TIMESTAMP", "INDEX", "TIME INDEX"];
    let segments = if partition.segments.is_empty() { "no segment yet".to_owned() } else { table(&header, rows) };
    let (path, remark) = (&partition.path, partition.state.remark());
    let mut parts = vec![format!("{path}{remark}: topic id {id}, leader epochs: {epochs}\n{segments}")];
    parts.extend(problems(&partition.problems));
    parts.extend(partition.segments.iter().flat_map(segment_details));
    parts
}

fn segment_row(segment: &SegmentDump) -> [String; 8] {
    let or_dash = |value: Option<i64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    let entries = |file| {
        let index = segment.indexes.iter().find(|index| index.file == file);
        index.map_or_else(|| "-".to_owned(), |index| index.entry_count.to_string())
    };
    [
        segment.base_offset.to_string(),
        segment.bytes.to_string(),
        segment.batch_count.to_string(),
        segment.record_count.to_string(),
        or_dash(segment.next_offset),
        or_dash(segment.max_timestamp),
        entries("index"),
        entries("timeindex"),
    ]
}

fn segment_details(segment: &SegmentDump) -> Vec<String> {
    let base = segment.base_offset;
    let mut parts: Vec<String> =
        problems(&segment.problems).map(|text| format!("segment {base}\n{text}")).into_iter().collect();
    if !segment.batches.is_empty() {
        parts.push(format!("segment {base}, batches\n{}", batches(segment)));
    }
    for batch in segment.batches.iter().filter(|batch| !batch.records.is_empty()) {
        let none = || "(none)".to_owned();
        let rows = batch.records.iter().map(|record| {
            [
                record.offset.to_string(),
                record.timestamp.to_string(),
                record.key.clone().unwrap_or_else(none),
                record.value_bytes.to_string(),
                record.value.clone().unwrap_or_else(none),
                record.header_count.to_string(),
            ]
        });
        let header = ["OFFSET", "TIMESTAMP", "KEY", "BYTES", "VALUE", "HEADERS"];
        parts.push(format!("records of the batch at byte {}\n{}", batch.position, table(&header, rows)));
    }
    for index in segment.indexes.iter().filter(|index| !index.entries.is_empty()) {
        let value = if index.file == "index" { "POSITION" } else { "TIMESTAMP" };
        let rows = index.entries.iter().map(|entry| [entry.offset.to_string(), entry.value.to_string()]);
        parts.push(format!("segment {base}, {}\n{}", index.file, table(&["OFFSET", value], rows)));
    }
    if !segment.producers.is_empty() {
        parts.push(format!("producers as of offset {base}\n{}", producers(segment)));
    }
    if !segment.aborted_transactions.is_empty() {
        let rows = segment.aborted_transactions.iter().map(|aborted| {
            [aborted.producer_id, aborted.first_offset, aborted.last_offset, aborted.last_stable_offset]
                .map(|n| n.to_string())
        });
        let header = ["PRODUCER", "FIRST OFFSET", "LAST OFFSET", "LAST STABLE OFFSET"];
        parts.push(format!("segment {base}, aborted transactions\n{}", table(&header, rows)));
    }
    parts
}

fn batches(segment: &SegmentDump) -> String {
    let rows = segment.batches.iter().map(|batch| {
        [
            batch.position.to_string(),
            batch.base_offset.to_string(),
            batch.last_offset.to_string(),
            batch.record_count.to_string(),
            batch.bytes.to_string(),
            batch.compression.clone(),
            batch.leader_epoch.to_string(),
            batch.max_timestamp.to_string(),
            batch.producer(),
        ]
    });
    let header = ["POSITION", "BASE", "LAST", "RECORDS", "BYTES", "COMPRESSION", "EPOCH", "MAX TIMESTAMP", "PRODUCER"];
    table(&header, rows)
}

fn producers(segment: &SegmentDump) -> String {
    let rows = segment.producers.iter().map(|producer| {
        [
            producer.producer_id.to_string(),
            producer.epoch.to_string(),
            producer.last_sequence.to_string(),
            producer.last_timestamp.to_string(),
            producer.transaction_start.map_or_else(|| "-".to_owned(), |start| start.to_string()),
        ]
    });
    table(&["PRODUCER", "EPOCH", "LAST SEQUENCE", "LAST TIMESTAMP", "TRANSACTION FROM"], rows)
}
