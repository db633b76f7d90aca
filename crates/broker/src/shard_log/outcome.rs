//! What becomes of what an owner asks.

use levada_proto::internal as pb;
use levada_shard::AppendSession;
use levada_types::{ErrorCode, Offset};

/// An append session is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OpenedSession {
    pub(crate) session: AppendSession,
    pub(crate) log_start: Offset,
    /// Nothing that was sent earlier comes to lie above it.
    pub(crate) log_end: Offset,
}

/// What has become of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AppendOutcome {
    /// Every in-sync replica has it; the offset of its first record.
    Committed(Offset),
    /// Nothing was appended.
    Refused {
        /// Why, as far as it matters to the owner.
        reason: RefusalReason,
        /// Why, for whoever reads the owner's log.
        code: ErrorCode,
    },
    /// It may be in the log.
    Unknown(ErrorCode),
}

/// Why nothing was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefusalReason {
    /// There is a newer session, or this replica does not lead under the session's epoch.
    Session,
    /// The log ends elsewhere.
    Offset,
    /// The log does not take this batch, as things are.
    NotTaken,
}

impl From<OpenedSession> for pb::ShardAppendResponse {
    fn from(opened: OpenedSession) -> Self {
        let OpenedSession { session, log_start, log_end } = opened;
        let opened = pb::ShardOpened { session: session.0, log_start, log_end };
        Self { kind: Some(pb::shard_append_response::Kind::Opened(opened)) }
    }
}

impl From<AppendOutcome> for pb::ShardAppendResponse {
    fn from(outcome: AppendOutcome) -> Self {
        use pb::shard_appended::Outcome;
        let outcome = match outcome {
            AppendOutcome::Committed(offset) => Outcome::Committed(offset),
            AppendOutcome::Unknown(code) => Outcome::Unknown(code.code().into()),
            AppendOutcome::Refused { reason, code } => {
                let reason = match reason {
                    RefusalReason::Session => pb::ShardRefusalReason::Session,
                    RefusalReason::Offset => pb::ShardRefusalReason::Offset,
                    RefusalReason::NotTaken => pb::ShardRefusalReason::NotTaken,
                };
                Outcome::Refused(pb::ShardRefusal { reason: reason.into(), code: code.code().into() })
            }
        };
        let appended = pb::ShardAppended { outcome: Some(outcome) };
        Self { kind: Some(pb::shard_append_response::Kind::Appended(appended)) }
    }
}
