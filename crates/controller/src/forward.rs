//! Handing commands on to the active controller.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use levada_peers::never_connected;
use levada_proto::internal as pb;
use levada_proto::internal::controller_client::ControllerClient;
use levada_service::grpc::Profile;
use levada_service::net::{Address, Network};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::active::Active;
use crate::raft::MAX_MESSAGE_BYTES;
use crate::refusal;

/// The time that the caller gives, as gRPC sends it.
const TIMEOUT_HEADER: &str = "grpc-timeout";

/// The time for a command whose caller gives none.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The ways to the other controllers. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Forwarder {
    network: Network,
    channels: Arc<Mutex<HashMap<Address, Channel>>>,
}

impl Forwarder {
    pub(crate) fn new(network: Network) -> Self {
        Self { network, channels: Arc::default() }
    }

    /// Hands a command on to the controller that leads, as far as `active` knows it, within the time that `timeout` (the
    /// caller's header) gives.
    pub(crate) async fn submit(
        &self,
        (command, request): (pb::Command, Bytes),
        timeout: Option<&MetadataValue<Ascii>>,
        active: &Active,
    ) -> Result<pb::SubmitResponse, Status> {
        let leader = active.state().borrow().leader.clone().and_then(|(_, address)| address);
        let Some(leader) = leader.and_then(|address| address.parse::<Address>().ok()) else {
            return Err(refusal::not_active(active));
        };
        let mut request = Request::new(pb::SubmitRequest { command: Some(command), forwarded: true, request });
        match timeout {
            Some(timeout) => {
                request.metadata_mut().insert(TIMEOUT_HEADER, timeout.clone());
            }
            None => request.set_timeout(TIMEOUT),
        }
        match self.stub(leader).submit(request).await {
            Ok(answer) => Ok(answer.into_inner()),
            Err(status) if never_connected(&status) => Err(refusal::not_active(active)),
            Err(status) => Err(match status.code() {
                // The leader has said so itself.
                Code::FailedPrecondition
                | Code::ResourceExhausted
                | Code::InvalidArgument
                | Code::Unimplemented
                | Code::Aborted => status,
                _ => Status::aborted(format!("the active controller did not answer: {}", status.message())),
            }),
        }
    }

    fn stub(&self, address: Address) -> ControllerClient<Channel> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let channel =
            channels.entry(address.clone()).or_insert_with(|| self.network.dialer(address).channel(Profile::Control));
        ControllerClient::new(channel.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }
}
