//! The seal of a metadata log that was closed in good order: the length and the checksum of the database's file.
//!
//! sled takes damage for the torn end of its last write: it drops what lies behind it, and writes there. For a Raft log that
//! would be votes and entries forgotten in silence. So a log that was sealed is compared with its seal before sled may open
//! it, and one that has changed is refused and left as it is. While it is open, and after a crash, there is no seal; what
//! must be there then is told by the [witness](super::witness).

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use crc_fast::{CrcAlgorithm, Digest};

use super::reserve::DB_FILE;
use super::types::{StorageError, is_locked};

/// The seal, beside the database's file.
const SEAL_FILE: &str = "db.seal";

/// The name that a seal is written under until it is whole.
const PARTIAL_FILE: &str = "db.seal.partial";

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 1 << 20;

/// How often it is tried to get the database's file, which its last user lets go of a moment after it has stopped.
const TRIES: u32 = 100;

/// The pause between tries.
const PAUSE: Duration = Duration::from_millis(10);

/// Compares the database in `dir` with its seal and breaks the seal; says whether it had one. Blocks.
pub(super) fn break_open(dir: &Path) -> Result<bool, StorageError> {
    let failed = |source| StorageError::File { path: dir.to_owned(), source };
    let sealed = match fs::read_to_string(dir.join(SEAL_FILE)) {
        Ok(sealed) => sealed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(failed(error)),
    };
    let found = File::open(dir.join(DB_FILE)).and_then(|mut file| imprint(&mut file)).map_err(failed)?;
    if found != sealed {
        let what = "its file is not as it was when this controller stopped".to_owned();
        return Err(StorageError::Damaged { path: dir.to_owned(), what });
    }
    fs::remove_file(dir.join(SEAL_FILE)).and_then(|()| File::open(dir)?.sync_all()).map_err(failed)?;
    Ok(true)
}

/// Seals the database in `dir`, whose users have stopped. Blocks.
pub(super) fn seal(dir: &Path) -> io::Result<()> {
    let mut file = lock(dir)?;
    // What is sealed must not be newer than what a loss of power leaves, or a good log would be refused.
    file.sync_all()?;
    let partial = dir.join(PARTIAL_FILE);
    fs::write(&partial, imprint(&mut file)?)?;
    File::open(&partial)?.sync_all()?;
    fs::rename(&partial, dir.join(SEAL_FILE))?;
    File::open(dir)?.sync_all()
}

/// Locks the database in `dir`, whose users are stopping or have stopped. Blocks.
pub(super) fn lock(dir: &Path) -> io::Result<File> {
    let file = File::options().read(true).write(true).open(dir.join(DB_FILE))?;
    let mut tries = 1;
    while let Err(error) = file.try_lock().map_err(io::Error::from) {
        if !is_locked(&error) || tries == TRIES {
            return Err(error);
        }
        tries += 1;
        std::thread::sleep(PAUSE);
    }
    Ok(file)
}

/// Length and checksum of a file, as they stand in a seal.
fn imprint(file: &mut File) -> io::Result<String> {
    let (mut digest, mut length, mut buffer) = (Digest::new(CrcAlgorithm::Crc64Nvme), 0u64, vec![0; BUFFER_BYTES]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(format!("{length} {:016x}\n", digest.finalize())),
            read => {
                digest.update(buffer.get(..read).unwrap_or_default());
                length += read as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_changed_under_its_seal_is_refused_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(DB_FILE);
        fs::write(&file, b"what a controller knows").unwrap();
        break_open(dir.path()).unwrap();
        seal(dir.path()).unwrap();
        break_open(dir.path()).unwrap();
        fs::write(&file, b"what it knows after that").unwrap();
        break_open(dir.path()).unwrap();

        seal(dir.path()).unwrap();
        fs::write(&file, b"what it knows aftex that").unwrap();
        for _ in 0..2 {
            let refused = break_open(dir.path()).unwrap_err();
            assert!(matches!(refused, StorageError::Damaged { .. }), "{refused}");
        }
    }
}
