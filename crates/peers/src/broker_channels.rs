//! The connections to the internal services of brokers, one to each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use levada_metadata::BrokerRegistration;
use levada_service::grpc::Profile;
use levada_service::net::{Address, Network};
use levada_types::BrokerId;
use tonic::transport::Channel;

/// The connections. Clones share them.
#[derive(Debug, Clone)]
pub struct BrokerChannels {
    network: Network,
    profile: Profile,
    /// The channel to each broker, and where it leads.
    channels: Arc<Mutex<HashMap<BrokerId, (Address, Channel)>>>,
}

impl BrokerChannels {
    /// Over `network`, with connections of this profile.
    #[must_use]
    pub fn new(network: Network, profile: Profile) -> Self {
        Self { network, profile, channels: Arc::default() }
    }

    /// The channel to `broker`, connected when it is first used; `None` if its address cannot be read.
    #[must_use]
    pub fn to(&self, broker: &BrokerRegistration) -> Option<Channel> {
        let address: Address = broker.internal_address.parse().ok()?;
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, channel)) = channels.get(&broker.id)
            && *known == address
        {
            return Some(channel.clone());
        }
        let channel = self.network.dialer(address.clone()).channel(self.profile);
        channels.insert(broker.id, (address, channel.clone()));
        Some(channel)
    }
}
