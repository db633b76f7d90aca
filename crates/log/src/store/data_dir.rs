//! Takes a data directory: its lock, its identity, its checkpoints.

use std::any::Any;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use levada_types::{BrokerId, ClusterId, DirectoryId};
use parking_lot::Mutex;
use tracing::{error, warn};

use crate::StoreError;
use crate::checkpoint::{
    CLEAN_SHUTDOWN_FILE, CLEANER_OFFSET_FILE, CheckpointFile, Durability, HIGH_WATERMARK_FILE, LOG_START_FILE,
    MAX_CHECKPOINT_BYTES, MAX_IDENTITY_BYTES, META_PROPERTIES_FILE, MetaProperties, OffsetCheckpoint,
    RECOVERY_POINT_FILE, clean_shutdown_epoch, parse_offsets, replace_file,
};
use crate::directory::{Checkpoints, Directory};
use crate::disk::{Disk, FilePool};
use crate::state_listener::StateListener;

/// The file that a process locks to have a data directory for itself. Kafka's, so that it does not start beside us.
const LOCK_FILE: &str = ".lock";

/// A data directory as this process took it.
#[derive(Debug)]
pub(super) struct DataDir {
    pub(super) path: PathBuf,
    /// `None` if it could not be taken: it is offline then, and not even its id is known.
    pub(super) taken: Option<Taken>,
}

#[derive(Debug)]
pub(super) struct Taken {
    pub(super) directory: Arc<Directory>,
    pub(super) properties: Mutex<MetaProperties>,
    /// The broker epoch that the clean shutdown noted; `None` if it was not closed cleanly.
    pub(super) clean: Option<i64>,
    _lock: Box<dyn Any + Send + Sync>,
}

/// Takes the data directory at `path`. One that cannot be read is offline; one that belongs to somebody else is an
/// error.
pub(super) fn take(
    path: &Path,
    (pool, listener): (&Arc<FilePool>, &Arc<StateListener>),
    cluster_id: Option<ClusterId>,
    node_id: BrokerId,
    new_id: &mut dyn FnMut() -> DirectoryId,
) -> Result<DataDir, StoreError> {
    let taken = match take_it(path, (pool, listener), cluster_id, node_id, new_id) {
        Ok(taken) => Some(taken),
        Err(TakeError::Store(error)) => return Err(error),
        Err(TakeError::Offline(reason)) => {
            error!(directory = %path.display(), %reason, "the data directory is offline");
            None
        }
    };
    Ok(DataDir { path: path.to_path_buf(), taken })
}

enum TakeError {
    Store(StoreError),
    Offline(String),
}

impl From<io::Error> for TakeError {
    fn from(error: io::Error) -> Self {
        Self::Offline(error.to_string())
    }
}

fn take_it(
    path: &Path,
    (pool, listener): (&Arc<FilePool>, &Arc<StateListener>),
    cluster_id: Option<ClusterId>,
    node_id: BrokerId,
    new_id: &mut dyn FnMut() -> DirectoryId,
) -> Result<Taken, TakeError> {
    let disk: &dyn Disk = &**pool.disk();
    create_durably(disk, path)?;
    let lock = disk.lock(&path.join(LOCK_FILE)).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => TakeError::Store(StoreError::Locked(path.to_path_buf())),
        _ => error.into(),
    })?;
    let found = read_if_present(disk, &path.join(META_PROPERTIES_FILE), MAX_IDENTITY_BYTES)?;
    let found = found.map(|text| MetaProperties::parse(&text)).transpose();
    let found = found.map_err(|reason| TakeError::Offline(format!("{META_PROPERTIES_FILE}: {reason}")))?;
    let properties = match found {
        Some(found) => {
            check_owner(path, &found, cluster_id, node_id).map_err(TakeError::Store)?;
            found
        }
        None => MetaProperties { cluster_id: None, node_id: None, directory_id: None },
    };
    let directory_id = properties.directory_id.unwrap_or_else(new_id);
    let complete = MetaProperties {
        cluster_id: properties.cluster_id.or(cluster_id),
        node_id: Some(node_id),
        directory_id: Some(directory_id),
    };
    if complete != properties {
        write_properties(disk, path, &complete)?;
    }
    let clean_file = path.join(CLEAN_SHUTDOWN_FILE);
    let clean = read_if_present(disk, &clean_file, MAX_IDENTITY_BYTES)?.map(|text| clean_shutdown_epoch(&text));
    if clean.is_some() {
        // From now on it is in use: whatever happens, this start will not be taken for a clean stop.
        disk.remove_file(&clean_file)?;
    }
    // In any case: a process before this one may have been killed between the two, and a power loss would bring the mark
    // back.
    disk.sync_dir(path)?;
    let checkpoints = Checkpoints {
        recovery_points: read_checkpoint(disk, path.join(RECOVERY_POINT_FILE))?,
        log_starts: read_checkpoint(disk, path.join(LOG_START_FILE))?,
        high_watermarks: read_checkpoint(disk, path.join(HIGH_WATERMARK_FILE))?,
        cleaned: read_checkpoint(disk, path.join(CLEANER_OFFSET_FILE))?,
    };
    Ok(Taken {
        directory: Arc::new(Directory::new(
            directory_id,
            path.to_path_buf(),
            Arc::clone(pool),
            Arc::clone(listener),
            checkpoints,
        )),
        properties: Mutex::new(complete),
        clean,
        _lock: lock,
    })
}

/// Creates a data directory with those above it, so that what is made durable in it is not lost with its own name.
fn create_durably(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    let absent = |dir: &&Path| disk.list(dir).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    let created: Vec<_> = path.ancestors().filter(|dir| !dir.as_os_str().is_empty()).take_while(absent).collect();
    disk.create_dir_all(path)?;
    for dir in created {
        match dir.parent() {
            Some(parent) if parent.as_os_str().is_empty() => disk.sync_dir(Path::new("."))?,
            Some(parent) => disk.sync_dir(parent)?,
            None => {}
        }
    }
    Ok(())
}

fn check_owner(
    path: &Path,
    found: &MetaProperties,
    cluster_id: Option<ClusterId>,
    node_id: BrokerId,
) -> Result<(), StoreError> {
    let foreign = |key, found: String, expected: String| {
        Err(StoreError::ForeignDirectory { path: path.to_path_buf(), key, found, expected })
    };
    match (found.node_id, found.cluster_id, cluster_id) {
        (Some(node), ..) if node != node_id => foreign("node.id", node.to_string(), node_id.to_string()),
        (_, Some(cluster), Some(expected)) if cluster != expected => {
            foreign("cluster.id", cluster.to_string(), expected.to_string())
        }
        _ => Ok(()),
    }
}

/// Takes a directory offline that is not at its path any more: it was removed, or another one was put in its place, while
/// files of the old one are open and would be written in vain.
pub(super) fn check_identity(disk: &dyn Disk, taken: &Taken) {
    let path = taken.directory.path.join(META_PROPERTIES_FILE);
    let expected = Some(taken.directory.id);
    match read_if_present(disk, &path, MAX_IDENTITY_BYTES) {
        Ok(Some(text)) if MetaProperties::parse(&text).is_ok_and(|found| found.directory_id == expected) => {}
        Ok(_) => {
            let what = "the directory was removed or replaced while it was in use: this file is not the one it had";
            taken.directory.judge(&path, &io::Error::new(io::ErrorKind::NotFound, what));
        }
        Err(error) => {
            taken.directory.judge(&path, &error);
        }
    }
}

/// Writes `meta.properties`.
pub(super) fn write_properties(disk: &dyn Disk, path: &Path, properties: &MetaProperties) -> io::Result<()> {
    replace_file(disk, &path.join(META_PROPERTIES_FILE), properties.text().as_bytes(), Durability::Machine)
}

/// Checks that a directory may belong to this cluster.
pub(super) fn check_cluster(path: &Path, found: &MetaProperties, cluster_id: ClusterId) -> Result<(), StoreError> {
    check_owner(path, &MetaProperties { node_id: None, ..*found }, Some(cluster_id), BrokerId(-1))
}

fn read_if_present(disk: &dyn Disk, path: &Path, limit: u64) -> io::Result<Option<String>> {
    match disk.read(path, limit) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A checkpoint; empty if it is absent or damaged, which costs a longer recovery.
fn read_checkpoint(disk: &dyn Disk, path: PathBuf) -> io::Result<CheckpointFile> {
    let text = read_if_present(disk, &path, MAX_CHECKPOINT_BYTES)?;
    let offsets = text.map_or(Ok(OffsetCheckpoint::new()), |text| parse_offsets(&text)).unwrap_or_else(|reason| {
        warn!(path = %path.display(), %reason, "a damaged checkpoint is not used");
        OffsetCheckpoint::new()
    });
    Ok(CheckpointFile::new(path, offsets))
}
