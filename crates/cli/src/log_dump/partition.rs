//! The directory of one partition.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use levada_log::format::{FileKind, parse_leader_epochs, parse_partition_metadata, segment_file};
use levada_types::Offset;
use serde::Serialize;

use super::Detail;
use super::directory::read_text;
use super::segment::SegmentDump;
use crate::CliError;

/// One partition.
#[derive(Debug, Serialize)]
pub(super) struct PartitionDump {
    pub(super) path: String,
    pub(super) state: PartitionState,
    pub(super) topic_id: Option<String>,
    pub(super) leader_epochs: Vec<EpochDump>,
    pub(super) segments: Vec<SegmentDump>,
    /// What is wrong outside the segments.
    pub(super) problems: Vec<String>,
}

/// What a broker does with the directory when it starts; the name says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum PartitionState {
    /// Opens it.
    Live,
    /// Deletes it: its topic is gone.
    ToBeDeleted,
    /// Leaves it alone: it belongs to no partition of this broker.
    Stray,
}

impl PartitionState {
    fn of(path: &Path) -> Self {
        match path.file_name().and_then(|name| name.to_str()) {
            Some(name) if name.ends_with("-delete") => Self::ToBeDeleted,
            Some(name) if name.ends_with("-stray") => Self::Stray,
            _ => Self::Live,
        }
    }

    /// How it is shown behind the path.
    pub(super) const fn remark(self) -> &'static str {
        match self {
            Self::Live => "",
            Self::ToBeDeleted => " (to be deleted)",
            Self::Stray => " (stray)",
        }
    }
}

/// Where a leader epoch starts.
#[derive(Debug, Serialize)]
pub(super) struct EpochDump {
    pub(super) epoch: i32,
    pub(super) start_offset: i64,
}

impl PartitionDump {
    pub(super) fn read(path: &Path, detail: Detail) -> Result<Self, CliError> {
        let mut dump = Self {
            path: path.display().to_string(),
            state: PartitionState::of(path),
            topic_id: None,
            leader_epochs: Vec::new(),
            segments: Vec::new(),
            problems: Vec::new(),
        };
        match read_text(&path.join("partition.metadata"))?.as_deref().map(parse_partition_metadata) {
            Some(Ok(id)) => dump.topic_id = Some(id.to_string()),
            Some(Err(reason)) => dump.problems.push(format!("partition.metadata: {reason}")),
            None => dump.problems.push("partition.metadata is missing".to_owned()),
        }
        match read_text(&path.join("leader-epoch-checkpoint"))?.as_deref().map(parse_leader_epochs) {
            Some(Ok(epochs)) => {
                dump.leader_epochs = epochs
                    .into_iter()
                    .map(|(epoch, start_offset)| EpochDump { epoch: epoch.0, start_offset })
                    .collect();
            }
            Some(Err(reason)) => dump.problems.push(format!("leader-epoch-checkpoint: {reason}")),
            None => {}
        }
        for (base_offset, files) in segments(path)? {
            dump.segments.push(SegmentDump::read(base_offset, &files, detail)?);
        }
        dump.check_order();
        Ok(dump)
    }

    /// Segments follow each other, and epochs grow with offsets.
    fn check_order(&mut self) {
        // A broker that stopped cleanly left a snapshot at the log end, which may lie within a segment by now.
        let logs: Vec<&SegmentDump> = self.segments.iter().filter(|segment| segment.has_log).collect();
        for pair in logs.windows(2) {
            let [before, after] = pair else { continue };
            if before.next_offset.is_some_and(|next| next > after.base_offset) {
                self.problems.push(format!(
                    "segment {} holds offsets of segment {}, which follows it",
                    before.base_offset, after.base_offset
                ));
            }
        }
        for pair in self.leader_epochs.windows(2) {
            let [before, after] = pair else { continue };
            if before.epoch >= after.epoch || before.start_offset >= after.start_offset {
                let (earlier, later) = (before.epoch, after.epoch);
                self.problems.push(format!("leader-epoch-checkpoint: epoch {later} does not follow epoch {earlier}"));
            }
        }
    }

    pub(super) fn problem_count(&self) -> usize {
        self.problems.len() + self.segments.iter().map(|segment| segment.problems.len()).sum::<usize>()
    }
}

/// Whether a directory has a segment in it.
pub(super) fn is_partition(path: &Path) -> Result<bool, CliError> {
    Ok(path.join("partition.metadata").is_file() || !segments(path)?.is_empty())
}

/// The segments in a directory, each with its files.
pub(crate) fn segments(path: &Path) -> Result<BTreeMap<Offset, Vec<(FileKind, PathBuf)>>, CliError> {
    let failed = || CliError::io(path.display().to_string());
    let mut segments: BTreeMap<Offset, Vec<(FileKind, PathBuf)>> = BTreeMap::new();
    for entry in fs::read_dir(path).map_err(failed())? {
        let entry = entry.map_err(failed())?;
        if let Some((base_offset, kind)) = entry.file_name().to_str().and_then(segment_file) {
            segments.entry(base_offset).or_default().push((kind, entry.path()));
        }
    }
    Ok(segments)
}
