//! The way to the controllers, and which of them is believed to be active.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use levada_metadata::Image;
use levada_proto::internal::controller_client::ControllerClient;
use levada_service::grpc::Profile;
use levada_service::net::{Address, Network};
use levada_types::ClusterId;
use tokio::sync::watch;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};

/// The largest message that a controller sends or takes: a command that creates many topics, or a part of a snapshot.
const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// The header by which a call tells which cluster its caller belongs to, once that is known.
pub const CLUSTER_HEADER: &str = "levada-cluster-id";

/// A client of one controller.
pub(crate) type Stub = ControllerClient<InterceptedService<Channel, Caller>>;

/// Puts [`CLUSTER_HEADER`] into each call.
#[derive(Debug, Clone)]
pub(crate) struct Caller(Option<MetadataValue<Ascii>>);

impl Interceptor for Caller {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(cluster) = &self.0 {
            request.metadata_mut().insert(CLUSTER_HEADER, cluster.clone());
        }
        Ok(request)
    }
}

/// Where the controllers are. Clones share what they learn.
///
/// Starts from configured addresses and follows hints of controllers that are not active, so that one reachable
/// address is enough.
#[derive(Debug, Clone)]
pub struct Controllers {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    network: Network,
    configured: Vec<Address>,
    known: Mutex<Known>,
    /// The one that was replaced last.
    replaced: watch::Sender<Option<Address>>,
    /// The cluster that the caller belongs to.
    cluster: OnceLock<MetadataValue<Ascii>>,
}

#[derive(Debug, Default)]
struct Known {
    /// The one that served the last command, or that was named as active since.
    active: Option<Address>,
    /// Which configured address to try next while no active one is known.
    next: usize,
    /// Channels for short messages, by address. They reconnect by themselves.
    channels: HashMap<Address, Channel>,
}

impl Controllers {
    /// The controllers at `configured`, of which at least one should be reachable.
    #[must_use]
    pub fn new(network: Network, configured: Vec<Address>) -> Self {
        let (known, replaced, cluster) = (Mutex::default(), watch::Sender::new(None), OnceLock::new());
        Self { inner: Arc::new(Inner { network, configured, known, replaced, cluster }) }
    }

    /// From now on the caller belongs to `cluster`, and a controller of another one that is met among these refuses it, having
    /// done nothing; the others are asked then. The first one stays.
    pub fn belong_to(&self, cluster: ClusterId) {
        // The text of an identity is letters, digits and two signs.
        if let Ok(value) = cluster.to_string().parse() {
            let _ = self.inner.cluster.set(value);
        }
    }

    /// The one to ask next: the active one as far as it is known, or else the next configured one. `None` if none is
    /// configured.
    pub(crate) fn next(&self) -> Option<Address> {
        let mut known = self.known();
        if let Some(active) = &known.active {
            return Some(active.clone());
        }
        let address = self.inner.configured.get(known.next % self.inner.configured.len().max(1)).cloned();
        known.next = known.next.wrapping_add(1);
        address
    }

    /// Takes note that `address` said which controller is active, or that it does not know.
    pub(crate) fn hint(&self, address: &Address, active: Option<Address>) {
        let mut known = self.known();
        // A controller that names itself while it refuses is confused; asking it again at once would be a loop.
        known.active = active.filter(|active| active != address);
    }

    /// Takes note that `address` served as the active controller.
    pub(crate) fn served(&self, address: &Address) {
        self.known().active = Some(address.clone());
    }

    /// Takes note that `address` did not answer.
    pub(crate) fn failed(&self, address: &Address) {
        let mut known = self.known();
        if known.active.as_ref() == Some(address) {
            known.active = None;
        }
    }

    /// Takes note that `silent` does not answer and `active` is active in its place.
    pub(crate) fn replaced(&self, silent: &Address, active: &Address) {
        self.served(active);
        self.inner.replaced.send_replace(Some(silent.clone()));
    }

    /// Resolves when the controller at `address` is replaced from now on, so that it makes no sense to go on waiting for it.
    pub(crate) fn until_replaced(&self, address: &Address) -> impl Future<Output = ()> + Send + use<> {
        let (mut replaced, address) = (self.inner.replaced.subscribe(), address.clone());
        async move {
            while replaced.changed().await.is_ok() {
                if replaced.borrow_and_update().as_ref() == Some(&address) {
                    return;
                }
            }
            std::future::pending::<()>().await;
        }
    }

    /// Every controller but the one at `than`: those that are configured and those that `image` knows.
    pub(crate) fn others(&self, than: &Address, image: &Image) -> HashSet<Address> {
        let registered = image.controllers().filter_map(|controller| controller.internal_address.parse().ok());
        let all = self.inner.configured.iter().cloned().chain(registered);
        all.filter(|address| address != than).collect()
    }

    /// A client over the shared channel for short messages.
    pub(crate) fn stub(&self, address: &Address) -> Stub {
        let mut known = self.known();
        let channel = known
            .channels
            .entry(address.clone())
            .or_insert_with(|| self.inner.network.dialer(address.clone()).channel(Profile::Control));
        self.limited(channel.clone())
    }

    /// A client over a channel of its own, for a stream that carries much.
    pub(crate) fn stub_apart(&self, address: &Address) -> Stub {
        self.limited(self.inner.network.dialer(address.clone()).channel(Profile::Control))
    }

    fn limited(&self, channel: Channel) -> Stub {
        ControllerClient::with_interceptor(channel, Caller(self.inner.cluster.get().cloned()))
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.inner.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn controllers() -> (Controllers, [Address; 3]) {
        let addresses = ["c-1", "c-2", "c-3"].map(Address::memory);
        (Controllers::new(Network::new(), addresses.to_vec()), addresses)
    }

    #[test]
    fn configured_ones_are_tried_in_turn_until_one_serves() {
        let (controllers, [first, second, third]) = controllers();
        let tried: Vec<_> = (0..4).filter_map(|_| controllers.next()).collect();
        assert_eq!(tried, [first.clone(), second.clone(), third, first]);
        controllers.served(&second);
        assert_eq!(controllers.next(), Some(second.clone()));
        assert_eq!(controllers.next(), Some(second.clone()));
        controllers.failed(&second);
        let tried: std::collections::HashSet<_> = (0..3).filter_map(|_| controllers.next()).collect();
        assert_eq!(tried.len(), 3, "back to taking turns");
    }

    #[test]
    fn a_hint_is_followed_unless_it_names_the_one_that_gave_it() {
        let (controllers, [first, second, _]) = controllers();
        let elsewhere = Address::memory("c-9");
        controllers.hint(&first, Some(elsewhere.clone()));
        assert_eq!(controllers.next(), Some(elsewhere));
        controllers.hint(&first, Some(first.clone()));
        assert_eq!(controllers.next(), Some(first));
        assert_eq!(controllers.next(), Some(second), "back to taking turns");
    }

    #[test]
    fn without_addresses_there_is_nobody_to_ask() {
        assert_eq!(Controllers::new(Network::new(), Vec::new()).next(), None);
    }
}
