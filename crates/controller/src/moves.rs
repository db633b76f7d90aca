//! Moves replicas while this controller is active: off brokers that are being emptied, onto brokers that hold too few while a
//! rebalance goes on, and onto further brokers for coordinators' topics that were created when there were few.
//!
//! Nothing need be remembered: whether a rebalance goes on and which brokers are being emptied stands in the metadata, and
//! the next moves are a function of them ([`Plan`]). So a new active controller goes on where the old one stopped. A few
//! partitions move at a time; when they have arrived, the next ones are sent. What users move counts for itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use levada_metadata::config::{Resolver, StaticConfigs, replicas_throttled};
use levada_metadata::rebalance::{Plan, PlanOptions};
use levada_metadata::{
    AlterConfigsMode, Command, ConfigAlteration, ConfigChange, ConfigResource, ConfigTarget, Image, Partition,
    Reassignment, Rebalance, Response, TopicRef,
};
use levada_types::{BrokerId, TopicId, TopicIdPartition};
use tokio_util::sync::CancellationToken;

use crate::active::Active;
use crate::feed::Feed;

/// The pause between looks at what is to be moved. What has arrived is noticed within it.
const PAUSE: Duration = Duration::from_millis(500);

/// The pause after a plan that could not be carried out.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// Partitions that move at a time if the setting cannot be read.
const DEFAULT_MAX_MOVES: i64 = 10;

/// How long brokers must have stayed the same if the setting cannot be read, in milliseconds.
const DEFAULT_AUTO_DELAY_MS: i64 = 60_000;

/// Replicas on brokers that are being emptied which have nowhere to go.
const STUCK: &str = "levada_controller_stuck_replicas";

/// Carries out plans.
pub(crate) struct Mover {
    active: Active,
    feed: Feed,
    max_moves: usize,
    /// After how long a rebalance begins by itself, if it does.
    auto_after: Option<Duration>,
    /// The brokers as they were when a rebalance was last considered, or are to be when it is.
    seen: Option<Seen>,
    /// What counts against `max_moves`.
    under_way: UnderWay,
}

/// Moves that were sent from here and have not arrived. Of those that an earlier active controller left nobody knows who
/// asked for them, so they count too.
#[derive(Default)]
struct UnderWay {
    sent: BTreeSet<TopicIdPartition>,
    /// How many of them wait for a broker that is away, as far as that was told.
    waiting: usize,
}

impl UnderWay {
    /// Those that a controller finds when it becomes active.
    fn found(image: &Image) -> Self {
        Self { sent: image.reassigning().collect(), waiting: 0 }
    }

    /// Forgets what has arrived or was cancelled; gives how many go on. Those that wait for a broker that is away take no
    /// share of the network, and must not hold the others up.
    fn going_on(&mut self, image: &Image) -> usize {
        let reassigned = |at: &TopicIdPartition| {
            image.partition(at.topic_id, at.partition).filter(|partition| partition.is_reassigning())
        };
        self.sent.retain(|at| reassigned(at).is_some());
        let is_live = |id: &BrokerId| image.broker(*id).is_some_and(|broker| broker.is_live());
        let goes_on = |partition: &Arc<Partition>| partition.leader.is_some() && partition.adding.iter().all(is_live);
        let going = self.sent.iter().filter(|at| reassigned(at).is_some_and(goes_on)).count();
        let waiting = self.sent.len() - going;
        if waiting > self.waiting {
            tracing::warn!(partitions = waiting, "moves wait for brokers that are away; others begin meanwhile");
        }
        self.waiting = waiting;
        going
    }
}

/// The brokers that are registered and live.
struct Seen {
    live: BTreeSet<BrokerId>,
    since: Instant,
    /// Whether a rebalance was considered since they are these.
    considered: bool,
}

impl Mover {
    pub(crate) fn new(active: Active, feed: Feed, statics: &StaticConfigs) -> Self {
        let state = levada_metadata::State::new();
        let resolver = Resolver::new(&state, None, statics);
        let max_moves = resolver.broker_long("rebalance.max.moves").unwrap_or(DEFAULT_MAX_MOVES);
        let delay = resolver.broker_long("auto.rebalance.delay.ms").unwrap_or(DEFAULT_AUTO_DELAY_MS);
        let auto = resolver.broker_bool("auto.rebalance.enable").unwrap_or(false);
        let auto_after = auto.then(|| Duration::from_millis(delay.unsigned_abs()));
        let max_moves = usize::try_from(max_moves).unwrap_or(1).max(1);
        Self { active, feed, max_moves, auto_after, seen: None, under_way: UnderWay::default() }
    }

    /// Moves what is to be moved, until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let (mut state, mut term) = (self.active.state(), None);
        let mut pause = PAUSE;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                // Before anybody asks the new active controller for more moves.
                Ok(()) = state.changed() => {}
                () = tokio::time::sleep(pause) => {}
            }
            let now_active = state.borrow_and_update().own_term;
            if now_active != term {
                term = now_active;
                self.seen = None;
                self.under_way = UnderWay::found(&self.feed.image());
            }
            pause = PAUSE;
            if term.is_some() && stop.run_until_cancelled(self.step()).await == Some(Err(Failed)) {
                pause = RETRY_PAUSE;
            }
        }
    }

    async fn step(&mut self) -> Result<(), Failed> {
        let image = self.feed.image();
        let moving = self.under_way.going_on(&image);
        self.begin_by_itself(&image).await?;
        let (rebalance, draining) = (image.rebalance(), image.brokers().any(|broker| broker.draining));
        if rebalance.is_none() && !draining && !image.has_growing_shards() {
            metrics::gauge!(STUCK).set(0.0);
            return Ok(());
        }
        let Some(room) = self.max_moves.checked_sub(moving).filter(|room| *room > 0) else { return Ok(()) };
        let plan = self.plan(&image, PlanOptions { balance: rebalance.is_some(), max_moves: room }).await?;
        metrics::gauge!(STUCK).set(plan.stuck.len() as f64);
        if let Some(Rebalance { throttle: Some(_) }) = rebalance {
            self.throttle(&image, &plan.moves).await?;
        }
        if !plan.moves.is_empty() {
            return self.send(plan.moves).await;
        }
        if rebalance.is_some() && moving == 0 {
            tracing::info!("the brokers are even; the rebalance has ended");
            self.set_rebalance(None).await?;
        }
        Ok(())
    }

    /// Begins a rebalance if brokers have come or gone and there is something to even out.
    async fn begin_by_itself(&mut self, image: &Image) -> Result<(), Failed> {
        let Some(after) = self.auto_after else { return Ok(()) };
        let live: BTreeSet<BrokerId> = image.live_brokers().map(|broker| broker.id).collect();
        if self.seen.as_ref().is_none_or(|seen| seen.live != live) {
            self.seen = Some(Seen { live, since: Instant::now(), considered: false });
        }
        let all_live = image.brokers().all(|broker| broker.is_live());
        let Some(seen) = self.seen.as_mut().filter(|seen| !seen.considered && seen.since.elapsed() >= after) else {
            return Ok(());
        };
        if !all_live || image.rebalance().is_some() {
            return Ok(());
        }
        seen.considered = true;
        let plan = self.plan(image, PlanOptions { balance: true, max_moves: 1 }).await?;
        if plan.moves.is_empty() {
            return Ok(());
        }
        tracing::info!("brokers have come or gone; a rebalance begins by itself");
        self.set_rebalance(Some(Rebalance::default())).await
    }

    async fn plan(&self, image: &Image, options: PlanOptions) -> Result<Plan, Failed> {
        let state = image.state().clone();
        // It looks at every partition of the cluster.
        tokio::task::spawn_blocking(move || Plan::new(&state, options)).await.map_err(|_| Failed)
    }

    async fn send(&mut self, moves: Vec<Reassignment>) -> Result<(), Failed> {
        let count = moves.len();
        let targets = moves.iter().filter_map(target);
        self.under_way.sent.extend(targets.map(|(topic_id, partition, _)| TopicIdPartition { topic_id, partition }));
        let command = Command::AlterPartitionReassignments { reassignments: moves, allow_factor_change: true };
        match self.active.submit(command).await {
            Ok((Response::AlterPartitionReassignments(results), _)) => {
                let refused: Vec<_> = results.iter().filter_map(|moved| moved.result.as_ref().err()).collect();
                match refused.first() {
                    None => {
                        tracing::info!(partitions = count, "replicas begin to move");
                        Ok(())
                    }
                    Some(error) => {
                        tracing::warn!(refused = refused.len(), of = count, %error, "moves were refused");
                        Err(Failed)
                    }
                }
            }
            _ => Err(Failed),
        }
    }

    async fn set_rebalance(&self, rebalance: Option<Rebalance>) -> Result<(), Failed> {
        match self.active.submit(Command::SetRebalance { rebalance }).await {
            Ok((Response::SetRebalance(Ok(())), _)) => Ok(()),
            _ => Err(Failed),
        }
    }

    /// Names the replicas that move, and those that are about to, as the throttled ones of their topics.
    async fn throttle(&self, image: &Image, next: &[Reassignment]) -> Result<(), Failed> {
        let mut moving: BTreeMap<TopicId, Vec<Moving>> = BTreeMap::new();
        for at in image.reassigning() {
            let Some(known) = image.partition(at.topic_id, at.partition) else { continue };
            let holding = known.replicas.iter().map(|r| r.broker).filter(|id| !known.adding.contains(id)).collect();
            let from_to = Moving { at, holding, adding: known.adding.clone() };
            moving.entry(at.topic_id).or_default().push(from_to);
        }
        for (topic_id, partition, replicas) in next.iter().filter_map(target) {
            let Some(known) = image.partition(topic_id, partition) else { continue };
            let holding: Vec<BrokerId> = known.replicas.iter().map(|r| r.broker).collect();
            let adding = replicas.iter().copied().filter(|id| !holding.contains(id)).collect();
            let at = TopicIdPartition { topic_id, partition };
            moving.entry(topic_id).or_default().push(Moving { at, holding, adding });
        }
        let alterations: Vec<ConfigAlteration> =
            moving.iter().filter_map(|(topic, moving)| alteration(image, *topic, moving)).collect();
        if alterations.is_empty() {
            return Ok(());
        }
        let mode = AlterConfigsMode::Incremental;
        let command = Command::AlterConfigs { resources: alterations, mode, validate_only: false };
        match self.active.submit(command).await {
            Ok((Response::AlterConfigs(results), _)) => {
                if let Some(error) = results.iter().find_map(|altered| altered.result.as_ref().err()) {
                    tracing::warn!(%error, "moving replicas could not be throttled; they do not begin to move");
                    return Err(Failed);
                }
                Ok(())
            }
            _ => Err(Failed),
        }
    }
}

/// A step was not taken; it is tried again after a while.
#[derive(Debug, PartialEq, Eq)]
struct Failed;

/// A partition on its way.
struct Moving {
    at: TopicIdPartition,
    holding: Vec<BrokerId>,
    adding: Vec<BrokerId>,
}

fn target(reassignment: &Reassignment) -> Option<(TopicId, i32, &Vec<BrokerId>)> {
    match (&reassignment.topic, &reassignment.replicas) {
        (TopicRef::Id(id), Some(replicas)) => Some((*id, reassignment.partition, replicas)),
        _ => None,
    }
}

/// What has to change for exactly these replicas of a topic to be throttled.
fn alteration(image: &Image, id: TopicId, moving: &[Moving]) -> Option<ConfigAlteration> {
    let topic = image.topic(id)?;
    let pairs = |brokers: fn(&Moving) -> &Vec<BrokerId>| {
        let pairs = moving.iter().flat_map(|m| brokers(m).iter().map(|id| format!("{}:{id}", m.at.partition)));
        pairs.collect::<Vec<_>>().join(",")
    };
    let overrides = image.overrides(ConfigResource::Topic(id));
    let changed = |(name, value): &(&str, String)| {
        overrides.and_then(|overrides| overrides.get(*name)).map(String::as_str) != Some(value.as_str())
    };
    let [leaders, followers] = replicas_throttled();
    let wanted = [(leaders, pairs(|m| &m.holding)), (followers, pairs(|m| &m.adding))];
    let changes: Vec<_> =
        wanted.into_iter().filter(changed).map(|(name, value)| (name.to_owned(), ConfigChange::Set(value))).collect();
    let target = ConfigTarget::Topic(topic.name().to_string());
    (!changes.is_empty()).then_some(ConfigAlteration { target, changes })
}
