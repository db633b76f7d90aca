//! The HTTP endpoint as a scraper and a probe see it.

use std::net::SocketAddr;

use levada_service::http::{HttpServer, Readiness};
use levada_service::shutdown::CancellationToken;
use levada_service::telemetry::Metrics;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: levada\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn probes_and_metrics_are_answered_until_the_shutdown() {
    let server = HttpServer::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let (readiness, shutdown) = (Readiness::new(), CancellationToken::new());
    let broker = readiness.part("broker");
    let serving = tokio::spawn(server.serve(Metrics::detached(), readiness, shutdown.clone()));

    assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200"));
    let waiting = get(address, "/readyz").await;
    assert!(waiting.starts_with("HTTP/1.1 503") && waiting.ends_with("not ready: broker\n"), "{waiting}");
    broker.set(true);
    assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 200"));
    let metrics = get(address, "/metrics").await;
    assert!(metrics.starts_with("HTTP/1.1 200") && metrics.contains("text/plain; version=0.0.4"), "{metrics}");
    assert!(get(address, "/elsewhere").await.starts_with("HTTP/1.1 404"));

    shutdown.cancel();
    serving.await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}
