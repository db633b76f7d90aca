//! The bytes of every kind, as Kafka's message definitions say, and what becomes of bytes that are not.

use std::sync::Arc;

use bytes::Bytes;
use levada_types::TopicId;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{api::Protocol, records::Record};

const TOPIC: [u8; 16] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];

fn topic() -> TopicId {
    TopicId(Uuid::from_bytes(TOPIC))
}

/// That the change is written with this key and value, and read from them, and that no shorter value is taken.
fn is_written(change: Change, key: &[&[u8]], value: &[&[u8]]) {
    let (key, value) = (key.concat(), value.concat());
    let record = ConsumerRecord { group_id: "g".into(), change };
    let record = Record::Consumer(record);
    assert_eq!(record.encode(), (Bytes::from(key.clone()), Some(Bytes::from(value.clone()))));
    assert_eq!(Record::read(&key, Some(&value)).unwrap(), record);
    assert_eq!(record.group_id(), "g");
    for end in 0..value.len() {
        assert!(Record::read(&key, Some(&value[..end])).is_err(), "{record:?} is read from its first {end} bytes");
    }
}

#[test]
fn a_groups_epoch() {
    let change = |metadata_hash| Change::Group(Some(GroupEpoch { epoch: 7, metadata_hash }));
    let key: &[&[u8]] = &[&[0, 3, 0, 1], b"g"];
    is_written(change(0), key, &[&[0, 0, 0, 0, 0, 7, 0]]);
    // One tagged field, number 0, of eight bytes.
    is_written(change(-2), key, &[&[0, 0, 0, 0, 0, 7, 1, 0, 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe]]);
}

#[test]
fn a_member() {
    let member = ConsumerMember {
        instance_id: Some("i".to_owned()),
        rack_id: None,
        client_id: "c".to_owned(),
        client_host: "/h".to_owned(),
        topic_names: ["a".to_owned(), "bb".to_owned()].into(),
        topic_regex: Some("x.*".to_owned()),
        rebalance_timeout_ms: 300_000,
        server_assignor: Some("range".to_owned()),
        classic: None,
    };
    let key: &[&[u8]] = &[&[0, 5, 0, 1], b"g", &[0, 2], b"m1"];
    let head: &[&[u8]] = &[
        &[0, 0],
        &[2],
        b"i",
        &[0],
        &[2],
        b"c",
        &[3],
        b"/h",
        &[3, 2],
        b"a",
        &[3],
        b"bb",
        &[4],
        b"x.*",
        &[0, 4, 0x93, 0xe0],
        &[6],
        b"range",
    ];
    let change = |member| Change::Member("m1".into(), Some(Arc::new(member)));
    is_written(change(member.clone()), key, &[head, &[&[0]]].concat());
    let classic = ClassicMember {
        session_timeout_ms: 10_000,
        protocols: vec![Protocol { name: "range".to_owned(), metadata: Bytes::from_static(&[0, 1]) }],
    };
    // One tagged field, number 0, of 17 bytes: that it is there, the session, one protocol, no tagged fields.
    let tagged: &[&[u8]] = &[&[1, 0, 17], &[1, 0, 0, 0x27, 0x10], &[2, 6], b"range", &[3, 0, 1], &[0], &[0]];
    is_written(change(ConsumerMember { classic: Some(classic), ..member }), key, &[head, tagged].concat());
}

#[test]
fn a_targets_epoch() {
    let change = |timestamp| Change::TargetEpoch(Some(TargetEpoch { epoch: 9, timestamp }));
    let key: &[&[u8]] = &[&[0, 6, 0, 1], b"g"];
    is_written(change(0), key, &[&[0, 0, 0, 0, 0, 9, 0]]);
    is_written(change(5), key, &[&[0, 0, 0, 0, 0, 9, 1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 5]]);
}

#[test]
fn a_members_target() {
    let target: Partitions = [(topic(), 3), (topic(), 1)].into_iter().collect();
    is_written(
        Change::Target("m1".into(), Some(Arc::new(target))),
        &[&[0, 7, 0, 1], b"g", &[0, 2], b"m1"],
        &[&[0, 0, 2], &TOPIC, &[3, 0, 0, 0, 1, 0, 0, 0, 3, 0], &[0]],
    );
}

#[test]
fn a_members_assignment() {
    let key: &[&[u8]] = &[&[0, 8, 0, 1], b"g", &[0, 2], b"m1"];
    let change = |assigned: &[(TopicId, i32, i32)], revoking: &[(TopicId, i32, i32)]| {
        let current = CurrentAssignment {
            epoch: 5,
            previous_epoch: 4,
            state: MemberState::UnrevokedPartitions,
            assigned: assigned.iter().copied().collect(),
            revoking: revoking.iter().copied().collect(),
        };
        Change::Current("m1".into(), Some(Arc::new(current)))
    };
    let head: &[u8] = &[0, 0, 0, 0, 0, 5, 0, 0, 0, 4, 1];
    is_written(change(&[(topic(), 2, 5)], &[]), key, &[head, &[2], &TOPIC, &[2, 0, 0, 0, 2, 0], &[1], &[0]]);
    // Partitions that were given under older epochs: one tagged field, number 0, an array of two (KIP-1251).
    is_written(
        change(&[], &[(topic(), 2, 3), (topic(), 6, 5)]),
        key,
        &[head, &[1], &[2], &TOPIC, &[3, 0, 0, 0, 2, 0, 0, 0, 6], &[1, 0, 9, 3, 0, 0, 0, 3, 0, 0, 0, 5], &[0]],
    );
}

#[test]
fn a_resolved_expression() {
    let resolved = ResolvedRegex { topics: ["a".to_owned()].into(), version: 1, timestamp: 2 };
    is_written(
        Change::Regex("x.*".into(), Some(Arc::new(resolved))),
        &[&[0, 16, 0, 1], b"g", &[0, 3], b"x.*"],
        &[&[0, 0, 2, 2], b"a", &[0, 0, 0, 0, 0, 0, 0, 1], &[0, 0, 0, 0, 0, 0, 0, 2], &[0]],
    );
}

#[test]
fn tombstones_have_the_same_keys() {
    for change in [
        Change::Group(None),
        Change::SubscriptionMetadata(None),
        Change::Member("m".into(), None),
        Change::TargetEpoch(None),
        Change::Target("m".into(), None),
        Change::Current("m".into(), None),
        Change::Regex("x".into(), None),
    ] {
        assert!(change.is_tombstone());
        let record = Record::Consumer(ConsumerRecord { group_id: "g".into(), change });
        let (key, value) = record.encode();
        assert_eq!(value, None);
        assert_eq!(Record::read(&key, None).unwrap(), record);
    }
}

#[test]
fn what_kafka_wrote_before_there_was_a_hash_is_known_to_be_there() {
    let value = [0, 0, 1, 0];
    let record = Record::read(&[0, 4, 0, 1, b'g'], Some(&value)).unwrap();
    let Record::Consumer(ConsumerRecord { change: Change::SubscriptionMetadata(Some(kept)), .. }) = record else {
        panic!("{record:?}");
    };
    assert_eq!(*kept, value[2..]);
}

#[test]
fn kinds_and_versions_that_are_not_known_are_told() {
    assert_eq!(Record::read(&[0, 9, 0, 1, b'g'], None), Err(RecordError::UnknownKind(9)));
    assert_eq!(
        Record::read(&[0, 3, 0, 1, b'g'], Some(&[0, 1, 0, 0, 0, 7, 0])),
        Err(RecordError::UnknownVersion { kind: 3, version: 1 })
    );
}

#[test]
fn a_state_that_is_not_known_is_kept_apart() {
    let (key, value) = Record::Consumer(ConsumerRecord {
        group_id: "g".into(),
        change: Change::Current("m".into(), Some(Arc::default())),
    })
    .encode();
    let mut value = value.unwrap().to_vec();
    // After the version and two epochs.
    value[10] = 3;
    match Record::read(&key, Some(&value)) {
        Ok(Record::Consumer(ConsumerRecord { change: Change::Current(_, Some(current)), .. })) => {
            assert_eq!(current.state, MemberState::Unknown);
        }
        other => panic!("{other:?}"),
    }
}

proptest! {
    #[test]
    fn bytes_of_any_kind_are_read_or_refused(
        kind in prop_oneof![3i16..9, Just(16)],
        key in prop::collection::vec(any::<u8>(), 0..12),
        value in prop::collection::vec(prop_oneof![0u8..20, any::<u8>()], 0..80),
    ) {
        let key = [kind.to_be_bytes().as_slice(), &[0, 1, b'g', 0, 1, b'm'], &key].concat();
        let value = [[0, 0].as_slice(), &value].concat();
        // What is read is written so that it is read as the same.
        if let Ok(record) = Record::read(&key, Some(&value)) {
            let (key, value) = record.encode();
            prop_assert_eq!(Record::read(&key, value.as_deref()).unwrap(), record.clone());
        }
    }
}
