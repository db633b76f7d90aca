//! Notices that data directories fail, fill up or have space again.

use std::collections::HashSet;
use std::mem::take;
use std::sync::Arc;
use std::time::Duration;

use levada_log::{DirectoryInfo, DirectoryState, LogStore};
use levada_service::shutdown::CancellationToken;
use levada_types::DirectoryId;
use metrics::gauge;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::Broker;
use crate::clock::now_ms;
use crate::partition::Health;
use crate::reconcile::Unopened;

/// Which data directories can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Those that are online, full ones included.
    pub(crate) online: Vec<DirectoryId>,
    /// Whether one is offline, be it known by its id or not.
    pub(crate) has_offline: bool,
}

impl Standing {
    /// What these directories come to.
    pub(crate) fn of(directories: &[DirectoryInfo]) -> Self {
        let online = directories.iter().filter(|directory| directory.state != DirectoryState::Offline);
        let has_offline = directories.iter().any(|directory| directory.state == DirectoryState::Offline);
        Self { online: online.filter_map(|directory| directory.id).collect(), has_offline }
    }
}

/// What the broker knows of its data directories beside what the store says at any moment.
pub(crate) struct Directories {
    standing: watch::Sender<Standing>,
    /// Woken by whoever meets a change, on whatever thread.
    changed: Arc<Notify>,
    /// Directories that have failed, or that the metadata names and that are not here; each was complained of once.
    complained: Mutex<HashSet<DirectoryId>>,
}

impl Directories {
    /// Of this store, which from now on wakes the watch when a directory changes.
    pub(crate) fn of(store: &LogStore) -> Self {
        let changed = Arc::<Notify>::default();
        let told = Arc::clone(&changed);
        store.on_state_change(move || told.notify_one());
        let standing = watch::Sender::new(Standing::of(&store.directories()));
        Self { standing, changed, complained: Mutex::default() }
    }

    /// Which can be used, and changes of that.
    pub(crate) fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Resolves when no directory is left.
    pub(crate) async fn all_offline(&self) {
        // The sender lives in `self`, so this ends only when it is so.
        let _ = self.standing().wait_for(|standing| standing.online.is_empty()).await;
    }

    /// Says once of a directory that the metadata names it and that it is not here.
    pub(crate) fn complain_of_missing(&self, directory: DirectoryId) {
        if self.complained.lock().insert(directory) {
            tracing::warn!(
                %directory,
                "the metadata places replicas in a data directory that is not here; they wait until it is back or the \
                 controller gives them another"
            );
        }
    }
}

impl Broker {
    /// Asks full directories whether they have space again and the others whether they are still there, gives up the
    /// replicas of failed ones, says which can be used, and opens logs anew that one has closed; `unopened` remembers why some
    /// could not be. Blocks: asking a volume may wait for it.
    pub(crate) fn look_after_directories(self: &Arc<Self>, unopened: &mut Unopened) {
        self.store.probe(now_ms());
        let directories = self.store.directories();
        for directory in &directories {
            tell_state(directory);
            if directory.state == DirectoryState::Offline
                && let Some(id) = directory.id
            {
                self.give_up(id, directory);
            }
        }
        let standing = Standing::of(&directories);
        self.directories.standing.send_if_modified(|known| {
            let changed = *known != standing;
            *known = standing;
            changed
        });
        self.open_closed_logs(unopened);
    }

    /// Ends the use of the replicas in a failed directory. One line tells of all of them.
    fn give_up(&self, id: DirectoryId, directory: &DirectoryInfo) {
        let partitions = self.partitions.all();
        let lost: Vec<_> = partitions.iter().filter(|partition| partition.directory() == id).collect();
        lost.iter().for_each(|partition| partition.turn(Health::Failed));
        if self.directories.complained.lock().insert(id) {
            tracing::error!(
                directory = %directory.path.display(),
                replicas = lost.len(),
                "the replicas in a failed data directory are offline; after it is repaired or replaced, start the broker again"
            );
        }
    }
}

/// Looks after the directories when one of them has changed, and from time to time, until `stop`.
pub(crate) async fn watch_directories(broker: Arc<Broker>, stop: CancellationToken) {
    let every = Duration::from_millis(broker.options.full_probe_interval_ms.max(1));
    let mut unopened = Unopened::new();
    loop {
        let (looking, mut reasons) = (Arc::clone(&broker), take(&mut unopened));
        let looked = tokio::task::spawn_blocking(move || {
            looking.look_after_directories(&mut reasons);
            reasons
        });
        match looked.await {
            Ok(reasons) => unopened = reasons,
            Err(defect) => tracing::error!(%defect, "a defect kept the broker from looking after its data directories"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = broker.directories.changed.notified() => {}
            () = tokio::time::sleep(every) => {}
        }
    }
}

fn tell_state(directory: &DirectoryInfo) {
    let path = directory.path.display().to_string();
    for (state, name) in
        [(DirectoryState::Online, "online"), (DirectoryState::Full, "full"), (DirectoryState::Offline, "offline")]
    {
        let set = if directory.state == state { 1.0 } else { 0.0 };
        gauge!("levada_broker_directory_state", "directory" => path.clone(), "state" => name).set(set);
    }
    gauge!("levada_broker_directory_usable_bytes", "directory" => path).set(directory.usable_bytes as f64);
}
