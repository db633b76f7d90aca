//! The files of a segment and their names, which are Kafka's.

use std::path::{Path, PathBuf};

use levada_types::Offset;

/// Digits of the base offset in a file's name.
const OFFSET_DIGITS: usize = 20;

/// What follows the name of a file that is about to be removed.
const DELETED_SUFFIX: &str = ".deleted";

/// What follows the name of a file that compaction is writing.
const CLEANED_SUFFIX: &str = ".cleaned";

/// What follows the name of a file that takes the place of others: from when its `.log` bears it, they are gone.
const SWAP_SUFFIX: &str = ".swap";

/// What a file of a segment holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// Record batches.
    Log,
    /// Offset to position.
    OffsetIndex,
    /// Time to offset.
    TimeIndex,
    /// Aborted transactions.
    TransactionIndex,
    /// The producers as of the base offset.
    ProducerSnapshot,
}

impl FileKind {
    /// All of them, in the order in which they are taken away: the indexes can be built again while the log is there,
    /// and the snapshot tells of what was before it, so it goes last.
    pub(crate) const ALL: [Self; 5] =
        [Self::OffsetIndex, Self::TimeIndex, Self::TransactionIndex, Self::Log, Self::ProducerSnapshot];

    const fn extension(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::OffsetIndex => "index",
            Self::TimeIndex => "timeindex",
            Self::TransactionIndex => "txnindex",
            Self::ProducerSnapshot => "snapshot",
        }
    }

    /// The file of the segment at `base_offset` in the log's directory.
    pub(crate) fn path(self, log_dir: &Path, base_offset: Offset) -> PathBuf {
        log_dir.join(format!("{base_offset:0OFFSET_DIGITS$}.{}", self.extension()))
    }

    /// The same file when it is about to be removed.
    pub(crate) fn deleted_path(self, log_dir: &Path, base_offset: Offset) -> PathBuf {
        self.suffixed(log_dir, base_offset, DELETED_SUFFIX)
    }

    /// The same file when it is about to be removed, since another one has taken its place: that one may be removed as
    /// well before this one is, so each has a number of its own.
    pub(crate) fn replaced_path(self, log_dir: &Path, base_offset: Offset, number: u64) -> PathBuf {
        self.suffixed(log_dir, base_offset, &format!(".{number}{DELETED_SUFFIX}"))
    }

    /// What compaction writes to take the place of the file.
    pub(crate) fn cleaned_path(self, log_dir: &Path, base_offset: Offset) -> PathBuf {
        self.suffixed(log_dir, base_offset, CLEANED_SUFFIX)
    }

    /// What compaction has written and is taking the place of the file.
    pub(crate) fn swap_path(self, log_dir: &Path, base_offset: Offset) -> PathBuf {
        self.suffixed(log_dir, base_offset, SWAP_SUFFIX)
    }

    fn suffixed(self, log_dir: &Path, base_offset: Offset, suffix: &str) -> PathBuf {
        log_dir.join(format!("{base_offset:0OFFSET_DIGITS$}.{}{suffix}", self.extension()))
    }
}

/// What a name in a log's directory says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SegmentFileName {
    /// A file in use.
    Live(Offset, FileKind),
    /// A file to remove: of a deleted segment, or half-written.
    Leftover,
    /// A file of a compaction that did not get far.
    Cleaned(Option<(Offset, FileKind)>),
    /// A file of a compaction that takes the place of segments.
    Swap(Offset, FileKind),
    /// Something else.
    Other,
}

impl SegmentFileName {
    /// Reads a name.
    pub(crate) fn parse(name: &str) -> Self {
        if name.ends_with(DELETED_SUFFIX) || name.ends_with(".tmp") {
            return Self::Leftover;
        }
        if let Some(name) = name.strip_suffix(CLEANED_SUFFIX) {
            return Self::Cleaned(Self::parse_live(name));
        }
        if let Some(name) = name.strip_suffix(SWAP_SUFFIX) {
            return Self::parse_live(name).map_or(Self::Other, |(base_offset, kind)| Self::Swap(base_offset, kind));
        }
        Self::parse_live(name).map_or(Self::Other, |(base_offset, kind)| Self::Live(base_offset, kind))
    }

    fn parse_live(name: &str) -> Option<(Offset, FileKind)> {
        let (digits, extension) = name.split_once('.')?;
        if digits.len() != OFFSET_DIGITS || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let kind = FileKind::ALL.into_iter().find(|kind| kind.extension() == extension)?;
        Some((digits.parse().ok()?, kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kafkas() {
        let dir = Path::new("/d/t-0");
        assert_eq!(FileKind::Log.path(dir, 0), Path::new("/d/t-0/00000000000000000000.log"));
        assert_eq!(
            FileKind::TimeIndex.deleted_path(dir, 1_234),
            Path::new("/d/t-0/00000000000000001234.timeindex.deleted")
        );
        for kind in FileKind::ALL {
            for offset in [0, 1_234, i64::MAX] {
                let path = kind.path(dir, offset);
                let name = path.file_name().unwrap().to_str().unwrap();
                assert_eq!(SegmentFileName::parse(name), SegmentFileName::Live(offset, kind));
            }
        }
    }

    #[test]
    fn other_names_are_told_apart() {
        for name in ["00000000000000000000.log.deleted", "00000000000000000000.log.3.deleted", "x.tmp"] {
            assert_eq!(SegmentFileName::parse(name), SegmentFileName::Leftover, "{name}");
        }
        let dir = Path::new("/d/t-0");
        let parsed = |path: PathBuf| SegmentFileName::parse(path.file_name().unwrap().to_str().unwrap());
        for kind in FileKind::ALL {
            assert_eq!(parsed(kind.swap_path(dir, 7)), SegmentFileName::Swap(7, kind));
            assert_eq!(parsed(kind.cleaned_path(dir, 7)), SegmentFileName::Cleaned(Some((7, kind))));
            assert_eq!(parsed(kind.replaced_path(dir, 7, 2)), SegmentFileName::Leftover);
        }
        assert_eq!(SegmentFileName::parse("x.cleaned"), SegmentFileName::Cleaned(None));
        assert_eq!(SegmentFileName::parse("x.swap"), SegmentFileName::Other);
        for name in ["partition.metadata", "0.log", "99999999999999999999.log", "+0000000000000000000.log", "a.log"] {
            assert_eq!(SegmentFileName::parse(name), SegmentFileName::Other, "{name}");
        }
    }
}
