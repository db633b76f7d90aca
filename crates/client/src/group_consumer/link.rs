//! The task that keeps a member's stream to some broker, and opens another where it broke.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use levada_proto::v1;
use levada_proto::v1::consumer_client::ConsumerClient;
use levada_proto::v1::subscribe_request::Kind;
use levada_types::ErrorCode;
use tokio::sync::mpsc::channel;
use tokio::time::{sleep_until, timeout_at};
use tokio_stream::wrappers::ReceiverStream;

use super::ledger::Heard;
use super::options::GroupOptions;
use super::shared::Shared;
use crate::ClientError;
use crate::cluster::Cluster;
use crate::connections::{Connections, MAX_MESSAGE_BYTES};

/// Messages on their way to the connection. What waits behind them is in the ledger, where newer replaces older.
const OUTGOING_MESSAGES: usize = 64;

/// Keeps a member's stream.
pub(super) struct Link {
    cluster: Arc<Cluster>,
    options: GroupOptions,
    shared: Arc<Shared>,
    connections: Connections,
    /// Failures since the last stream was joined.
    attempts: usize,
}

/// How a stream ended, where that was no failure.
enum Ended {
    /// The member has left.
    Left,
    /// The member was taken out of the group since the program did not live.
    TakenOut,
}

/// What a failure calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reaction {
    /// Go on as the same member.
    Resume,
    /// The member is not one any more: join anew.
    JoinAnew,
    /// It will not get better.
    GiveUp,
}

impl Link {
    pub(super) fn new(cluster: Arc<Cluster>, options: GroupOptions, shared: Arc<Shared>) -> Self {
        Self { cluster, options, shared, connections: Connections::bulk(), attempts: 0 }
    }

    /// Runs until the member has left, or something has failed for good.
    pub(super) async fn run(mut self) {
        while !self.shared.look(|ledger| ledger.is_over()) {
            let address = self.cluster.favourite();
            match self.stream(&address).await {
                Ok(Ended::Left) => {}
                // Whoever does not process records would only be taken out again.
                Ok(Ended::TakenOut) => self.shared.wanted().await,
                Err(error) => self.recover(&address, error).await,
            }
        }
    }

    async fn recover(&mut self, address: &str, error: ClientError) {
        match Reaction::to(&error) {
            Reaction::GiveUp => return self.shared.hear(|ledger| ledger.fail(error)),
            Reaction::JoinAnew => self.shared.hear(super::ledger::Ledger::lose_all),
            Reaction::Resume => {}
        }
        if self.attempts == 0 {
            self.cluster.tell_retry(&error);
        }
        self.attempts += 1;
        tracing::debug!(%error, "a subscription's stream broke");
        self.shared.hear(|ledger| ledger.note_trouble(error));
        let known = self.cluster.give_up(address);
        tokio::time::sleep(self.cluster.pause_after(self.attempts, known)).await;
    }

    /// One stream to the broker at `address`, to its end.
    async fn stream(&mut self, address: &str) -> Result<Ended, ClientError> {
        let failed = |status: &tonic::Status| ClientError::from_status(address, status);
        let silent =
            || ClientError::Unreachable { address: address.to_owned(), reason: "it did not answer".to_owned() };
        let deadline = Instant::now() + self.cluster.options().request_timeout;
        let channel_to = self.connections.channel(address)?;
        let mut consumer = ConsumerClient::new(channel_to).max_decoding_message_size(MAX_MESSAGE_BYTES);
        let (outgoing, requests) = channel(OUTGOING_MESSAGES);
        let join = self.shared.look(|ledger| ledger.open(self.options.join()));
        let mut waiting = VecDeque::from([v1::SubscribeRequest { kind: Some(Kind::Join(join)) }]);
        let call = consumer.subscribe(ReceiverStream::new(requests));
        let mut opening = std::pin::pin!(call);
        // A broker may answer the call only once it has read the first message.
        let mut responses = loop {
            tokio::select! {
                permit = outgoing.reserve(), if !waiting.is_empty() => match (permit, waiting.pop_front()) {
                    (Ok(permit), Some(message)) => permit.send(message),
                    _ => waiting.clear(),
                },
                answer = timeout_at(deadline.into(), &mut opening) => {
                    break answer.map_err(|_| silent())?.map_err(|status| failed(&status))?.into_inner();
                }
            }
        };
        let (mut joined, mut open) = (false, true);
        loop {
            let (said, full) = self.shared.look(|ledger| (ledger.say(), ledger.is_full()));
            waiting.extend(said);
            tokio::select! {
                permit = outgoing.reserve(), if open && !waiting.is_empty() => match (permit, waiting.pop_front()) {
                    (Ok(permit), Some(message)) => permit.send(message),
                    // The broker takes nothing more; why, it says on its own side.
                    _ => open = false,
                },
                () = self.shared.wanted() => {}
                // The stream is over, whatever still waits in it.
                () = outgoing.closed(), if open => open = false,
                () = sleep_until(deadline.into()), if !joined => return Err(silent()),
                message = responses.message(), if !full || !open => {
                    let Some(message) = message.map_err(|status| failed(&status))? else {
                        let reason = "the stream ended".to_owned();
                        return Err(ClientError::Unreachable { address: address.to_owned(), reason });
                    };
                    match self.shared.hear(|ledger| ledger.hear(address, message))? {
                        Heard::Something => {}
                        Heard::Joined => {
                            (joined, self.attempts) = (true, 0);
                            self.learn_of_others(address);
                        }
                        Heard::Left => return Ok(Ended::Left),
                        Heard::TakenOut => return Ok(Ended::TakenOut),
                    }
                }
            }
        }
    }

    /// Learns who else there is, beside what the stream does.
    fn learn_of_others(&self, address: &str) {
        let (cluster, address) = (self.cluster.clone(), address.to_owned());
        tokio::spawn(async move { cluster.get_introduced(&address).await });
    }
}

impl Reaction {
    fn to(error: &ClientError) -> Self {
        match error {
            ClientError::Broker { code: ErrorCode::FencedMemberEpoch | ErrorCode::UnknownMemberId, .. } => {
                Self::JoinAnew
            }
            error if error.retriable() => Self::Resume,
            _ => Self::GiveUp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_fenced_member_starts_anew_and_what_will_not_get_better_ends_it() {
        let broker = |code| ClientError::Broker { code, message: String::new(), leader: None, partition: None };
        for (code, expected) in [
            (ErrorCode::FencedMemberEpoch, Reaction::JoinAnew),
            (ErrorCode::UnknownMemberId, Reaction::JoinAnew),
            (ErrorCode::CoordinatorLoadInProgress, Reaction::Resume),
            (ErrorCode::NotCoordinator, Reaction::Resume),
            (ErrorCode::LeaderNotAvailable, Reaction::Resume),
            (ErrorCode::FencedInstanceId, Reaction::GiveUp),
            (ErrorCode::GroupMaxSizeReached, Reaction::GiveUp),
            (ErrorCode::InvalidRegularExpression, Reaction::GiveUp),
        ] {
            assert_eq!(Reaction::to(&broker(code)), expected, "{code}");
        }
        let lost = ClientError::Unreachable { address: "a:1".to_owned(), reason: String::new() };
        assert_eq!(Reaction::to(&lost), Reaction::Resume);
    }
}
