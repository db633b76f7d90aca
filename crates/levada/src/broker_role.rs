//! The broker role of this process, with the faces that it serves.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use levada_broker::{BrokerDeps, BrokerOptions, Face, PhaseReporter};
use levada_gateway::{GatewayFace, GatewayListener, GatewayOptions};
use levada_kafka::{KafkaFace, KafkaOptions};
use levada_log::RealDisk;
use levada_peers::Controllers;
use levada_service::grpc::GrpcOptions;
use levada_service::net::{Address, Listener, Network, NoAdvertisedAddress, advertised};
use levada_service::options::{OptionsError, OptionsLoader};
use levada_service::shutdown::CancellationToken;

use crate::failure::Failure;
use crate::listeners::{ListenerOptions, Listeners};
use crate::process::Process;

/// How long the broker may take to stop. Each of its steps has a limit of its own; this only catches their sum.
const DRAIN: Duration = Duration::from_secs(60);

/// What a broker of this process was told.
pub(crate) struct BrokerRole {
    broker: BrokerOptions,
    listeners: Listeners,
    kafka: KafkaOptions,
    gateway: GatewayOptions,
    grpc: GrpcOptions,
}

/// Where other roles are to reach this one.
pub(crate) struct Internal {
    /// Where its internal services listen.
    pub(crate) listener: Address,
    /// What others are told to dial, if that is another address.
    pub(crate) advertised: Option<Address>,
}

impl Internal {
    /// Binds the listener; gives what others are to dial beside it.
    pub(crate) async fn bind(&self, network: &Network) -> Result<(Listener, Address), Failure> {
        let wanted = &self.listener;
        let refused = |source| Failure::Bind { address: wanted.to_string(), option: "internal.listener", source };
        let listener = network.bind(wanted).await.map_err(refused)?;
        let at = listener.address().map_err(refused)?;
        let unknown = |error: NoAdvertisedAddress| {
            Failure::from(OptionsError::invalid("internal.advertised.listener", error.to_string()))
        };
        let address = advertised(wanted, at, self.advertised.as_ref()).map_err(unknown)?;
        Ok((listener, address))
    }
}

/// The faces of a broker, bound and not serving yet, and where.
pub(crate) struct BoundFaces {
    faces: Vec<Box<dyn Face>>,
    /// Where Kafka's protocol is spoken.
    pub(crate) kafka: SocketAddr,
    /// Where gRPC is spoken.
    pub(crate) grpc: SocketAddr,
}

impl BrokerRole {
    /// Takes the options of the role.
    pub(crate) fn load(loader: &mut OptionsLoader) -> Result<Self, OptionsError> {
        Ok(Self {
            broker: BrokerOptions::load(loader)?,
            listeners: loader.take::<ListenerOptions>()?.read()?,
            kafka: loader.take()?,
            gateway: loader.take()?,
            grpc: loader.take()?,
        })
    }

    /// Binds the listeners, before anything is opened, so that an address in use is a quick and harmless failure.
    pub(crate) async fn bind(&self) -> Result<BoundFaces, Failure> {
        let Listeners { kafka, grpc } = &self.listeners;
        let options = KafkaOptions {
            listeners: format!("{}://{}", kafka.name, kafka.bind),
            advertised_listeners: kafka.advertised.clone().unwrap_or_default(),
            ..self.kafka.clone()
        };
        let refused = |source| Failure::Bind { address: kafka.bind.clone(), option: "listeners", source };
        let kafka = KafkaFace::bind(options).await.map_err(refused)?;
        let listener = GatewayListener { bind: grpc.bind.clone(), advertised: grpc.advertised.clone() };
        let grpc = GatewayFace::bind(&listener, self.gateway.clone(), self.grpc.clone()).await?;
        let addresses = (kafka.local_addr(), grpc.local_addr());
        Ok(BoundFaces { faces: vec![Box::new(kafka), Box::new(grpc)], kafka: addresses.0, grpc: addresses.1 })
    }

    /// Starts the broker as a part of `process`; resolves once it serves.
    pub(crate) async fn start(
        self,
        process: &mut Process,
        bound: BoundFaces,
        controllers: Controllers,
        internal: Internal,
    ) -> Result<(), Option<Failure>> {
        let network = process.network.clone();
        let (listener, internal_address) = internal.bind(&network).await?;
        let deps = BrokerDeps {
            controllers,
            network,
            internal: listener,
            internal_address,
            disk: Arc::new(RealDisk),
            faces: bound.faces,
            phase: PhaseReporter::default(),
            ready: process.readiness.part("broker"),
        };
        let stop = CancellationToken::new();
        let starting = levada_broker::start(self.broker, deps, stop.clone());
        let running = process.started(&stop, async { Ok(starting.await?) }).await?;
        process.part("broker", DRAIN, stop, async { Ok(running.ended().await?) });
        Ok(())
    }
}
