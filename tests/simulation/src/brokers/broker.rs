//! What a broker is, whether it runs or not.

use levada_log::{DirectoryState, LogStore};
use levada_metadata::{Image, LevelRange, NewBroker};
use levada_types::{BrokerEpoch, BrokerId, DirectoryId};
use uuid::Uuid;

use super::hosted::Hosted;
use super::volumes::Volumes;
use crate::look::Holding;

pub(crate) struct Broker {
    pub(crate) id: BrokerId,
    pub(crate) volumes: Volumes,
    /// Counts power losses: what was written and not flushed survives a process, not a boot.
    boot: u64,
    pub(crate) up: bool,
    /// Counts starts; what was planned in an earlier life does not happen.
    pub(crate) life: u64,
    /// It has been told to stop, and waits until it leads nothing.
    pub(crate) is_stopping: bool,
    pub(crate) incarnation: Uuid,
    /// Its registration, once its image shows it.
    pub(crate) epoch: Option<BrokerEpoch>,
    /// The registration under which it first opened a replica.
    pub(crate) first_epoch: Option<BrokerEpoch>,
    /// The last registration that it had.
    pub(crate) last_epoch: BrokerEpoch,
    pub(crate) store: Option<LogStore>,
    pub(crate) image: Image,
    pub(crate) hosted: Option<Hosted>,
    /// How many replicas this process has opened.
    pub(crate) opened: u64,
    pub(crate) pace: Pace,
    /// Until when it may vouch for what it leads, by its clock, once the controllers have said so.
    pub(crate) mandate_until_ms: Option<i64>,
    /// Its machine has booted since it stopped cleanly, and it has not registered since.
    pub(crate) has_booted: bool,
    /// It has lost bytes since it registered last, and the controllers cannot know yet.
    pub(crate) lost: bool,
    /// It had lost bytes when it registered, and was not in sync since.
    pub(crate) damaged: bool,
    /// The directory of its replica has failed, and it was not in sync since: nobody can tell what is left there.
    pub(crate) unproven: bool,
    /// It has not followed anybody who was elected although incomplete, since that happened.
    pub(crate) is_of_the_past: bool,
    /// What is on its disks, as last read.
    pub(crate) holding: Holding,
    /// The log has changed since it was read.
    pub(crate) is_news: bool,
}

/// How long a disk takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    Usual,
    Slow,
    StandsStill,
}

impl Broker {
    pub(crate) fn new(id: BrokerId, directories: usize) -> Self {
        Self {
            id,
            volumes: Volumes::new(directories),
            boot: 0,
            up: false,
            life: 0,
            is_stopping: false,
            incarnation: Uuid::nil(),
            epoch: None,
            first_epoch: None,
            last_epoch: BrokerEpoch(-1),
            store: None,
            image: Image::new(),
            hosted: None,
            opened: 0,
            pace: Pace::Usual,
            mandate_until_ms: None,
            has_booted: false,
            lost: false,
            damaged: false,
            unproven: false,
            is_of_the_past: false,
            holding: Holding::default(),
            is_news: false,
        }
    }

    /// The process ends in the middle of whatever it does; with `power`, the machine does.
    pub(crate) fn crash(&mut self, power: Option<u64>) {
        self.end();
        self.volumes.crash(power);
        // Whoever opens a log that was closed takes the sign of that away: if it ends before it has registered, nobody can tell.
        self.lost |= self.has_booted;
        if power.is_some() {
            self.boot += 1;
            self.lost = true;
        }
    }

    /// The machine boots after a clean stop, with nothing left that was not synced, but for a directory that had failed: that
    /// one could not be closed.
    pub(crate) fn boot(&mut self, seed: u64) {
        self.volumes.crash(Some(seed));
        self.boot += 1;
        self.has_booted = true;
        self.lost |= self.unproven;
    }

    /// An empty disk takes the place of one, while the process is down.
    pub(crate) fn lose_disk(&mut self, index: usize) {
        self.volumes.replace(index);
        self.lost = true;
    }

    pub(super) fn end(&mut self) {
        self.up = false;
        (self.hosted, self.store, self.epoch, self.mandate_until_ms) = (None, None, None, None);
        self.is_stopping = false;
    }

    /// A topic is created, of which nothing can have been lost yet; but a loss of which the controllers, which know this
    /// boot, hear only when it registers again, is then one of this topic too, as far as they can tell.
    pub(crate) fn meet_new_topic(&mut self, known_boot: Option<&str>) {
        self.damaged &= known_boot != Some(self.boot_id().as_str());
        self.unproven = false;
        self.is_of_the_past = false;
        self.holding = Holding::default();
    }

    /// The directories that are online, and whether any is not.
    pub(super) fn online(&self) -> (Vec<DirectoryId>, bool) {
        let directories = self.store.as_ref().map(LogStore::directories).unwrap_or_default();
        let is_offline = |state| state == DirectoryState::Offline;
        let online = directories.iter().filter(|directory| !is_offline(directory.state)).filter_map(|d| d.id);
        (online.collect(), directories.iter().any(|directory| is_offline(directory.state)))
    }

    pub(crate) fn has_failed_directory(&self) -> bool {
        self.online().1
    }

    fn boot_id(&self) -> String {
        format!("boot-{}", self.boot)
    }

    pub(super) fn registration(&self) -> NewBroker {
        let (directories, has_offline_directory) = self.online();
        let closed = self.store.iter().flat_map(LogStore::closed_directories);
        NewBroker {
            id: self.id,
            cluster_id: None,
            incarnation: self.incarnation,
            replaces: self.image.broker(self.id).map(|known| known.epoch),
            boot_id: Some(self.boot_id()),
            clean_shutdown_epoch: self.store.as_ref().and_then(LogStore::clean_shutdown_epoch).map(BrokerEpoch),
            closed_directories: closed.map(|(id, epoch)| (id, BrokerEpoch(epoch))).collect(),
            directories,
            has_offline_directory,
            has_lost_bytes: false,
            endpoints: Vec::new(),
            internal_address: String::new(),
            rack: None,
            levels: LevelRange::SUPPORTED,
        }
    }
}
