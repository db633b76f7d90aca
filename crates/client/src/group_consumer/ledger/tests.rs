//! The rules of a member, without a broker.

use levada_proto::v1::subscribe_request::Kind as Said;
use levada_proto::v1::subscribe_response::Kind as Told;
use levada_types::{ErrorCode, TopicId, TopicName};

use super::*;

const BROKER: &str = "a:1";

/// The id of topic `t`.
fn id() -> String {
    TopicId::ZERO.to_string()
}

fn at(partition: i32) -> TopicPartition {
    TopicPartition { topic: TopicName::new("t").unwrap(), partition }
}

fn partitions(partitions: &[i32]) -> Vec<v1::TopicPartitions> {
    vec![v1::TopicPartitions { topic: "t".to_owned(), topic_id: id(), partitions: partitions.to_vec() }]
}

fn hear(ledger: &mut Ledger, kind: Told) -> Heard {
    ledger.hear(BROKER, v1::SubscribeResponse { kind: Some(kind) }).unwrap()
}

fn joined(ledger: &mut Ledger, member_id: &str, stream_number: u64) {
    let joined = v1::SubscriptionJoined { member_id: member_id.to_owned(), member_epoch: 1, stream_number };
    assert_eq!(hear(ledger, Told::Joined(joined)), Heard::Joined);
}

fn assigned(ledger: &mut Ledger, numbers: &[i32]) {
    hear(ledger, Told::Assigned(v1::SubscriptionAssigned { partitions: partitions(numbers) }));
}

fn revoke(ledger: &mut Ledger, number: u64, numbers: &[i32]) {
    hear(ledger, Told::Revoke(v1::SubscriptionRevoke { number, partitions: partitions(numbers) }));
}

/// Records of these offsets, the last of them at the end of the response.
fn records(ledger: &mut Ledger, partition: i32, offsets: std::ops::Range<i64>) {
    let record = |offset| v1::StoredRecord { offset, ..v1::StoredRecord::default() };
    let response = v1::SubscriptionRecords {
        topic: "t".to_owned(),
        topic_id: id(),
        partition,
        next_offset: offsets.end,
        high_watermark: offsets.end,
        records: offsets.map(record).collect(),
    };
    hear(ledger, Told::Records(response));
}

/// A member of stream 1 that owns these partitions and has been told so.
fn member(numbers: &[i32]) -> Ledger {
    let mut ledger = Ledger::new(usize::MAX);
    ledger.open(v1::JoinSubscription::default());
    joined(&mut ledger, "m", 1);
    assigned(&mut ledger, numbers);
    let told = tell(&mut ledger);
    assert_eq!(told, [(Change::Assigned, numbers.to_vec())]);
    ledger
}

/// Tells the program everything there is to tell.
fn tell(ledger: &mut Ledger) -> Vec<(Change, Vec<i32>)> {
    let mut told = Vec::new();
    while let Step::Tell(change, partitions) = ledger.next_step(0) {
        told.push((change, partitions.iter().map(|at| at.partition).collect()));
        ledger.told();
    }
    told
}

/// The partitions and offsets that a poll returns.
fn poll(ledger: &mut Ledger, max: usize) -> Vec<(i32, i64)> {
    ledger.polled();
    match ledger.next_step(max) {
        Step::Records(records) => records.iter().map(|record| (record.partition, record.offset)).collect(),
        Step::Wait => Vec::new(),
        step => panic!("{step:?}"),
    }
}

fn said(ledger: &mut Ledger) -> Vec<String> {
    let word = |said: v1::SubscribeRequest| match said.kind.unwrap() {
        Said::Processed(it) => format!("processed {} {}", it.partition, it.next_offset),
        Said::RevocationDone(it) => format!("revocation_done {}", it.number),
        Said::Commit(it) => {
            let offsets: Vec<String> = it.offsets.iter().map(|o| format!("{}:{}", o.partition, o.offset)).collect();
            format!("commit {}", offsets.join(","))
        }
        Said::Seek(it) => format!("seek {} {:?}", it.partition, it.start.unwrap()),
        Said::Progress(_) => "progress".to_owned(),
        Said::Leave(_) => "leave".to_owned(),
        Said::Join(_) => panic!("a join comes from open"),
    };
    ledger.say().into_iter().map(word).collect()
}

#[test]
fn what_a_poll_returned_counts_as_processed_at_the_next_one() {
    let mut ledger = member(&[0, 1]);
    records(&mut ledger, 0, 0..3);
    records(&mut ledger, 1, 7..8);
    assert_eq!(said(&mut ledger), Vec::<String>::new(), "what was delivered is not processed");
    assert_eq!(poll(&mut ledger, 2), [(0, 0), (0, 1)]);
    assert_eq!(said(&mut ledger), ["progress"], "records are with the client, and it lives");
    assert_eq!(poll(&mut ledger, 2), [(0, 2), (1, 7)]);
    assert_eq!(said(&mut ledger), ["processed 0 2"]);
    assert_eq!(poll(&mut ledger, 2), []);
    assert_eq!(said(&mut ledger), ["processed 0 3", "processed 1 8"]);
    assert_eq!(poll(&mut ledger, 2), []);
    assert_eq!(said(&mut ledger), Vec::<String>::new(), "nothing is with the client");
}

#[test]
fn the_last_record_of_a_response_stands_for_what_lies_behind_it() {
    let mut ledger = member(&[0]);
    let record = v1::StoredRecord { offset: 4, ..v1::StoredRecord::default() };
    // Offsets 5 to 8 are markers or compacted away.
    let response = v1::SubscriptionRecords {
        topic_id: id(),
        next_offset: 9,
        records: vec![record],
        ..v1::SubscriptionRecords::default()
    };
    hear(&mut ledger, Told::Records(response));
    assert_eq!(poll(&mut ledger, 10), [(0, 4)]);
    ledger.polled();
    assert_eq!(said(&mut ledger), ["processed 0 9"]);
}

#[test]
fn one_record_may_be_processed_before_the_next_poll_but_none_that_was_not_returned() {
    let mut ledger = member(&[0]);
    records(&mut ledger, 0, 0..5);
    ledger.polled();
    let Step::Records(got) = ledger.next_step(3) else { panic!("there are records") };
    ledger.processed(&got[1]).unwrap();
    assert_eq!(said(&mut ledger), ["processed 0 2"]);
    let mut ahead = got[2].clone();
    ahead.offset = 100;
    ledger.processed(&ahead).unwrap();
    assert_eq!(said(&mut ledger), ["processed 0 3"]);
    ahead.partition = 7;
    assert_eq!(ledger.processed(&ahead).unwrap_err().code(), ErrorCode::UnknownTopicOrPartition);
}

#[test]
fn a_revocation_is_acknowledged_after_the_program_has_been_told_and_what_it_has_is_processed() {
    let mut ledger = member(&[0, 1]);
    records(&mut ledger, 0, 0..4);
    records(&mut ledger, 1, 0..1);
    assert_eq!(poll(&mut ledger, 2), [(0, 0), (0, 1)]);
    said(&mut ledger);
    revoke(&mut ledger, 1, &[0]);
    records(&mut ledger, 0, 4..6);
    assert_eq!(said(&mut ledger), Vec::<String>::new(), "the program is at work");
    ledger.polled();
    let Step::Tell(Change::Revoked, partitions) = ledger.next_step(9) else { panic!("it is to be told first") };
    assert_eq!(partitions, [at(0)]);
    assert_eq!(said(&mut ledger), ["processed 0 2"], "not before the program comes back");
    ledger.told();
    assert_eq!(said(&mut ledger), ["revocation_done 1"]);
    assert_eq!(poll(&mut ledger, 9), [(1, 0)], "nothing of what is revoked is returned");
    assert_eq!(ledger.assignment(), [at(1)]);
}

#[test]
fn what_was_processed_within_the_callback_is_told_before_the_revocation_is_done() {
    let mut ledger = member(&[0]);
    records(&mut ledger, 0, 0..2);
    assert_eq!(poll(&mut ledger, 9).len(), 2);
    revoke(&mut ledger, 1, &[0]);
    // Not by a poll: the program was cancelled and comes back into the callback.
    assert_eq!(tell(&mut ledger), [(Change::Revoked, vec![0])]);
    assert_eq!(said(&mut ledger), ["processed 0 2", "revocation_done 1"]);
}

#[test]
fn a_partition_that_comes_back_begins_where_its_group_stands_then() {
    let mut ledger = member(&[0]);
    records(&mut ledger, 0, 0..6);
    assert_eq!(poll(&mut ledger, 9).len(), 6);
    revoke(&mut ledger, 1, &[0]);
    assert_eq!(tell(&mut ledger), [(Change::Revoked, vec![0])]);
    assert!(ledger.processed_offsets().is_empty(), "it is not the member's to commit");
    assert_eq!(said(&mut ledger), ["processed 0 6", "revocation_done 1"]);
    assigned(&mut ledger, &[0]);
    assert_eq!(tell(&mut ledger), [(Change::Assigned, vec![0])]);
    // Somebody has set it back meanwhile.
    records(&mut ledger, 0, 2..4);
    assert_eq!(poll(&mut ledger, 9), [(0, 2), (0, 3)]);
}

#[test]
fn a_revocation_of_what_the_member_does_not_have_is_done_at_once() {
    let mut ledger = member(&[0]);
    revoke(&mut ledger, 5, &[3]);
    assert_eq!(said(&mut ledger), ["revocation_done 5"]);
}

#[test]
fn a_broken_stream_goes_on_where_the_client_stands() {
    let mut ledger = member(&[0, 1]);
    records(&mut ledger, 0, 0..6);
    assert_eq!(poll(&mut ledger, 2).len(), 2);
    assert_eq!(poll(&mut ledger, 2).len(), 2);
    hear(&mut ledger, Told::Epoch(v1::SubscriptionEpoch { member_epoch: 4 }));
    assert_eq!(ledger.member_epoch(), Some(4));
    let join = ledger.open(v1::JoinSubscription { group_id: "g".to_owned(), ..Default::default() });
    assert_eq!(
        (join.group_id.as_str(), join.member_id.as_str(), join.member_epoch, join.stream_number),
        ("g", "m", 4, 1)
    );
    let held: Vec<_> = join.held.iter().map(|h| (h.partition, h.next_offset, h.processed_offset)).collect();
    assert_eq!(held, [(0, Some(6), Some(2)), (1, None, None)]);

    // Records that are here already are returned meanwhile, and nothing is said before the broker knows whose what is.
    assert_eq!(poll(&mut ledger, 1), [(0, 4)]);
    assert_eq!(said(&mut ledger), Vec::<String>::new());
    joined(&mut ledger, "m", 2);
    assert_eq!(said(&mut ledger), ["progress"], "which is of no partition");
    assigned(&mut ledger, &[0, 1, 2]);
    assert_eq!(said(&mut ledger), ["processed 0 4"]);
    assert_eq!(tell(&mut ledger), [(Change::Assigned, vec![2])], "what it has is no news");
    // The new broker begins before what the client has.
    records(&mut ledger, 0, 3..8);
    assert_eq!(poll(&mut ledger, 9), [(0, 5), (0, 6), (0, 7)]);
}

#[test]
fn a_revocation_that_broke_off_is_finished_on_the_next_stream() {
    let mut ledger = member(&[0, 1]);
    records(&mut ledger, 0, 0..2);
    assert_eq!(poll(&mut ledger, 9).len(), 2);
    revoke(&mut ledger, 1, &[0]);
    let join = ledger.open(v1::JoinSubscription::default());
    assert_eq!(join.held.len(), 2, "nobody else may have it yet");
    joined(&mut ledger, "m", 2);
    assigned(&mut ledger, &[1]);
    revoke(&mut ledger, 1, &[0]);
    ledger.polled();
    assert_eq!(tell(&mut ledger), [(Change::Revoked, vec![0])], "once");
    assert_eq!(said(&mut ledger), ["processed 0 2", "revocation_done 1"]);

    // The same where the program had given it up and the broker had not been told.
    let mut ledger = member(&[0, 1]);
    revoke(&mut ledger, 1, &[0]);
    assert_eq!(tell(&mut ledger), [(Change::Revoked, vec![0])]);
    let join = ledger.open(v1::JoinSubscription::default());
    assert_eq!(join.held.len(), 2);
    joined(&mut ledger, "m", 2);
    revoke(&mut ledger, 1, &[0]);
    assert_eq!(tell(&mut ledger), []);
    assert_eq!(said(&mut ledger), ["revocation_done 1"]);
}

#[test]
fn what_was_to_be_given_up_and_is_the_members_after_all_is_assigned_again() {
    let mut ledger = member(&[0]);
    records(&mut ledger, 0, 0..4);
    assert_eq!(poll(&mut ledger, 2).len(), 2);
    revoke(&mut ledger, 1, &[0]);
    let join = ledger.open(v1::JoinSubscription::default());
    assert_eq!(join.held[0].next_offset, Some(2), "what the program has not got is read again");
    joined(&mut ledger, "m", 2);
    assigned(&mut ledger, &[0]);
    records(&mut ledger, 0, 2..4);
    assert_eq!(tell(&mut ledger), [(Change::Revoked, vec![0]), (Change::Assigned, vec![0])]);
    assert_eq!(poll(&mut ledger, 9), [(0, 2), (0, 3)]);
    assert_eq!(said(&mut ledger), ["processed 0 2"], "and nothing is acknowledged that was not asked for");
}

#[test]
fn a_member_that_comes_back_as_another_has_lost_everything() {
    let mut ledger = member(&[0, 1]);
    records(&mut ledger, 0, 0..2);
    assert_eq!(poll(&mut ledger, 1).len(), 1);
    let (_, mut committed) = ledger.commit(&ledger.processed_offsets());
    ledger.open(v1::JoinSubscription::default());
    joined(&mut ledger, "another", 1);
    assigned(&mut ledger, &[1]);
    let code = committed.try_recv().map(|outcome| outcome.map_err(|error| error.code()));
    assert_eq!(code, Ok(Err(ErrorCode::UnknownMemberId)));
    assert_eq!(tell(&mut ledger), [(Change::Lost, vec![0, 1]), (Change::Assigned, vec![1])]);
    assert_eq!(poll(&mut ledger, 9), [], "what was buffered is somebody else's");
    assert_eq!(said(&mut ledger), Vec::<String>::new());
    assert_eq!(ledger.assignment(), [at(1)]);
    let join = ledger.open(v1::JoinSubscription::default());
    assert_eq!((join.member_id.as_str(), join.held.len()), ("another", 1));
}

#[test]
fn what_is_lost_before_the_program_heard_of_it_is_not_told() {
    let mut ledger = member(&[0]);
    assigned(&mut ledger, &[1]);
    revoke(&mut ledger, 1, &[0]);
    hear(&mut ledger, Told::Lost(v1::SubscriptionLost { partitions: partitions(&[0, 1]) }));
    assert_eq!(
        tell(&mut ledger),
        [(Change::Lost, vec![0])],
        "it was told of 0 alone, and cannot give that up any more"
    );
    assert_eq!(said(&mut ledger), ["revocation_done 1"]);
}

#[test]
fn commits_name_their_offsets_and_are_sent_again_after_a_break() {
    let mut ledger = member(&[0, 1]);
    records(&mut ledger, 0, 0..3);
    assert_eq!(poll(&mut ledger, 2).len(), 2);
    ledger.polled();
    let (request_id, mut answer) = ledger.commit(&ledger.processed_offsets());
    assert_eq!(said(&mut ledger), ["processed 0 2", "commit 0:2"]);
    ledger.open(v1::JoinSubscription::default());
    joined(&mut ledger, "m", 2);
    assert_eq!(said(&mut ledger), Vec::<String>::new(), "the new broker does not know yet whose partition 0 is");
    assigned(&mut ledger, &[0, 1]);
    assert_eq!(said(&mut ledger), ["commit 0:2"]);
    let refused = levada_proto::status::error(ErrorCode::OffsetMetadataTooLarge, "");
    let result = v1::CommittedOffset { topic: "t".to_owned(), partition: 0, error: Some(refused) };
    hear(&mut ledger, Told::Committed(v1::SubscriptionCommitted { request_id, results: vec![result] }));
    let outcome = answer.try_recv().unwrap();
    assert!(matches!(outcome, Err(ClientError::Broker { partition: Some((_, 0)), .. })), "{outcome:?}");
}

#[test]
fn a_seek_drops_what_was_under_way_and_goes_on_where_it_led() {
    let mut ledger = member(&[0]);
    records(&mut ledger, 0, 100..103);
    assert_eq!(poll(&mut ledger, 1), [(0, 100)]);
    let mut answer = ledger.seek(&at(0), Start::Offset(10)).unwrap();
    records(&mut ledger, 0, 103..105);
    assert_eq!(poll(&mut ledger, 9), []);
    assert_eq!(said(&mut ledger), ["seek 0 Offset(10)"], "and what is behind it is not processed any more");
    let request_id = ledger.last_request;
    hear(
        &mut ledger,
        Told::Sought(v1::SubscriptionSought { request_id, topic_id: id(), partition: 0, offset: 10, error: None }),
    );
    assert_eq!(answer.try_recv().unwrap().unwrap(), 10);
    assert_eq!(ledger.position(&at(0)), Some(10));
    records(&mut ledger, 0, 10..12);
    assert_eq!(poll(&mut ledger, 9), [(0, 10), (0, 11)]);
    assert!(ledger.seek(&at(1), Start::Offset(0)).is_err());
}

#[test]
fn a_seek_is_made_again_on_the_next_stream_and_fails_where_the_partition_goes() {
    let mut ledger = member(&[0]);
    records(&mut ledger, 0, 5..6);
    let mut answer = ledger.seek(&at(0), Start::Offset(1)).unwrap();
    assert_eq!(said(&mut ledger), ["seek 0 Offset(1)"]);
    let join = ledger.open(v1::JoinSubscription::default());
    assert_eq!(join.held[0].next_offset, None);
    joined(&mut ledger, "m", 2);
    assigned(&mut ledger, &[0]);
    assert_eq!(said(&mut ledger), ["seek 0 Offset(1)"]);
    revoke(&mut ledger, 1, &[0]);
    assert!(answer.try_recv().unwrap().is_err());
}

#[test]
fn whoever_is_taken_out_for_silence_is_told_and_whoever_leaves_is_let_go() {
    let mut ledger = member(&[0]);
    assert_eq!(hear(&mut ledger, Told::Left(v1::SubscriptionLeft { error: None })), Heard::TakenOut);
    assert_eq!(tell(&mut ledger), [(Change::Lost, vec![0])]);
    assert!(!ledger.is_over(), "it joins anew");

    let mut ledger = member(&[0]);
    records(&mut ledger, 0, 0..1);
    assert_eq!(poll(&mut ledger, 9).len(), 1);
    ledger.polled();
    ledger.leave();
    assert_eq!(said(&mut ledger), ["processed 0 1", "leave"]);
    ledger.open(v1::JoinSubscription::default());
    joined(&mut ledger, "m", 2);
    assert_eq!(said(&mut ledger), ["leave"], "the broker that was told is gone");
    assert_eq!(hear(&mut ledger, Told::Left(v1::SubscriptionLeft { error: None })), Heard::Left);
    assert!(ledger.is_over());
}

#[test]
fn a_broker_that_breaks_its_word_is_found_out() {
    let refused = |ledger: &mut Ledger, kind| {
        let outcome = ledger.hear(BROKER, v1::SubscribeResponse { kind: Some(kind) });
        assert!(matches!(outcome, Err(ClientError::Protocol { .. })), "{outcome:?}");
    };
    let mut ledger = Ledger::new(usize::MAX);
    ledger.open(v1::JoinSubscription::default());
    refused(&mut ledger, Told::Assigned(v1::SubscriptionAssigned { partitions: partitions(&[0]) }));
    joined(&mut ledger, "m", 1);
    assigned(&mut ledger, &[0]);
    let nameless = v1::TopicPartitions { topic: "t".to_owned(), topic_id: "?".to_owned(), partitions: vec![0] };
    refused(&mut ledger, Told::Assigned(v1::SubscriptionAssigned { partitions: vec![nameless] }));
    let record = v1::StoredRecord { offset: 9, ..v1::StoredRecord::default() };
    let early = v1::SubscriptionRecords {
        topic_id: id(),
        next_offset: 9,
        records: vec![record],
        ..v1::SubscriptionRecords::default()
    };
    refused(&mut ledger, Told::Records(early));
    // What is read at one time comes whole, of every partition, but it has an end.
    ledger.max_bytes = 0;
    let value = Some(bytes::Bytes::from(vec![0; 1 << 20]));
    let record = |offset| v1::StoredRecord { offset, value: value.clone(), ..v1::StoredRecord::default() };
    for offset in 0..257 {
        let response = v1::SubscriptionRecords {
            topic_id: id(),
            next_offset: offset + 1,
            records: vec![record(offset)],
            ..v1::SubscriptionRecords::default()
        };
        if offset < 256 {
            _ = hear(&mut ledger, Told::Records(response));
        } else {
            refused(&mut ledger, Told::Records(response));
        }
    }
}

#[test]
fn many_small_records_of_several_partitions_that_were_read_at_one_time_are_taken() {
    let mut ledger = member(&[0, 1, 2]);
    for partition in 0..3 {
        records(&mut ledger, partition, 0..20_000);
    }
    assert_eq!(poll(&mut ledger, 100_000).len(), 60_000);
}

#[test]
fn a_full_buffer_waits_for_the_program_unless_somebody_waits_for_an_answer() {
    let mut ledger = member(&[0, 1]);
    ledger.max_bytes = 0;
    assert!(!ledger.is_full());
    records(&mut ledger, 0, 0..2);
    records(&mut ledger, 1, 0..2);
    assert!(ledger.is_full());
    let (request_id, _answer) = ledger.commit(&[OffsetToCommit::new(at(0), 1)]);
    assert!(!ledger.is_full());
    ledger.forget_commit(request_id);
    assert!(ledger.is_full());
    let _answer = ledger.seek(&at(0), Start::Offset(9)).unwrap();
    assert!(!ledger.is_full());
    revoke(&mut ledger, 1, &[0]);
    assert!(ledger.is_full(), "the seek is off");
    assert_eq!(tell(&mut ledger), [(Change::Revoked, vec![0])]);
    assert_eq!(poll(&mut ledger, 1).len(), 1);
    assert!(ledger.is_full());
    assert_eq!(poll(&mut ledger, 1).len(), 1);
    assert!(!ledger.is_full());
    assert_eq!(ledger.buffer.bytes(), 0);
}

#[test]
fn when_it_is_over_the_program_hears_what_it_has_lost_and_then_why() {
    let mut ledger = member(&[0]);
    records(&mut ledger, 0, 0..3);
    ledger.fail(ClientError::Closed);
    assert_eq!(tell(&mut ledger), [(Change::Lost, vec![0])]);
    assert!(matches!(ledger.next_step(9), Step::Failed(ClientError::Closed)));
    assert!(ledger.is_over());
}
