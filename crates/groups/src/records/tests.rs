//! Offsets and generations byte for byte, read, written and damaged.

use levada_types::{LeaderEpoch, TopicId};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

const KEY: &[u8] = b"\x00\x01\x00\x01g\x00\x06orders\x00\x00\x00\x02";

fn value() -> OffsetValue<'static> {
    OffsetValue {
        offset: 8372,
        leader_epoch: Some(LeaderEpoch(5)),
        metadata: "testdata",
        committed_at: 1637,
        expires_at: None,
        topic_id: None,
    }
}

fn read_value(value: &[u8]) -> OffsetValue<'_> {
    match Record::read(KEY, Some(value)) {
        Ok(Record::Offset(_, Some(value))) => value,
        other => panic!("not an offset: {other:?}"),
    }
}

fn group() -> GroupMetadata {
    GroupMetadata {
        protocol_type: "consumer".to_owned(),
        generation: 3,
        protocol: Some("range".to_owned()),
        leader: Some("m1".to_owned()),
        state_since: Some(0x0102),
        members: vec![MemberMetadata {
            member_id: "m1".to_owned(),
            group_instance_id: Some("i".to_owned()),
            client_id: "c".to_owned(),
            client_host: "/h".to_owned(),
            rebalance_timeout_ms: 300_000,
            session_timeout_ms: 45_000,
            subscription: Bytes::from_static(b"sub"),
            assignment: Bytes::from_static(b"as"),
        }],
    }
}

/// The members' part of a generation, in the versions that are not flexible.
const MEMBER_V3: &[u8] = b"\x00\x00\x00\x01\x00\x02m1\x00\x01i\x00\x01c\x00\x02/h\x00\x04\x93\xe0\x00\x00\xaf\xc8\
    \x00\x00\x00\x03sub\x00\x00\x00\x02as";

#[test]
fn an_offset_is_written_as_kafka_writes_it() {
    let key = OffsetKey { group: "g", topic: "orders", partition: 2 };
    let (written_key, written) = Record::Offset(key, Some(value())).encode();
    assert_eq!(&written_key[..], KEY);
    let expected =
        b"\x00\x03\x00\x00\x00\x00\x00\x00\x20\xb4\x00\x00\x00\x05\x00\x08testdata\x00\x00\x00\x00\x00\x00\x06\x65";
    assert_eq!(&written.unwrap()[..], expected);
    let (_, tombstone) = Record::Offset(key, None).encode();
    assert_eq!(tombstone, None);
    let with_expiry = OffsetValue { expires_at: Some(1), leader_epoch: None, ..value() };
    let (_, written) = Record::Offset(key, Some(with_expiry)).encode();
    let expected = b"\x00\x01\x00\x00\x00\x00\x00\x00\x20\xb4\x00\x08testdata\x00\x00\x00\x00\x00\x00\x06\x65\
        \x00\x00\x00\x00\x00\x00\x00\x01";
    assert_eq!(&written.unwrap()[..], expected);
}

#[test]
fn every_version_of_an_offset_is_read() {
    let plain = OffsetValue { leader_epoch: None, ..value() };
    let v0 = b"\x00\x00\x00\x00\x00\x00\x00\x00\x20\xb4\x00\x08testdata\x00\x00\x00\x00\x00\x00\x06\x65";
    assert_eq!(read_value(v0), plain);
    let v1 = b"\x00\x01\x00\x00\x00\x00\x00\x00\x20\xb4\x00\x08testdata\x00\x00\x00\x00\x00\x00\x06\x65\
        \x00\x00\x00\x00\x00\x00\x06\x66";
    assert_eq!(read_value(v1), OffsetValue { expires_at: Some(1638), ..plain });
    let v2 = b"\x00\x02\x00\x00\x00\x00\x00\x00\x20\xb4\x00\x08testdata\x00\x00\x00\x00\x00\x00\x06\x65";
    assert_eq!(read_value(v2), plain);
    let v4 =
        b"\x00\x04\x00\x00\x00\x00\x00\x00\x20\xb4\x00\x00\x00\x05\x09testdata\x00\x00\x00\x00\x00\x00\x06\x65\x00";
    assert_eq!(read_value(v4), value());
    let id = TopicId(Uuid::from_u128(7));
    let mut v4 = v4[..v4.len() - 1].to_vec();
    v4.extend_from_slice(b"\x02\x00\x10");
    v4.extend_from_slice(id.0.as_bytes());
    v4.extend_from_slice(b"\x07\x01x");
    assert_eq!(read_value(&v4), OffsetValue { topic_id: Some(id), ..value() });
}

#[test]
fn the_oldest_key_of_an_offset_is_read() {
    let read = Record::read(b"\x00\x00\x00\x01g\x00\x06orders\x00\x00\x00\x02", None);
    assert_eq!(read, Ok(Record::Offset(OffsetKey { group: "g", topic: "orders", partition: 2 }, None)));
}

#[test]
fn a_generation_is_written_as_kafka_writes_it() {
    let record = Record::Group("g", Some(group()));
    let (key, written) = record.encode();
    assert_eq!(&key[..], b"\x00\x02\x00\x01g");
    let mut expected =
        b"\x00\x03\x00\x08consumer\x00\x00\x00\x03\x00\x05range\x00\x02m1\x00\x00\x00\x00\x00\x00\x01\x02".to_vec();
    expected.extend_from_slice(MEMBER_V3);
    assert_eq!(&written.unwrap()[..], expected);
    let empty = GroupMetadata { protocol: None, leader: None, state_since: None, members: Vec::new(), ..group() };
    let (_, written) = Record::Group("g", Some(empty)).encode();
    let expected =
        b"\x00\x03\x00\x08consumer\x00\x00\x00\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00";
    assert_eq!(&written.unwrap()[..], expected);
}

#[test]
fn every_version_of_a_generation_is_read() {
    let head = b"\x00\x08consumer\x00\x00\x00\x03\x00\x05range\x00\x02m1";
    let member = |version: i16| {
        let mut bytes = b"\x00\x00\x00\x01\x00\x02m1\x00\x01c\x00\x02/h".to_vec();
        if version >= 1 {
            bytes.extend_from_slice(&300_000i32.to_be_bytes());
        }
        bytes.extend_from_slice(b"\x00\x00\xaf\xc8\x00\x00\x00\x03sub\x00\x00\x00\x02as");
        bytes
    };
    for version in 0..=2i16 {
        let mut value = version.to_be_bytes().to_vec();
        value.extend_from_slice(head);
        if version >= 2 {
            value.extend_from_slice(&0x0102i64.to_be_bytes());
        }
        value.extend(member(version));
        let mut expected = group();
        expected.state_since = (version >= 2).then_some(0x0102);
        expected.members[0].group_instance_id = None;
        if version == 0 {
            expected.members[0].rebalance_timeout_ms = 45_000;
        }
        assert_eq!(Record::read(b"\x00\x02\x00\x01g", Some(&value)), Ok(Record::Group("g", Some(expected))));
    }
    let flexible = b"\x00\x04\x09consumer\x00\x00\x00\x03\x06range\x03m1\x00\x00\x00\x00\x00\x00\x01\x02\
        \x02\x03m1\x02i\x02c\x03/h\x00\x04\x93\xe0\x00\x00\xaf\xc8\x04sub\x03as\x00\x00";
    assert_eq!(Record::read(b"\x00\x02\x00\x01g", Some(flexible)), Ok(Record::Group("g", Some(group()))));
}

#[test]
fn what_is_not_known_is_said_to_be() {
    assert_eq!(Record::read(b"\x00\x63\x00\x01g", None), Err(RecordError::UnknownKind(99)));
    assert_eq!(Record::read(KEY, Some(b"\x00\x05")), Err(RecordError::UnknownVersion { kind: 1, version: 5 }));
    assert_eq!(
        Record::read(b"\x00\x02\x00\x01g", Some(b"\xff\xff")),
        Err(RecordError::UnknownVersion { kind: 2, version: -1 })
    );
    assert!(Record::read(b"", None).is_err());
}

#[test]
fn announced_lengths_are_checked_before_anything_is_taken() {
    // Two thousand million members in a few bytes.
    let value = b"\x00\x00\x00\x00\x00\x00\x00\x03\xff\xff\xff\xff\x7f\xff\xff\xff";
    assert!(matches!(Record::read(b"\x00\x02\x00\x01g", Some(value)), Err(RecordError::CutOff { .. })));
    let negative = b"\x00\x00\x00\x00\x00\x00\x00\x03\xff\xff\xff\xff\x80\x00\x00\x00";
    assert_eq!(Record::read(b"\x00\x02\x00\x01g", Some(negative)), Err(RecordError::BadLength));
    assert_eq!(Record::read(b"\x00\x02\xff\xfe", None), Err(RecordError::BadLength));
    let mut reader = Reader::new(b"\xff\xff\xff\xff\x7f");
    assert_eq!(reader.unsigned_varint(), Err(RecordError::BadLength));
    let mut reader = Reader::new(b"\xff\xff\xff\xff\x0f");
    assert_eq!(reader.unsigned_varint(), Ok(u32::MAX));
}

fn text() -> impl Strategy<Value = String> {
    "[a-zé☃]{0,20}"
}

fn member() -> impl Strategy<Value = MemberMetadata> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from);
    (text(), prop::option::of(text()), text(), text(), 0..i32::MAX, any::<i32>(), bytes(), bytes()).prop_map(
        |(member_id, group_instance_id, client_id, client_host, rebalance, session, subscription, assignment)| {
            MemberMetadata {
                member_id,
                group_instance_id,
                client_id,
                client_host,
                rebalance_timeout_ms: rebalance,
                session_timeout_ms: session,
                subscription,
                assignment,
            }
        },
    )
}

fn record() -> impl Strategy<Value = (Bytes, Option<Bytes>)> {
    let times = || prop::option::of(0..i64::MAX);
    let offset =
        (text(), text(), any::<i32>(), any::<i64>(), prop::option::of(0..i32::MAX), text(), any::<i64>(), times());
    let offset = offset.prop_map(|(group, topic, partition, offset, epoch, metadata, committed_at, expires_at)| {
        let leader_epoch = epoch.filter(|_| expires_at.is_none()).map(LeaderEpoch);
        let metadata = metadata.as_str();
        let value = OffsetValue { offset, leader_epoch, metadata, committed_at, expires_at, topic_id: None };
        Record::Offset(OffsetKey { group: &group, topic: &topic, partition }, Some(value)).encode()
    });
    let members = prop::collection::vec(member(), 0..4);
    let group = (text(), text(), any::<i32>(), prop::option::of(text()), prop::option::of(text()), times(), members);
    let group = group.prop_map(|(id, protocol_type, generation, protocol, leader, state_since, members)| {
        let value = GroupMetadata { protocol_type, generation, protocol, leader, state_since, members };
        Record::Group(&id, Some(value)).encode()
    });
    prop_oneof![offset, group]
}

proptest! {
    #[test]
    fn what_is_written_is_read_back((key, value) in record()) {
        let read = Record::read(&key, value.as_deref()).unwrap();
        prop_assert_eq!(read.encode(), (key.clone(), value.clone()));
    }

    #[test]
    fn what_is_cut_off_or_damaged_is_an_error_and_never_a_panic(
        (key, value) in record(),
        cut in any::<prop::sample::Index>(),
        (place, byte) in (any::<prop::sample::Index>(), any::<u8>()),
    ) {
        let value = value.unwrap();
        prop_assert!(Record::read(&key, Some(&value[..cut.index(value.len())])).is_err());
        prop_assert!(Record::read(&key[..cut.index(key.len())], None).is_err());
        let mut damaged = value.to_vec();
        damaged[place.index(value.len())] = byte;
        let _ = Record::read(&key, Some(&damaged));
    }

    #[test]
    fn any_bytes_may_be_read(key in prop::collection::vec(any::<u8>(), 0..60), value in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Record::read(&key, Some(&value));
        for kind in 0..20 {
            let mut known = vec![0, kind];
            known.extend_from_slice(&key);
            let _ = Record::read(&known, Some(&value));
        }
    }
}
