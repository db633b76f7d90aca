//! The shards of one process: loads those that the metadata give to it, follows those that it would be given next, and hands
//! requests to them.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use levada_metadata::{CoordinatorKind, Image};
use levada_peers::{Lease, MetadataWatch, SessionState, StaleImage};
use levada_service::net::Network;
use levada_service::shutdown::CancellationToken;
use levada_shard::Core;
use levada_types::{CoordinatorEpoch, MetadataOffset, PartitionIndex, TopicIdPartition};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::host::Host;
use crate::place::{Succession, places};
use crate::shard_actor::{Look, Mail, ShardActor, Word};
use levada_shard::machine::{Limits, Standing, Unserved};

/// How often the lease is looked at: it lapses by the clock, which tells nobody.
const LEASE_INTERVAL: Duration = Duration::from_millis(200);

/// How long a shard that a defect has stopped waits before it begins anew.
const DEFECT_PAUSE: Duration = Duration::from_secs(1);

/// Those who may wait for a look at one shard.
const QUEUED_LOOKS: usize = 4;

/// How the shards of a process are run.
#[derive(Debug, Clone, Copy)]
pub struct ShardsOptions {
    /// What they keep.
    pub kind: CoordinatorKind,
    /// Requests that may wait for one shard; more are refused.
    pub queued_requests: usize,
    /// Whether to follow the shards that this process would take over from others, so that it has next to nothing to load then.
    pub follows: bool,
    /// The bounds of each shard.
    pub limits: Limits,
}

/// The shards of one process. Clones share them.
pub struct Shards<C: Core>(Arc<Inner<C>>);

struct Inner<C: Core> {
    options: ShardsOptions,
    host: Arc<Host>,
    empty: C,
    routes: RwLock<HashMap<PartitionIndex, Route<C>>>,
    /// The metadata offset that was acted upon last.
    acted_upon: watch::Sender<MetadataOffset>,
}

/// The way to a shard of this process. When it is dropped, the shard ends.
struct Route<C: Core> {
    partition: TopicIdPartition,
    mailbox: mpsc::Sender<Mail<C>>,
    looks: mpsc::Sender<Look<C>>,
    words: watch::Sender<Word>,
    standing: Arc<Mutex<Standing>>,
}

impl<C: Core> Clone for Shards<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C: Core> Shards<C> {
    /// None yet; `empty` is the state of a shard without records.
    #[must_use]
    pub fn new(options: ShardsOptions, network: &Network, metadata: MetadataWatch, empty: C) -> Self {
        let host = Arc::new(Host::new(options.kind, options.limits, network, metadata));
        let (routes, acted_upon) = (RwLock::default(), watch::Sender::new(MetadataOffset(0)));
        Self(Arc::new(Inner { options, host, empty, routes, acted_upon }))
    }

    /// Asks a shard. With `confirm` an answer is given only if the partition's leader has said, after it was decided, that no
    /// other process can have appended.
    ///
    /// # Errors
    /// [`Unserved`].
    pub async fn ask(
        &self,
        shard: PartitionIndex,
        request: C::Request,
        confirm: bool,
    ) -> Result<C::Response, Unserved> {
        // By the clock: whoever was stopped for longer than its session lasts answers nothing, whatever it believes.
        if !self.0.host.is_in_charge() {
            return Err(Unserved::NotOwner);
        }
        let (answer, answered) = oneshot::channel();
        {
            let routes = self.0.routes.read();
            let route = routes.get(&shard).ok_or(Unserved::NotOwner)?;
            route.mailbox.try_send(Mail { request, confirm, answer }).map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => Unserved::Overloaded,
                mpsc::error::TrySendError::Closed(_) => Unserved::NotOwner,
            })?;
        }
        // The shard was dropped with it, after it had been taken perhaps.
        answered.await.unwrap_or(Err(Unserved::Interrupted))
    }

    /// A copy of what is committed of a shard, which its owner may go on from at leisure: copies share what they have in common.
    /// `None` while the shard is not served here.
    pub async fn look(&self, shard: PartitionIndex) -> Option<C> {
        let (look, seen) = oneshot::channel();
        self.0.routes.read().get(&shard)?.looks.try_send(look).ok()?;
        seen.await.ok()
    }

    /// Resolves once the metadata up to `offset` has been acted upon.
    ///
    /// # Errors
    /// [`StaleImage`] if it was not within `timeout`.
    pub async fn reached(&self, offset: MetadataOffset, timeout: Duration) -> Result<(), StaleImage> {
        // As nearly always: without a timer and a place among those who wait.
        if *self.0.acted_upon.borrow() >= offset {
            return Ok(());
        }
        let mut acted_upon = self.0.acted_upon.subscribe();
        let reached = tokio::time::timeout(timeout, acted_upon.wait_for(|have| *have >= offset)).await;
        match reached {
            Ok(_) => Ok(()),
            Err(_) => Err(StaleImage { wanted: offset, have: *self.0.acted_upon.borrow() }),
        }
    }

    /// The metadata offset that was acted upon last; said again several times a second, also where only a lease has lapsed.
    #[must_use]
    pub fn acted_upon(&self) -> watch::Receiver<MetadataOffset> {
        self.0.acted_upon.subscribe()
    }

    /// What the shards of this process do, in no order.
    #[must_use]
    pub fn standings(&self) -> Vec<(PartitionIndex, Standing)> {
        self.0.routes.read().iter().map(|(shard, route)| (*shard, *route.standing.lock())).collect()
    }

    /// Follows the metadata and the session of this process until `stop`: loads the shards that come to it, and lets go of
    /// those that leave.
    pub async fn follow(
        &self,
        mut session: watch::Receiver<SessionState<CoordinatorEpoch>>,
        lease: Arc<Lease>,
        stop: CancellationToken,
    ) {
        self.0.host.hold(lease);
        let mut images = self.0.host.metadata.offsets();
        let mut actors = JoinSet::new();
        let mut succession = self.0.options.follows.then(Succession::default);
        let mut look = tokio::time::interval(LEASE_INTERVAL);
        while !stop.is_cancelled() {
            let image = self.0.host.metadata.image();
            let epoch = session.borrow_and_update().epoch;
            self.settle(&image, epoch, succession.as_mut(), &mut actors);
            self.0.acted_upon.send_replace(image.offset());
            tokio::select! {
                () = stop.cancelled() => {}
                _ = images.changed() => {}
                // When it is over, what it said last stays true until the lease lapses.
                Ok(()) = session.changed() => {}
                _ = look.tick() => {}
                Some(_) = actors.join_next() => {}
            }
        }
        self.0.routes.write().clear();
        while actors.join_next().await.is_some() {}
    }

    /// Makes the shards here what `image` says.
    fn settle(
        &self,
        image: &Arc<Image>,
        epoch: Option<CoordinatorEpoch>,
        succession: Option<&mut Succession>,
        actors: &mut JoinSet<()>,
    ) {
        let Inner { options, host, .. } = &*self.0;
        let mine = epoch.map(|epoch| places(image, options.kind, epoch, succession)).unwrap_or_default();
        let is_in_charge = host.is_in_charge();
        let mut routes = self.0.routes.write();
        routes.retain(|_, route| mine.iter().any(|place| place.partition == route.partition));
        for place in mine {
            let word = Word { duty: is_in_charge.then_some(place.duty), image: Arc::clone(image) };
            let begin = || self.begin(place.partition, Arc::clone(image), actors);
            let route = routes.entry(place.partition.partition).or_insert_with(begin);
            route.words.send_if_modified(|known| {
                let is_news = known.duty != word.duty || known.image.offset() != word.image.offset();
                *known = word;
                is_news
            });
        }
        host.telemetry.count(routes.values().map(|route| *route.standing.lock()));
    }

    /// Begins a shard, which waits to hear who leads its partition.
    fn begin(&self, partition: TopicIdPartition, image: Arc<Image>, actors: &mut JoinSet<()>) -> Route<C> {
        let (mailbox, mail) = mpsc::channel(self.0.options.queued_requests.max(1));
        let (looks, looking) = mpsc::channel(QUEUED_LOOKS);
        let (words, heard) = watch::channel(Word { duty: None, image });
        let standing = Arc::new(Mutex::new(Standing::Loading));
        let mut actor = ShardActor {
            host: Arc::clone(&self.0.host),
            partition,
            empty: self.0.empty.clone(),
            mailbox: mail,
            looks: looking,
            words: heard,
            standing: Arc::clone(&standing),
        };
        actors.spawn(async move {
            // A defect is a matter of one shard: what it had decided and not written is gone, and it loads again.
            while AssertUnwindSafe(actor.live()).catch_unwind().await.is_err() {
                actor.host.telemetry.defects.increment(1);
                *actor.standing.lock() = Standing::Loading;
                tracing::error!(shard = partition.partition, "a defect has stopped a shard; it loads again");
                tokio::time::sleep(DEFECT_PAUSE).await;
            }
        });
        Route { partition, mailbox, looks, words, standing }
    }
}

#[cfg(test)]
mod tests;
