//! The newest offset of each key, in a bounded amount of memory.

use std::hash::{BuildHasher, Hasher, RandomState};

use levada_types::Offset;

/// Bytes of memory per key: a hash of 16 and an offset of 8, as in Kafka.
const SLOT_BYTES: usize = 24;

/// The table is made of so many, by a part of the hash. They grow one by one, so that the memory that a table of twice the
/// size takes beside its predecessor is that of one of them.
const SHARDS: usize = 64;

/// Slots that a part begins with.
const FIRST_SLOTS: usize = 16;

/// Two words of hash, and an offset plus one: zeros are a free slot.
type Slot = [u64; 3];

/// The newest offset of each key. Keys are known by 128 bits of hash under a secret of this process (SipHash, twice under
/// keys of their own): nobody outside can make two keys that are taken for one, and by chance it does not happen.
pub(super) struct OffsetMap {
    shards: Vec<Shard>,
    keys: usize,
    /// Slots of all of them.
    slots: usize,
    most_slots: usize,
    load_factor: f64,
    secrets: [RandomState; 2],
}

#[derive(Default)]
struct Shard {
    slots: Vec<Slot>,
    keys: usize,
}

impl Shard {
    /// Where the key is, or where it would be. There is always a free slot.
    fn find(&self, hash: [u64; 2]) -> usize {
        // The upper part of the product spreads the hash over the slots, whatever their number.
        let mut at = ((u128::from(hash[0]) * self.slots.len() as u128) >> 64) as usize;
        while let Some(slot) = self.slots.get(at) {
            if slot[2] == 0 || (slot[0] == hash[0] && slot[1] == hash[1]) {
                break;
            }
            at = if at + 1 == self.slots.len() { 0 } else { at + 1 };
        }
        at
    }

    fn grow(&mut self, slots: usize) {
        let old = std::mem::replace(&mut self.slots, vec![[0; 3]; slots]);
        for slot in old.into_iter().filter(|slot| slot[2] != 0) {
            let at = self.find([slot[0], slot[1]]);
            self.slots[at] = slot;
        }
    }
}

impl OffsetMap {
    /// An empty map that takes `bytes` of memory at most, and is never fuller than `load_factor`, from 0 to 1.
    pub(super) fn new(bytes: usize, load_factor: f64) -> Self {
        // A full table would have every lookup of an absent key go through all of it.
        let load_factor = if load_factor > 0.0 { load_factor.min(0.95) } else { 0.9 };
        Self {
            shards: std::iter::repeat_with(Shard::default).take(SHARDS).collect(),
            keys: 0,
            slots: 0,
            most_slots: (bytes / SLOT_BYTES).max(SHARDS * FIRST_SLOTS * 2),
            load_factor,
            secrets: [RandomState::new(), RandomState::new()],
        }
    }

    fn hash(&self, key: &[u8]) -> [u64; 2] {
        let hash = |secret: &RandomState| {
            let mut hasher = secret.build_hasher();
            hasher.write(key);
            hasher.finish()
        };
        [hash(&self.secrets[0]), hash(&self.secrets[1])]
    }

    fn shard_of(hash: [u64; 2]) -> usize {
        hash[1] as usize % SHARDS
    }

    /// Notes that the key has a record at `offset`, which is not before any that was noted. False, and nothing is noted,
    /// if there is no room for another key.
    pub(super) fn put(&mut self, key: &[u8], offset: Offset) -> bool {
        let hash = self.hash(key);
        let index = Self::shard_of(hash);
        let shard = &mut self.shards[index];
        let mut at = shard.find(hash);
        if shard.slots.get(at).is_none_or(|slot| slot[2] == 0) {
            let is_full = (shard.keys + 1) as f64 > shard.slots.len() as f64 * self.load_factor;
            if is_full {
                let before = shard.slots.len();
                let after = (before + before / 2).max(FIRST_SLOTS);
                // The old slots are there until all have moved.
                if self.slots + after > self.most_slots {
                    return false;
                }
                shard.grow(after);
                self.slots += after - before;
                at = shard.find(hash);
            }
            shard.keys += 1;
            self.keys += 1;
        }
        shard.slots[at] = [hash[0], hash[1], offset.unsigned_abs() + 1];
        true
    }

    /// The newest offset of the key, if any was noted.
    pub(super) fn get(&self, key: &[u8]) -> Option<Offset> {
        let hash = self.hash(key);
        let shard = &self.shards[Self::shard_of(hash)];
        let slot = shard.slots.get(shard.find(hash))?;
        slot[2].checked_sub(1).map(u64::cast_signed)
    }

    /// Which part of the memory that it may take it has taken, from 0 to 1.
    pub(super) fn utilization(&self) -> f64 {
        self.slots as f64 / self.most_slots as f64
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn it_is_a_map() {
        let mut map = OffsetMap::new(usize::MAX, 0.9);
        let mut model = HashMap::new();
        for offset in 0..20_000i64 {
            let key = (offset * offset % 9_973 % 5_000).to_be_bytes();
            assert!(map.put(&key, offset));
            model.insert(key, offset);
        }
        assert_eq!(map.keys, model.len());
        for key in 0..10_000i64 {
            assert_eq!(map.get(&key.to_be_bytes()), model.get(&key.to_be_bytes()).copied());
        }
    }

    #[test]
    fn it_never_takes_more_memory_than_it_may() {
        let mut map = OffsetMap::new(1 << 20, 0.9);
        let taken = (0..).take_while(|key: &u64| map.put(&key.to_be_bytes(), 1)).count();
        assert!(map.slots * SLOT_BYTES <= 1 << 20);
        assert!(taken > (1 << 20) / SLOT_BYTES / 2, "{taken}");
        assert_eq!(map.keys, taken);
        assert!(map.put(&5u64.to_be_bytes(), 7), "a key that is there already has its place");
        assert_eq!((map.get(&5u64.to_be_bytes()), map.get(&(taken as u64).to_be_bytes())), (Some(7), None));
        assert!(map.utilization() > 0.5 && map.utilization() <= 1.0);
    }

    #[test]
    fn an_empty_one_holds_nothing_and_takes_no_room() {
        let map = OffsetMap::new(0, 0.0);
        assert_eq!((map.get(b""), map.get(b"a"), map.slots), (None, None, 0));
    }
}
