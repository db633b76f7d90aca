//! Clients that take what they can get: memory for what they announce and do not send, room in the log for what they do.

use levada_end_to_end::Outcome;
use levada_harness::Node;

use crate::{
    metrics::{lines_with, metric},
    wire::{Batch, Bytes, Connection, code::NONE, framed, request},
};

const CONNECTIONS: usize = 300;

/// An API of Kafka's that this broker has not.
const END_TXN: i16 = 26;

/// Just below `socket.request.max.bytes`, 104,857,600 as in Kafka.
const ANNOUNCED_BYTES: i32 = 100_000_000;

/// What 300 idle connections may cost together: 200 KiB each is a generous buffer, 100 MB each is 30 GB.
const ALLOWED_GROWTH: u64 = 64 << 20;

#[test]
fn three_hundred_connections_that_announce_100_mb_cost_almost_nothing() -> Outcome {
    let mut node = Node::start()?;
    let mut bystander = Connection::open(node.kafka()?)?;
    assert_eq!(bystander.create_topic("bystander", &[])?, NONE);
    let before = node.facts()?.peak_resident_bytes;

    let mut announcers = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut connection = Connection::open(node.kafka()?)?;
        // The length, and the first bytes of a Produce header, so that the frame has begun.
        connection.send(&Bytes::default().i32(ANNOUNCED_BYTES).i16(0).i16(7).i32(7).0)?;
        announcers.push(connection);
    }
    for offset in 0..100 {
        assert_eq!(bystander.produce("bystander", &Batch::sound().encode())?, (NONE, offset), "others are served");
    }
    let grown = node.facts()?.peak_resident_bytes - before;
    assert!(grown < ALLOWED_GROWTH, "memory grew by {grown} bytes");

    drop(announcers);
    assert_eq!(bystander.produce("bystander", &Batch::sound().encode())?, (NONE, 100));
    assert!(node.is_running()?);
    Ok(())
}

#[test]
fn a_flood_of_bad_frames_does_not_fill_the_log() -> Outcome {
    const FRAMES: u64 = 2_000;
    let node = Node::start()?;
    for _ in 0..FRAMES {
        let mut connection = Connection::open(node.kafka()?)?;
        connection.send(&framed(&request(END_TXN, 0, &Bytes::default())))?;
        assert_eq!(connection.receive()?, None);
    }
    assert_eq!(metric(&node, "levada_kafka_invalid_requests_total")?, FRAMES, "each is counted");
    // Ten lines in ten seconds; a machine that takes many minutes for the frames is not what is tested.
    let lines = lines_with(&node, "EndTxn (API key 26) is not supported");
    assert!((1..500).contains(&lines), "{lines} lines");
    Ok(())
}
