//! gRPC servers: health, what reflection shows, drain.

use levada_service::grpc::{GrpcOptions, GrpcServer, Profile};
use levada_service::net::{Address, Network};
use levada_service::shutdown::CancellationToken;
use tokio_stream::StreamExt;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

struct Running {
    channel: Channel,
    shutdown: CancellationToken,
    server: tokio::task::JoinHandle<()>,
}

async fn start(server: GrpcServer, address: Address, profile: Profile) -> Running {
    let network = Network::new();
    let listener = network.bind(&address).await.unwrap();
    let channel = network.dialer(listener.address().unwrap()).channel(profile);
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    let server = tokio::spawn(async move { server.serve(listener, stop).await.unwrap() });
    Running { channel, shutdown, server }
}

impl Running {
    async fn stop(self) {
        drop(self.channel);
        self.shutdown.cancel();
        self.server.await.unwrap();
    }
}

async fn reflected(channel: Channel) -> Result<Vec<String>, Code> {
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = ServerReflectionClient::new(channel)
        .server_reflection_info(tokio_stream::once(request))
        .await
        .map_err(|status| status.code())?
        .into_inner();
    let answer = answers.next().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else { panic!("{answer:?}") };
    Ok(list.service.into_iter().map(|service| service.name).collect())
}

#[tokio::test]
async fn health_is_served_over_tcp_and_in_memory_in_both_profiles() {
    for address in [Address::memory("server"), "127.0.0.1:0".parse().unwrap()] {
        for profile in [Profile::Bulk, Profile::Control] {
            let server = GrpcServer::internal(&GrpcOptions::default(), profile);
            let running = start(server, address.clone(), profile).await;
            let mut health = HealthClient::new(running.channel.clone());
            let answer = health.check(HealthCheckRequest::default()).await.unwrap().into_inner();
            assert_eq!(answer.status(), ServingStatus::Serving);
            drop(health);
            running.stop().await;
        }
    }
}

#[tokio::test]
async fn reflection_lists_what_it_was_given_and_an_internal_server_has_none() {
    let public = GrpcServer::public(&GrpcOptions::default(), &[]).unwrap();
    let running = start(public, Address::memory("public"), Profile::Control).await;
    let mut names = reflected(running.channel.clone()).await.unwrap();
    names.sort();
    assert_eq!(names, ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"]);
    running.stop().await;

    let internal = GrpcServer::internal(&GrpcOptions::default(), Profile::Control);
    let running = start(internal, Address::memory("internal"), Profile::Control).await;
    assert_eq!(reflected(running.channel.clone()).await, Err(Code::Unimplemented));
    running.stop().await;
}

#[test]
fn descriptors_that_are_none_are_refused() {
    assert!(GrpcServer::public(&GrpcOptions::default(), &[&[0xff, 0xff]]).is_err());
}

#[tokio::test]
async fn a_stream_that_does_not_end_is_told_of_the_drain_and_then_cut_off() {
    let options = GrpcOptions { drain_timeout_ms: 20, ..GrpcOptions::default() };
    let server = GrpcServer::internal(&options, Profile::Control);
    let running = start(server, Address::memory("server"), Profile::Control).await;
    let mut health = HealthClient::new(running.channel.clone());
    let mut statuses = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(statuses.next().await.unwrap().unwrap().status(), ServingStatus::Serving);

    running.shutdown.cancel();
    assert_eq!(statuses.next().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    running.server.await.unwrap();
    let end = statuses.next().await;
    assert!(!matches!(end, Some(Ok(_))), "{end:?}");
    assert!(health.check(HealthCheckRequest::default()).await.is_err());
}

#[tokio::test]
async fn one_connection_too_many_is_closed_and_a_place_becomes_free_again() {
    let options = GrpcOptions { max_connections: 1, ..GrpcOptions::default() };
    let network = Network::new();
    let listener = network.bind(&Address::memory("server")).await.unwrap();
    let dialer = network.dialer(Address::memory("server"));
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(GrpcServer::internal(&options, Profile::Control).serve(listener, shutdown.clone()));
    let check = |channel: Channel| async move { HealthClient::new(channel).check(HealthCheckRequest::default()).await };

    let (first, second) = (dialer.channel(Profile::Control), dialer.channel(Profile::Control));
    check(first.clone()).await.unwrap();
    assert!(check(second.clone()).await.is_err());
    drop(first);
    // The server notices the end of the first connection in its own time.
    while check(second.clone()).await.is_err() {
        tokio::task::yield_now().await;
    }
    drop(second);
    shutdown.cancel();
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn calls_are_counted_by_method_and_made_up_methods_are_one() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let rendered = recorder.handle();
    let _local = metrics::set_default_local_recorder(&recorder);
    let server = GrpcServer::internal(&GrpcOptions::default(), Profile::Control);
    let running = start(server, Address::memory("server"), Profile::Control).await;
    HealthClient::new(running.channel.clone()).check(HealthCheckRequest::default()).await.unwrap();
    assert_eq!(reflected(running.channel.clone()).await, Err(Code::Unimplemented));
    running.stop().await;
    let text = rendered.render();
    let counted = |method: &str, code: &str| {
        text.contains(&format!("levada_grpc_server_handled_total{{method=\"{method}\",code=\"{code}\"}} 1"))
    };
    assert!(counted("/grpc.health.v1.Health/Check", "Ok"), "{text}");
    assert!(counted("unknown", "Unimplemented"), "{text}");
}

/// A drain that no test waits for: one that needs it hangs.
const FOR_EVER: u64 = u32::MAX as u64;

#[tokio::test]
async fn streams_of_health_and_reflection_end_when_the_server_stops() {
    let options = GrpcOptions { drain_timeout_ms: FOR_EVER, ..GrpcOptions::default() };
    let running = start(GrpcServer::public(&options, &[]).unwrap(), Address::memory("server"), Profile::Control).await;
    let mut health = HealthClient::new(running.channel.clone());
    let mut statuses = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(statuses.next().await.unwrap().unwrap().status(), ServingStatus::Serving);
    let mut reflection = ServerReflectionClient::new(running.channel.clone());
    let questions = tokio_stream::pending::<ServerReflectionRequest>();
    let mut answers = reflection.server_reflection_info(questions).await.unwrap().into_inner();

    running.shutdown.cancel();
    assert_eq!(statuses.next().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    assert_eq!(statuses.next().await.unwrap().unwrap_err().code(), Code::Unavailable);
    assert_eq!(answers.next().await.unwrap().unwrap_err().code(), Code::Unavailable);
    running.server.await.unwrap();
}

#[tokio::test]
async fn a_connection_on_which_nobody_speaks_does_not_hold_up_the_stop() {
    let options = GrpcOptions { drain_timeout_ms: FOR_EVER, ..GrpcOptions::default() };
    let network = Network::new();
    let listener = network.bind(&"127.0.0.1:0".parse().unwrap()).await.unwrap();
    let Address::Tcp(address) = listener.address().unwrap() else { panic!("not over TCP") };
    let dialer = network.dialer(listener.address().unwrap());
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(GrpcServer::internal(&options, Profile::Control).serve(listener, shutdown.clone()));
    let silent = tokio::net::TcpStream::connect(address).await.unwrap();
    // Connections are accepted in order: once this call is answered the silent one has been.
    let channel = dialer.channel(Profile::Control);
    HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await.unwrap();
    drop(channel);

    shutdown.cancel();
    serving.await.unwrap().unwrap();
    drop(silent);
}
