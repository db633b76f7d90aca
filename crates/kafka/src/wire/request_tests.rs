//! Reading frames, good and bad.

use bytes::{BufMut, BytesMut};
use kafka_protocol::messages::RequestHeader;
use kafka_protocol::protocol::Encodable;
use proptest::prelude::*;

use super::*;

fn frame(key: i16, version: i16, header_version: i16, body: &[u8]) -> Bytes {
    let header = RequestHeader::default()
        .with_request_api_key(key)
        .with_request_api_version(version)
        .with_correlation_id(42)
        .with_client_id(Some(StrBytes::from_static_str("tester")));
    let mut frame = BytesMut::new();
    header.encode(&mut frame, header_version).expect("encodes");
    frame.put_slice(body);
    frame.freeze()
}

#[test]
fn a_request_is_read_with_its_header() {
    let call = Call::read(frame(3, 1, 1, &[0, 0, 0, 0])).expect("valid");
    assert_eq!((call.head.correlation_id, call.head.version, call.head.api().name), (42, 1, "Metadata"));
    assert_eq!(call.client_id.as_deref(), Some("tester"));
    assert!(matches!(call.request, Request::Metadata(request) if request.topics == Some(vec![])));
}

#[test]
fn records_stay_a_slice_of_the_frame() {
    let mut body = BytesMut::new();
    body.put_i16(-1); // transactional id
    body.put_i16(1); // acks
    body.put_i32(1_000); // timeout
    body.put_i32(1);
    body.put_i16(1);
    body.put_slice(b"t");
    body.put_i32(1);
    body.put_i32(0); // partition
    body.put_i32(100);
    body.put_slice(&[9; 100]);
    let frame = frame(0, 3, 1, &body);
    let range = frame.as_ptr_range();
    let call = Call::read(frame).expect("valid");
    let Request::Produce(request) = call.request else { panic!("another request") };
    let records = request.topic_data[0].partition_data[0].records.as_ref().expect("there");
    assert!(range.contains(&records.as_ptr()));
    assert_eq!(records.len(), 100);
}

#[test]
fn an_unknown_version_of_api_versions_is_answered_in_version_0() {
    let call = Call::read(frame(18, 99, 2, &[1, 2, 3])).expect("answered");
    assert_eq!((call.head.version, call.head.correlation_id), (0, 42));
    assert_eq!(call.request, Request::UnsupportedApiVersions);
}

#[test]
fn what_is_not_offered_is_refused() {
    let unknown = RequestError::UnknownApi(999);
    assert_eq!(unknown.to_string(), "there is no API with key 999");
    assert_eq!(Call::read(frame(999, 0, 1, &[])), Err(unknown));
    let not_offered = RequestError::UnknownApi(26);
    assert_eq!(not_offered.to_string(), "EndTxn (API key 26) is not supported");
    assert_eq!(Call::read(frame(26, 0, 1, &[])), Err(not_offered));
    // Told in ApiVersions for librdkafka's sake, and refused all the same.
    let error = RequestError::UnsupportedVersion { api: "Produce", version: 2 };
    assert_eq!(Call::read(frame(0, 2, 1, &[])), Err(error));
    assert_eq!(Call::read(Bytes::from_static(&[0, 3, 0, 1])), Err(RequestError::TruncatedHeader));
    assert!(matches!(Call::read(frame(3, 1, 1, &[0x7f, 0xff, 0xff, 0xff])), Err(RequestError::Shape { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn arbitrary_bytes_never_panic(
        api in 0..APIS.len(), version in -1i16..20, tail in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut bytes = BytesMut::new();
        bytes.put_i16(APIS[api].key as i16);
        bytes.put_i16(version);
        bytes.put_slice(&tail);
        let _read_or_refused = Call::read(bytes.freeze());
    }

    #[test]
    fn small_numbers_reach_deep_into_the_decoders(
        api in 0..APIS.len(), version in 0i16..20, tail in proptest::collection::vec(0u8..4, 0..300),
    ) {
        let mut bytes = BytesMut::new();
        bytes.put_i16(APIS[api].key as i16);
        bytes.put_i16(version);
        bytes.put_i32(1);
        bytes.put_i16(-1);
        bytes.put_slice(&tail);
        let _read_or_refused = Call::read(bytes.freeze());
    }
}

#[test]
fn what_the_fuzzer_starts_from_are_requests() {
    let seeds = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/frame");
    for (seed, is_request) in [
        ("alter-replica-log-dirs-2", true),
        ("elect-leaders-1", true),
        ("elect-leaders-2", true),
        ("elect-leaders-null", true),
        ("alter-partition-reassignments-1", true),
        ("alter-partition-reassignments-lie", false),
        ("list-partition-reassignments-0", true),
        ("describe-quorum-2", true),
        ("update-features-0", true),
        ("update-features-2", true),
        ("unregister-broker-0", true),
        ("list-config-resources-1", true),
        ("add-raft-voter-0", true),
        ("remove-raft-voter-0", true),
    ] {
        let frame = std::fs::read(seeds.join(seed)).expect("saved");
        let read = Call::read(Bytes::from(frame));
        assert_eq!(read.is_ok(), is_request, "{seed}: {read:?}");
    }
}
