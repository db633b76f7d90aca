//! Makes this broker's replicas what the image says they are.
//!
//! One reconciler, on one thread at a time, takes the broker from the image it has acted upon to a newer one: closes and
//! deletes what is no longer here, opens what is, applies leader epochs and settings. Only then does the broker show the
//! newer image to its faces, so a client never meets a partition that its broker has heard of and not opened.

mod scope;

use std::collections::HashMap;
use std::sync::Arc;

use levada_log::{LogConfig, OpenError, OpenLog, OpenedLog, RecoveryProgress};
use levada_metadata::config::{Resolver, TopicSettings, topic_config};
use levada_metadata::{Image, Partition as Assignment, ReplicaDirectory, Topic};
use levada_replication::PartitionView;
use levada_types::{BrokerEpoch, DirectoryId, Offset, PartitionIndex, TopicId, TopicIdPartition, TopicPartition};

use self::scope::Scope;
use crate::Broker;
use crate::clock::{now_ms, uptime_ms};
use crate::log_config::log_config;
use crate::partition::{Care, Health, Partition, Role};
use crate::threads::{Gather, Job, Sight, Slot};
use crate::throttle::is_listed;

/// How long what is known of an idle producer is kept if the setting cannot be read: Kafka's default, one day.
const DEFAULT_PRODUCER_ID_EXPIRATION_MS: i64 = 86_400_000;

/// Partitions that may have lost records and are named in the log; the others are counted.
const LOSSES_NAMED: usize = 10;

/// What a step left to do.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Replicas that lie in another directory than the controller knows.
    pub(crate) placements: Vec<ReplicaDirectory>,
    /// Replicas that could not be opened; they are tried again with the next step.
    pub(crate) unopened: Unopened,
    /// Partitions led here whose leader was elected although nobody was known to hold everything.
    possible_losses: Vec<TopicIdPartition>,
    /// How many partitions were looked at.
    pub(crate) looked_at: usize,
}

/// Replicas that could not be opened, and why.
pub(crate) type Unopened = HashMap<TopicIdPartition, String>;

/// Replicas to open, with their parts.
#[derive(Default)]
struct Openings {
    logs: Vec<OpenLog>,
    parts: Vec<Part>,
}

/// A log that is open and can be hosted.
struct Ready {
    id: TopicIdPartition,
    name: TopicPartition,
    opened: OpenedLog,
    part: Part,
    care: Care,
}

/// A log that ends before what was committed: its name, its end, and how many records it lacks.
type Cut = (TopicPartition, Offset, u64);

/// What an image says of a replica.
struct Part {
    role: Role,
    /// For its actor; `None` while the image does not hold this broker's registration. An older one speaks of the
    /// broker's last life, and nothing may be led by that.
    sight: Option<Sight>,
}

impl Broker {
    /// Acts upon `new`, coming from `old`; tries `unopened` again. Blocks: it opens, closes and deletes logs.
    pub(crate) fn reconcile(
        self: &Arc<Self>,
        old: &Image,
        new: &Image,
        unopened: &Unopened,
        progress: &RecoveryProgress,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        self.set_throttles(new, uptime_ms());
        let registered = self.registration_in(new);
        let registered_before = std::mem::replace(&mut *self.reconciled_as.lock(), registered);
        let hosted = || self.partitions.all().iter().map(|partition| partition.id().topic_id).collect();
        let scope = Scope::between((old, new), unopened, self.id(), hosted, registered != registered_before);
        let touched: Vec<_> = scope.topics().map(|id| (id, scope.partitions(id))).collect();

        // First what goes, since a topic may have been deleted and created again under its name.
        let mut gone = Vec::new();
        for (id, partitions) in &touched {
            self.find_gone(*id, partitions, new.topic(*id), &mut gone);
        }
        self.remove(gone);

        let mut openings = Openings::default();
        for (id, partitions) in &touched {
            let Some(topic) = new.topic(*id).filter(|_| !partitions.is_empty()) else { continue };
            outcome.looked_at += partitions.len();
            self.find_losses(old.topic(*id), topic, partitions, &mut outcome.possible_losses);
            self.apply_topic(topic, partitions, &scope, &mut openings, &mut outcome);
        }
        self.tell_losses(&outcome.possible_losses);
        self.open(openings, new, unopened, progress, &mut outcome);
        tracing::debug!(offset = %new.offset(), partitions = outcome.looked_at, "acted upon the metadata");
        outcome
    }

    /// The registration of this very broker, if `image` holds it.
    fn registration_in(&self, image: &Image) -> Option<BrokerEpoch> {
        self.epoch().filter(|epoch| image.broker(self.id()).is_some_and(|known| known.epoch == *epoch))
    }

    fn part(&self, image: &Image, id: TopicIdPartition, assignment: &Assignment, settings: &TopicSettings) -> Part {
        let min_in_sync = usize::try_from(settings.min_insync_replicas).unwrap_or(1);
        let role = Role::of(assignment, self.id(), min_in_sync);
        let registered = self.registration_in(image);
        match registered.zip(PartitionView::of(image.state(), id, settings.acks_fsync)) {
            Some((broker_epoch, view)) => Part { role, sight: Some(Sight { view, broker_epoch }) },
            None => Part { role: Role { leads: false, ..role }, sight: None },
        }
    }

    /// Those of these partitions that are hosted and no longer assigned here.
    fn find_gone(
        &self,
        topic_id: TopicId,
        partitions: &[PartitionIndex],
        new: Option<&Topic>,
        gone: &mut Vec<Arc<Partition>>,
    ) {
        for partition in partitions.iter().copied() {
            let assigned = new.and_then(|topic| topic.partition(partition));
            if !assigned.is_some_and(|assigned| assigned.has_replica(self.id()))
                && let Some(hosted) = self.partitions.remove(&TopicIdPartition { topic_id, partition })
            {
                gone.push(hosted);
            }
        }
    }

    /// Closes these replicas and deletes their logs.
    fn remove(&self, mut gone: Vec<Arc<Partition>>) {
        for partition in &gone {
            partition.turn(Health::Gone);
        }
        // Whoever has a log in transit deletes it.
        gone.retain(|partition| !self.transits.contains(partition.name()));
        self.end_and_delete(&gone);
    }

    /// Closes these replicas, which are hosted no more, and deletes their logs. Blocks.
    pub(crate) fn end_and_delete(&self, gone: &[Arc<Partition>]) {
        if gone.is_empty() {
            return;
        }
        end_all(gone, |_| Job::Abandon);
        let now_ms = now_ms();
        for partition in gone {
            self.replication.leaders.forget(partition.id());
            match self.store.delete(partition.name(), now_ms) {
                Ok(()) => {}
                // It is found as a stray when the directory is back.
                Err(OpenError::DirectoryOffline) => {
                    tracing::info!(partition = %partition.name(), "deleted; its files stay in a failed data directory");
                }
                Err(error) => tracing::error!(partition = %partition.name(), %error, "the log could not be deleted"),
            }
        }
    }

    /// Those of these partitions whose leader, this broker, was elected although acknowledged records may be missing.
    fn find_losses(
        &self,
        old: Option<&Topic>,
        new: &Topic,
        partitions: &[PartitionIndex],
        losses: &mut Vec<TopicIdPartition>,
    ) {
        // What was so before this broker knew of the topic was told by whoever led then.
        let Some(old) = old else { return };
        let is_lost = |index: &PartitionIndex| {
            old.partition(*index).zip(new.partition(*index)).is_some_and(|(before, after)| {
                after.leader == Some(self.id()) && before.possible_losses < after.possible_losses
            })
        };
        let lost = partitions.iter().copied().filter(is_lost);
        losses.extend(lost.map(|partition| TopicIdPartition { topic_id: new.id(), partition }));
    }

    fn tell_losses(&self, losses: &[TopicIdPartition]) {
        if losses.is_empty() {
            return;
        }
        self.metrics.possible_losses.increment(losses.len() as u64);
        let hosted = losses.iter().filter_map(|id| self.partitions.get(id));
        let from =
            |partition: Arc<Partition>| format!("{} from {} on", partition.name(), partition.reader().log_end_offset());
        let named: Vec<_> = hosted.take(LOSSES_NAMED).map(from).collect();
        tracing::warn!(
            partitions = losses.len(),
            among_them = named.join(", "),
            "leading with what is left: records that were acknowledged may be missing"
        );
    }

    /// Tells of logs that end below the high watermark that was noted last, by how many records.
    fn tell_cut(&self, cut: &[Cut]) {
        if cut.is_empty() {
            return;
        }
        let records: u64 = cut.iter().map(|(.., records)| records).sum();
        self.metrics.lost_records.increment(records);
        let named = cut.iter().take(LOSSES_NAMED).map(|(name, end, records)| format!("{name} {records} from {end} on"));
        tracing::warn!(
            partitions = cut.len(),
            records,
            among_them = named.collect::<Vec<_>>().join(", "),
            "logs lack records that were committed; another replica has them, or they are lost"
        );
    }

    /// Gives these partitions of a topic the parts that the new image says.
    fn apply_topic(
        self: &Arc<Self>,
        topic: &Topic,
        partitions: &[PartitionIndex],
        scope: &Scope<'_>,
        openings: &mut Openings,
        outcome: &mut Outcome,
    ) {
        let image = scope.new;
        let settings = image.topic_settings(topic.id(), self.id(), &self.options.statics);
        let config = log_config(&settings, self.producer_id_expiration_ms(image));
        let assigned = partitions.iter().filter_map(|index| Some((*index, topic.partition(*index)?)));
        for (index, assignment) in assigned.filter(|(_, assignment)| assignment.has_replica(self.id())) {
            let id = TopicIdPartition { topic_id: topic.id(), partition: index };
            let part = self.part(image, id, assignment, &settings);
            if let Some(partition) = self.partitions.get(&id) {
                if scope.is_reconfigured(topic.id()) {
                    partition.take_care(Care::of(&config));
                    self.set_throttled(&partition, image);
                    partition.post(Job::Configure(Box::new(config.clone())));
                }
                assume(&partition, part);
                self.note_placement(assignment, id, partition.directory(), outcome);
            } else if self.transits.contains(&TopicPartition { topic: topic.name().clone(), partition: index }) {
                outcome.unopened.insert(id, "the log of an earlier replica is still to be deleted".to_owned());
            } else {
                let directory = assignment.directory_of(self.id()).filter(|id| *id != DirectoryId::UNASSIGNED);
                openings.logs.push(OpenLog {
                    partition: id,
                    topic: topic.name().clone(),
                    config: config.clone(),
                    directory,
                });
                openings.parts.push(part);
            }
        }
    }

    fn open(
        self: &Arc<Self>,
        openings: Openings,
        image: &Image,
        unopened_before: &Unopened,
        progress: &RecoveryProgress,
        outcome: &mut Outcome,
    ) {
        let Openings { logs, parts } = openings;
        let names: Vec<TopicPartition> = logs
            .iter()
            .map(|log| TopicPartition { topic: log.topic.clone(), partition: log.partition.partition })
            .collect();
        let cares: Vec<Care> = logs.iter().map(|log| Care::of(&log.config)).collect();
        let opened = self.store.open_logs(logs, now_ms(), progress);
        let mut cut = Vec::new();
        for ((((id, opened), name), part), care) in opened.into_iter().zip(names).zip(parts).zip(cares) {
            match opened {
                Ok(opened) => {
                    let ready = Ready { id, name, opened, part, care };
                    let (_, lacks) = self.host(ready, image, outcome);
                    if lacks.is_some() {
                        progress.found_loss();
                    }
                    cut.extend(lacks);
                }
                Err(error) => {
                    if let Some(why) = self.not_opened(&name, &error, unopened_before.get(&id)) {
                        outcome.unopened.insert(id, why);
                    }
                }
            }
        }
        self.tell_cut(&cut);
    }

    /// Hosts a log that is open, in the place of the replica that it was of before, if any; and tells what the log lacks of
    /// what was committed.
    fn host(&self, ready: Ready, image: &Image, outcome: &mut Outcome) -> (Option<Arc<Partition>>, Option<Cut>) {
        let Ready { id, name, opened, part, care } = ready;
        let Some(queue) = self.threads.queue_of(opened.directory, &id) else {
            tracing::error!(partition = %name, directory = %opened.directory, "the directory has no log thread");
            return (None, None);
        };
        let (start, end) = (opened.reader.log_start_offset(), opened.reader.log_end_offset());
        let hosted = self.partitions.get(&id);
        let noted = match &hosted {
            Some(hosted) => hosted.high_watermark(),
            None => self.store.high_watermark(&name).unwrap_or(0),
        };
        let cut = (noted > end).then(|| (name.clone(), end, (noted - end).unsigned_abs()));
        let Part { role, .. } = part;
        // Under the minimum nothing is committed, alone or not; nor without a lease, where somebody else could lead by now: then
        // the actor commits it once there is one.
        let commits_all =
            role.leads && role.is_alone_in_sync() && role.check_in_sync().is_ok() && self.mandate.check(&role).is_ok();
        let is_fsynced = part.sight.as_ref().is_some_and(|sight| sight.view.fsync);
        let committed = if commits_all && is_fsynced {
            // The rest is committed once it is fsynced.
            opened.reader.recovery_point().max(noted).clamp(start, end)
        } else if commits_all {
            // A sole replica in sync has committed whatever its log holds.
            end
        } else {
            // What the checkpoint says was committed is; a log that lost its tail may end before it.
            noted.clamp(start, end)
        };
        let follower = Role { leads: false, ..role };
        let partition = Partition::new(id, name, opened.directory, opened.reader, follower, committed, queue);
        let partition = Arc::new(partition);
        partition.take_care(care);
        self.set_throttled(&partition, image);
        if commits_all {
            partition.begin_to_lead(role.leader_epoch, end);
        }
        partition.post(Job::Open(Box::new(opened.writer)));
        assume(&partition, part);
        if let Some(assignment) = image.partition(id.topic_id, id.partition) {
            self.note_placement(assignment, id, opened.directory, outcome);
        }
        self.partitions.insert(Arc::clone(&partition));
        (Some(partition), cut)
    }

    /// Opens the log of a replica anew, wherever it lies by now, and gives it with its settings; remembers in `unopened` why
    /// that did not go well. Whoever calls this has the log in transit. Blocks.
    pub(crate) fn open_again(&self, replica: &Partition, unopened: &mut Unopened) -> Option<(OpenedLog, LogConfig)> {
        let (id, name) = (replica.id(), replica.name());
        let config = self.log_config_of(id.topic_id);
        let log = OpenLog { partition: id, topic: name.topic.clone(), config: config.clone(), directory: None };
        let before = unopened.remove(&id);
        match self.store.open_log(log, now_ms()) {
            Ok(opened) => Some((opened, config)),
            Err(error) => {
                unopened.extend(self.not_opened(name, &error, before.as_ref()).map(|why| (id, why)));
                None
            }
        }
    }

    /// Hosts a log that was opened anew, with these settings, in the place of the replica that it was of; says whether
    /// `image`, the one that was acted upon last, still gives it a place. `hosting` is locked.
    pub(crate) fn host_again(
        &self,
        image: &Image,
        replica: &Partition,
        opened: OpenedLog,
        opened_with: &LogConfig,
    ) -> bool {
        let (id, name) = (replica.id(), replica.name().clone());
        let Some((topic, assignment)) = image.topic(id.topic_id).zip(image.partition(id.topic_id, id.partition)) else {
            return false;
        };
        let settings = image.topic_settings(topic.id(), self.id(), &self.options.statics);
        let config = log_config(&settings, self.producer_id_expiration_ms(image));
        let part = self.part(image, id, assignment, &settings);
        let ready = Ready { id, name, opened, part, care: Care::of(&config) };
        let mut outcome = Outcome::default();
        let (hosted, cut) = self.host(ready, image, &mut outcome);
        self.tell_cut(cut.as_slice());
        self.placements.note(outcome.placements);
        if let Some(hosted) = &hosted
            && config != *opened_with
        {
            hosted.post(Job::Configure(Box::new(config)));
        }
        hosted.is_some()
    }

    /// The settings that a topic's logs have here.
    pub(crate) fn log_config_of(&self, topic: TopicId) -> LogConfig {
        let image = self.image();
        let settings = image.topic_settings(topic, self.id(), &self.options.statics);
        log_config(&settings, self.producer_id_expiration_ms(&image))
    }

    fn set_throttled(&self, partition: &Partition, image: &Image) {
        let id = partition.id();
        let resolver = Resolver::new(image.state(), Some(self.id()), &self.options.statics);
        let is_listed_in = |name| {
            let list = topic_config(name).and_then(|def| resolver.topic_config(id.topic_id, def).value);
            list.is_some_and(|list| is_listed(&list, id.partition, self.id()))
        };
        let was_throttled = partition.is_throttled_as_follower();
        partition.set_throttled(
            is_listed_in("leader.replication.throttled.replicas"),
            is_listed_in("follower.replication.throttled.replicas"),
        );
        if was_throttled && !partition.is_throttled_as_follower() {
            self.replication.leaders.let_go(id);
        }
    }

    /// Takes note of a log that was not opened; gives the reason if it is to be tried again. Each reason is logged once.
    fn not_opened(&self, name: &TopicPartition, error: &OpenError, before: Option<&String>) -> Option<String> {
        match error {
            // It was told when the directory failed, and nothing but a new start leads on from there.
            OpenError::DirectoryOffline => None,
            // The controller decides what becomes of the replica, and says so in another image.
            OpenError::UnknownDirectory(directory) => {
                self.directories.complain_of_missing(*directory);
                None
            }
            error => {
                let why = error.to_string();
                if before != Some(&why) {
                    tracing::error!(partition = %name, %error, "the log could not be opened; trying again from time to time");
                }
                Some(why)
            }
        }
    }

    fn note_placement(
        &self,
        assignment: &Assignment,
        id: TopicIdPartition,
        directory: DirectoryId,
        outcome: &mut Outcome,
    ) {
        if assignment.directory_of(self.id()) != Some(directory) {
            outcome.placements.push(ReplicaDirectory { topic: id.topic_id, partition: id.partition, directory });
        }
    }

    fn producer_id_expiration_ms(&self, image: &Image) -> i64 {
        Resolver::new(image.state(), Some(self.id()), &self.options.statics)
            .broker_long("producer.id.expiration.ms")
            .unwrap_or(DEFAULT_PRODUCER_ID_EXPIRATION_MS)
    }

    /// Sets aside the logs in the data directories that `image`, which must be current, does not assign to this broker.
    pub(crate) fn mark_strays(&self, image: &Image) {
        let now_ms = now_ms();
        for found in self.store.partitions() {
            let index = found.partition.partition;
            let assigned = found.topic_id.and_then(|id| image.partition(id, index));
            if found.is_open || assigned.is_some_and(|assigned| assigned.has_replica(self.id())) {
                continue;
            }
            match self.store.mark_stray(&found.partition, now_ms) {
                Ok(()) => {
                    tracing::warn!(partition = %found.partition, "log set aside: it is not assigned to this broker");
                }
                Err(error) => {
                    tracing::error!(partition = %found.partition, %error, "a stray log could not be set aside");
                }
            }
        }
    }

    /// Resolves once every replica has taken the part that the metadata has given it by now.
    pub(crate) async fn parts_taken(&self) {
        let partitions = self.partitions.all();
        let (gather, slots) = Gather::new(vec![None; partitions.len()], || ());
        for (partition, slot) in partitions.iter().zip(slots) {
            partition.post(Job::Reach(slot));
        }
        (&gather).await;
    }

    /// Closes every log, so that it opens without recovery. Says whether all went well. Blocks.
    pub(crate) fn close_all(&self) -> bool {
        let ending = |partition: &Partition| match partition.health() {
            Health::Good => Job::Close,
            // There is nowhere to write what would make it clean.
            Health::Moving | Health::Closed | Health::Failed | Health::Gone => Job::Abandon,
        };
        // A log that changes places just now is closed where it is then.
        let _hosting = self.settle_hosting();
        let partitions = self.partitions.all();
        let ended = end_all(&partitions, ending);
        ended && partitions.iter().all(|partition| partition.health() == Health::Good)
    }
}

/// Gives a replica its part. The job goes first: what is let in under the new role stands behind it in the mailbox.
fn assume(partition: &Arc<Partition>, part: Part) {
    let Part { role, sight } = part;
    if let Some(sight) = sight {
        partition.see(sight);
    }
    if partition.role() != role {
        partition.take_role(role);
    }
}

/// Posts each replica its last job and waits for all. Says whether all went well.
fn end_all(partitions: &[Arc<Partition>], last: impl Fn(&Partition) -> fn(Slot<bool>) -> Job) -> bool {
    let (gather, slots) = Gather::new(vec![None; partitions.len()], || false);
    for (partition, slot) in partitions.iter().zip(slots) {
        partition.post(last(partition)(slot));
    }
    gather.wait();
    gather.give_up(|| false).into_iter().all(|ended| ended)
}
