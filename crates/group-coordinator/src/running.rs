//! Starting and stopping the role.

use std::sync::Arc;
use std::time::Duration;

use levada_coordinator::{Shards, ShardsOptions};
use levada_groups::Groups;
use levada_metadata::config::Resolver;
use levada_metadata::{CoordinatorKind, Image, LevelRange, NewCoordinator};
use levada_peers::{Controllers, CoordinatorSession, LagClient, MetadataWatch, RegistrationError, WatchFailure};
use levada_service::grpc::{GrpcServer, GrpcServerError, Profile};
use levada_service::http::ReadyFlag;
use levada_service::net::{Address, Listener, Network};
use levada_service::shutdown::CancellationToken;
use levada_service::telemetry::MetricsPage;
use levada_shard::machine::Limits;
use tokio::task::{JoinError, JoinHandle};
use uuid::Uuid;

use crate::GroupCoordinatorOptions;
use crate::group_settings::{group_config, write_timeout_ms};
use crate::lag::Refresher;
use crate::service::{GROUP_MESSAGE, service};

/// What a group coordinator needs beside its options.
pub struct GroupCoordinatorDeps {
    /// The way to the controllers.
    pub controllers: Controllers,
    /// Where connections to other roles are made.
    pub network: Network,
    /// Where its internal services listen.
    pub internal: Listener,
    /// What others are told to dial to reach them.
    pub internal_address: Address,
    /// Where it tells of groups and their lag.
    pub page: MetricsPage,
    /// Set while it is registered, so that shards are its own as they come.
    pub ready: ReadyFlag,
}

/// Why a group coordinator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The controller does not take it.
    #[error(transparent)]
    Registration(#[from] RegistrationError),
    /// The metadata cannot be followed.
    #[error(transparent)]
    Metadata(#[from] WatchFailure),
    /// The process was asked to stop before it served.
    #[error("asked to stop before the group coordinator served")]
    Stopped,
}

/// Why a group coordinator stopped although nobody asked it to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The metadata cannot be followed.
    #[error(transparent)]
    Metadata(#[from] WatchFailure),
    /// The controller does not take it any more.
    #[error(transparent)]
    Registration(#[from] RegistrationError),
    /// Its server failed.
    #[error(transparent)]
    Server(#[from] GrpcServerError),
    /// A defect.
    #[error("a defect stopped the group coordinator: {0}")]
    Defect(#[from] JoinError),
}

/// A group coordinator that serves.
pub struct RunningGroupCoordinator {
    shards: Shards<Groups>,
    ended: JoinHandle<Result<(), RunError>>,
}

impl RunningGroupCoordinator {
    /// Its shards.
    #[must_use]
    pub fn shards(&self) -> &Shards<Groups> {
        &self.shards
    }

    /// Resolves once it has stopped.
    ///
    /// # Errors
    /// [`RunError`] if it was not the shutdown token that stopped it.
    pub async fn ended(self) -> Result<(), RunError> {
        self.ended.await?
    }
}

/// What runs, and is stopped in order.
struct Serving {
    session: CoordinatorSession,
    source: MetadataWatch,
    server: JoinHandle<Result<(), GrpcServerError>>,
    /// Ends the server.
    server_end: CancellationToken,
    /// The watch, and what follows it.
    tasks: Vec<JoinHandle<()>>,
    /// Ends the tasks.
    upkeep: CancellationToken,
    ready: ReadyFlag,
    drain: Duration,
}

/// Starts a group coordinator; resolves once it is registered with the controller.
///
/// # Errors
/// [`StartError`]. Nothing is left running then.
pub async fn start(
    options: GroupCoordinatorOptions,
    deps: GroupCoordinatorDeps,
    shutdown: CancellationToken,
) -> Result<RunningGroupCoordinator, StartError> {
    let upkeep = CancellationToken::new();
    // Dropped with an error or a cancelled start, it ends what was started so far.
    let guard = upkeep.clone().drop_guard();
    let (source, watch) = MetadataWatch::start(deps.controllers.clone(), upkeep.clone());
    let starting = bring_up(&options, deps, source.clone(), watch, upkeep);
    let (shards, serving) = tokio::select! {
        started = starting => started?,
        failure = source.failed() => return Err(failure.into()),
        () = shutdown.cancelled() => return Err(StartError::Stopped),
    };
    guard.disarm();
    Ok(RunningGroupCoordinator { shards, ended: tokio::spawn(serving.run(shutdown)) })
}

async fn bring_up(
    options: &GroupCoordinatorOptions,
    deps: GroupCoordinatorDeps,
    source: MetadataWatch,
    watch: JoinHandle<()>,
    upkeep: CancellationToken,
) -> Result<(Shards<Groups>, Serving), StartError> {
    let GroupCoordinatorDeps { controllers, network, internal, internal_address, page, ready } = deps;
    let image = first_image(&source).await;
    if let Some(cluster_id) = image.cluster_id() {
        controllers.belong_to(cluster_id);
    }
    let shards = shards(options, &image, &network, source.clone());
    let server_end = upkeep.child_token();
    let server = GrpcServer::internal(&options.server(), Profile::Control)
        .add_service_within(service(shards.clone(), source.clone(), server_end.clone()), GROUP_MESSAGE);
    let server = tokio::spawn(server.serve(internal, server_end.clone()));
    // Shards come with the registration, and brokers as soon as they hear of that.
    let registration = NewCoordinator {
        kind: CoordinatorKind::Group,
        incarnation: Uuid::new_v4(),
        name: options.name.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| internal_address.to_string()),
        internal_address: internal_address.to_string(),
        levels: LevelRange::SUPPORTED,
    };
    let session = CoordinatorSession::open(controllers, &registration, source.clone());
    let (following, state, lease, stop) = (shards.clone(), session.state(), session.lease(), upkeep.clone());
    let following = tokio::spawn(async move { following.follow(state, lease, stop).await });
    session.registered().await?;
    ready.set(true);
    let drain = Duration::from_millis(options.drain_timeout_ms);
    let mut tasks = vec![watch, following];
    if options.lag_refresh_interval_ms > 0 {
        let refresher = Refresher {
            shards: shards.clone(),
            metadata: source.clone(),
            leaders: LagClient::new(network),
            page,
            interval: Duration::from_millis(options.lag_refresh_interval_ms),
            max_partitions: options.lag_max_partitions,
        };
        tasks.push(tokio::spawn(refresher.run(upkeep.clone())));
    }
    Ok((shards, Serving { session, source, server, server_end, tasks, upkeep, ready, drain }))
}

/// The shards, with the settings that hold at the start.
fn shards(
    options: &GroupCoordinatorOptions,
    image: &Image,
    network: &Network,
    source: MetadataWatch,
) -> Shards<Groups> {
    let resolver = Resolver::new(image.state(), None, &options.statics);
    let defaults = Limits::default();
    let limits = Limits {
        max_parked_bytes: options.parked_bytes,
        write_timeout_ms: write_timeout_ms(&resolver).unwrap_or(defaults.write_timeout_ms),
        ..defaults
    };
    let (kind, queued_requests, follows) = (CoordinatorKind::Group, options.queued_requests, options.is_standby);
    let shards = ShardsOptions { kind, queued_requests, follows, limits };
    Shards::new(shards, network, source, Groups::new(Arc::new(group_config(&resolver))))
}

/// The first image of a cluster that exists.
async fn first_image(source: &MetadataWatch) -> Arc<Image> {
    let mut image = source.image();
    while image.cluster_id().is_none() {
        image = source.changed(image.offset()).await;
    }
    image
}

impl Serving {
    /// Goes on until `shutdown` is cancelled or something fails, then stops.
    async fn run(mut self, shutdown: CancellationToken) -> Result<(), RunError> {
        let reason = tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            failure = self.source.failed() => Err(failure.into()),
            refused = refusal(&self.session) => Err(refused.into()),
            served = &mut self.server => match served {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(error.into()),
                Err(defect) => Err(defect.into()),
            },
        };
        if let Err(error) = &reason {
            tracing::error!(%error, "the group coordinator stops");
        }
        self.stop().await;
        reason
    }

    /// Gives the shards away, answers what is under way, and ends the rest.
    async fn stop(self) {
        self.ready.set(false);
        match self.session.stop(self.drain).await {
            // Those that still ask here are told to ask elsewhere.
            Some(offset) => drop(self.source.wait_for(offset, self.drain).await),
            None => tracing::warn!("the controller did not confirm the end of the session; it will notice"),
        }
        self.server_end.cancel();
        if !self.server.is_finished()
            && let Ok(Err(error)) = self.server.await
        {
            tracing::warn!(%error, "the server of the group coordinator ended badly");
        }
        self.upkeep.cancel();
        for task in self.tasks {
            // A task that met a defect has nothing more to say here.
            drop(task.await);
        }
    }
}

/// Resolves if the controller refuses this coordinator for good.
async fn refusal(session: &CoordinatorSession) -> RegistrationError {
    let mut state = session.state();
    loop {
        if let Some(refused) = &state.borrow_and_update().refused {
            return refused.clone();
        }
        if state.changed().await.is_err() {
            // The session is over, which the shutdown has to end, not this.
            std::future::pending::<()>().await;
        }
    }
}
