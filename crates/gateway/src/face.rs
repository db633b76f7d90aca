//! The gateway as a face of the broker: bound first, then served.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use levada_broker::{Broker, Face, FaceError};
use levada_metadata::{Endpoint, EndpointProtocol};
use levada_proto::PUBLIC_DESCRIPTORS;
use levada_proto::v1::admin_server::AdminServer;
use levada_proto::v1::groups_server::GroupsServer;
use levada_proto::v1::producer_server::ProducerServer;
use levada_service::grpc::{GrpcOptions, GrpcServer};
use levada_service::net::Listener;
use tokio_util::sync::CancellationToken;

use crate::admin::AdminService;
use crate::consumer::ConsumerServer;
use crate::gateway::Gateway;
use crate::groups::GroupsService;
use crate::inflow::{Budget, MeteredService};
use crate::producer::ProducerService;
use crate::{GatewayOptions, address};

/// The name of the face, for logs and errors.
const NAME: &str = "grpc";

/// The listener's name, as in `listeners=GRPC://…`.
const LISTENER: &str = "GRPC";

/// Where to listen, and what clients are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayListener {
    /// `host:port`; port 0 takes a free one.
    pub bind: String,
    /// `host:port` for clients, if it is not the bound address; port 0 stands for the bound port.
    pub advertised: Option<String>,
}

/// The gateway could not listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address cannot be bound.
    #[error("cannot listen on {address} for gRPC: {source}")]
    Bind {
        /// The address.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The advertised address is none.
    #[error("advertised.listeners: {address:?} is not HOST:PORT")]
    Advertised {
        /// The address.
        address: String,
    },
}

/// The public gRPC services, bound and waiting for their broker.
pub struct GatewayFace {
    listener: Listener,
    local: SocketAddr,
    endpoint: Endpoint,
    options: GatewayOptions,
    grpc: GrpcOptions,
}

impl GatewayFace {
    /// Binds the listener.
    ///
    /// # Errors
    /// [`BindError`].
    pub async fn bind(
        listener: &GatewayListener,
        options: GatewayOptions,
        grpc: GrpcOptions,
    ) -> Result<Self, BindError> {
        let refused = |source| BindError::Bind { address: listener.bind.clone(), source };
        let bound = Listener::bind_tcp(&listener.bind).await.map_err(refused)?;
        let local = bound.socket_addr().ok_or_else(|| refused(io::ErrorKind::AddrNotAvailable.into()))?;
        let (host, port) = match &listener.advertised {
            None => (local.ip().to_string(), local.port()),
            Some(text) => match address::split(text) {
                Some((host, 0)) => (host.to_owned(), local.port()),
                Some((host, port)) => (host.to_owned(), port),
                None => return Err(BindError::Advertised { address: text.clone() }),
            },
        };
        let endpoint = Endpoint { listener: LISTENER.to_owned(), host, port, protocol: EndpointProtocol::Grpc };
        Ok(Self { listener: bound, local, endpoint, options, grpc })
    }

    async fn run(self, broker: Arc<Broker>, shutdown: CancellationToken) -> Result<(), FaceError> {
        let failed = |reason: String| FaceError { face: NAME, reason };
        let gateway = Arc::new(Gateway::new(broker, self.options, shutdown.clone()));
        let largest = self.grpc.max_message_bytes;
        let budget = Budget::new(gateway.options.queued_max_request_bytes, gateway.options.queued_max_wait());
        let producer = ProducerServer::new(ProducerService::new(gateway.clone())).max_decoding_message_size(largest);
        let groups = GroupsServer::new(GroupsService::new(gateway.clone())).max_decoding_message_size(largest);
        let admin = AdminServer::new(AdminService::new(gateway.clone())).max_decoding_message_size(largest);
        let server =
            GrpcServer::public(&self.grpc, &[PUBLIC_DESCRIPTORS]).map_err(|error| failed(error.to_string()))?;
        let health = server.health();
        health.set_serving::<ProducerServer<ProducerService>>().await;
        health.set_serving::<ConsumerServer>().await;
        health.set_serving::<GroupsServer<GroupsService>>().await;
        health.set_serving::<AdminServer<AdminService>>().await;
        server
            .add_service(MeteredService::new(producer, budget.clone()))
            .add_service(MeteredService::new(ConsumerServer::new(gateway, largest), budget.clone()))
            .add_service(MeteredService::new(groups, budget.clone()))
            .add_service(MeteredService::new(admin, budget))
            .serve(self.listener, shutdown)
            .await
            .map_err(|error| failed(error.to_string()))
    }
}

impl Face for GatewayFace {
    fn name(&self) -> &'static str {
        NAME
    }

    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn endpoints(&self) -> Vec<Endpoint> {
        vec![self.endpoint.clone()]
    }

    fn serve(
        self: Box<Self>,
        broker: Arc<Broker>,
        shutdown: CancellationToken,
    ) -> Pin<Box<dyn Future<Output = Result<(), FaceError>> + Send>> {
        Box::pin(self.run(broker, shutdown))
    }
}
