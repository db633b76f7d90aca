//! What a program wants to be told of its share of a group.

use futures::future::BoxFuture;
use levada_types::TopicPartition;

use super::Membership;

/// Told within [`super::GroupConsumer::poll`] of partitions that come and go. Every method does nothing unless it is
/// overridden; `member` commits and seeks. A call that is dropped half-way, since the `poll` around it was, is made again by
/// the next `poll`.
pub trait RebalanceListener: Send {
    /// Partitions are the consumer's. None of their records has been returned yet.
    fn on_assigned<'a>(&'a mut self, partitions: &'a [TopicPartition], member: &'a Membership) -> BoxFuture<'a, ()> {
        let _ = (partitions, member);
        Box::pin(std::future::ready(()))
    }

    /// Partitions are to be given up. Everything that was returned of them counts as processed, nothing more will be
    /// returned, and nobody else gets them before this is done: the place to commit where commits are manual.
    fn on_revoked<'a>(&'a mut self, partitions: &'a [TopicPartition], member: &'a Membership) -> BoxFuture<'a, ()> {
        let _ = (partitions, member);
        Box::pin(std::future::ready(()))
    }

    /// Partitions are somebody else's already, since the consumer was taken out of the group, or they are deleted: nothing of
    /// them can be committed.
    fn on_lost<'a>(&'a mut self, partitions: &'a [TopicPartition], member: &'a Membership) -> BoxFuture<'a, ()> {
        let _ = (partitions, member);
        Box::pin(std::future::ready(()))
    }
}

/// Wants to be told nothing.
pub(super) struct NoListener;

impl RebalanceListener for NoListener {}
