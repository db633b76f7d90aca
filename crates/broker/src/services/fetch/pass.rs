//! One pass of a fetch over its partitions (KIP-74).

use std::sync::Arc;

use levada_log::ReadError;
use levada_types::{BrokerId, ErrorCode, Isolation, LeaderEpoch, Offset};

use super::super::epoch_ends::epoch_end;
use crate::api::{AbortedTransaction, EpochEnd, FetchPartition, FetchedPartition, PartitionError};
use crate::partition::{Health, Partition, Role};

/// What a fetch reads, and within which bounds.
pub(super) struct Reading {
    shared: Arc<Bounds>,
}

/// A partition to read, and its replica here if there is one that can be read.
pub(super) type Target = (FetchPartition, Result<Arc<Partition>, PartitionError>);

/// What a fetch asks for.
pub(super) struct Bounds {
    pub(super) targets: Vec<Target>,
    /// For each target, the follower that the reader is to turn to (KIP-392).
    pub(super) better: Vec<Option<BrokerId>>,
    pub(super) isolation: Isolation,
    /// Whether a replica that does not lead is read too.
    pub(super) from_followers: bool,
    pub(super) max_bytes: u32,
    pub(super) min_bytes: u32,
}

/// What one pass has found.
pub(super) struct Pass {
    answers: Vec<FetchedPartition>,
    bytes: u64,
    /// The client has to know at once: an error, a divergence, or there is more than fits the limits.
    urgent: bool,
}

/// What was found in one partition.
struct Found {
    answer: FetchedPartition,
    /// Whether there is more to read there than was read.
    more: bool,
}

impl Reading {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { shared: Arc::new(bounds) }
    }

    /// The partitions that can be read at all.
    pub(super) fn partitions(&self) -> impl Iterator<Item = &Arc<Partition>> {
        self.shared.targets.iter().filter_map(|(_, partition)| partition.as_ref().ok())
    }

    /// Reads every partition once. Looking up an offset in an older segment may wait for the device, so a pass that
    /// needs it runs on the blocking pool.
    pub(super) async fn pass(&mut self) -> Pass {
        if !self.shared.may_block() {
            return self.shared.pass();
        }
        let bounds = Arc::clone(&self.shared);
        match tokio::task::spawn_blocking(move || bounds.pass()).await {
            Ok(pass) => pass,
            // The read met a defect, or the process ends.
            Err(_) => self.shared.refused(ErrorCode::UnknownServerError),
        }
    }
}

impl Bounds {
    fn may_block(&self) -> bool {
        self.targets.iter().any(|(asked, partition)| {
            partition.as_ref().is_ok_and(|partition| {
                asked.offset < partition.high_watermark() && !partition.reader().is_in_active_segment(asked.offset)
            })
        })
    }

    fn pass(&self) -> Pass {
        let mut pass = Pass { answers: Vec::with_capacity(self.targets.len()), bytes: 0, urgent: false };
        let mut room = self.max_bytes;
        for ((asked, partition), better) in self.targets.iter().zip(&self.better) {
            let read = match partition {
                Ok(partition) => {
                    // The first batch found is returned whole whatever the limits, so that a reader always gets on.
                    let first = pass.bytes == 0;
                    self.read(partition, asked, *better, asked.max_bytes.min(room), first)
                }
                Err(error) => Err(error.clone()),
            };
            let Found { answer, more } = read.unwrap_or_else(|error| {
                let answer = refusal(asked, partition.as_ref().ok(), &error);
                Found { answer, more: false }
            });
            let found = answer.records.as_ref().map_or(0, levada_log::Slice::len);
            pass.bytes += found as u64;
            room = room.saturating_sub(u32::try_from(found).unwrap_or(u32::MAX));
            let turns = answer.preferred_read_replica.is_some();
            pass.urgent |= more || turns || !answer.error.is_none() || answer.diverging.is_some();
            pass.answers.push(answer);
        }
        pass
    }

    fn refused(&self, code: ErrorCode) -> Pass {
        let answers = self.targets.iter().map(|(asked, _)| refusal(asked, None, &code.into())).collect();
        Pass { answers, bytes: 0, urgent: true }
    }
}

impl Pass {
    /// Whether the client is to be answered with this.
    pub(super) fn is_enough(&self, reading: &Reading) -> bool {
        self.urgent || self.answers.is_empty() || self.bytes >= u64::from(reading.shared.min_bytes)
    }

    /// Bytes that are missing.
    pub(super) fn lacking(&self, reading: &Reading) -> u64 {
        u64::from(reading.shared.min_bytes).saturating_sub(self.bytes)
    }

    /// Whether a partition has changed since it was read.
    pub(super) fn is_outdated(&self, reading: &Reading) -> bool {
        let isolation = reading.shared.isolation;
        reading.shared.targets.iter().zip(&self.answers).any(|((asked, partition), answer)| match partition {
            Ok(partition) => {
                partition.health() != Health::Good
                    || reading.shared.check_role(&partition.role(), asked).is_err()
                    || partition.visible_end(isolation) != visible_end(answer, isolation)
            }
            Err(_) => false,
        })
    }

    /// What the client is told. A reader that is ahead of what a follower knows to be committed is told so, unless that
    /// has changed by now (KIP-392).
    pub(super) fn into_answers(self, reading: &Reading) -> Vec<FetchedPartition> {
        let mut answers = self.answers;
        for ((asked, partition), answer) in reading.shared.targets.iter().zip(&mut answers) {
            let is_ahead = answer.error.is_none() && asked.offset > answer.high_watermark;
            if is_ahead
                && let Ok(partition) = partition
                && !partition.role().leads
            {
                *answer = refusal(asked, Some(partition), &ErrorCode::OffsetNotAvailable.into());
            }
        }
        answers
    }
}

fn visible_end(answer: &FetchedPartition, isolation: Isolation) -> Offset {
    match isolation {
        Isolation::ReadUncommitted => answer.high_watermark,
        Isolation::ReadCommitted => answer.last_stable_offset,
    }
}

impl Bounds {
    fn check_role(&self, role: &Role, asked: &FetchPartition) -> Result<(), PartitionError> {
        if self.from_followers {
            role.check_epoch(asked.current_leader_epoch)
        } else {
            role.check_leads(asked.current_leader_epoch)
        }
    }

    fn read(
        &self,
        partition: &Partition,
        asked: &FetchPartition,
        better: Option<BrokerId>,
        max_bytes: u32,
        first: bool,
    ) -> Result<Found, PartitionError> {
        partition.check_usable()?;
        let role = partition.role();
        self.check_role(&role, asked)?;
        let (reader, isolation) = (partition.reader(), self.isolation);
        let mut answer = FetchedPartition {
            partition: asked.partition,
            error: ErrorCode::None,
            high_watermark: partition.high_watermark(),
            last_stable_offset: partition.last_stable_offset(),
            log_start_offset: reader.log_start_offset(),
            diverging: None,
            leader: None,
            preferred_read_replica: better.filter(|_| role.leads),
            aborted: Vec::new(),
            records: None,
        };
        if answer.preferred_read_replica.is_some() {
            return Ok(Found { answer, more: false });
        }
        let (start, end) = (answer.log_start_offset, reader.log_end_offset());
        // How far the log goes is the leader's to say: what a follower lacks is on its way perhaps.
        if asked.offset < start || (asked.offset > end && role.leads) {
            let message = format!("offset {} is outside [{start}, {end}]", asked.offset);
            return Err(PartitionError::new(ErrorCode::OffsetOutOfRange, message));
        }
        // What a follower holds beyond what it knows to be committed, or does not hold yet, says nothing about a reader.
        let is_settled = role.leads || asked.offset <= answer.high_watermark;
        if let Some(epoch) = asked.last_fetched_epoch.filter(|_| is_settled) {
            answer.diverging = divergence(partition, epoch, asked.offset)?;
            if answer.diverging.is_some() {
                return Ok(Found { answer, more: false });
            }
        }
        let visible_end = visible_end(&answer, isolation);
        if asked.offset >= visible_end || (max_bytes == 0 && !first) {
            return Ok(Found { more: asked.offset < visible_end, answer });
        }
        let failed = |error: ReadError| {
            if matches!(error, ReadError::DirectoryOffline) {
                partition.turn(Health::Failed);
            }
            PartitionError::new(error.code(), error.to_string())
        };
        let found = reader.read_records(asked.offset, max_bytes as usize, visible_end, first).map_err(failed)?;
        let more = found.next_offset < visible_end;
        if found.slice.is_empty() {
            return Ok(Found { answer, more });
        }
        if isolation == Isolation::ReadCommitted {
            let aborted = reader.aborted_transactions(asked.offset, found.next_offset).map_err(failed)?;
            let told = |one: levada_log::AbortedTransaction| AbortedTransaction {
                producer_id: one.producer_id,
                first_offset: one.first_offset,
            };
            answer.aborted = aborted.into_iter().map(told).collect();
        }
        answer.records = Some(found.slice);
        Ok(Found { answer, more })
    }
}

/// Where the client's log, whose last record is of `epoch` and which ends at `offset`, parts from this one (KIP-595).
fn divergence(partition: &Partition, epoch: LeaderEpoch, offset: Offset) -> Result<Option<EpochEnd>, PartitionError> {
    let Some(end) = epoch_end(partition, epoch) else {
        let message = format!("nothing is known here of leader epoch {epoch} or an earlier one");
        return Err(PartitionError::new(ErrorCode::OffsetOutOfRange, message));
    };
    Ok((end.epoch < epoch || end.end_offset < offset).then_some(end))
}

fn refusal(asked: &FetchPartition, partition: Option<&Arc<Partition>>, error: &PartitionError) -> FetchedPartition {
    // With these the client looks for another offset, and is told between which ones.
    let known = partition.filter(|_| error.code == ErrorCode::OffsetOutOfRange);
    FetchedPartition {
        partition: asked.partition,
        error: error.code,
        high_watermark: known.map_or(-1, |partition| partition.high_watermark()),
        last_stable_offset: known.map_or(-1, |partition| partition.last_stable_offset()),
        log_start_offset: known.map_or(-1, |partition| partition.reader().log_start_offset()),
        diverging: None,
        leader: error.leader,
        preferred_read_replica: None,
        aborted: Vec::new(),
        records: None,
    }
}
