//! Clients that announce much and send nothing: memory is taken as bytes arrive, not as they are announced.

use levada_end_to_end::Outcome;
use levada_harness::Node;

use crate::wire::{Batch, Bytes, Connection, code::NONE};

const CONNECTIONS: usize = 300;

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
