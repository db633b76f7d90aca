//! Messages between roles from somebody whose time is over: an older registration, an older leader epoch, another cluster.
//! They are made by hand and sent to real processes.

use std::{fs, net::SocketAddr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use levada_end_to_end::{Admin, Outcome, fail};
use levada_harness::{Sandbox, SandboxOptions};
use levada_proto::internal::{
    self as pb, command::Kind, controller_client::ControllerClient, replication_client::ReplicationClient, response,
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::mpsc,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming, transport::Channel};

use crate::{records, replicas::wait_until_in_sync};

const TOPIC: &str = "kept";

/// Kafka's error codes.
const FENCED_LEADER_EPOCH: i32 = 74;
const STALE_BROKER_EPOCH: i32 = 77;

fn runtime() -> Outcome<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

async fn channel(address: SocketAddr) -> Outcome<Channel> {
    Ok(Channel::from_shared(format!("http://{address}"))?.connect().await?)
}

/// The broker epoch that a broker's log tells of, the newest one.
fn epoch_of(sandbox: &mut Sandbox, broker: u32) -> Outcome<i64> {
    let log = sandbox.broker(broker)?.log();
    let told = log.rsplit_once("registered epoch=").ok_or("the log tells of no registration")?.1;
    Ok(told.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default().parse()?)
}

/// The topic's identity, as the leader keeps it beside the log.
fn topic_id(sandbox: &mut Sandbox, broker: u32) -> Outcome<Vec<u8>> {
    let file = sandbox.broker(broker)?.directory().join(format!("logs/{TOPIC}-0/partition.metadata"));
    let text = fs::read_to_string(file)?;
    let id = text.lines().find_map(|line| line.strip_prefix("topic_id:")).ok_or("no topic_id")?;
    Ok(URL_SAFE_NO_PAD.decode(id.trim())?)
}

fn submit(address: SocketAddr, kind: Kind) -> Outcome<response::Kind> {
    let request = pb::SubmitRequest { command: Some(pb::Command { kind: Some(kind) }), ..pb::SubmitRequest::default() };
    let answer = runtime()?.block_on(async {
        let mut client = ControllerClient::new(channel(address).await?);
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(client.submit(request).await?.into_inner())
    })?;
    answer.response.and_then(|response| response.kind).ok_or_else(|| "an answer without a response".into())
}

#[test]
fn the_commands_of_an_older_registration_are_refused() -> Outcome {
    let mut sandbox = Sandbox::start(&SandboxOptions::new(1, 2))?;
    Admin::connect(sandbox.broker(1)?.kafka()?)?.create_replicated_topic(TOPIC, (1, 2), &[])?;
    let leader = wait_until_in_sync(&mut sandbox, 1, TOPIC, &[1, 2])?[0];
    let follower = if leader == 1 { 2 } else { 1 };
    let old = epoch_of(&mut sandbox, leader)?;
    // A second registration, so that the first one is over.
    sandbox.broker(leader)?.kill()?;
    sandbox.broker(leader)?.start_again()?;
    let new_leaders = wait_until_in_sync(&mut sandbox, follower, TOPIC, &[1, 2])?;
    assert!(epoch_of(&mut sandbox, leader)? > old);

    let controller = sandbox.controller(1001)?.internal;
    let stale = pb::BrokerEpochRef { id: i32::try_from(leader)?, epoch: old };
    let alone = pb::IsrProposal {
        topic: topic_id(&mut sandbox, leader)?.into(),
        partition: 0,
        isr: vec![pb::IsrMember { broker: i32::try_from(leader)?, epoch: old }],
        ..pb::IsrProposal::default()
    };
    let proposal = pb::AlterPartition { broker: Some(stale), partitions: vec![alone] };
    match submit(controller, Kind::AlterPartition(proposal))? {
        response::Kind::AlterPartition(result) => {
            let error = result.error.ok_or("the proposal was looked at")?;
            assert_eq!(error.code, STALE_BROKER_EPOCH, "{error:?}");
        }
        other => return fail(format!("{other:?}")),
    }
    match submit(controller, Kind::FenceBroker(stale))? {
        response::Kind::FenceBroker(result) => {
            let error = result.error.ok_or("the end of a session that is over long since was taken for news")?;
            assert_eq!(error.code, STALE_BROKER_EPOCH, "{error:?}");
        }
        other => return fail(format!("{other:?}")),
    }
    // Nothing of it was done.
    assert_eq!(wait_until_in_sync(&mut sandbox, follower, TOPIC, &[1, 2])?, new_leaders);
    records::produce(sandbox.broker(1)?.kafka()?, TOPIC, "all", ["one"])
}

/// A stream to a leader, as a follower opens it.
struct Stream {
    requests: mpsc::Sender<pb::ReplicateRequest>,
    answers: Streaming<pb::ReplicateResponse>,
}

async fn open(channel: &Channel, hello: pb::ReplicationHello) -> Result<Stream, Status> {
    let (requests, outgoing) = mpsc::channel(8);
    let first = pb::ReplicateRequest { hello: Some(hello), ..pb::ReplicateRequest::default() };
    requests.send(first).await.map_err(|error| Status::internal(error.to_string()))?;
    let answers = ReplicationClient::new(channel.clone()).replicate(ReceiverStream::new(outgoing)).await?;
    Ok(Stream { requests, answers: answers.into_inner() })
}

#[test]
fn a_follower_of_an_older_leader_epoch_of_another_cluster_or_of_an_older_registration_is_refused() -> Outcome {
    let mut sandbox = Sandbox::start(&SandboxOptions::new(1, 3))?;
    Admin::connect(sandbox.broker(1)?.kafka()?)?.create_replicated_topic(TOPIC, (1, 3), &[])?;
    let old_leader = wait_until_in_sync(&mut sandbox, 1, TOPIC, &[1, 2, 3])?[0];
    records::produce(sandbox.broker(1)?.kafka()?, TOPIC, "all", ["one"])?;
    let epoch = epoch_of(&mut sandbox, old_leader)?;
    // Its place is taken by what is sent here.
    sandbox.broker(old_leader)?.kill()?;
    let left: Vec<u32> = [1, 2, 3].into_iter().filter(|id| *id != old_leader).collect();
    let leader = wait_until_in_sync(&mut sandbox, left[0], TOPIC, &left)?[0];

    let hello = pb::ReplicationHello {
        follower: i32::try_from(old_leader)?,
        broker_epoch: epoch,
        link: vec![7; 16].into(),
        lane: pb::ReplicationLane::CatchUp.into(),
        cluster_id: sandbox.cluster_id.clone(),
    };
    let attach = pb::ReplicaAttach {
        session: Some(pb::ReplicaSession {
            topic_id: topic_id(&mut sandbox, leader)?.into(),
            partition: 0,
            leader_epoch: 0,
            broker_epoch: epoch,
            counter: 1,
        }),
        fetch_offset: 1,
        last_fetched_epoch: Some(0),
        flushed_end: 0,
        log_start: 0,
        credit: 1 << 20,
    };
    let address = sandbox.broker(leader)?.internal;
    let refusal = runtime()?.block_on(async {
        let channel = channel(address).await?;
        let foreign = pb::ReplicationHello { cluster_id: "of-another-cluster".to_owned(), ..hello.clone() };
        let status = open(&channel, foreign).await.err().ok_or("a follower of another cluster is served")?;
        assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
        assert!(status.message().contains("another cluster"), "{status}");
        let stale = pb::ReplicationHello { broker_epoch: epoch - 1, ..hello.clone() };
        let status = open(&channel, stale).await.err().ok_or("a follower of an older registration is served")?;
        assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
        assert!(status.message().contains("registered again"), "{status}");

        let _catch_up = open(&channel, hello.clone()).await?;
        let tail = pb::ReplicationHello { lane: pb::ReplicationLane::Tail.into(), ..hello };
        let mut tail = open(&channel, tail).await?;
        tail.requests.send(pb::ReplicateRequest { attaches: vec![attach], ..pb::ReplicateRequest::default() }).await?;
        loop {
            let message = tail.answers.message().await?.ok_or("the stream ended without an answer")?;
            if let Some(answer) = message.answers.into_iter().next() {
                return Ok::<_, Box<dyn std::error::Error + Send + Sync>>(answer.outcome);
            }
        }
    })?;
    assert_eq!(refusal, Some(pb::replica_attach_answer::Outcome::Refused(FENCED_LEADER_EPOCH)));

    // Whoever was imitated comes back and is in sync with what there is.
    sandbox.broker(old_leader)?.start_again()?;
    wait_until_in_sync(&mut sandbox, leader, TOPIC, &[1, 2, 3])?;
    records::produce(sandbox.broker(leader)?.kafka()?, TOPIC, "all", ["two"])
}
