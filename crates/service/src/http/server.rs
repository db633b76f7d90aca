//! Serves `/metrics` (Prometheus text), `/healthz` (the process runs) and `/readyz` (it serves its clients).

use std::io;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Readiness;
use super::bounded::Bounded;
use crate::telemetry::Metrics;

/// How often histograms are folded, so that they do not grow while nobody scrapes.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// The content type of Prometheus' text format.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The HTTP endpoint, bound and not yet serving.
#[derive(Debug)]
pub struct HttpServer {
    listener: TcpListener,
}

impl HttpServer {
    /// Binds `address`; port 0 takes a free one.
    pub async fn bind(address: &str) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(address).await? })
    }

    /// The address that was really bound.
    pub fn local_addr(&self) -> io::Result<std::net::SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown` is cancelled.
    pub async fn serve(self, metrics: Metrics, readiness: Readiness, shutdown: CancellationToken) -> io::Result<()> {
        let upkeep = tokio::spawn(keep_up(metrics.clone(), shutdown.clone()));
        let routes = Router::new()
            .route("/metrics", get(render_metrics))
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(ready))
            .with_state((metrics, readiness));
        let served = axum::serve(Bounded::new(self.listener), routes)
            .with_graceful_shutdown(shutdown.clone().cancelled_owned())
            .await;
        upkeep.abort();
        served
    }
}

async fn keep_up(metrics: Metrics, shutdown: CancellationToken) {
    let mut tick = tokio::time::interval(UPKEEP_INTERVAL);
    while shutdown.run_until_cancelled(tick.tick()).await.is_some() {
        metrics.run_upkeep();
    }
}

async fn render_metrics(State((metrics, _)): State<(Metrics, Readiness)>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, PROMETHEUS_TEXT)], metrics.render())
}

async fn ready(State((_, readiness)): State<(Metrics, Readiness)>) -> (StatusCode, String) {
    let missing = readiness.missing();
    if missing.is_empty() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", missing.join(", ")))
    }
}
