//! What an actor does for the owner of the shard on its partition: append sessions.

use levada_log::{AppendBatch, AppendError, Origin};
use levada_replication::{Event, Replica};
use levada_shard::AppendRefusal;
use levada_types::{ErrorCode, LeaderEpoch};

use super::actor::Actor;
use super::job::{ConfirmSession, OpenSession, SessionAppend};
use super::replica_steps::Baggage;
use super::uncommitted::Waiting;
use crate::api::PartitionError;
use crate::clock::now_ms;
use crate::replication::Sending;
use crate::shard_log::{AppendOutcome, OpenedSession, RefusalReason};
use crate::telemetry::BrokerMetrics;

impl Actor {
    /// Opens an append session. What was sent under an earlier one and waits behind this is refused when its turn comes.
    pub(super) fn open_session(&mut self, open: OpenSession) {
        let OpenSession { leader_epoch, answer } = open;
        let opened = if self.leads == Some(leader_epoch) {
            let session = self.replication.next_append_session();
            self.gate.open(leader_epoch, session);
            let log_start = self.partition.reader().log_start_offset();
            Ok(OpenedSession { session, log_start, log_end: self.writer.log_end_offset() })
        } else {
            Err(self.not_under(leader_epoch))
        };
        // Who has gone will open another one.
        drop(answer.send(opened));
    }

    /// Says whether a session is the newest one, and this replica leads under its epoch as far as it can know.
    pub(super) fn confirm_session(&self, confirm: ConfirmSession) {
        let ConfirmSession { leader_epoch, session, answer } = confirm;
        let leads = self.leads == Some(leader_epoch) && self.replication.mandate.is_current();
        answer.fill(leads && self.gate.is_newest(leader_epoch, session));
    }

    /// Appends a batch of a session, and tells the owner what has become of it, if it still listens. Each has a write of its
    /// own: whether the next one may follow depends on this one.
    pub(super) fn append_in_session(&mut self, append: SessionAppend, metrics: &BrokerMetrics) {
        let SessionAppend { ticket, records, answer, share } = append;
        let refused = |reason, code| {
            metrics.refused_shard_appends.count(reason);
            AppendOutcome::Refused { reason, code }
        };
        if self.leads != Some(ticket.epoch) {
            let code = self.not_under(ticket.epoch).code;
            let _ = answer.send(refused(RefusalReason::Session, code));
            return;
        }
        if let Err(refusal) = self.gate.admit(ticket, self.writer.log_end_offset()) {
            let reason = match refusal {
                AppendRefusal::Session => RefusalReason::Session,
                AppendRefusal::Offset => RefusalReason::Offset,
            };
            let _ = answer.send(refused(reason, ErrorCode::InvalidRequest));
            return;
        }
        if let Some(Err(refusal)) = self.replica.as_ref().map(|replica| Replica::admit(replica, true)) {
            let _ = answer.send(refused(RefusalReason::NotTaken, refusal.code()));
            return;
        }
        let appended = self.writer.append(&[AppendBatch { records }], ticket.epoch, Origin::Coordinator, now_ms());
        drop(share);
        let info = match appended.into_iter().next() {
            Some(Ok(info)) => info,
            Some(Err(error)) => {
                metrics.produce_errors.increment(1);
                self.mind(&error);
                let code = error.code();
                let _ = answer.send(if is_in_doubt(&error) {
                    AppendOutcome::Unknown(code)
                } else {
                    refused(RefusalReason::NotTaken, code)
                });
                return;
            }
            None => {
                let _ = answer.send(AppendOutcome::Unknown(ErrorCode::UnknownServerError));
                return;
            }
        };
        let end = info.last_offset + 1;
        let bytes = info.bytes as u64;
        metrics.bytes_in.increment(bytes);
        metrics.messages_in.increment((end - info.base_offset).unsigned_abs());
        self.feed(Event::Appended { end }, Baggage { gained: bytes, ..Baggage::default() });
        self.sendings.iter().for_each(Sending::wake);
        if end <= self.partition.high_watermark() {
            let _ = answer.send(AppendOutcome::Committed(info.base_offset));
            return;
        }
        self.uncommitted.keep(end, Waiting::Owner(info.base_offset, answer));
        self.feed(Event::Awaited { end }, Baggage::default());
    }

    /// Why nothing is done under `leader_epoch`.
    fn not_under(&self, leader_epoch: LeaderEpoch) -> PartitionError {
        // By the image it may lead under that epoch and not have begun yet.
        self.partition.role().check_leads(Some(leader_epoch)).err().unwrap_or_else(|| self.not_leader())
    }
}

/// Whether what failed may be in the log all the same.
fn is_in_doubt(error: &AppendError) -> bool {
    matches!(error, AppendError::NotFlushed(_) | AppendError::Closed)
}
