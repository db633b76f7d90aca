//! Producer ids, from blocks that the controller hands out.

use std::time::Duration;

use levada_metadata::{Command, ProducerIdBlock, Response};
use levada_types::{ErrorCode, ProducerEpoch, ProducerId};
use tokio::sync::Mutex;

use crate::Broker;

/// What is left of this broker's block.
#[derive(Default)]
pub(crate) struct ProducerIds {
    /// Locked across the request for a new block, so that waiting producers share one.
    left: Mutex<std::ops::Range<ProducerId>>,
}

impl Broker {
    /// See [`Broker::init_producer_id`].
    pub(crate) async fn next_producer_id(&self) -> Result<(ProducerId, ProducerEpoch), ErrorCode> {
        let mut left = self.producer_ids.left.lock().await;
        let id = match left.next() {
            Some(id) => id,
            None => {
                let ProducerIdBlock { first, len } = self.new_block().await?;
                *left = first..first.saturating_add(len);
                left.next().ok_or(ErrorCode::CoordinatorNotAvailable)?
            }
        };
        Ok((id, 0))
    }

    async fn new_block(&self) -> Result<ProducerIdBlock, ErrorCode> {
        let epoch = self.epoch().ok_or(ErrorCode::CoordinatorNotAvailable)?;
        let command = Command::AllocateProducerIds { broker: self.id(), epoch };
        let timeout = Duration::from_millis(self.options.request_timeout_ms);
        match self.controller.submit(&command, timeout).await {
            Ok((Response::AllocateProducerIds(Ok(block)), _)) => Ok(block),
            // Whatever the reason, asking again is right, and this is the code on which every client does.
            Ok((answer, _)) => {
                tracing::warn!(?answer, "no block of producer ids");
                Err(ErrorCode::CoordinatorNotAvailable)
            }
            Err(error) => {
                tracing::warn!(%error, "no block of producer ids");
                Err(ErrorCode::CoordinatorNotAvailable)
            }
        }
    }
}
