//! What is the same for every process that serves: options, runtime, telemetry, the HTTP endpoint, signals.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use levada_service::http::{HttpServer, Readiness};
use levada_service::net::Network;
use levada_service::options::{OptionsError, OptionsLoader};
use levada_service::shutdown::{CancellationToken, Drain, asked_to_stop};
use levada_service::telemetry::{Metrics, Telemetry, TelemetryOptions};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::arguments::OptionArguments;
use crate::console::complain;
use crate::failure::Failure;

/// How long answers of the HTTP endpoint that are under way may take when the process stops.
const HTTP_DRAIN: Duration = Duration::from_secs(1);

/// Options of the process itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessOptions {
    /// Where metrics and health are served, as `host:port`.
    #[serde(rename = "http.listener")]
    pub(crate) http_listener: String,
    /// Threads that run the asynchronous work (Kafka's network threads). One for each core by default.
    #[serde(rename = "num.network.threads")]
    pub(crate) network_threads: usize,
}

impl Default for ProcessOptions {
    fn default() -> Self {
        Self {
            http_listener: "127.0.0.1:9644".to_owned(),
            network_threads: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// The options of a process before its parts have taken theirs.
pub(crate) struct Given {
    loader: OptionsLoader,
    process: ProcessOptions,
    telemetry: TelemetryOptions,
}

impl Given {
    /// Reads every source: what the command presets, the file, the environment, the command's own `flags` (as
    /// `name=value`), `--set`.
    pub(crate) fn read<'a>(
        presets: impl IntoIterator<Item = (&'a str, String)>,
        flags: &[String],
        arguments: &OptionArguments,
    ) -> Result<Self, OptionsError> {
        let mut loader = OptionsLoader::new().presets(presets);
        if let Some(file) = &arguments.config {
            loader = loader.file(file)?;
        }
        let environment =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let mut loader = loader.environment(environment).set(flags)?.set(&arguments.set)?;
        Ok(Self { process: loader.take()?, telemetry: loader.take()?, loader })
    }

    /// Where the parts take theirs.
    pub(crate) fn loader(&mut self) -> &mut OptionsLoader {
        &mut self.loader
    }

    /// Refuses what no part took, starts the runtime and runs `serve` in it to its end.
    pub(crate) fn run(
        self,
        role: &'static str,
        serve: impl AsyncFnOnce(Process) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.loader.finish()?;
        raise_descriptor_limit();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(self.process.network_threads.max(1))
            .thread_name("levada")
            .enable_all()
            .build()
            .map_err(Failure::system("cannot start the runtime"))?;
        let outcome = runtime.block_on(async {
            let telemetry = Telemetry::init(&self.telemetry, role)?;
            let outcome = match Process::start(&self.process, &telemetry).await {
                Ok(process) => serve(process).await,
                Err(failure) => Err(failure),
            };
            telemetry.shutdown();
            outcome
        });
        // What still blocks, such as a write to a dead disk, must not hold the end of the process.
        runtime.shutdown_background();
        outcome
    }
}

/// A process that serves: its network, its HTTP endpoint, its roles, and its wish to stop.
pub(crate) struct Process {
    /// Where the roles of this process listen and dial.
    pub(crate) network: Network,
    /// What the parts say about whether they serve.
    pub(crate) readiness: Readiness,
    /// What the parts tell in numbers.
    pub(crate) metrics: Metrics,
    /// Where metrics and health are served.
    pub(crate) http: SocketAddr,
    /// What stops the process: a signal, or a role that gave up.
    endings: mpsc::Receiver<Result<(), Failure>>,
    end: mpsc::Sender<Result<(), Failure>>,
    /// How the parts are stopped, the one that was started last first.
    parts: Vec<Part>,
}

/// A part of the process that is stopped in its turn.
struct Part {
    name: &'static str,
    limit: Duration,
    stop: CancellationToken,
    ended: CancellationToken,
}

impl Process {
    async fn start(options: &ProcessOptions, telemetry: &Telemetry) -> Result<Self, Failure> {
        let (end, endings) = mpsc::channel(1);
        // First of all, so that a signal during the start is not lost.
        let asked = asked_to_stop().map_err(Failure::system("cannot listen for signals"))?;
        let signalled = end.clone();
        tokio::spawn(async move {
            let signal = asked.await;
            tracing::info!(signal, "stopping");
            let _ = signalled.send(Ok(())).await;
        });
        let bound =
            HttpServer::bind(&options.http_listener).await.and_then(|server| Ok((server.local_addr()?, server)));
        let (http, server) = bound.map_err(|source| Failure::Bind {
            address: options.http_listener.clone(),
            option: "http.listener",
            source,
        })?;
        let (network, readiness) = (Network::new(), Readiness::new());
        let metrics = telemetry.metrics();
        let mut process = Self { network, readiness, metrics, http, endings, end, parts: Vec::new() };
        let stop = CancellationToken::new();
        let serving = server.serve(process.metrics.clone(), process.readiness.clone(), stop.clone());
        process.part("http", HTTP_DRAIN, stop, async move {
            serving.await.map_err(Failure::system("the HTTP endpoint stopped"))
        });
        Ok(process)
    }

    /// Adds a part that runs: `ended` resolves when it has stopped, which it does within `limit` of the cancellation of
    /// `stop`. A part that stops with a failure stops the process.
    pub(crate) fn part(
        &mut self,
        name: &'static str,
        limit: Duration,
        stop: CancellationToken,
        ended: impl Future<Output = Result<(), Failure>> + Send + 'static,
    ) {
        let (done, end) = (CancellationToken::new(), self.end.clone());
        self.parts.push(Part { name, limit, stop, ended: done.clone() });
        tokio::spawn(async move {
            let outcome = ended.await;
            done.cancel();
            if outcome.is_err() {
                // Only the first ending counts; the others find no room, or nobody who listens.
                let _ = end.try_send(outcome);
            }
        });
    }

    /// Awaits `starting`, a part that is being started. If the process is to stop meanwhile, `stop` is cancelled, and
    /// whatever the part had become is dropped.
    ///
    /// # Errors
    /// Why the part did not start, or why the process is to stop; `None` if it was merely asked to.
    pub(crate) async fn started<T>(
        &mut self,
        stop: &CancellationToken,
        starting: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Option<Failure>> {
        let mut starting = pin!(starting);
        tokio::select! {
            started = &mut starting => started.map_err(Some),
            ending = self.endings.recv() => {
                stop.cancel();
                // What went wrong because of the stop is not what went wrong.
                drop(starting.await);
                Err(ending.and_then(Result::err))
            }
        }
    }

    /// Goes on until the process is to stop, unless the start came to nothing; then stops the parts, the one that was
    /// started last first.
    pub(crate) async fn until_stopped(mut self, started: Result<(), Option<Failure>>) -> Result<(), Failure> {
        let outcome = match started {
            Ok(()) => self.endings.recv().await.unwrap_or(Ok(())),
            Err(ending) => ending.map_or(Ok(()), Err),
        };
        // Why it ends is said last of all, by `main`, and only there.
        let drain = self.parts.into_iter().rev().fold(Drain::new(), |drain, part| {
            drain.step(part.name, part.limit, part.stop, part.ended.cancelled_owned())
        });
        drain.run().await;
        outcome
    }
}

/// Raises the soft limit of open descriptors to the hard one: a broker keeps segments and connections open by the
/// thousand, and the usual soft limit of 1024 exists only for programs that use `select`.
fn raise_descriptor_limit() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        complain(format_args!("at most {soft} descriptors may be open, and the system refuses more: {error}"));
    }
}
