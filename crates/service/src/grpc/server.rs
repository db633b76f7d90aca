//! One builder for every gRPC server of the house.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Request, Response};
use tokio::sync::Semaphore;
use tokio_stream::StreamExt as _;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::RoutesBuilder;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tower::Service;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;

use super::intake::{Intake, MessageLimit};
use super::measured::MeasuredLayer;
use super::owed::Owed;
use super::severable::Severable;
use super::standing::Standing;
use super::trace::request_span;
use super::{GrpcOptions, Profile};
use crate::net::Listener;
use crate::telemetry::LineLimit;

/// Connections closed at once because there were too many.
const REFUSED: &str = "levada_grpc_server_refused_connections_total";

/// What health and reflection take: names, and a little room.
const SMALL: MessageLimit = MessageLimit { bytes: 64 << 10, setting: None };

/// How long connections that outlived the drain have to notice that they were severed.
const SEVER_TIMEOUT: Duration = Duration::from_secs(1);

/// A gRPC server in the making: services, health, and for a public one reflection.
///
/// A public server lists what it was given descriptors of in reflection (v1 and v1alpha). An internal server has no
/// reflection at all, so internal services cannot show up in it by mistake.
pub struct GrpcServer {
    profile: Profile,
    options: GrpcOptions,
    routes: RoutesBuilder,
    health: HealthReporter,
    /// Ends the streams that stand for as long as their client likes.
    ending: CancellationToken,
}

/// A gRPC server could not be made or stopped serving although nobody asked it to.
#[derive(Debug, thiserror::Error)]
pub enum GrpcServerError {
    /// A descriptor set cannot be served by reflection.
    #[error("the descriptors given for reflection are not valid: {0}")]
    Descriptors(String),
    /// The transport failed.
    #[error("the gRPC server failed: {0}")]
    Transport(#[from] tonic::transport::Error),
}

impl GrpcServer {
    /// A server that clients reach, with reflection over `descriptors` (encoded `FileDescriptorSet`s).
    pub fn public(options: &GrpcOptions, descriptors: &[&[u8]]) -> Result<Self, GrpcServerError> {
        let reflection = || {
            let health = tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
            descriptors.iter().fold(health, |builder, set| builder.register_encoded_file_descriptor_set(set))
        };
        let refused = |error: tonic_reflection::server::Error| GrpcServerError::Descriptors(error.to_string());
        let mut server = Self::new(Profile::Bulk, options);
        let service = Standing::new(reflection().build_v1().map_err(refused)?, server.ending.clone());
        server.routes.add_service(Intake::new(service, SMALL));
        let service = Standing::new(reflection().build_v1alpha().map_err(refused)?, server.ending.clone());
        server.routes.add_service(Intake::new(service, SMALL));
        Ok(server)
    }

    /// A server that only other roles reach. `profile` says whether it receives bulk data.
    #[must_use]
    pub fn internal(options: &GrpcOptions, profile: Profile) -> Self {
        Self::new(profile, options)
    }

    fn new(profile: Profile, options: &GrpcOptions) -> Self {
        let (health, service) = tonic_health::server::health_reporter();
        let mut routes = RoutesBuilder::default();
        let ending = CancellationToken::new();
        routes.add_service(Intake::new(Standing::new(service, ending.clone()), SMALL));
        Self { profile, options: options.clone(), routes, health, ending }
    }

    /// Adds a service, whose messages have at most [`GrpcOptions::max_message_bytes`]. Raise its own limit
    /// (`max_decoding_message_size`) to that before.
    #[must_use]
    pub fn add_service<S>(self, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        let limit = MessageLimit { bytes: self.options.max_message_bytes, setting: Some("grpc.max.message.bytes") };
        self.add_service_within(service, limit)
    }

    /// Adds a service with a limit of its own, which must not be above what the service itself decodes.
    #[must_use]
    pub fn add_service_within<S>(mut self, service: S, limit: MessageLimit) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        self.routes.add_service(Intake::new(service, limit));
        self
    }

    /// The health of the services here. The whole server (the empty name) is "serving" until it drains.
    #[must_use]
    pub fn health(&self) -> HealthReporter {
        self.health.clone()
    }

    /// Serves until `shutdown` is cancelled, then drains: health says "not serving", no connection is accepted any
    /// more, requests in flight may finish within `grpc.drain.timeout.ms`, and what is left is cut off: at that limit, or
    /// as soon as no client is owed anything. When this returns, no connection holds a service any more. Handlers of
    /// endless streams should watch `shutdown` themselves, or every stop lasts as long as the drain may.
    pub async fn serve(self, listener: Listener, shutdown: CancellationToken) -> Result<(), GrpcServerError> {
        let sever = CancellationToken::new();
        let severed = sever.clone();
        let owed = Owed::default();
        let sending = owed.clone();
        let room = Arc::new(Semaphore::new(self.options.max_connections.min(Semaphore::MAX_PERMITS)));
        let lines = LineLimit::of_clients_faults();
        let incoming = listener.incoming().filter_map(move |connection| {
            let failed = |error: &std::io::Error| {
                if let Some(left_out) = lines.admit(Instant::now()) {
                    tracing::warn!(%error, left_out, "could not accept a connection");
                }
            };
            let io = connection.inspect_err(failed).ok()?;
            let Ok(place) = room.clone().try_acquire_owned() else {
                metrics::counter!(REFUSED).increment(1);
                tracing::debug!("closed a connection: grpc.max.connections are open");
                return None;
            };
            Some(Ok::<_, std::io::Error>(Severable::new(io, place, severed.clone().cancelled_owned(), sending.clone())))
        });
        let server = self
            .profile
            .tune_server(Server::builder())
            .timeout(Duration::from_millis(self.options.request_timeout_ms))
            .max_concurrent_streams(self.options.max_concurrent_streams)
            .trace_fn(request_span)
            .layer(owed.clone())
            .layer(MeasuredLayer)
            .layer(LoadShedLayer::new())
            .layer(GlobalConcurrencyLimitLayer::new(self.options.max_concurrent_requests))
            .add_routes(self.routes.routes());
        let draining = {
            let (health, ending, shutdown) = (self.health, self.ending, shutdown.clone());
            async move {
                shutdown.cancelled().await;
                health.set_service_status("", ServingStatus::NotServing).await;
                ending.cancel();
            }
        };
        let mut serving = pin!(server.serve_with_incoming_shutdown(incoming, draining));
        let drain = Duration::from_millis(self.options.drain_timeout_ms);
        let Some(result) = within_drain(&mut serving, &shutdown, drain, &owed).await else {
            tracing::debug!("cutting off the connections that did not drain");
            sever.cancel();
            return Ok(tokio::time::timeout(SEVER_TIMEOUT, serving).await.unwrap_or(Ok(()))?);
        };
        Ok(result?)
    }
}

/// The output of `serving`, unless `drain` passes between the cancellation of `shutdown` and its end, or nothing is owed
/// any more.
async fn within_drain<F: Future + Unpin>(
    serving: &mut F,
    shutdown: &CancellationToken,
    drain: Duration,
    owed: &Owed,
) -> Option<F::Output> {
    tokio::select! {
        output = serving => Some(output),
        () = async {
            shutdown.cancelled().await;
            // Which of the two it was makes no difference.
            let _ = tokio::time::timeout(drain, owed.settled()).await;
        } => None,
    }
}
