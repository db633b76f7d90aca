//! Which topics consumers say that they use.

use std::{collections::BTreeSet, sync::Arc};

use super::ClassicGroup;
use crate::records::{Reader, RecordError};

impl ClassicGroup {
    /// The topics of all members; `None` if they are no consumers, or one of them says it in words that are not understood.
    pub(super) fn subscribed_topics(&self) -> Option<Arc<BTreeSet<String>>> {
        if !self.is_of_consumers() {
            return None;
        }
        let mut topics = BTreeSet::new();
        if let Some(protocol) = self.protocol_name() {
            for member in self.members() {
                read_topics(&member.metadata(protocol), &mut topics).ok()?;
            }
        }
        Some(Arc::new(topics))
    }
}

/// Reads the topics of a `ConsumerProtocolSubscription`: a version, then the topics, then what does not matter here. All
/// versions begin so.
fn read_topics(subscription: &[u8], topics: &mut BTreeSet<String>) -> Result<(), RecordError> {
    let mut subscription = Reader::new(subscription);
    if subscription.i16()? < 0 {
        return Err(RecordError::BadLength);
    }
    for _ in 0..subscription.array_length(2)? {
        topics.insert(subscription.string()?.to_owned());
    }
    Ok(())
}
