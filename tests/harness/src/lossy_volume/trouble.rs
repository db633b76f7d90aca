//! Disks that are full, broken or slow.

use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use nix::errno::Errno;

/// What is wrong with a volume.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DiskTrouble {
    /// Nothing.
    #[default]
    None,
    /// It is full: nothing grows, but for what is freed.
    Full,
    /// Whatever is read from it, written to it or synced fails.
    Broken,
    /// Each write and each sync takes so much longer.
    Slow(Duration),
}

/// What is wrong with a volume now.
#[derive(Debug, Default)]
pub(super) struct Troubles(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    trouble: DiskTrouble,
    /// What was freed since the disk is full, in bytes.
    freed: u64,
}

impl Troubles {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on this is wrong.
    pub(super) fn set(&self, trouble: DiskTrouble) {
        *self.state() = State { trouble, freed: 0 };
    }

    /// Something is read.
    pub(super) fn read(&self) -> io::Result<()> {
        match self.state().trouble {
            DiskTrouble::Broken => Err(Errno::EIO.into()),
            _ => Ok(()),
        }
    }

    /// Something changes and needs so many bytes more.
    pub(super) fn change(&self, grows_by: u64) -> io::Result<()> {
        let mut state = self.state();
        match state.trouble {
            DiskTrouble::None => Ok(()),
            DiskTrouble::Broken => Err(Errno::EIO.into()),
            DiskTrouble::Full => {
                state.freed = state.freed.checked_sub(grows_by).ok_or_else(|| io::Error::from(Errno::ENOSPC))?;
                Ok(())
            }
            DiskTrouble::Slow(pause) => {
                drop(state);
                thread::sleep(pause);
                Ok(())
            }
        }
    }

    /// Something was freed.
    pub(super) fn free(&self, bytes: u64) {
        let mut state = self.state();
        state.freed = state.freed.saturating_add(bytes);
    }
}
