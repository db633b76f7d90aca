//! Keeps the page of groups fresh.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use levada_coordinator::Shards;
use levada_groups::Groups;
use levada_peers::{LagClient, MetadataWatch};
use levada_service::shutdown::CancellationToken;
use levada_service::telemetry::MetricsPage;
use levada_shard::machine::Standing;
use levada_types::{PartitionIndex, TimestampMs};
use tokio::task::JoinError;
use tokio::time::MissedTickBehavior;

use super::page;
use super::survey::Survey;

/// How long the leader of a partition may take; one that hangs costs its own partitions.
const LEADER_TIMEOUT: Duration = Duration::from_secs(3);

/// The shortest pause between two rounds, also where shards leave one after the other.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// Asks shards and leaders, and tells what comes of it.
pub(crate) struct Refresher {
    /// The shards of this process.
    pub(crate) shards: Shards<Groups>,
    /// The metadata.
    pub(crate) metadata: MetadataWatch,
    /// The way to the leaders.
    pub(crate) leaders: LagClient,
    /// Where it is told.
    pub(crate) page: MetricsPage,
    /// The pause between two rounds.
    pub(crate) interval: Duration,
    /// Partitions of groups that are told of one by one.
    pub(crate) max_partitions: usize,
}

impl Refresher {
    /// Goes on until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        stop.run_until_cancelled(self.refresh_forever()).await;
        self.page.clear();
    }

    async fn refresh_forever(&self) {
        let mut ticks = tokio::time::interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = BTreeSet::new();
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.left(&told) => {}
            }
            match self.refresh().await {
                Ok(shards) => told = shards,
                // The process is ending, or a defect that was told; the page says nothing rather than something old.
                Err(_) => self.page.clear(),
            }
            tokio::time::sleep(SHORTEST_PAUSE.min(self.interval)).await;
        }
    }

    /// Resolves when one of the shards is not here any more: another process tells of it.
    async fn left(&self, told: &BTreeSet<PartitionIndex>) {
        let mut acted_upon = self.shards.acted_upon();
        loop {
            // One that loads serves again soon, and its figures stay as they are meanwhile.
            let is_here = |standing| matches!(standing, Standing::Serving(_) | Standing::Loading);
            let here = self.shards.standings().into_iter().filter(|(_, standing)| is_here(*standing));
            let here: BTreeSet<_> = here.map(|(shard, _)| shard).collect();
            if !told.is_subset(&here) {
                return;
            }
            if acted_upon.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// One round; returns the shards that are told of. What takes long with many groups is done beside the async workers.
    async fn refresh(&self) -> Result<BTreeSet<PartitionIndex>, JoinError> {
        let (mut told, mut seen) = (BTreeSet::new(), Vec::new());
        for (shard, _) in self.shards.standings() {
            if let Some(groups) = self.shards.look(shard).await {
                told.insert(shard);
                seen.push(groups);
            }
        }
        let image = self.metadata.image();
        let survey = Survey::new(seen, image.clone());
        let (survey, asked) = tokio::task::spawn_blocking(move || {
            let ends = survey.ends();
            (survey, ends)
        })
        .await?;
        let answers = self.leaders.describe(&image, &asked, LEADER_TIMEOUT).await;
        let max = self.max_partitions;
        let mut findings = tokio::task::spawn_blocking(move || {
            let ends = asked.iter().zip(answers).filter_map(|(asked, told)| Some((asked.partition, told.ok()?)));
            survey.findings(&ends.collect::<HashMap<_, _>>(), max)
        })
        .await?;
        let looked_at = self.leaders.describe(&image, &findings.places(), LEADER_TIMEOUT).await;
        let page = self.page.clone();
        tokio::task::spawn_blocking(move || {
            findings.take_in(looked_at);
            page.replace(|| page::record(&findings, now_ms()));
        })
        .await?;
        Ok(told)
    }
}

fn now_ms() -> TimestampMs {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimestampMs::try_from(since_epoch.as_millis()).unwrap_or(TimestampMs::MAX)
}
