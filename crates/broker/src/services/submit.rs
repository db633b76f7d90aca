//! Changes of the cluster's metadata, decided by the active controller.

use std::time::Duration;

use levada_metadata::{Command, Response};
use levada_peers::SubmitError;
use levada_types::ErrorCode;
use tokio::time::Instant;

use crate::Broker;
use crate::api::PartitionError;

impl Broker {
    /// See [`Broker::submit`].
    pub(crate) async fn decide(&self, command: &Command, timeout: Duration) -> Result<Response, PartitionError> {
        let started = Instant::now();
        let refused = |error: SubmitError| PartitionError::new(error.code(), error.to_string());
        let (response, offset) = self.controller.submit(command, timeout).await.map_err(refused)?;
        let left = timeout.saturating_sub(started.elapsed());
        match self.metadata.wait_for(offset, left).await {
            Ok(_) => Ok(response),
            Err(stale) => {
                let message = format!("the controller has done it, but {stale}");
                Err(PartitionError::new(ErrorCode::RequestTimedOut, message))
            }
        }
    }
}
