//! A commit that is under way.

use levada_proto::v1;
use levada_types::ErrorCode;
use tokio::sync::oneshot;

use super::held::Key;
use crate::ClientError;

/// What came of a commit.
pub(in super::super) type Committed = Result<(), ClientError>;

/// Sent on the present stream or to be sent, until it is answered. To send it again is harmless: it says the same.
#[derive(Debug)]
pub(super) struct Commit {
    pub(super) offsets: Vec<v1::OffsetToCommit>,
    /// Those of them that the member has.
    pub(super) keys: Vec<Key>,
    pub(super) sent: bool,
    pub(super) waiter: oneshot::Sender<Committed>,
}

impl Commit {
    pub(super) fn answer(self, results: Vec<v1::CommittedOffset>) {
        let failed = results.into_iter().find_map(|result| {
            let error = result.error?;
            Some(ClientError::from_message(v1::Error {
                topic: Some(result.topic),
                partition: Some(result.partition),
                ..error
            }))
        });
        // Whoever asked may have gone.
        let _ = self.waiter.send(failed.map_or(Ok(()), Err));
    }

    pub(super) fn fail(self, error: ClientError) {
        let _ = self.waiter.send(Err(error));
    }
}

/// Why nothing can be committed by a member that was taken out of the group.
pub(super) fn taken_out() -> ClientError {
    ClientError::Broker {
        code: ErrorCode::UnknownMemberId,
        message: "the consumer was taken out of the group before the offsets were committed".to_owned(),
        leader: None,
        partition: None,
    }
}
