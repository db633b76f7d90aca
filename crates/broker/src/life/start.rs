//! Starting a broker: open the data directories, learn what it holds, register, serve.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use levada_log::{DirectoryInfo, DirectoryState, Disk, LogStore, RecoveryProgress, StoreError, StoreOptions};
use levada_metadata::{Image, LevelRange, NewBroker};
use levada_peers::{BrokerSession, ControllerClient, Controllers, MetadataWatch, RegistrationError, WatchFailure};
use levada_service::http::ReadyFlag;
use levada_service::net::{Address, Listener, Network};
use levada_service::shutdown::CancellationToken;
use levada_types::{BrokerEpoch, DirectoryId};
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinHandle, JoinSet};
use uuid::Uuid;

use super::maintenance::Maintenance;
use super::reconciler::Reconciler;
use super::running::{RunningBroker, Serving, refusal};
use crate::directories::{move_replicas, report_directories, report_placements, watch_directories};
use crate::face::Face;
use crate::replication::{follow_leaders, propose_in_sync_sets, replication_server, tick_replicas};
use crate::{Broker, BrokerOptions, Phase, PhaseReporter};

/// How often the progress of recovery is looked at.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

/// What a broker needs beside its options.
pub struct BrokerDeps {
    /// The way to the controllers.
    pub controllers: Controllers,
    /// Where connections to other roles are made.
    pub network: Network,
    /// Where this broker's internal services listen.
    pub internal: Listener,
    /// What others are told to dial to reach them.
    pub internal_address: Address,
    /// The file system of the data directories.
    pub disk: Arc<dyn Disk>,
    /// The faces, bound and not yet serving.
    pub faces: Vec<Box<dyn Face>>,
    /// Where to tell how far the broker is.
    pub phase: PhaseReporter,
    /// Set while the broker serves.
    pub ready: ReadyFlag,
}

/// Why a broker did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directories cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system refused a thread.
    #[error("the system refused a thread: {0}")]
    Thread(#[source] std::io::Error),
    /// The controller does not take this broker.
    #[error(transparent)]
    Registration(#[from] RegistrationError),
    /// The metadata cannot be followed.
    #[error(transparent)]
    Metadata(#[from] WatchFailure),
    /// The process was asked to stop before the broker served.
    #[error("asked to stop before the broker served")]
    Stopped,
    /// A defect.
    #[error("a defect stopped the start: {0}")]
    Defect(#[from] tokio::task::JoinError),
}

/// Starts a broker; resolves once it serves. Progress is told through `deps.phase`.
///
/// # Errors
/// [`StartError`]. Nothing is left running then; logs that were open are recovered at the next start.
pub async fn start(
    options: BrokerOptions,
    deps: BrokerDeps,
    shutdown: CancellationToken,
) -> Result<RunningBroker, StartError> {
    let upkeep = CancellationToken::new();
    // Dropped with an error or a cancelled start, it ends what was started so far.
    let guard = upkeep.clone().drop_guard();
    let (source, watch) = MetadataWatch::start(deps.controllers.clone(), upkeep.clone());
    let starting = bring_up(options, deps, source.clone(), watch, upkeep);
    let serving = tokio::select! {
        serving = starting => serving?,
        failure = source.failed() => return Err(failure.into()),
        () = shutdown.cancelled() => return Err(StartError::Stopped),
    };
    guard.disarm();
    Ok(serving.until(shutdown))
}

async fn bring_up(
    options: BrokerOptions,
    deps: BrokerDeps,
    source: MetadataWatch,
    watch: JoinHandle<()>,
    upkeep: CancellationToken,
) -> Result<Serving, StartError> {
    let BrokerDeps { controllers, network, internal, internal_address, disk, faces, phase, ready } = deps;
    let store = open_store(&options, disk).await?;
    let broker = Arc::new(
        Broker::assemble(options, store, ControllerClient::new(controllers.clone()), network.clone())
            .map_err(StartError::Thread)?,
    );

    // The logs are opened with their topics' settings, so the metadata comes first. It may be a little old: then it
    // lacks something that the next image brings.
    let image = first_image(&source).await;
    if let Some(cluster_id) = image.cluster_id() {
        broker.store.set_cluster_id(cluster_id)?;
        // Whatever another one says of topics and brokers is not about these directories.
        controllers.belong_to(cluster_id);
    }
    let progress = Arc::new(RecoveryProgress::default());
    let mut reconciler = Reconciler::new(Arc::clone(&broker), source.clone(), Arc::clone(&progress));
    recover(&mut reconciler, image, &progress, &phase).await?;

    // Others dial as soon as this broker is registered.
    let replicating = tokio::spawn(serve_internally(Arc::clone(&broker), internal, upkeep.clone()));
    phase.reach(Phase::Registering);
    let (session, epoch) = loop {
        let has_lost_bytes = progress.has_found_loss();
        let registration = registration(&broker, &faces, &internal_address, has_lost_bytes);
        let session = BrokerSession::open(controllers.clone(), &registration, broker.metadata.clone(), source.clone());
        let epoch = session.registered().await?;
        broker.epoch.send_replace(Some(epoch));
        catch_up(&mut reconciler, &broker, &source, epoch).await?;
        // A log that only the newer image named may be the one that has lost bytes; nothing is led before that is told.
        if progress.has_found_loss() == has_lost_bytes {
            break (session, epoch);
        }
    };
    broker.mandate.hold(session.lease());
    session.set_ready();
    let (follower, proposer, ticker) = (Arc::clone(&broker), Arc::clone(&broker), Arc::clone(&broker));
    let following = tokio::spawn(follow_leaders(follower, network, upkeep.clone()));
    let proposing = tokio::spawn(propose_in_sync_sets(proposer, upkeep.clone()));
    let ticking = tokio::spawn(tick_replicas(ticker, upkeep.clone()));
    let (failing, mut reconciler_failed) = oneshot::channel();
    let until = upkeep.clone();
    let reconciling = tokio::spawn(async move {
        if let Err(defect) = reconciler.run(until).await {
            // Nobody hears it if the broker stops anyway.
            drop(failing.send(defect));
        }
    });
    tokio::select! {
        () = leading(&broker, epoch) => {}
        refused = refusal(session.state(), &broker) => return Err(refused.into()),
        Ok(defect) = &mut reconciler_failed => return Err(defect.into()),
    }

    let tasks = vec![
        watch,
        reconciling,
        replicating,
        following,
        proposing,
        ticking,
        tokio::spawn(watch_directories(Arc::clone(&broker), upkeep.clone())),
        tokio::spawn(report_directories(Arc::clone(&broker), upkeep.clone())),
        tokio::spawn(report_placements(Arc::clone(&broker), upkeep.clone())),
        tokio::spawn(move_replicas(Arc::clone(&broker), upkeep.clone())),
    ];
    let maintenance = Maintenance::start(&broker).map_err(StartError::Thread)?;
    let mut serving = Serving {
        broker,
        session,
        faces: JoinSet::new(),
        faces_end: CancellationToken::new(),
        source,
        reconciler_failed,
        tasks,
        maintenance,
        upkeep,
        phase,
        ready,
    };
    serving.begin(faces);
    Ok(serving)
}

async fn open_store(options: &BrokerOptions, disk: Arc<dyn Disk>) -> Result<LogStore, StartError> {
    let store_options = StoreOptions {
        directories: options.log_dirs.iter().map(PathBuf::from).collect(),
        cluster_id: None,
        node_id: options.broker_id(),
        recovery_threads: options.recovery_threads,
        max_open_files: options.max_open_files,
    };
    let open = move || LogStore::open(store_options, disk, &mut || DirectoryId(Uuid::new_v4()));
    Ok(tokio::task::spawn_blocking(open).await??)
}

/// Serves other roles until `stop`.
async fn serve_internally(broker: Arc<Broker>, listener: Listener, stop: CancellationToken) {
    if let Err(error) = replication_server(broker, listener, stop).await {
        tracing::error!(%error, "this broker's internal services have failed; its followers fall behind");
    }
}

/// The first image of a cluster that exists.
async fn first_image(source: &MetadataWatch) -> Arc<Image> {
    let mut image = source.image();
    while image.cluster_id().is_none() {
        image = source.changed(image.offset()).await;
    }
    image
}

/// Resolves once this broker has acted upon an image in which it is unfenced, and leads what it is to lead.
async fn leading(broker: &Broker, epoch: BrokerEpoch) {
    let mut image = broker.image();
    while !image.broker(broker.id()).is_some_and(|registered| registered.is_live() && registered.epoch >= epoch) {
        image = broker.metadata.changed(image.offset()).await;
    }
    broker.parts_taken().await;
}

/// Opens the logs that `image` assigns to this broker, and tells how far it is.
async fn recover(
    reconciler: &mut Reconciler,
    image: Arc<Image>,
    progress: &RecoveryProgress,
    phase: &PhaseReporter,
) -> Result<(), JoinError> {
    let tell = || {
        let count = |logs| usize::try_from(logs).unwrap_or(usize::MAX);
        phase.reach(Phase::Recovering { done: count(progress.logs_done()), total: count(progress.logs_total()) });
    };
    let mut opening = std::pin::pin!(reconciler.advance_to(image));
    loop {
        tell();
        if let Ok(opened) = tokio::time::timeout(PROGRESS_INTERVAL, opening.as_mut()).await {
            return opened;
        }
    }
}

/// What the broker says of itself. If its logs have lost bytes, it has to catch up with what it was complete in; its boot is
/// told all the same, since what it has then caught up with outlives the process again.
fn registration(
    broker: &Broker,
    faces: &[Box<dyn Face>],
    internal_address: &Address,
    has_lost_bytes: bool,
) -> NewBroker {
    let online = |directory: &DirectoryInfo| directory.state != DirectoryState::Offline;
    let options = &broker.options;
    let directories = broker.store.directories();
    NewBroker {
        id: broker.id(),
        incarnation: Uuid::new_v4(),
        // The session puts in what it knows each time that it registers.
        replaces: None,
        boot_id: options.boot_id.clone().or_else(kernel_boot_id),
        clean_shutdown_epoch: broker.store.clean_shutdown_epoch().map(BrokerEpoch),
        closed_directories: broker.store.closed_directories().map(|(id, epoch)| (id, BrokerEpoch(epoch))).collect(),
        directories: directories.iter().filter(|d| online(d)).filter_map(|d| d.id).collect(),
        cluster_id: broker.store.cluster_id(),
        has_offline_directory: !directories.iter().all(online),
        has_lost_bytes,
        endpoints: faces.iter().flat_map(|face| face.endpoints()).collect(),
        internal_address: internal_address.to_string(),
        rack: options.rack.clone().filter(|rack| !rack.is_empty()),
        levels: LevelRange::SUPPORTED,
    }
}

/// The identity of this boot of the machine, if the system tells it.
fn kernel_boot_id() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned()).filter(|id| !id.is_empty())
}

/// Acts upon the metadata up to this broker's own registration. An image that holds it is current, so that logs which it
/// does not assign to this broker are strays.
pub(crate) async fn catch_up(
    reconciler: &mut Reconciler,
    broker: &Arc<Broker>,
    source: &MetadataWatch,
    epoch: BrokerEpoch,
) -> Result<(), StartError> {
    let holds_registration = |image: &Image| image.broker(broker.id()).is_some_and(|known| known.epoch >= epoch);
    let mut image = broker.image();
    while !holds_registration(&image) {
        image = source.changed(image.offset()).await;
        reconciler.advance_to(Arc::clone(&image)).await?;
    }
    let marking = Arc::clone(broker);
    tokio::task::spawn_blocking(move || marking.mark_strays(&image)).await?;
    Ok(())
}
