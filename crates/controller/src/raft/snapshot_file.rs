//! Snapshots of the metadata as files.
//!
//! A file is a sequence of frames, each [length, u32 big-endian][CRC-32C of the payload, u32 big-endian][payload]: what
//! the snapshot means to Raft (`RaftSnapshotMeta`), its `SnapshotHeader`, its `SnapshotChunk`s, and an empty frame as the
//! end, so that a torn file is noticed. It is written under a temporary name, synced, renamed, and its directory synced.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use crc_fast::{CrcAlgorithm, checksum};
use levada_metadata::{Delta, Image};
use levada_proto::internal as pb;
use levada_types::MetadataOffset;
use prost::Message;

use super::types::RaftSnapshotMeta;
use super::wire::{malformed, snapshot_meta_from, snapshot_meta_to};

/// The ending of a complete snapshot's name.
const EXTENSION: &str = "snapshot";

/// The ending of the name of one that is being written or received.
const TEMPORARY: &str = "partial";

/// The largest frame that is read.
const MAX_FRAME_BYTES: u32 = 64 << 20;

/// Bytes of deltas after which a chunk is closed. Small enough to be one message of a gRPC stream.
pub(crate) const CHUNK_BYTES: usize = 256 * 1024;

/// A complete snapshot on the disk; the file is not opened before it is read.
#[derive(Debug, Clone)]
pub(crate) struct SnapshotFile {
    path: PathBuf,
}

impl SnapshotFile {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes `image` as a snapshot into `dir` and removes older ones.
    pub(super) fn write(dir: &Path, meta: &RaftSnapshotMeta, image: &Image) -> io::Result<Self> {
        let temporary = dir.join(format!("written.{TEMPORARY}"));
        if let Err(error) = write_all(&temporary, meta, image) {
            // What a full disk took of it only takes space; the next attempt begins anew.
            let _ = fs::remove_file(&temporary);
            return Err(error);
        }
        Self::keep(dir, &temporary, meta)
    }

    /// Makes the complete file at `temporary` the snapshot in `dir` and removes older ones.
    pub(super) fn keep(dir: &Path, temporary: &Path, meta: &RaftSnapshotMeta) -> io::Result<Self> {
        let path = dir.join(name(meta));
        if temporary != path {
            fs::rename(temporary, &path)?;
            File::open(dir)?.sync_all()?;
        }
        for other in list(dir)? {
            if other != path {
                fs::remove_file(other)?;
            }
        }
        Ok(Self { path })
    }

    /// The newest complete snapshot in `dir`, with what it means to Raft.
    pub(super) fn newest(dir: &Path) -> io::Result<Option<(RaftSnapshotMeta, Self)>> {
        let Some(path) = list(dir)?.into_iter().max() else { return Ok(None) };
        let file = Self { path };
        let (meta, _) = file.read()?;
        Ok(Some((meta, file)))
    }

    /// Reads it whole.
    pub(super) fn read(&self) -> io::Result<(RaftSnapshotMeta, Image)> {
        let damaged = |error: io::Error| {
            let message = format!("the metadata snapshot {} is damaged: {error}", self.path.display());
            io::Error::new(io::ErrorKind::InvalidData, message)
        };
        read_all(BufReader::new(File::open(&self.path)?)).map_err(damaged)
    }
}

fn write_all(path: &Path, meta: &RaftSnapshotMeta, image: &Image) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    write_frame(&mut file, &snapshot_meta_to(meta))?;
    write_frame(&mut file, &header(image))?;
    for chunk in chunks(image) {
        write_frame(&mut file, &chunk)?;
    }
    file.write_all(&[0; 8])?;
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// A name for a snapshot that is being received; `number` tells concurrent ones apart.
pub(super) fn received_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("received-{number}.{TEMPORARY}"))
}

/// A received file of which nobody has checked anything yet.
pub(super) fn received(path: PathBuf) -> SnapshotFile {
    SnapshotFile { path }
}

/// Removes what an earlier process left unfinished.
pub(super) fn clean(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == TEMPORARY) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// The header of a snapshot of `image`.
pub(crate) fn header(image: &Image) -> pb::SnapshotHeader {
    pb::SnapshotHeader {
        version: pb::SNAPSHOT_VERSION,
        offset: image.offset().0,
        next_position: image.next_position().map(Into::into),
    }
}

/// The body of a snapshot of `image`, in chunks of about [`CHUNK_BYTES`].
pub(crate) fn chunks(image: &Image) -> impl Iterator<Item = pb::SnapshotChunk> + '_ {
    let mut deltas = image.state().to_deltas().map(|delta| pb::Delta::from(&delta));
    std::iter::from_fn(move || {
        let mut chunk = pb::SnapshotChunk::default();
        let mut bytes = 0;
        while bytes < CHUNK_BYTES {
            let Some(delta) = deltas.next() else { break };
            bytes += delta.encoded_len();
            chunk.deltas.push(delta);
        }
        (!chunk.deltas.is_empty()).then_some(chunk)
    })
}

fn name(meta: &RaftSnapshotMeta) -> String {
    let (index, term) = meta.last_log_id.as_ref().map_or((0, 0), |id| (id.index, id.leader_id.term));
    format!("{index:020}-{term:010}.{EXTENSION}")
}

fn list(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            found.push(path);
        }
    }
    Ok(found)
}

fn write_frame(file: &mut impl Write, message: &impl Message) -> io::Result<()> {
    let payload = message.encode_to_vec();
    let len = u32::try_from(payload.len()).map_err(io::Error::other)?;
    file.write_all(&len.to_be_bytes())?;
    file.write_all(&crc(&payload).to_be_bytes())?;
    file.write_all(&payload)
}

fn crc(payload: &[u8]) -> u32 {
    // A 32-bit algorithm gives 32 bits.
    checksum(CrcAlgorithm::Crc32Iscsi, payload) as u32
}

fn read_frame(file: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = [0; 8];
    file.read_exact(&mut head)?;
    let [a, b, c, d, e, f, g, h] = head;
    let len = u32::from_be_bytes([a, b, c, d]);
    if len > MAX_FRAME_BYTES {
        return Err(malformed("a frame is too long"));
    }
    // Memory is taken as bytes arrive, not as the length promises.
    let mut payload = Vec::new();
    file.take(len.into()).read_to_end(&mut payload)?;
    if payload.len() != len as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if len > 0 && crc(&payload) != u32::from_be_bytes([e, f, g, h]) {
        return Err(malformed("a frame fails its checksum"));
    }
    Ok(payload)
}

fn read_all(mut file: impl Read) -> io::Result<(RaftSnapshotMeta, Image)> {
    let meta = snapshot_meta_from(pb::RaftSnapshotMeta::decode(read_frame(&mut file)?.as_slice())?)?;
    let header = pb::SnapshotHeader::decode(read_frame(&mut file)?.as_slice())?;
    header.check_version().map_err(io::Error::other)?;
    let mut deltas = Vec::new();
    loop {
        let frame = read_frame(&mut file)?;
        if frame.is_empty() {
            break;
        }
        for delta in pb::SnapshotChunk::decode(frame.as_slice())?.deltas {
            deltas.push(Delta::try_from(delta).map_err(io::Error::other)?);
        }
    }
    if file.read(&mut [0])? != 0 {
        return Err(malformed("bytes follow its end"));
    }
    let next = header.next_position.map(Into::into);
    let image = Image::restore(MetadataOffset(header.offset), next, &deltas).map_err(io::Error::other)?;
    Ok((meta, image))
}

#[cfg(test)]
mod tests {
    use levada_metadata::{Entry, RunPosition};
    use levada_types::{TopicId, TopicName};
    use uuid::Uuid;

    use super::*;
    use crate::raft::types::{RaftLeaderId, RaftLogId};

    fn image(topics: u128) -> Image {
        let mut image = Image::new();
        image.apply(MetadataOffset(1), &Entry::Barrier).unwrap();
        let created = |n| Delta::TopicCreated {
            id: TopicId(Uuid::from_u128(n)),
            name: TopicName::new(&format!("topic-{n}")).unwrap(),
        };
        let deltas = (1..=topics).map(created).collect();
        let position = RunPosition { barrier: 1, number: 0 };
        image.apply(MetadataOffset(2), &Entry::Deltas { position, deltas }).unwrap();
        image
    }

    fn meta(index: u64) -> RaftSnapshotMeta {
        let leader_id = RaftLeaderId { term: 1, node_id: 1 };
        RaftSnapshotMeta { last_log_id: Some(RaftLogId { leader_id, index }), ..RaftSnapshotMeta::default() }
    }

    #[test]
    fn an_image_comes_back_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let image = image(20_000);
        assert!(chunks(&image).count() > 1, "several chunks");
        SnapshotFile::write(dir.path(), &meta(2), &image).unwrap();
        let (found, file) = SnapshotFile::newest(dir.path()).unwrap().unwrap();
        assert_eq!(found, meta(2));
        assert_eq!(file.read().unwrap().1, image);
    }

    #[test]
    fn only_the_newest_stays() {
        let dir = tempfile::tempdir().unwrap();
        for index in [2, 9, 10] {
            SnapshotFile::write(dir.path(), &meta(index), &image(1)).unwrap();
        }
        assert_eq!(list(dir.path()).unwrap().len(), 1);
        assert_eq!(SnapshotFile::newest(dir.path()).unwrap().unwrap().0, meta(10));
    }

    #[test]
    fn damage_anywhere_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let file = SnapshotFile::write(dir.path(), &meta(2), &image(3)).unwrap();
        let whole = fs::read(file.path()).unwrap();
        for len in 0..whole.len() {
            assert!(read_all(&whole[..len]).is_err(), "cut to {len}");
        }
        for at in 0..whole.len() - 8 {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            assert!(read_all(bytes.as_slice()).is_err(), "flipped at {at}");
        }
    }

    #[test]
    fn what_was_left_unfinished_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = received_path(dir.path(), 3);
        fs::write(&path, b"half").unwrap();
        clean(dir.path()).unwrap();
        assert!(!path.exists());
    }
}
