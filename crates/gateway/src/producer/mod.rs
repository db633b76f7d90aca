//! `levada.v1.Producer`: appending records, once or as a stream.

mod append;
mod assemble;
mod identity;
mod stream;

use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use levada_broker::api::PartitionError;
use levada_proto::status;
use levada_proto::v1;
use levada_proto::v1::producer_server::Producer;
use tonic::{Request, Response, Status, Streaming};

use append::{Terms, append};

use crate::gateway::Gateway;
use crate::inflow::Share;
use crate::refusal::{invalid, to_status};

/// The service.
pub(crate) struct ProducerService {
    gateway: Arc<Gateway>,
}

impl ProducerService {
    pub(crate) fn new(gateway: Arc<Gateway>) -> Self {
        Self { gateway }
    }

    fn refuse(&self, error: PartitionError) -> Status {
        to_status(&self.gateway.broker.image(), error)
    }
}

#[tonic::async_trait]
impl Producer for ProducerService {
    async fn init(&self, _request: Request<v1::InitRequest>) -> Result<Response<v1::InitResponse>, Status> {
        let identity = self.gateway.broker.init_producer_id().await;
        let (producer_id, producer_epoch) = identity.map_err(|code| self.refuse(code.into()))?;
        let producer = v1::ProducerIdentity { producer_id, producer_epoch: producer_epoch.into() };
        Ok(Response::new(v1::InitResponse { producer: Some(producer) }))
    }

    async fn produce(&self, request: Request<v1::ProduceRequest>) -> Result<Response<v1::ProduceResponse>, Status> {
        let request = request.into_inner();
        let terms = Terms::read(request.acks(), request.timeout_ms, request.producer);
        let terms = terms.map_err(|error| self.refuse(error))?;
        let batch = request.batch.ok_or_else(|| self.refuse(invalid("the request has no batch")))?;
        self.gateway.broker.produce_room().await;
        let mut results =
            append(&self.gateway, terms, batch).await.await.map_err(|error| status::status_with(&error))?;
        // With nothing appended at all the call as a whole has failed, for the first of the reasons.
        if results.iter().all(|result| result.error.is_some())
            && let Some(error) = results.iter_mut().find_map(|result| result.error.take())
        {
            return Err(status::status_with(&error));
        }
        Ok(Response::new(v1::ProduceResponse { results }))
    }

    type ProduceStreamStream = Pin<Box<dyn Stream<Item = Result<v1::ProduceStreamResponse, Status>> + Send>>;

    async fn produce_stream(
        &self,
        request: Request<Streaming<v1::ProduceStreamRequest>>,
    ) -> Result<Response<Self::ProduceStreamStream>, Status> {
        let share = request.extensions().get::<Arc<Share>>().cloned().unwrap_or_default();
        Ok(Response::new(Box::pin(stream::answers(self.gateway.clone(), request.into_inner(), share))))
    }
}
