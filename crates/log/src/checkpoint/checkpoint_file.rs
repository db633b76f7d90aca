//! A checkpoint of offsets on disk, and what is known to be in it.

use std::io;
use std::path::PathBuf;

use levada_types::{Offset, TopicPartition};
use parking_lot::Mutex;

use super::{Durability, OffsetCheckpoint, offsets_text, replace_file};
use crate::disk::Disk;

/// A checkpoint of offsets on disk, and what is known to be in it.
#[derive(Debug)]
pub(crate) struct CheckpointFile {
    path: PathBuf,
    content: Mutex<Content>,
}

#[derive(Debug)]
struct Content {
    /// What the last write that succeeded put there.
    offsets: OffsetCheckpoint,
    /// Whether the file says just that. A write that failed may have replaced it all the same: the last of its steps
    /// makes the new name durable.
    certain: bool,
}

impl CheckpointFile {
    /// The checkpoint at `path`, which says this.
    pub(crate) fn new(path: PathBuf, offsets: OffsetCheckpoint) -> Self {
        Self { path, content: Mutex::new(Content { offsets, certain: true }) }
    }

    /// What it says of a log.
    pub(crate) fn get(&self, partition: &TopicPartition) -> Option<Offset> {
        self.content.lock().offsets.get(partition).copied()
    }

    /// Writes what `collect` makes of what it says, if that is anything new.
    pub(crate) fn write(
        &self,
        disk: &dyn Disk,
        collect: impl FnOnce(&OffsetCheckpoint) -> OffsetCheckpoint,
    ) -> io::Result<()> {
        // Collected under the lock: an offset that is lowered meanwhile is written after this, not before.
        let mut content = self.content.lock();
        let offsets = collect(&content.offsets);
        if content.certain && content.offsets == offsets {
            return Ok(());
        }
        self.replace(disk, &mut content, offsets)
    }

    /// Makes sure that it does not say more than `offset` of a log. Of one that it does not tell of it goes on saying
    /// nothing: that a log ends at `offset` does not make it durable up to there.
    pub(crate) fn lower(&self, disk: &dyn Disk, partition: &TopicPartition, offset: Offset) -> io::Result<()> {
        let mut content = self.content.lock();
        let said = content.offsets.get(partition).copied();
        if content.certain && said.is_none_or(|said| said <= offset) {
            return Ok(());
        }
        let mut lowered = content.offsets.clone();
        if let Some(said) = lowered.get_mut(partition) {
            *said = offset.min(*said);
        }
        self.replace(disk, &mut content, lowered)
    }

    fn replace(&self, disk: &dyn Disk, content: &mut Content, offsets: OffsetCheckpoint) -> io::Result<()> {
        content.certain = false;
        replace_file(disk, &self.path, offsets_text(&offsets).as_bytes(), Durability::Machine)?;
        *content = Content { offsets, certain: true };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use levada_types::TopicName;

    use super::*;
    use crate::checkpoint::parse_offsets;
    use crate::sim::SimDisk;

    fn partition() -> TopicPartition {
        TopicPartition { topic: TopicName::new("t").unwrap(), partition: 0 }
    }

    fn file_on(disk: &SimDisk) -> CheckpointFile {
        disk.create_dir_all(Path::new("/d")).unwrap();
        let file = CheckpointFile::new("/d/c".into(), OffsetCheckpoint::new());
        file.write(disk, |_| [(partition(), 3)].into()).unwrap();
        file
    }

    fn on_disk(disk: &SimDisk) -> Option<Offset> {
        let text = String::from_utf8(disk.read(Path::new("/d/c"), 1_000).unwrap()).unwrap();
        parse_offsets(&text).unwrap().get(&partition()).copied()
    }

    #[test]
    fn it_is_lowered_whatever_a_failed_write_has_left() {
        // The operations of a write: create, cut, write, sync, rename, sync the name.
        for failing in 1..=6 {
            let disk = SimDisk::new();
            let file = file_on(&disk);
            disk.fill_at(disk.operations() + failing);
            assert!(file.write(&disk, |_| [(partition(), 9)].into()).is_err(), "operation {failing} did not fail");
            file.lower(&disk, &partition(), 5).unwrap();
            assert!(on_disk(&disk).unwrap() <= 5, "operation {failing} failed");
        }
    }

    #[test]
    fn a_log_that_it_does_not_tell_of_is_not_told_of_for_being_lowered() {
        for failing in 1..=6 {
            let disk = SimDisk::new();
            disk.create_dir_all(Path::new("/d")).unwrap();
            let file = CheckpointFile::new("/d/c".into(), OffsetCheckpoint::new());
            disk.fill_at(disk.operations() + failing);
            assert!(file.write(&disk, |_| [(partition(), 3)].into()).is_err(), "operation {failing} did not fail");
            // The log ends there, and nothing of it was ever known to be durable.
            file.lower(&disk, &partition(), 9).unwrap();
            assert_eq!((on_disk(&disk), file.get(&partition())), (None, None), "operation {failing} failed");
        }
    }

    #[test]
    fn nothing_is_written_that_says_the_same() {
        let disk = SimDisk::new();
        let file = file_on(&disk);
        let before = disk.operations();
        file.write(&disk, |_| [(partition(), 3)].into()).unwrap();
        file.lower(&disk, &partition(), 3).unwrap();
        assert_eq!(disk.operations(), before);
        file.lower(&disk, &partition(), 2).unwrap();
        assert_eq!((on_disk(&disk), file.get(&partition())), (Some(2), Some(2)));
    }
}
