//! Messages of replication as they travel. What arrives is checked here; whether it fits is for the replica to say.

use bytes::Bytes;
use levada_proto::internal as pb;
use levada_proto::internal::replica_attach_answer::Outcome;
use levada_replication::{Ack, Attach, AttachAnswer, AttachOutcome, AttachRefusal, Frame, Session};
use levada_types::{BrokerEpoch, BrokerId, LeaderEpoch, TopicId, TopicIdPartition};
use uuid::Uuid;

/// A message that no broker of ours sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a replication message has no valid {0}")]
pub(crate) struct Malformed(pub(crate) &'static str);

/// Which attachment of which replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attachment {
    pub(crate) partition: TopicIdPartition,
    pub(crate) leader_epoch: LeaderEpoch,
    pub(crate) session: Session,
}

impl Attachment {
    /// As it travels.
    pub(crate) fn to_message(self) -> pb::ReplicaSession {
        pb::ReplicaSession {
            topic_id: Bytes::copy_from_slice(self.partition.topic_id.0.as_bytes()),
            partition: self.partition.partition,
            leader_epoch: self.leader_epoch.0,
            broker_epoch: self.session.broker_epoch.0,
            counter: self.session.counter,
        }
    }

    /// As it arrived.
    pub(crate) fn read(message: Option<&pb::ReplicaSession>) -> Result<Self, Malformed> {
        let message = message.ok_or(Malformed("session"))?;
        let topic_id = Uuid::from_slice(&message.topic_id).map_err(|_| Malformed("topic id"))?;
        Ok(Self {
            partition: TopicIdPartition { topic_id: TopicId(topic_id), partition: message.partition },
            leader_epoch: LeaderEpoch(message.leader_epoch),
            session: Session { broker_epoch: BrokerEpoch(message.broker_epoch), counter: message.counter },
        })
    }
}

pub(crate) fn attach_to(partition: TopicIdPartition, attach: &Attach, credit: u32) -> pb::ReplicaAttach {
    let Attach { leader_epoch, session, .. } = *attach;
    pb::ReplicaAttach {
        session: Some(Attachment { partition, leader_epoch, session }.to_message()),
        fetch_offset: attach.fetch_offset,
        last_fetched_epoch: attach.last_fetched_epoch.map(|epoch| epoch.0),
        flushed_end: attach.flushed_end,
        log_start: attach.log_start,
        credit,
    }
}

pub(crate) fn attach_from(
    follower: BrokerId,
    message: &pb::ReplicaAttach,
) -> Result<(TopicIdPartition, Attach), Malformed> {
    let Attachment { partition, leader_epoch, session } = Attachment::read(message.session.as_ref())?;
    let attach = Attach {
        follower,
        leader_epoch,
        session,
        fetch_offset: offset(message.fetch_offset, "fetch offset")?,
        last_fetched_epoch: message.last_fetched_epoch.map(LeaderEpoch),
        flushed_end: offset(message.flushed_end, "flushed end")?,
        log_start: offset(message.log_start, "log start")?,
    };
    Ok((partition, attach))
}

/// `withheld` says that more credit waits for a throttle.
pub(crate) fn ack_to(partition: TopicIdPartition, ack: &Ack, credit: u32, withheld: bool) -> pb::ReplicaAck {
    let Ack { leader_epoch, session, .. } = *ack;
    pb::ReplicaAck {
        session: Some(Attachment { partition, leader_epoch, session }.to_message()),
        log_end: ack.log_end,
        flushed_end: ack.flushed_end,
        log_start: ack.log_start,
        credit,
        withheld,
    }
}

pub(crate) fn ack_from(follower: BrokerId, message: &pb::ReplicaAck) -> Result<(TopicIdPartition, Ack), Malformed> {
    let Attachment { partition, leader_epoch, session } = Attachment::read(message.session.as_ref())?;
    let ack = Ack {
        follower,
        leader_epoch,
        session,
        log_end: offset(message.log_end, "log end")?,
        flushed_end: offset(message.flushed_end, "flushed end")?,
        log_start: offset(message.log_start, "log start")?,
    };
    Ok((partition, ack))
}

pub(crate) fn answer_to(partition: TopicIdPartition, answer: &AttachAnswer) -> pb::ReplicaAttachAnswer {
    let AttachAnswer { leader_epoch, session, outcome } = *answer;
    let outcome = match outcome {
        AttachOutcome::Accepted { high_watermark, log_start } => {
            Outcome::Accepted(pb::ReplicaAccepted { high_watermark, log_start })
        }
        AttachOutcome::Diverged { epoch, end_offset } => {
            Outcome::Diverged(pb::ReplicaDiverged { epoch: epoch.0, end_offset })
        }
        AttachOutcome::OutOfRange { log_start } => Outcome::OutOfRange(log_start),
        AttachOutcome::Refused(refusal) => Outcome::Refused(i32::from(refusal.code().code())),
    };
    let session = Some(Attachment { partition, leader_epoch, session }.to_message());
    pb::ReplicaAttachAnswer { session, outcome: Some(outcome) }
}

pub(crate) fn answer_from(message: &pb::ReplicaAttachAnswer) -> Result<(TopicIdPartition, AttachAnswer), Malformed> {
    let Attachment { partition, leader_epoch, session } = Attachment::read(message.session.as_ref())?;
    let outcome = match message.outcome.as_ref().ok_or(Malformed("outcome"))? {
        Outcome::Accepted(accepted) => AttachOutcome::Accepted {
            high_watermark: offset(accepted.high_watermark, "high watermark")?,
            log_start: offset(accepted.log_start, "log start")?,
        },
        Outcome::Diverged(diverged) => AttachOutcome::Diverged {
            epoch: LeaderEpoch(diverged.epoch),
            end_offset: offset(diverged.end_offset, "end offset")?,
        },
        Outcome::OutOfRange(log_start) => AttachOutcome::OutOfRange { log_start: offset(*log_start, "log start")? },
        Outcome::Refused(code) => AttachOutcome::Refused(refusal(*code)),
    };
    Ok((partition, AttachAnswer { leader_epoch, session, outcome }))
}

/// A refusal by its code. One that is not known here means what they all mean: try again later.
fn refusal(code: i32) -> AttachRefusal {
    use AttachRefusal::{FencedLeaderEpoch, NotLeader, NotReplica, StaleBrokerEpoch, StaleSession, UnknownLeaderEpoch};
    let known = [FencedLeaderEpoch, NotLeader, NotReplica, StaleBrokerEpoch, StaleSession, UnknownLeaderEpoch];
    known.into_iter().find(|refusal| i32::from(refusal.code().code()) == code).unwrap_or(NotLeader)
}

pub(crate) fn frame_to(partition: TopicIdPartition, frame: &Frame, records: Bytes) -> pb::ReplicaFrame {
    let Frame { leader_epoch, session, .. } = *frame;
    pb::ReplicaFrame {
        session: Some(Attachment { partition, leader_epoch, session }.to_message()),
        base_offset: frame.base_offset,
        end_offset: frame.end_offset,
        high_watermark: frame.high_watermark,
        log_start: frame.log_start,
        records,
    }
}

pub(crate) fn frame_from(message: &pb::ReplicaFrame) -> Result<(TopicIdPartition, Frame), Malformed> {
    let Attachment { partition, leader_epoch, session } = Attachment::read(message.session.as_ref())?;
    let base_offset = offset(message.base_offset, "base offset")?;
    let frame = Frame {
        leader_epoch,
        session,
        base_offset,
        end_offset: offset(message.end_offset, "end offset")?,
        high_watermark: offset(message.high_watermark, "high watermark")?,
        log_start: offset(message.log_start, "log start")?,
    };
    // Records that go nowhere, or none that go somewhere.
    if (frame.end_offset > base_offset) == message.records.is_empty() {
        return Err(Malformed("end offset"));
    }
    Ok((partition, frame))
}

fn offset(value: i64, what: &'static str) -> Result<i64, Malformed> {
    if value < 0 { Err(Malformed(what)) } else { Ok(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: Session = Session { broker_epoch: BrokerEpoch(7), counter: 9 };
    const EPOCH: LeaderEpoch = LeaderEpoch(3);

    fn partition() -> TopicIdPartition {
        TopicIdPartition { topic_id: TopicId(Uuid::from_u128(5)), partition: 2 }
    }

    #[test]
    fn messages_survive_the_way() {
        let (follower, leader_epoch, session) = (BrokerId(4), EPOCH, SESSION);
        for last_fetched_epoch in [None, Some(LeaderEpoch(2))] {
            let attach = Attach {
                follower,
                leader_epoch,
                session,
                fetch_offset: 10,
                last_fetched_epoch,
                flushed_end: 8,
                log_start: 1,
            };
            assert_eq!(attach_from(follower, &attach_to(partition(), &attach, 6)), Ok((partition(), attach)));
        }
        let ack = Ack { follower, leader_epoch, session, log_end: 11, flushed_end: 9, log_start: 2 };
        assert_eq!(ack_from(follower, &ack_to(partition(), &ack, 0, false)), Ok((partition(), ack)));
        let outcomes = [
            AttachOutcome::Accepted { high_watermark: 5, log_start: 1 },
            AttachOutcome::Diverged { epoch: LeaderEpoch(1), end_offset: 4 },
            AttachOutcome::OutOfRange { log_start: 3 },
            AttachOutcome::Refused(AttachRefusal::StaleSession),
            AttachOutcome::Refused(AttachRefusal::StaleBrokerEpoch),
        ];
        for outcome in outcomes {
            let answer = AttachAnswer { leader_epoch, session, outcome };
            assert_eq!(answer_from(&answer_to(partition(), &answer)), Ok((partition(), answer)));
        }
    }

    #[test]
    fn a_frame_has_records_exactly_if_it_leads_on() {
        let frame = Frame {
            leader_epoch: EPOCH,
            session: SESSION,
            base_offset: 4,
            end_offset: 6,
            high_watermark: 3,
            log_start: 0,
        };
        let read = |frame: &Frame, records| frame_from(&frame_to(partition(), frame, Bytes::from_static(records)));
        assert_eq!(read(&frame, b"records"), Ok((partition(), frame)));
        assert_eq!(read(&frame, b""), Err(Malformed("end offset")));
        let marks = Frame { end_offset: 4, ..frame };
        assert_eq!(read(&marks, b""), Ok((partition(), marks)));
        assert_eq!(read(&marks, b"records"), Err(Malformed("end offset")));
        assert_eq!(read(&Frame { log_start: -1, ..marks }, b""), Err(Malformed("log start")));
    }

    #[test]
    fn an_identity_has_sixteen_bytes() {
        let attachment = Attachment { partition: partition(), leader_epoch: EPOCH, session: SESSION };
        let message = attachment.to_message();
        assert_eq!(Attachment::read(Some(&message)), Ok(attachment));
        let short = pb::ReplicaSession { topic_id: Bytes::from_static(b"short"), ..message };
        assert_eq!(Attachment::read(Some(&short)), Err(Malformed("topic id")));
        assert_eq!(Attachment::read(None), Err(Malformed("session")));
    }
}
