//! The sparse indexes of a segment, checked against its batches.

use levada_log::format::{IndexEntry, OffsetEntry, TimeEntry};
use levada_types::Offset;
use serde::Serialize;

use super::Detail;
use super::segment::Place;

/// An index.
#[derive(Debug, Serialize)]
pub(super) struct IndexDump {
    pub(super) file: &'static str,
    pub(super) entry_count: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) entries: Vec<EntryDump>,
}

/// An entry: an offset, and the position or the timestamp that belongs to it.
#[derive(Debug, Serialize)]
pub(super) struct EntryDump {
    pub(super) offset: Offset,
    pub(super) value: i64,
}

/// Reads and checks an `.index`.
pub(super) fn offset_index(
    bytes: &[u8],
    base_offset: Offset,
    places: &[Place],
    detail: Detail,
    problems: &mut Vec<String>,
) -> IndexDump {
    let entries = entries::<OffsetEntry>("index", bytes, problems);
    for entry in &entries {
        let position = u64::from(entry.position);
        let offset = base_offset.saturating_add(i64::from(entry.relative_offset));
        // The index may be ahead of a log whose end was lost; recovery rebuilds it.
        let place = places.binary_search_by_key(&position, |place| place.position).ok().and_then(|at| places.get(at));
        match place {
            Some(place) if place.last_offset == offset => {}
            Some(place) => problems.push(format!(
                "index: offset {offset} at byte {position}, where the batch ends at offset {}",
                place.last_offset
            )),
            None => problems.push(format!("index: offset {offset} at byte {position}, where no batch starts")),
        }
    }
    dump("index", base_offset, &entries, |entry| (entry.relative_offset, i64::from(entry.position)), detail)
}

/// Reads and checks a `.timeindex`.
pub(super) fn time_index(
    bytes: &[u8],
    base_offset: Offset,
    places: &[Place],
    detail: Detail,
    problems: &mut Vec<String>,
) -> IndexDump {
    let entries = entries::<TimeEntry>("timeindex", bytes, problems);
    // The greatest timestamp up to each batch, so that a long segment is gone through once.
    let newest: Vec<_> = places
        .iter()
        .scan(i64::MIN, |newest, place| {
            *newest = place.max_timestamp.max(*newest);
            Some(*newest)
        })
        .collect();
    for entry in &entries {
        let offset = base_offset.saturating_add(i64::from(entry.relative_offset));
        let batches = places.partition_point(|place| place.last_offset <= offset);
        match batches.checked_sub(1).and_then(|last| newest.get(last)) {
            Some(&newest) if newest > entry.timestamp => problems.push(format!(
                "timeindex: nothing up to offset {offset} should be newer than {}, something is of {newest}",
                entry.timestamp
            )),
            _ => {}
        }
    }
    dump("timeindex", base_offset, &entries, |entry| (entry.relative_offset, entry.timestamp), detail)
}

/// What is shown of an index; `read` gives an entry's relative offset and what belongs to it.
fn dump<E>(
    file: &'static str,
    base_offset: Offset,
    entries: &[E],
    read: impl Fn(&E) -> (u32, i64),
    detail: Detail,
) -> IndexDump {
    let show = |entry: &E| {
        let (relative_offset, value) = read(entry);
        EntryDump { offset: base_offset.saturating_add(i64::from(relative_offset)), value }
    };
    let shown = if detail.entries { entries.iter().map(show).collect() } else { Vec::new() };
    IndexDump { file, entry_count: entries.len(), entries: shown }
}

/// The entries up to the room that a broker reserved for more, which is zeros.
fn entries<E: IndexEntry>(file: &str, bytes: &[u8], problems: &mut Vec<String>) -> Vec<E> {
    let used = bytes.len() - bytes.iter().rev().take_while(|byte| **byte == 0).count();
    let mut entries: Vec<E> = Vec::new();
    for (number, bytes) in bytes.chunks(E::SIZE).take(used.div_ceil(E::SIZE)).enumerate() {
        match E::decode(bytes) {
            Some(entry) if entries.last().is_none_or(|last| entry.may_follow(last)) => entries.push(entry),
            Some(_) => {
                problems.push(format!("{file}: entry {number} does not follow the one before it"));
                break;
            }
            None => {
                problems.push(format!("{file}: entry {number} is torn or impossible"));
                break;
            }
        }
    }
    entries
}
