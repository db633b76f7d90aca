//! An open file of a simulated disk.

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use nix::errno::Errno;
use parking_lot::{MappedMutexGuard, Mutex, MutexGuard};

use super::inode::Inode;
use super::world::{Fate, World};
use crate::disk::DiskFile;

/// An open file. It outlives its name, but not a restart.
#[derive(Debug)]
pub(super) struct SimFile {
    pub(super) world: Arc<Mutex<World>>,
    pub(super) inode: u64,
    pub(super) generation: u64,
}

impl SimFile {
    fn world(&self) -> io::Result<MutexGuard<'_, World>> {
        let world = self.world.lock();
        if world.generation != self.generation {
            return Err(io::Error::other("the file was opened before the simulated machine stopped"));
        }
        world.alive()?;
        Ok(world)
    }

    fn inode<'a>(&self, world: MutexGuard<'a, World>) -> io::Result<MappedMutexGuard<'a, Inode>> {
        MutexGuard::try_map(world, |world| world.inodes.get_mut(&self.inode)).map_err(|_| Errno::EBADF.into())
    }
}

impl DiskFile for SimFile {
    fn write_vectored_at(&self, buffers: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
        let mut world = self.world()?;
        let mut bytes: Vec<u8> = buffers.iter().flat_map(|buffer| buffer.iter().copied()).collect();
        let failure = match world.fate()? {
            Fate::Done => None,
            // Half of it got through, which the caller does not learn.
            Fate::Fails(error) => {
                bytes.truncate(bytes.len() / 2);
                Some(error)
            }
        };
        let (now_ms, available) = (world.now_ms, world.available());
        let mut inode = self.inode(world)?;
        let grows = (position + bytes.len() as u64).saturating_sub(inode.bytes.len() as u64);
        if grows > available {
            bytes.truncate(bytes.len().saturating_sub((grows - available) as usize));
            if bytes.is_empty() && failure.is_none() {
                return Err(Errno::ENOSPC.into());
            }
        }
        inode.write(position as usize, &bytes);
        inode.modified_ms = now_ms;
        failure.map_or(Ok(bytes.len()), Err)
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let inode = self.inode(self.world()?)?;
        let Some(bytes) = usize::try_from(position).ok().and_then(|position| inode.bytes.get(position..)) else {
            return Ok(0);
        };
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.inode(self.world()?)?.bytes.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut world = self.world()?;
        world.whole()?;
        self.inode(world)?.set_len(len as usize);
        Ok(())
    }

    fn reserve(&self, _len: u64) -> io::Result<()> {
        self.world().map(drop)
    }

    fn sync(&self) -> io::Result<()> {
        self.world()?.sync(Some(self.inode))
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn is_cached(&self, _position: u64) -> bool {
        true
    }

    fn forget(&self, _position: u64, _len: u64) {}

    fn set_modified_ms(&self, modified_ms: i64) -> io::Result<()> {
        self.inode(self.world()?)?.modified_ms = modified_ms;
        Ok(())
    }
}
