//! What is written of groups of the next-generation protocol (KIP-848).

mod current_assignment;
mod group_epoch;
mod member;
mod partitions;
mod resolved_regex;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;

use super::{Reader, RecordError, Writer};

pub use current_assignment::{CurrentAssignment, MemberState};
pub use group_epoch::{GroupEpoch, TargetEpoch};
pub use member::{ClassicMember, ConsumerMember};
pub use partitions::{OwnedPartitions, Partitions};
pub use resolved_regex::ResolvedRegex;

/// The kinds, as Kafka numbers them.
mod kind {
    pub(super) const GROUP: i16 = 3;
    pub(super) const SUBSCRIPTION_METADATA: i16 = 4;
    pub(super) const MEMBER: i16 = 5;
    pub(super) const TARGET_EPOCH: i16 = 6;
    pub(super) const TARGET: i16 = 7;
    pub(super) const CURRENT: i16 = 8;
    pub(super) const REGEX: i16 = 16;
}

/// The version of every value: there is but one, and what came later are tagged fields.
const VERSION: i16 = 0;

/// A record of a group of the next-generation protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerRecord {
    /// The group.
    pub group_id: Arc<str>,
    /// What changes.
    pub change: Change,
}

/// What a record changes; `None` where it is a tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The group's epoch; a tombstone ends the group. Kind 3.
    Group(Option<GroupEpoch>),
    /// The metadata of the topics that the group subscribes to, which Kafka wrote before 4.1. Its content is not of use
    /// any more: what counts is whether there is one to be forgotten. Kind 4.
    SubscriptionMetadata(Option<Bytes>),
    /// What a member has told of itself. Kind 5.
    Member(Arc<str>, Option<Arc<ConsumerMember>>),
    /// The epoch of the target assignment. Kind 6.
    TargetEpoch(Option<TargetEpoch>),
    /// What a member is to own. Kind 7.
    Target(Arc<str>, Option<Arc<Partitions>>),
    /// What a member owns. Kind 8.
    Current(Arc<str>, Option<Arc<CurrentAssignment>>),
    /// The topics that a regular expression matches. Kind 16.
    Regex(Arc<str>, Option<Arc<ResolvedRegex>>),
}

impl ConsumerRecord {
    /// Reads the record whose key began with `kind`.
    ///
    /// # Errors
    /// [`RecordError`] for kinds and versions that are not known, and for what is cut off or damaged.
    pub fn read(kind: i16, key: &mut Reader<'_>, value: Option<&[u8]>) -> Result<Self, RecordError> {
        if !matches!(kind, kind::GROUP..=kind::CURRENT | kind::REGEX) {
            return Err(RecordError::UnknownKind(kind));
        }
        let group_id = Arc::from(key.string()?);
        let mut value = value.map(Reader::new);
        if let Some(value) = &mut value {
            let version = value.i16()?;
            if version != VERSION {
                return Err(RecordError::UnknownVersion { kind, version });
            }
        }
        let value = value.as_mut();
        let change = match kind {
            kind::GROUP => Change::Group(value.map(GroupEpoch::read).transpose()?),
            kind::SUBSCRIPTION_METADATA => Change::SubscriptionMetadata(
                value.map(|value| value.take(value.left()).map(Bytes::copy_from_slice)).transpose()?,
            ),
            kind::MEMBER => Change::Member(key.string()?.into(), shared(value.map(ConsumerMember::read))?),
            kind::TARGET_EPOCH => Change::TargetEpoch(value.map(TargetEpoch::read).transpose()?),
            kind::TARGET => Change::Target(key.string()?.into(), shared(value.map(Partitions::read))?),
            kind::CURRENT => Change::Current(key.string()?.into(), shared(value.map(CurrentAssignment::read))?),
            _ => Change::Regex(key.string()?.into(), shared(value.map(ResolvedRegex::read))?),
        };
        Ok(Self { group_id, change })
    }

    /// Its key and its value.
    #[must_use]
    pub fn encode(&self) -> (Bytes, Option<Bytes>) {
        let mut key = Writer::new();
        key.i16(self.change.kind());
        key.string(&self.group_id);
        if let Some(second) = self.change.subject() {
            key.string(second);
        }
        (key.finish(), self.change.encode())
    }

    /// The group that it is of.
    #[must_use]
    pub fn group_id(&self) -> &str {
        &self.group_id
    }
}

fn shared<T>(value: Option<Result<T, RecordError>>) -> Result<Option<Arc<T>>, RecordError> {
    Ok(value.transpose()?.map(Arc::new))
}

impl Change {
    /// Whether it forgets something.
    pub(crate) fn is_tombstone(&self) -> bool {
        match self {
            Self::Group(value) => value.is_none(),
            Self::SubscriptionMetadata(value) => value.is_none(),
            Self::Member(_, value) => value.is_none(),
            Self::TargetEpoch(value) => value.is_none(),
            Self::Target(_, value) => value.is_none(),
            Self::Current(_, value) => value.is_none(),
            Self::Regex(_, value) => value.is_none(),
        }
    }

    fn kind(&self) -> i16 {
        match self {
            Self::Group(_) => kind::GROUP,
            Self::SubscriptionMetadata(_) => kind::SUBSCRIPTION_METADATA,
            Self::Member(..) => kind::MEMBER,
            Self::TargetEpoch(_) => kind::TARGET_EPOCH,
            Self::Target(..) => kind::TARGET,
            Self::Current(..) => kind::CURRENT,
            Self::Regex(..) => kind::REGEX,
        }
    }

    /// What the key names beside the group: a member or an expression.
    fn subject(&self) -> Option<&str> {
        match self {
            Self::Group(_) | Self::SubscriptionMetadata(_) | Self::TargetEpoch(_) => None,
            Self::Member(id, _) | Self::Target(id, _) | Self::Current(id, _) | Self::Regex(id, _) => Some(id),
        }
    }

    fn encode(&self) -> Option<Bytes> {
        let mut writer = Writer::new();
        writer.i16(VERSION);
        match self {
            Self::Group(value) => value.as_ref()?.write(&mut writer),
            Self::SubscriptionMetadata(value) => writer.raw(value.as_ref()?),
            Self::Member(_, value) => value.as_ref()?.write(&mut writer),
            Self::TargetEpoch(value) => value.as_ref()?.write(&mut writer),
            Self::Target(_, value) => value.as_ref()?.write(&mut writer),
            Self::Current(_, value) => value.as_ref()?.write(&mut writer),
            Self::Regex(_, value) => value.as_ref()?.write(&mut writer),
        }
        Some(writer.finish())
    }
}
