//! The way to the leaders of the shards' partitions: append sessions, reading, confirming.

mod confirmer;
mod heard;
mod link;

use levada_metadata::Image;
use levada_peers::BrokerChannels;
use levada_proto::internal::shard_log_client::ShardLogClient;
use levada_service::grpc::Profile;
use levada_service::net::Network;
use levada_types::BrokerId;
use tonic::transport::Channel;

pub(crate) use confirmer::Confirmer;
pub(crate) use heard::Heard;
pub(crate) use link::Link;

/// The largest message of a leader: a piece of a log, which is one batch at least.
const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// A client of one broker.
pub(crate) type Stub = ShardLogClient<Channel>;

/// The connections to the brokers. What is read in bulk has connections of its own, so that no append waits behind it.
#[derive(Debug, Clone)]
pub(crate) struct Leaders {
    appends: BrokerChannels,
    reads: BrokerChannels,
}

impl Leaders {
    pub(crate) fn new(network: &Network) -> Self {
        let channels = |profile| BrokerChannels::new(network.clone(), profile);
        Self { appends: channels(Profile::Control), reads: channels(Profile::Bulk) }
    }

    /// A client for appending at `broker`, and one for reading there; `None` while the image does not know it.
    pub(crate) fn stubs(&self, image: &Image, broker: BrokerId) -> Option<(Stub, Stub)> {
        let registration = image.broker(broker)?;
        let stub = |channels: &BrokerChannels| {
            Some(ShardLogClient::new(channels.to(registration)?).max_decoding_message_size(MAX_MESSAGE_BYTES))
        };
        Some((stub(&self.appends)?, stub(&self.reads)?))
    }
}
