//! What is the same for every process that serves: options, runtime, telemetry, the HTTP endpoint, signals.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use levada_service::http::{HttpServer, Readiness};
use levada_service::net::Network;
use levada_service::options::{OptionsError, OptionsLoader};
use levada_service::shutdown::{CancellationToken, Drain, asked_to_stop};
use levada_service::telemetry::{Telemetry, TelemetryOptions};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use crate::arguments::OptionArguments;
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
    /// Reads every source: what the command presets, the file, the environment, `--set`.
    pub(crate) fn read<'a>(
        presets: impl IntoIterator<Item = (&'a str, String)>,
        arguments: &OptionArguments,
    ) -> Result<Self, OptionsError> {
        let mut loader = OptionsLoader::new().presets(presets);
        if let Some(file) = &arguments.config {
            loader = loader.file(file)?;
        }
        let environment =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let mut loader = loader.environment(environment).set(&arguments.set)?;
        Ok(Self { process: loader.take()?, telemetry: loader.take()?, loader })
    }

    /// Where the parts take theirs.
    pub(crate) fn loader(&mut self) -> &mut OptionsLoader {
        &mut self.loader
    }

    /// Refuses what no part took, starts the runtime and runs `serve` in it to its end.
    pub(crate) fn run<S, F>(self, role: &'static str, serve: S) -> Result<(), Failure>
    where
        S: FnOnce(Process) -> F,
        F: Future<Output = Result<(), Failure>>,
    {
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
            let process = Process::start(&self.process, &telemetry).await?;
            let outcome = serve(process).await;
            telemetry.shutdown();
            outcome
        });
        // What still blocks, such as a write to a dead disk, must not hold the end of the process.
        runtime.shutdown_background();
        outcome
    }
}

/// A process that serves: its network, its HTTP endpoint, its wish to stop.
pub(crate) struct Process {
    /// Where the roles of this process listen and dial.
    pub(crate) network: Network,
    /// What the parts say about whether they serve.
    pub(crate) readiness: Readiness,
    /// Where metrics and health are served.
    pub(crate) http: SocketAddr,
    http_shutdown: CancellationToken,
    http_task: tokio::task::JoinHandle<()>,
    stop: std::pin::Pin<Box<dyn Future<Output = &'static str> + Send>>,
}

impl Process {
    async fn start(options: &ProcessOptions, telemetry: &Telemetry) -> Result<Self, Failure> {
        // First of all, so that a signal during the start is not lost.
        let stop = asked_to_stop().map_err(Failure::system("cannot listen for signals"))?;
        let bound =
            HttpServer::bind(&options.http_listener).await.and_then(|server| Ok((server.local_addr()?, server)));
        let (http, server) = bound.map_err(|source| Failure::Bind {
            address: options.http_listener.clone(),
            option: "http.listener",
            source,
        })?;
        let (readiness, http_shutdown) = (Readiness::new(), CancellationToken::new());
        let serving = server.serve(telemetry.metrics(), readiness.clone(), http_shutdown.clone());
        let http_task = tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "the HTTP endpoint stopped");
            }
        });
        Ok(Self { network: Network::new(), readiness, http, http_shutdown, http_task, stop: Box::pin(stop) })
    }

    /// Waits until the process is asked to stop, or until `failed` resolves because one of its roles gave up.
    pub(crate) async fn until_stopped(&mut self, failed: impl Future<Output = Failure>) -> Result<(), Failure> {
        tokio::select! {
            signal = &mut self.stop => {
                tracing::info!(signal, "stopping");
                Ok(())
            }
            failure = failed => {
                tracing::error!(%failure, "stopping");
                Err(failure)
            }
        }
    }

    /// Runs `roles` and then stops the HTTP endpoint, which tells how the drain goes until the end.
    pub(crate) async fn drain(self, roles: Drain) {
        let http = async move {
            let _ = self.http_task.await;
        };
        roles.step("http", HTTP_DRAIN, self.http_shutdown, http).run().await;
    }
}

/// Raises the soft limit of open descriptors to the hard one: a broker keeps segments and connections open by the
/// thousand, and the usual soft limit of 1024 exists only for programs that use `select`.
fn raise_descriptor_limit() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        eprintln!("levada: at most {soft} descriptors may be open, and the system refuses more: {error}");
    }
}
