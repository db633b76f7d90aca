//! Starting and stopping the role.

use std::collections::BTreeMap;
use std::time::Duration;

use levada_metadata::{ControllerId, ControllerRegistration, Genesis, Image, LevelRange, MetadataLevel, Proposer};
use levada_peers::{ControllerClient, Controllers, ReplicaLogs};
use levada_proto::internal::controller_server::ControllerServer;
use levada_service::grpc::{GrpcServer, GrpcServerError, MessageLimit, Profile};
use levada_service::http::ReadyFlag;
use levada_service::net::{Address, Network, advertised};
use levada_types::ClusterId;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::active::{Active, drive};
use crate::announce::{Announcer, show_voters};
use crate::balance;
use crate::feed::Feed;
use crate::forward::Forwarder;
use crate::log_elections::LogElections;
use crate::moves::Mover;
use crate::options::{ControllerOptions, StartError};
use crate::raft::{Founders, Founding, MAX_MESSAGE_BYTES, RaftNode, RaftOptions};
use crate::service::{Context, Service};
use crate::session::{SessionKeeper, SessionLimits};

/// A controller that serves.
pub struct RunningController {
    address: Address,
    feed: Feed,
    active: Active,
    serving: JoinHandle<Result<(), StartError>>,
}

impl RunningController {
    /// Where its internal services are reached.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The metadata as this controller has applied it.
    #[must_use]
    pub fn image(&self) -> Image {
        self.feed.image()
    }

    /// Resolves when this controller is the active one: it leads, and has applied everything that was ever committed.
    pub async fn active(&self) {
        let mut state = self.active.state();
        if state.wait_for(|state| state.own_term.is_some()).await.is_err() {
            // It has stopped, and `stopped` says so; it will not become active any more.
            std::future::pending::<()>().await;
        }
    }

    /// Resolves when the controller has stopped.
    ///
    /// # Errors
    /// [`StartError`] if it did so unasked: its storage failed, it met metadata that it does not know, or its server
    /// failed. The process must then end, for it does not hold the cluster's metadata any more.
    pub async fn stopped(self) -> Result<(), StartError> {
        self.serving.await.unwrap_or_else(|error| Err(StartError::Raft(error.to_string())))
    }
}

/// Starts the role: opens the metadata log, takes part in the quorum, and serves until `shutdown` is cancelled.
///
/// Returns once it listens. `ready` is set while this node knows the active controller, be it itself or another.
///
/// # Errors
/// [`StartError`] if an option is wrong, the storage cannot be used or the address cannot be bound.
pub async fn start(
    options: ControllerOptions,
    network: Network,
    ready: ReadyFlag,
    shutdown: CancellationToken,
) -> Result<RunningController, StartError> {
    let (id, wanted, cluster_id) = (options.id()?, options.address()?, options.genesis_id()?);
    if options.dir.as_os_str().is_empty() {
        return Err(StartError::Options("metadata.log.dir is not given; set it to a directory".to_owned()));
    }
    // First of all, so that the address it announces is one that it has.
    let bound = network.bind(&wanted).await;
    let listener = bound.map_err(|source| StartError::Bind { address: wanted.clone(), source })?;
    let bound = listener.address().map_err(|source| StartError::Bind { address: wanted.clone(), source })?;
    let address = advertised(&wanted, bound, options.advertised_address()?.as_ref())?;
    let founders = options.founders(id, &address)?.unwrap_or_default();
    let controllers = Controllers::new(network.clone(), options.known_controllers(&founders)?);

    let feed = Feed::new();
    let raft_options = raft_options(id, &options, &address, (&founders, cluster_id));
    let raft = RaftNode::open(&raft_options, network.clone(), feed.clone()).await?;
    let genesis =
        Genesis { cluster_id: cluster_id.unwrap_or_else(|| ClusterId(Uuid::new_v4())), level: MetadataLevel::LATEST };
    // Ends the parts of this role: when the process says so, and when one of them has ended by itself.
    let stop = shutdown.child_token();
    let (active, driving) =
        drive(raft.clone(), feed.clone(), Proposer::new(genesis, options.statics.clone()), stop.clone());
    let driving = tokio::spawn(driving);
    let limits = SessionLimits {
        timeout: Duration::from_millis(options.broker_session_timeout_ms),
        grace: Duration::from_millis(options.broker_session_grace_ms),
        reconnect: Duration::from_millis(options.broker_reconnect_timeout_ms),
    };
    let sessions = SessionKeeper::new(active.clone(), feed.clone(), network.clone(), limits);
    let registration = ControllerRegistration {
        id: ControllerId(id),
        directory: raft.key().directory,
        internal_address: address.to_string(),
        levels: LevelRange::SUPPORTED,
    };
    let announcing = Announcer::new(registration, active.clone(), ControllerClient::new(controllers), feed.clone());
    let mut tasks = vec![
        ("telling readiness", tokio::spawn(tell_ready(active.clone(), ready, stop.clone()))),
        ("keeping sessions", tokio::spawn(sessions.clone().run(stop.clone()))),
        ("announcing this controller", tokio::spawn(announcing.run(stop.clone()))),
        ("showing the voters", tokio::spawn(show_voters(raft.clone(), active.clone(), feed.clone(), stop.clone()))),
    ];
    let mover = Mover::new(active.clone(), feed.clone(), &options.statics);
    tasks.push(("moving replicas", tokio::spawn(mover.run(stop.clone()))));
    let unclean_wait = Duration::from_millis(options.unclean_wait_ms());
    let logs = ReplicaLogs::new(network.clone());
    let elections = LogElections::new(active.clone(), feed.clone(), logs, unclean_wait);
    tasks.push(("electing by logs", tokio::spawn(elections.clone().run(stop.clone()))));
    if let Some(interval) = balance::interval(&options.statics) {
        let balancing = balance::balance(active.clone(), interval, stop.clone());
        tasks.push(("balancing leaderships", tokio::spawn(balancing)));
    }
    if founders.len() > 1 {
        let founding = Founding { voters: founders, cluster_id, network: network.clone() };
        tasks.push(("founding the quorum", tokio::spawn(found(founding, raft.clone(), stop.clone()))));
    }
    let millis = |ms: u64| u32::try_from(ms).unwrap_or(u32::MAX);
    let service = Service::new(Context {
        active: active.clone(),
        feed: feed.clone(),
        raft: raft.clone(),
        sessions,
        elections,
        forwarder: Forwarder::new(network),
        heartbeat_interval_ms: millis(options.heartbeat_ms()),
        session_timeout_ms: millis(options.broker_session_timeout_ms),
        shutdown: stop.clone(),
    });
    let server = ControllerServer::new(service)
        .max_decoding_message_size(options.grpc.max_message_bytes)
        .max_encoding_message_size(options.grpc.max_message_bytes);
    let raft_limit = MessageLimit { bytes: MAX_MESSAGE_BYTES, setting: None };
    let server = GrpcServer::internal(&options.grpc, Profile::Control)
        .add_service(server)
        .add_service_within(raft.service(), raft_limit);
    let serving = server.serve(listener, stop.clone());
    let serving = tokio::spawn(async move {
        let parts = Parts { driving, tasks, raft, stop };
        parts.run(serving, &shutdown).await
    });
    Ok(RunningController { address, feed, active, serving })
}

struct Parts {
    driving: JoinHandle<()>,
    /// What ends with `stop`, and what it is called.
    tasks: Vec<(&'static str, JoinHandle<()>)>,
    raft: RaftNode,
    stop: CancellationToken,
}

impl Parts {
    /// Serves until the process stops, or a part of the role has ended by itself, and ends them all in order.
    async fn run(
        mut self,
        serving: impl Future<Output = Result<(), GrpcServerError>>,
        shutdown: &CancellationToken,
    ) -> Result<(), StartError> {
        let mut serving = std::pin::pin!(serving);
        let driver_ended = tokio::select! {
            served = &mut serving => {
                self.stop.cancel();
                served?;
                false
            }
            _ = &mut self.driving => {
                self.stop.cancel();
                serving.await?;
                true
            }
        };
        if !driver_ended {
            end("proposing", self.driving).await;
        }
        for (what, task) in self.tasks {
            end(what, task).await;
        }
        let failure = self.raft.failure();
        self.raft.close().await;
        match failure {
            Some(failure) if !shutdown.is_cancelled() => Err(StartError::Raft(failure)),
            _ => Ok(()),
        }
    }
}

async fn found(founding: Founding, raft: RaftNode, stop: CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        founded = founding.run(raft) => if let Err(error) = founded {
            // Raft has stopped, and with it the task that drives it, which ends the role.
            tracing::error!(%error, "the quorum was not founded");
        }
    }
}

async fn tell_ready(active: Active, ready: ReadyFlag, stop: CancellationToken) {
    let mut state = active.state();
    loop {
        {
            let now = state.borrow_and_update();
            ready.set(now.own_term.is_some() || now.other_leads());
        }
        tokio::select! {
            () = stop.cancelled() => break,
            changed = state.changed() => if changed.is_err() { break },
        }
    }
    ready.set(false);
}

async fn end(what: &str, task: JoinHandle<()>) {
    if let Err(error) = task.await {
        tracing::error!(%error, "{what} ended badly");
    }
}

fn raft_options(
    id: u64,
    options: &ControllerOptions,
    address: &Address,
    (founders, cluster_id): (&BTreeMap<u64, String>, Option<ClusterId>),
) -> RaftOptions {
    RaftOptions {
        id,
        dir: options.dir.clone(),
        address: address.to_string(),
        founders: Founders { voters: founders.keys().copied().collect(), cluster_id },
        addresses: founders.clone(),
        heartbeat: Duration::from_millis(options.quorum_heartbeat_ms),
        election_timeout: Duration::from_millis(options.election_timeout_ms),
        snapshot_entries: options.snapshot_entries,
        snapshot_bytes: options.snapshot_bytes,
    }
}
