//! The topics that offsets are of, as numbers.

use std::sync::Arc;

use imbl::OrdMap;

/// Stands for a topic's name within a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TopicNumber(u32);

impl TopicNumber {
    /// Not greater than any.
    pub(super) const FIRST: Self = Self(0);
    /// Not less than any.
    pub(super) const LAST: Self = Self(u32::MAX);
}

/// The names that offsets have been committed under. A name is forgotten when its topic is deleted, so that there are about
/// as many as topics. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Topics {
    numbers: OrdMap<Arc<str>, TopicNumber>,
    names: OrdMap<TopicNumber, Arc<str>>,
}

impl Topics {
    /// The number of a name, a new one if it has none.
    pub(super) fn number(&mut self, name: &str) -> TopicNumber {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        // The least that is free: numbers stay few, and never run out before memory does.
        let number = match self.names.get_max() {
            Some((TopicNumber(last), _)) if (*last as usize) < self.names.len() => TopicNumber(last + 1),
            None => TopicNumber::FIRST,
            Some(_) => self.gap(),
        };
        let name: Arc<str> = name.into();
        self.numbers.insert(name.clone(), number);
        self.names.insert(number, name);
        number
    }

    /// A number below the greatest that nobody has.
    fn gap(&self) -> TopicNumber {
        let taken = self.names.keys().zip(0..).find(|(number, expected)| number.0 != *expected);
        TopicNumber(taken.map_or(0, |(_, expected)| expected))
    }

    /// The number of a name, if it has one.
    pub(super) fn known(&self, name: &str) -> Option<TopicNumber> {
        self.numbers.get(name).copied()
    }

    /// The name of a number.
    pub(super) fn name(&self, number: TopicNumber) -> Option<&Arc<str>> {
        self.names.get(&number)
    }

    /// Every name.
    pub(super) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.numbers.keys()
    }

    /// Forgets a name, of which there must be no offset left.
    pub(super) fn forget(&mut self, name: &str) {
        if let Some(number) = self.numbers.remove(name) {
            self.names.remove(&number);
        }
    }
}
