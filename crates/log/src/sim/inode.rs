//! The bytes of a simulated file: as programs see them, and as they would be found after a crash.

use super::random::Random;

/// What a device writes at once.
const SECTOR: usize = 512;

/// The bytes of a file.
#[derive(Debug, Default)]
pub(super) struct Inode {
    /// As programs see them.
    pub(super) bytes: Vec<u8>,
    pub(super) modified_ms: i64,
    durable: Vec<u8>,
    /// What has happened since the last sync, in order.
    pending: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Write { position: usize, bytes: Vec<u8> },
    SetLen(usize),
}

impl Inode {
    pub(super) fn new(modified_ms: i64) -> Self {
        Self { modified_ms, ..Self::default() }
    }

    pub(super) fn write(&mut self, position: usize, bytes: &[u8]) {
        apply(&mut self.bytes, position, bytes);
        self.pending.push(Change::Write { position, bytes: bytes.to_vec() });
    }

    pub(super) fn set_len(&mut self, len: usize) {
        self.bytes.resize(len, 0);
        self.pending.push(Change::SetLen(len));
    }

    pub(super) fn sync(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            match change {
                Change::Write { position, bytes } => apply(&mut self.durable, position, &bytes),
                Change::SetLen(len) => self.durable.resize(len, 0),
            }
        }
    }

    /// Drops what could not be written: programs go on seeing it, and no later sync writes it.
    pub(super) fn drop_pending(&mut self) {
        self.pending.clear();
    }

    /// Loses what a crash loses.
    pub(super) fn crash(&mut self, random: &mut Random) {
        let whole = random.up_to(self.pending.len());
        for (index, change) in std::mem::take(&mut self.pending).into_iter().enumerate() {
            match change {
                Change::SetLen(len) if index <= whole => self.durable.resize(len, 0),
                Change::SetLen(_) => {}
                Change::Write { position, bytes } if index < whole => apply(&mut self.durable, position, &bytes),
                Change::Write { position, bytes } if index == whole => {
                    let torn = random.up_to(bytes.len());
                    apply(&mut self.durable, position, &bytes[..torn]);
                }
                Change::Write { position, bytes } => {
                    for (sector, chunk) in bytes.chunks(SECTOR).enumerate() {
                        if random.one_in(4) {
                            apply(&mut self.durable, position + sector * SECTOR, chunk);
                        }
                    }
                }
            }
        }
        self.bytes.clone_from(&self.durable);
    }
}

fn apply(target: &mut Vec<u8>, position: usize, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let end = position + bytes.len();
    if target.len() < end {
        target.resize(end, 0);
    }
    target[position..end].copy_from_slice(bytes);
}
