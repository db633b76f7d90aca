//! Lag as a metric: how far the groups of this process' shards are behind, told at `/metrics` without anybody having to ask.
//!
//! Every so often a copy of each shard is looked at beside its work: [`survey`] finds the partitions that groups have
//! committed offsets of and, once their leaders have told where they end, which groups are how far behind; [`page`] puts that
//! into words. What shards and leaders are asked, and when, is the [`Refresher`]'s.

mod largest;
mod page;
mod refresher;
mod survey;

pub(crate) use refresher::Refresher;
