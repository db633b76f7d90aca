//! Checks over what clients saw.

use std::collections::{BTreeMap, BTreeSet};

use levada_harness::Corpus;

use crate::{Acknowledged, History, Outcome, Reader, Seen, fail};

/// The topic holds every file of the corpus exactly once, byte for byte, and nothing else.
pub fn check_corpus(reader: &Reader, corpus: &Corpus) -> Outcome {
    let mut found: BTreeSet<String> = BTreeSet::new();
    reader.read_all(|seen| {
        match corpus.get(&seen.key) {
            None => return fail(format!("`{}` was never produced", seen.key)),
            Some(file) if file.text != seen.value => {
                return fail(format!("`{}` came back with other bytes", seen.key));
            }
            Some(_) => {}
        }
        if found.insert(seen.key.clone()) { Ok(()) } else { fail(format!("`{}` came back twice", seen.key)) }
    })?;
    match corpus.files().iter().find(|file| !found.contains(&file.key)) {
        Some(missing) => fail(format!("`{}` did not come back", missing.key)),
        None => Ok(()),
    }
}

/// Every acknowledged record is where the server said it is, with its own bytes; no offset is missing.
///
/// `expected` tells key and value of a record by its number. `exactly_once` also demands that no record is there twice,
/// that the records of a partition stand in the order of sending, and that none failed.
pub fn check_acknowledged<'a>(
    reader: &Reader,
    history: &History,
    exactly_once: bool,
    expected: impl Fn(u64) -> Option<(&'a str, &'a [u8])>,
) -> Outcome {
    let mut last: BTreeMap<i32, u64> = BTreeMap::new();
    let mut unconfirmed = history.acknowledged.clone();
    let ranges = reader.read_all(|seen| {
        let Some(number) = seen.number else { return fail(format!("{}: not one of our records", place(&seen))) };
        match expected(number) {
            Some((key, value)) if key == seen.key && value == seen.value => {}
            _ => return fail(format!("{}: record {number} came back with other bytes", place(&seen))),
        }
        if exactly_once && last.insert(seen.partition, number).is_some_and(|before| before >= number) {
            return fail(format!("{}: record {number} stands behind itself or a later one", place(&seen)));
        }
        let acknowledged = history.acknowledged.get(&number);
        if acknowledged.is_some_and(|told| told.may_be(Acknowledged { partition: seen.partition, offset: seen.offset }))
        {
            unconfirmed.remove(&number);
        }
        Ok(())
    })?;
    if exactly_once && let Some((number, reason)) = history.failed.first_key_value() {
        return fail(format!("record {number} failed: {reason}"));
    }
    match unconfirmed.first_key_value() {
        None => Ok(()),
        Some((number, place)) => fail(format!(
            "{} of {} acknowledged records are not where the server said, the first of them record {number} at {place:?}; \
             the topic has {ranges:?}",
            unconfirmed.len(),
            history.acknowledged.len()
        )),
    }
}

/// Reading from an offset begins at that very offset, everywhere in a partition.
pub fn check_seek_by_offset(reader: &Reader) -> Outcome {
    for (partition, range) in reader.ranges()? {
        let last = range.end - 1;
        for offset in BTreeSet::from([range.start, range.start + 1, (range.start + last) / 2, last]) {
            if offset < range.start || offset > last {
                continue;
            }
            let seen = reader.read_at(partition, offset)?;
            if seen.offset != offset {
                return fail(format!("seeking partition {partition} to {offset} gave offset {}", seen.offset));
            }
        }
    }
    Ok(())
}

/// The offset for a time is that of the first record whose timestamp is not earlier, and there is none after the last.
pub fn check_seek_by_time(reader: &Reader) -> Outcome {
    let mut timestamps: BTreeMap<i32, Vec<(i64, i64)>> = BTreeMap::new();
    reader.read_all(|seen| {
        let Some(timestamp) = seen.timestamp else { return fail(format!("{}: no timestamp", place(&seen))) };
        timestamps.entry(seen.partition).or_default().push((seen.offset, timestamp));
        Ok(())
    })?;
    for (partition, records) in timestamps {
        let times: BTreeSet<i64> = records.iter().map(|(_, timestamp)| *timestamp).collect();
        let (Some(first), Some(last)) = (times.first(), times.last()) else { continue };
        let middle = times.iter().nth(times.len() / 2).copied().unwrap_or(*first);
        for time in [*first - 1, *first, middle, *last, *last + 1] {
            let expected = records.iter().find(|(_, timestamp)| *timestamp >= time).map(|(offset, _)| *offset);
            let found = reader.offset_at_time(partition, time)?;
            if found != expected {
                return fail(format!("partition {partition} at time {time}: {found:?}, and {expected:?} is right"));
            }
        }
    }
    Ok(())
}

fn place(seen: &Seen) -> String {
    format!("partition {} offset {}", seen.partition, seen.offset)
}
