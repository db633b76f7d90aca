//! How a cleaning is held back, called off, and given its place.

use std::ops::ControlFlow;
use std::sync::Arc;

use levada_log::{CleanError, CleanedSegment, CleaningSnapshot, Guide, LogError};
use levada_types::LeaderEpoch;

use super::cleaners::Stop;
use crate::Broker;
use crate::clock::uptime_ms;
use crate::partition::{Health, Partition};
use crate::threads::{Gather, Job, Swap};

/// The guide of the cleaning of one log.
pub(super) struct Attendant<'a> {
    broker: &'a Broker,
    partition: &'a Arc<Partition>,
    stop: &'a Stop,
    /// The leader epoch when it began.
    epoch: LeaderEpoch,
}

impl<'a> Attendant<'a> {
    pub(super) fn new(broker: &'a Broker, partition: &'a Arc<Partition>, stop: &'a Stop) -> Self {
        Self { broker, partition, stop, epoch: partition.role().leader_epoch }
    }

    /// The log as its actor has it; `None` if that has ended.
    pub(super) fn begin(&self) -> Option<CleaningSnapshot> {
        let (gather, mut slots) = Gather::new(vec![None], || None);
        let answer = slots.pop()?;
        self.partition.post(Job::BeginCleaning(answer));
        gather.wait();
        gather.give_up(|| None).pop().flatten()
    }

    fn is_off(&self) -> bool {
        // After a change of leaders the log may be cut: who follows then waits for that.
        self.stop.is_asked()
            || self.partition.health() != Health::Good
            || !self.partition.is_compacted()
            || self.partition.role().leader_epoch != self.epoch
    }
}

impl Guide for Attendant<'_> {
    fn spend(&mut self, bytes: u64) -> ControlFlow<()> {
        let throttle = &self.broker.replication.throttles.cleaner;
        throttle.spend(usize::try_from(bytes).unwrap_or(usize::MAX), uptime_ms());
        loop {
            if self.is_off() {
                return ControlFlow::Break(());
            }
            let pause = throttle.pause(uptime_ms());
            if pause.is_zero() {
                return ControlFlow::Continue(());
            }
            self.stop.sleep(pause);
        }
    }

    fn swap(&mut self, cleaned: CleanedSegment) -> Result<(), CleanError> {
        if self.is_off() {
            return Err(CleanError::CalledOff);
        }
        // An actor that has ended answers through the slot.
        let (gather, mut slots) = Gather::new(vec![None], || Ok(false));
        if let Some(answer) = slots.pop() {
            self.partition.post(Job::Swap(Box::new(Swap { cleaned, answer })));
        }
        gather.wait();
        let swapped: Option<Result<bool, LogError>> = gather.give_up(|| Ok(false)).pop();
        if swapped.unwrap_or(Ok(false))? { Ok(()) } else { Err(CleanError::Changed) }
    }
}
