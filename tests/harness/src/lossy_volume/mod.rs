//! A mounted volume that can lose what was written to it and not synced, as a disk does when the power goes.
//!
//! SIGKILL alone keeps the page cache, and so proves nothing about power. This volume is a FUSE layer over a directory: every
//! write goes through, and what a file held when it was last synced is remembered. When the power goes, each file is what
//! it was then, but for a piece of what was appended, which may survive.
//!
//! It can also be full, broken or slow for a while ([`DiskTrouble`]).
//!
//! Names are not lost: creating, renaming and removing files counts at once, as on a file system with a journal that the
//! next sync would have written anyway. The simulated disk of the log's own tests loses names too.

mod nodes;
mod passthrough;
mod trouble;
mod unsynced;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use fuser::{BackgroundSession, Config, MountOption};
use tempfile::TempDir;

pub use self::trouble::DiskTrouble;
use self::{passthrough::Passthrough, trouble::Troubles, unsynced::UnsyncedFiles};

/// A volume that loses what is not synced when it is told to.
#[derive(Debug)]
pub struct LossyVolume {
    // Unmounted before the directory below it is removed: fields are dropped in order.
    _session: Session,
    files: Arc<UnsyncedFiles>,
    troubles: Arc<Troubles>,
    mount: PathBuf,
    /// Where everything is kept, if nobody said where.
    _home: Option<TempDir>,
}

/// The mount, for as long as it lives.
struct Session(Option<BackgroundSession>);

/// What a loss of power took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lost {
    /// Files that are not what they were.
    pub files: usize,
    /// Bytes that had been appended to them and are gone.
    pub bytes: u64,
}

impl LossyVolume {
    /// Mounts an empty volume.
    ///
    /// # Errors
    /// Where FUSE is not there or not allowed: it takes `/dev/fuse` and the right to mount.
    pub fn mount() -> io::Result<Self> {
        let home = tempfile::Builder::new().prefix("levada-volume-").tempdir()?;
        let mut volume = Self::mount_in(home.path())?;
        volume._home = Some(home);
        Ok(volume)
    }

    /// Mounts one as `mount` in the directory `home`, over what is in `disk` there. That directory stays when the volume is
    /// dropped.
    ///
    /// # Errors
    /// As [`LossyVolume::mount`].
    pub fn mount_in(home: &Path) -> io::Result<Self> {
        let (disk, mount) = (home.join("disk"), home.join("mount"));
        std::fs::create_dir_all(&disk)?;
        std::fs::create_dir_all(&mount)?;
        let (files, troubles) = (Arc::new(UnsyncedFiles::default()), Arc::new(Troubles::default()));
        let layer = Passthrough::new(&disk, files.clone(), troubles.clone())?;
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("levada-lossy".to_owned())];
        let session = fuser::spawn_mount(layer, &mount, &config)?;
        Ok(Self { _session: Session(Some(session)), files, troubles, mount, _home: None })
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.mount
    }

    /// From now on this is wrong with it.
    pub fn set_trouble(&self, trouble: DiskTrouble) {
        self.troubles.set(trouble);
    }

    /// Loses what is not synced. `survives` tells of how many appended bytes of a file how many survive; whatever was
    /// overwritten is as it was.
    ///
    /// Whoever wrote must be gone: a process that still runs would see its files change.
    pub fn lose_unsynced(&self, survives: impl FnMut(u64) -> u64) -> io::Result<Lost> {
        self.files.lose(survives)
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session")
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.0.take().map(BackgroundSession::umount_and_join) {
            eprintln!("a volume could not be unmounted: {error}");
        }
    }
}

/// The path of an open descriptor.
fn path_of(fd: &impl std::os::fd::AsRawFd) -> PathBuf {
    Path::new("/proc/self/fd").join(fd.as_raw_fd().to_string())
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File},
        io::{Seek, SeekFrom, Write},
    };

    use super::*;

    /// A volume, where the machine allows one; the reason is printed where it does not.
    fn volume() -> Option<LossyVolume> {
        LossyVolume::mount().map_err(|error| println!("no FUSE here: {error}")).ok()
    }

    #[test]
    fn what_is_synced_stays_and_the_rest_goes() {
        let Some(volume) = volume() else { return };
        let path = volume.path().join("log");
        let mut file = File::options().create_new(true).read(true).write(true).open(&path).expect("a new file");
        file.write_all(b"synced").expect("room");
        file.sync_data().expect("a sync");
        file.write_all(b" and appended").expect("room");
        file.seek(SeekFrom::Start(0)).expect("a seek");
        file.write_all(b"SY").expect("room");
        assert_eq!(fs::read(&path).expect("a file"), b"SYnced and appended");
        drop(file);
        let lost = volume.lose_unsynced(|_| 4).expect("a loss");
        assert_eq!(lost, Lost { files: 1, bytes: 9 });
        assert_eq!(fs::read(&path).expect("a file"), b"synced and");
        assert_eq!(volume.lose_unsynced(|_| 0).expect("nothing to lose"), Lost::default());
    }

    #[test]
    fn a_file_that_was_renamed_without_a_sync_is_empty() {
        let Some(volume) = volume() else { return };
        let (new, path) = (volume.path().join("checkpoint.tmp"), volume.path().join("checkpoint"));
        fs::write(&new, b"content").expect("room");
        fs::rename(&new, &path).expect("a rename");
        volume.lose_unsynced(|_| 0).expect("a loss");
        assert_eq!(fs::read(&path).expect("the name is there"), b"");
    }

    #[test]
    fn what_a_truncation_cut_off_comes_back() {
        let Some(volume) = volume() else { return };
        let path = volume.path().join("log");
        fs::write(&path, b"0123456789").expect("room");
        let mut file = File::options().write(true).open(&path).expect("a file");
        file.sync_all().expect("a sync");
        file.set_len(3).expect("a truncation");
        file.seek(SeekFrom::Start(5)).expect("a seek");
        file.write_all(b"x").expect("room");
        assert_eq!(fs::read(&path).expect("a file"), b"012\0\0x");
        drop(file);
        volume.lose_unsynced(|_| 0).expect("a loss");
        assert_eq!(fs::read(&path).expect("a file"), b"0123456789");
    }

    #[test]
    fn a_full_volume_takes_what_was_freed_and_a_broken_one_nothing() {
        let Some(volume) = volume() else { return };
        let (log, other) = (volume.path().join("log"), volume.path().join("other"));
        fs::write(&log, b"0123456789").expect("room");
        fs::write(&other, b"abcde").expect("room");
        let append = |bytes: &[u8]| File::options().append(true).open(&log).and_then(|mut file| file.write_all(bytes));
        let code = |result: io::Result<()>| result.map_err(|error| error.kind());
        volume.set_trouble(DiskTrouble::Full);
        assert_eq!(code(append(b"x")), Err(io::ErrorKind::StorageFull));
        assert_eq!(code(fs::write(volume.path().join("new"), b"x")), Err(io::ErrorKind::StorageFull));
        fs::remove_file(&other).expect("a full disk lets go");
        append(b"five!").expect("so much was freed");
        assert_eq!(code(append(b"x")), Err(io::ErrorKind::StorageFull));
        assert_eq!(fs::read(&log).expect("it is served"), b"0123456789five!");

        volume.set_trouble(DiskTrouble::Broken);
        let file = File::options().append(true).open(&log).expect("a file");
        assert_eq!(file.sync_data().map_err(|error| error.raw_os_error()), Err(Some(nix::errno::Errno::EIO as i32)));
        assert!(append(b"x").is_err());
        volume.set_trouble(DiskTrouble::None);
        append(b"x").expect("it is repaired");
        assert_eq!(fs::read(&log).expect("a file"), b"0123456789five!x");
    }

    #[test]
    fn directories_are_listed_and_files_removed() {
        let Some(volume) = volume() else { return };
        let directory = volume.path().join("topic-0");
        fs::create_dir(&directory).expect("a directory");
        for name in ["a", "b"] {
            fs::write(directory.join(name), name).expect("room");
        }
        fs::remove_file(directory.join("a")).expect("it is there");
        let names: Vec<_> =
            fs::read_dir(&directory).expect("a directory").map(|entry| entry.expect("an entry").file_name()).collect();
        assert_eq!(names, ["b"]);
        assert_eq!(fs::metadata(directory.join("b")).expect("a file").len(), 1);
        assert!(fs::metadata(directory.join("a")).is_err());
    }
}
