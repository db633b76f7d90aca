//! Requests to many groups, and to all of them.

use std::time::Duration;

use futures::StreamExt;
use levada_groups::api::{ListGroups, ListedGroup, Request, Response};
use levada_metadata::CoordinatorKind;
use levada_types::PartitionIndex;

use super::{GroupClient, GroupClientError, Place};

/// Requests of one caller that are under way at once.
const AT_ONCE: usize = 64;

impl GroupClient {
    /// Asks many groups at once, within `timeout`; the answers stand in the order of the requests.
    pub async fn handle_all(
        &self,
        requests: Vec<Request>,
        timeout: Duration,
    ) -> Vec<Result<Response, GroupClientError>> {
        let asked = requests.into_iter().map(|request| self.handle(request, timeout));
        futures::stream::iter(asked).buffered(AT_ONCE).collect().await
    }

    /// Lists the groups of all shards; none while there are no shards.
    ///
    /// # Errors
    /// The [`GroupClientError`] of the first shard that does not answer within `timeout`.
    pub async fn list(&self, request: ListGroups, timeout: Duration) -> Result<Vec<ListedGroup>, GroupClientError> {
        match self.list_all(request, timeout).await {
            (groups, None) => Ok(groups),
            (_, Some(error)) => Err(error),
        }
    }

    /// Lists the groups of all shards that answer within `timeout`, and why those of the first other one are missing.
    pub async fn list_all(
        &self,
        request: ListGroups,
        timeout: Duration,
    ) -> (Vec<ListedGroup>, Option<GroupClientError>) {
        let image = self.shared.metadata.image();
        let count = image.shards(CoordinatorKind::Group).map_or(0, |shards| shards.owners().len());
        drop(image);
        let shards = 0..PartitionIndex::try_from(count).unwrap_or(PartitionIndex::MAX);
        let asked = shards.map(|shard| {
            let request = Request::ListGroups(request.clone());
            async move { self.ask(&Place::Shard(shard), request, timeout).await }
        });
        let mut answers = futures::stream::iter(asked).buffered(AT_ONCE);
        let (mut groups, mut missing) = (Vec::new(), None);
        while let Some(answer) = answers.next().await {
            let error = match answer {
                Ok(Response::ListGroups(some)) => {
                    groups.extend(some);
                    continue;
                }
                Ok(other) => GroupClientError::unexpected(&other),
                Err(error) => error,
            };
            missing.get_or_insert(error);
        }
        (groups, missing)
    }
}

impl GroupClientError {
    /// The answer is to another question.
    #[must_use]
    pub fn unexpected(response: &Response) -> Self {
        Self::Refused { reason: format!("the answer is to another question: {response:?}") }
    }
}
