//! What a shard hears from the leader of its partition.

use bytes::Bytes;
use levada_proto::internal as pb;
use levada_shard::AppendSession;
use levada_types::ErrorCode;

use levada_shard::machine::{Event, Opened, Outcome, RefusalReason};

/// What a shard hears from the leader, of one attempt.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) attempt: u64,
    pub(crate) what: What,
}

#[derive(Debug)]
pub(crate) enum What {
    Opened(Opened),
    Read(Bytes),
    ReadEnded,
    Outcome { number: u64, outcome: Outcome },
    Lost,
}

impl Heard {
    /// The attempt has come to nothing.
    pub(crate) fn lost(attempt: u64) -> Self {
        Self { attempt, what: What::Lost }
    }

    /// The session, if this is its opening.
    pub(crate) fn opened(&self) -> Option<AppendSession> {
        match &self.what {
            What::Opened(opened) => Some(opened.session),
            _ => None,
        }
    }

    pub(crate) fn into_event<Q>(self) -> Event<Q> {
        let attempt = self.attempt;
        match self.what {
            What::Opened(opened) => Event::Opened { attempt, opened },
            What::Read(records) => Event::Read { attempt, records },
            What::ReadEnded => Event::ReadEnded { attempt },
            What::Outcome { number, outcome } => Event::Outcome { attempt, number, outcome },
            What::Lost => Event::Lost { attempt },
        }
    }
}

pub(super) fn read_opened(opened: &pb::ShardOpened) -> Opened {
    Opened::new(AppendSession(opened.session), opened.log_start, opened.log_end)
}

/// What became of an append. What cannot be read is nothing that can be relied upon.
pub(super) fn read_outcome(appended: &pb::ShardAppended) -> Outcome {
    use pb::shard_appended::Outcome as Told;
    match &appended.outcome {
        Some(Told::Committed(offset)) => Outcome::Committed(*offset),
        Some(Told::Refused(refusal)) => {
            let code = i16::try_from(refusal.code).ok().and_then(ErrorCode::from_code);
            let code = code.unwrap_or(ErrorCode::UnknownServerError);
            match refusal.reason() {
                pb::ShardRefusalReason::Session => Outcome::Refused(RefusalReason::Session, code),
                pb::ShardRefusalReason::Offset => Outcome::Refused(RefusalReason::Offset, code),
                pb::ShardRefusalReason::NotTaken => Outcome::Refused(RefusalReason::NotTaken, code),
                pb::ShardRefusalReason::Unspecified => Outcome::Unknown,
            }
        }
        Some(Told::Unknown(_)) | None => Outcome::Unknown,
    }
}
