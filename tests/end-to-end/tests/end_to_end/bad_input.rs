//! Bad input over raw sockets: the right error code or a closed connection, a process that stays up, nothing wrong stored.

use std::net::SocketAddr;

use levada_end_to_end::{Outcome, Reader, Seeded};
use levada_harness::Node;

use crate::wire::{
    Answer, Batch, Bytes, Connection, api,
    code::{
        CORRUPT_MESSAGE, INVALID_RECORD, INVALID_TOPIC, MESSAGE_TOO_LARGE, NONE, UNSUPPORTED_COMPRESSION_TYPE,
        UNSUPPORTED_FOR_MESSAGE_FORMAT, UNSUPPORTED_VERSION,
    },
    flexible_request, framed, produce, record, request, zstd_bomb,
};

const TOPIC: &str = "hostile";

/// After anything, the node is up, a sound record goes in at `expected`, and all that is stored is sound.
fn assert_unharmed(node: &mut Node, expected: i64) -> Outcome {
    assert!(node.is_running()?, "the node is down; it wrote:\n{}", node.log());
    let mut connection = Connection::open(node.kafka()?)?;
    assert_eq!(connection.end_offset(TOPIC)?, expected);
    assert_eq!(connection.produce(TOPIC, &Batch::sound().encode())?, (NONE, expected));
    all_sound(node.kafka()?)
}

fn all_sound(address: SocketAddr) -> Outcome {
    Reader::connect(address, TOPIC)?.read_all(|seen| {
        assert_eq!((seen.key.as_str(), seen.value.as_slice()), ("key", b"value".as_slice()), "offset {}", seen.offset);
        Ok(())
    })?;
    Ok(())
}

fn node_with_topic() -> Outcome<Node> {
    let node = Node::start()?;
    let mut connection = Connection::open(node.kafka()?)?;
    assert_eq!(connection.create_topic(TOPIC, &[])?, NONE);
    Ok(node)
}

#[test]
fn a_wrong_batch_is_refused_with_its_error_and_not_stored() -> Outcome {
    let mut node = node_with_topic()?;
    let mut connection = Connection::open(node.kafka()?)?;
    let sound = Batch::sound();
    let two_batches = [sound.encode(), sound.encode()].concat();
    let half = sound.encode().split_at(70).0.to_vec();
    let large = Batch { records: record(b"key", &vec![b'x'; 2 << 20]), ..Batch::sound() };
    let not_compressed = |attributes| Batch { attributes, records: vec![0xa5; 64], ..sound.clone() }.encode();
    // Kafka itself gives one or the other of these two for most malformed batches, by the layer that notices.
    const MALFORMED: &[i16] = &[CORRUPT_MESSAGE, INVALID_RECORD];

    let cases: Vec<(&str, Vec<u8>, &[i16])> = vec![
        ("a wrong checksum", Batch { crc: Some(1), ..sound.clone() }.encode(), &[CORRUPT_MESSAGE]),
        ("magic 0", Batch { magic: 0, ..sound.clone() }.encode(), &[UNSUPPORTED_FOR_MESSAGE_FORMAT]),
        ("magic 1", Batch { magic: 1, ..sound.clone() }.encode(), &[UNSUPPORTED_FOR_MESSAGE_FORMAT]),
        ("magic 3", Batch { magic: 3, ..sound.clone() }.encode(), MALFORMED),
        ("a length that is too long", Batch { length: Some(1 << 20), ..sound.clone() }.encode(), MALFORMED),
        ("a length that is too short", Batch { length: Some(10), ..sound.clone() }.encode(), MALFORMED),
        ("a negative length", Batch { length: Some(-5), ..sound.clone() }.encode(), MALFORMED),
        ("half a batch", half, MALFORMED),
        ("no batch", Vec::new(), MALFORMED),
        ("two batches", two_batches, MALFORMED),
        ("a negative count", Batch { count: -1, ..sound.clone() }.encode(), MALFORMED),
        ("a count that lies", Batch { count: 5, last_offset_delta: 4, ..sound.clone() }.encode(), MALFORMED),
        (
            "a huge count",
            Batch { count: i32::MAX, last_offset_delta: i32::MAX - 1, ..sound.clone() }.encode(),
            MALFORMED,
        ),
        ("count and last offset at odds", Batch { last_offset_delta: 9, ..sound.clone() }.encode(), MALFORMED),
        ("records that are none", Batch { records: vec![0xff; 32], ..sound.clone() }.encode(), MALFORMED),
        ("a control batch", Batch { attributes: 0x20, ..sound.clone() }.encode(), &[INVALID_RECORD]),
        ("gzip that is none", not_compressed(1), MALFORMED),
        ("snappy that is none", not_compressed(2), MALFORMED),
        ("lz4 that is none", not_compressed(3), MALFORMED),
        ("zstd that is none", not_compressed(4), MALFORMED),
        ("an unknown codec", not_compressed(6), &[CORRUPT_MESSAGE, INVALID_RECORD, UNSUPPORTED_COMPRESSION_TYPE]),
        ("a batch over the limit", large.encode(), &[MESSAGE_TOO_LARGE]),
    ];
    for (name, records, expected) in cases {
        let (error, _) = connection.produce(TOPIC, &records).map_err(|error| format!("{name}: {error}"))?;
        assert!(expected.contains(&error), "{name}: error {error}, expected one of {expected:?}");
        assert_eq!(connection.end_offset(TOPIC)?, 0, "{name}");
    }
    assert_unharmed(&mut node, 0)
}

#[test]
fn a_decompression_bomb_is_refused_within_bounded_memory() -> Outcome {
    let mut node = node_with_topic()?;
    let mut connection = Connection::open(node.kafka()?)?;
    let recompressed = "recompressed";
    assert_eq!(connection.create_topic(recompressed, &[("compression.type", "lz4")])?, NONE);
    let before = node.facts()?.peak_resident_bytes;

    let bomb = Batch { attributes: 4, records: zstd_bomb(4096), ..Batch::sound() }.encode();
    for topic in [TOPIC, recompressed] {
        let (error, _) = connection.produce(topic, &bomb)?;
        assert!(
            [CORRUPT_MESSAGE, INVALID_RECORD, MESSAGE_TOO_LARGE].contains(&error),
            "{topic}: error {error} for {} bytes that say they are 4 GiB",
            bomb.len()
        );
        assert_eq!(connection.end_offset(topic)?, 0, "{topic}");
    }
    let grown = node.facts()?.peak_resident_bytes - before;
    assert!(grown < 256 << 20, "memory grew by {grown} bytes");
    assert_unharmed(&mut node, 0)
}

#[test]
fn a_frame_that_is_none_closes_the_connection() -> Outcome {
    let mut node = node_with_topic()?;
    let sound = framed(&produce(TOPIC, &Batch::sound().encode()));
    let nothing = Bytes::default();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("a negative length", Bytes::default().i32(-1).raw(&[0; 64]).0),
        ("the smallest length", Bytes::default().i32(i32::MIN).0),
        ("a length of nothing", Bytes::default().i32(0).raw(&[0; 64]).0),
        ("less than a header", framed(&[0, 0])),
        ("over the limit", Bytes::default().i32(i32::MAX).raw(&[0; 64]).0),
        ("an unknown API", framed(&request(999, 0, &nothing))),
        ("a negative API", framed(&request(-3, 0, &nothing))),
        ("an unknown version", framed(&request(api::METADATA, 999, &nothing))),
        ("a negative version", framed(&request(api::METADATA, -1, &nothing))),
        ("a body that is cut off", framed(&request(api::CREATE_TOPICS, 2, &Bytes::default().i32(1).i16(100)))),
        ("an array of 2^31", framed(&request(api::CREATE_TOPICS, 2, &Bytes::default().i32(i32::MAX)))),
        ("HTTP", b"GET / HTTP/1.1\r\nHost: levada\r\n\r\n".to_vec()),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
    ];
    for (name, bytes) in cases {
        let mut connection = Connection::open(node.kafka()?)?;
        connection.send(&bytes)?;
        let answer = connection.receive().map_err(|error| format!("{name}: {error}"))?;
        assert_eq!(answer, None, "{name}");
    }
    // A frame cut off at every place, the rest of which never comes.
    for length in 0..sound.len() {
        let mut connection = Connection::open(node.kafka()?)?;
        connection.send(sound.get(..length).unwrap_or_default())?;
        connection.end()?;
        assert_eq!(connection.receive()?, None, "cut off after {length} bytes");
    }
    assert_unharmed(&mut node, 0)
}

#[test]
fn an_unknown_version_of_api_versions_tells_the_known_ones() -> Outcome {
    let mut node = node_with_topic()?;
    let mut connection = Connection::open(node.kafka()?)?;
    // Whatever version was asked for, this answer has the format of version 0, and the connection stays usable.
    // A client that is newer than the server sends the name and version of its software as compact strings.
    let newer = Bytes::default().i8(2).raw(b"x").i8(2).raw(b"1").i8(0);
    for version in [999, i16::MAX] {
        let mut answer = Answer::new(connection.ask(&flexible_request(api::API_VERSIONS, version, &newer))?);
        assert_eq!(answer.i16()?, UNSUPPORTED_VERSION);
        let count = answer.i32()?;
        let mut known = Vec::new();
        for _ in 0..count {
            known.push((answer.i16()?, answer.i16()?, answer.i16()?));
        }
        let own = known.iter().find(|(key, ..)| *key == api::API_VERSIONS);
        assert!(own.is_some_and(|(_, low, high)| *low == 0 && *high >= 3), "{known:?}");
    }
    let mut answer = Answer::new(connection.ask(&request(api::API_VERSIONS, 0, &Bytes::default()))?);
    assert_eq!(answer.i16()?, NONE);
    assert_unharmed(&mut node, 0)
}

#[test]
fn a_topic_name_outside_the_rules_is_refused_everywhere() -> Outcome {
    let mut node = node_with_topic()?;
    let mut connection = Connection::open(node.kafka()?)?;
    let long = "x".repeat(250);
    for name in ["", ".", "..", "a/b", "../escape", "with space", "nul\0", "grün", long.as_str()] {
        assert_eq!(connection.create_topic(name, &[])?, INVALID_TOPIC, "creating {name:?}");

        // Metadata v4 with automatic creation allowed must not create it either.
        let body = Bytes::default().i32(1).string(name).i8(1);
        let mut answer = Answer::new(connection.ask(&request(api::METADATA, 4, &body))?);
        answer.skip(4)?; // throttle time
        for _ in 0..answer.i32()? {
            answer.skip(4)?; // node id
            let host = usize::try_from(answer.i16()?)?;
            answer.skip(host + 4)?;
            let rack = usize::try_from(answer.i16()?).unwrap_or(0); // -1: none
            answer.skip(rack)?;
        }
        let cluster = usize::try_from(answer.i16()?).unwrap_or(0);
        answer.skip(cluster + 4)?; // cluster id, controller id
        assert_eq!(answer.i32()?, 1, "one topic was asked for");
        assert_eq!(answer.i16()?, INVALID_TOPIC, "asking for {name:?}");
    }
    let escaped = node.data_dir().parent().map(|parent| parent.join("escape-0"));
    assert!(!escaped.is_some_and(|path| path.exists()), "a topic name left the data directory");
    assert_unharmed(&mut node, 0)
}

#[test]
fn every_flipped_bit_of_a_request_does_no_harm() -> Outcome {
    let mut node = node_with_topic()?;
    let sound = framed(&produce(TOPIC, &Batch::sound().encode()));
    for bit in 0..sound.len() * 8 {
        let mut bytes = sound.clone();
        if let Some(byte) = bytes.get_mut(bit / 8) {
            *byte ^= 1 << (bit % 8);
        }
        let mut connection = Connection::open(node.kafka()?)?;
        connection.send(&bytes)?;
        connection.end()?;
        connection.drain().map_err(|error| format!("bit {bit}: {error}"))?;
    }
    // A bit of the correlation id or of the batch's base offset may be anything, and those requests are sound.
    let stored = Connection::open(node.kafka()?)?.end_offset(TOPIC)?;
    assert_unharmed(&mut node, stored)
}

#[test]
fn random_frames_do_no_harm() -> Outcome {
    let mut node = node_with_topic()?;
    let mut random = Seeded::new(0x1e7a_da00);
    for number in 0..2_000 {
        let mut body: Vec<u8> = (0..random.below(300)).map(|_| random.below(256) as u8).collect();
        if number % 2 == 0 {
            // Half of them pass the header, so that the decoders behind it are reached.
            let key = random.below(80) as i16;
            let version = random.below(14) as i16;
            body = request(key, version, &Bytes(body));
        }
        let mut connection = Connection::open(node.kafka()?)?;
        connection.send(&framed(&body))?;
        connection.end()?;
        connection.drain().map_err(|error| format!("frame {number} {body:?}: {error}"))?;
    }
    let stored = Connection::open(node.kafka()?)?.end_offset(TOPIC)?;
    assert_unharmed(&mut node, stored)
}
