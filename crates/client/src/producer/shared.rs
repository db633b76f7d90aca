//! What a producer's handles and its sender have in common.

use std::collections::HashMap;
use std::sync::Arc;

use levada_proto::v1;
use levada_proto::v1::producer_client::ProducerClient;
use levada_types::{ProducerEpoch, TopicId};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, Semaphore};

use super::batch::Identity;
use super::lane::{Destination, Lane};
use super::options::ProducerOptions;
use super::sender::LaneKey;
use crate::ClientError;
use crate::cluster::Cluster;

/// The lanes of a producer, and the way to wake its sender.
pub(super) struct Shared {
    pub(super) cluster: Arc<Cluster>,
    pub(super) options: ProducerOptions,
    /// With idempotence: the identity that new lanes begin with.
    pub(super) identity: Option<Identity>,
    pub(super) lanes: RwLock<HashMap<LaneKey, Arc<Mutex<Lane>>>>,
    /// Per topic: where records without a key go at the moment.
    pub(super) sticky: Mutex<HashMap<TopicId, i32>>,
    /// `buffer.memory`, in bytes.
    pub(super) memory: Arc<Semaphore>,
    /// There may be something to send.
    pub(super) wake: Notify,
}

impl Shared {
    /// The lane to a partition; it begins with its first record.
    pub(super) fn lane(&self, topic: &str, topic_id: TopicId, partition: i32) -> Arc<Mutex<Lane>> {
        let key = LaneKey { topic_id, partition };
        if let Some(lane) = self.lanes.read().get(&key) {
            return lane.clone();
        }
        let destination = Destination { topic: topic.into(), topic_id, partition };
        let lane = || Arc::new(Mutex::new(Lane::new(destination, self.options.lane.clone(), self.identity)));
        self.lanes.write().entry(key).or_insert_with(lane).clone()
    }
}

/// A fresh identity from any broker.
pub(super) async fn init(cluster: &Cluster) -> Result<Identity, ClientError> {
    let (address, answer) =
        cluster.ask(|channel| async move { ProducerClient::new(channel).init(v1::InitRequest {}).await }).await?;
    let identity = answer.producer.and_then(|producer| {
        let producer_epoch = ProducerEpoch::try_from(producer.producer_epoch).ok()?;
        (producer.producer_id >= 0).then_some(Identity { producer_id: producer.producer_id, producer_epoch })
    });
    identity
        .ok_or_else(|| ClientError::Protocol { address, reason: "an answer without a producer identity".to_owned() })
}
