//! Asks leaders whether append sessions are still the newest, many at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use levada_peers::MetadataWatch;
use levada_proto::internal as pb;
use levada_types::BrokerId;
use parking_lot::Mutex;
use tonic::{Request, Status};

use super::Leaders;

/// How long a leader has to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Sessions that one request asks after.
const MAX_PER_REQUEST: usize = 1_000;

/// Hears whether the session is the newest; `None` if the leader does not say.
type Done = Box<dyn FnOnce(Option<bool>) + Send>;

/// The sessions that each leader is to be asked after.
type Waiting = HashMap<BrokerId, Vec<(pb::ShardSession, Done)>>;

/// Asks. While a leader is being asked, what else it is to be asked is collected for the next request.
#[derive(Clone)]
pub(crate) struct Confirmer {
    leaders: Leaders,
    metadata: MetadataWatch,
    /// What waits for each leader that is being asked. Bounded by the requests that wait for their answers.
    waiting: Arc<Mutex<Waiting>>,
}

impl Confirmer {
    pub(crate) fn new(leaders: Leaders, metadata: MetadataWatch) -> Self {
        Self { leaders, metadata, waiting: Arc::default() }
    }

    /// Asks `leader` after `session`, beginning no earlier than now, and tells `done`.
    pub(crate) fn confirm(&self, leader: BrokerId, session: pb::ShardSession, done: Done) {
        let mut waiting = self.waiting.lock();
        let is_asked = waiting.contains_key(&leader);
        waiting.entry(leader).or_default().push((session, done));
        drop(waiting);
        if !is_asked {
            tokio::spawn(self.clone().ask(leader));
        }
    }

    /// Asks until nothing waits.
    async fn ask(self, leader: BrokerId) {
        loop {
            let some: Vec<_> = {
                let mut waiting = self.waiting.lock();
                let Some(all) = waiting.get_mut(&leader).filter(|all| !all.is_empty()) else {
                    waiting.remove(&leader);
                    return;
                };
                all.drain(..all.len().min(MAX_PER_REQUEST)).collect()
            };
            let (sessions, done): (Vec<_>, Vec<_>) = some.into_iter().unzip();
            let newest = self.newest(leader, sessions).await.unwrap_or_else(|status| {
                tracing::debug!(%leader, reason = status.message(), "a leader does not confirm append sessions");
                Vec::new()
            });
            let answers = newest.into_iter().map(Some).chain(std::iter::repeat(None));
            done.into_iter().zip(answers).for_each(|(done, newest)| done(newest));
        }
    }

    async fn newest(&self, leader: BrokerId, sessions: Vec<pb::ShardSession>) -> Result<Vec<bool>, Status> {
        let stubs = self.leaders.stubs(&self.metadata.image(), leader);
        let (mut stub, _) = stubs.ok_or_else(|| Status::unavailable("nobody knows where it is"))?;
        let mut request = Request::new(pb::ConfirmShardsRequest { sessions });
        request.set_timeout(TIMEOUT);
        let answer = tokio::time::timeout(TIMEOUT, stub.confirm(request)).await;
        Ok(answer.map_err(|_| Status::deadline_exceeded("no answer in time"))??.into_inner().newest)
    }
}
