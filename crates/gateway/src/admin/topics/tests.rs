//! Listings, descriptions, and what a request becomes.

use super::*;
use crate::fixtures;

fn page(image: &Image, page_size: u32, page_token: &str, include_internal: bool) -> (Vec<String>, String) {
    let request = v1::ListTopicsRequest { page_size, page_token: page_token.to_owned(), include_internal };
    let page = list(image, &request, 3);
    (page.topics.into_iter().map(|topic| topic.name).collect(), page.next_page_token)
}

#[test]
fn pages_follow_each_other_without_gap_or_repetition() {
    let image = fixtures::image(&[("a", 1), ("b", 2), ("c", 1), ("d", 1), ("e", 1)]);
    assert_eq!(page(&image, 2, "", false), (vec!["a".to_owned(), "b".to_owned()], "b".to_owned()));
    assert_eq!(page(&image, 2, "b", false), (vec!["c".to_owned(), "d".to_owned()], "d".to_owned()));
    assert_eq!(page(&image, 2, "d", false), (vec!["e".to_owned()], String::new()));
    let all = ["a", "b", "c"].map(str::to_owned).to_vec();
    assert_eq!(page(&image, 100, "", false), (all, "c".to_owned()), "the limit is 3");
}

#[test]
fn internal_topics_are_listed_on_request_only() {
    let image = fixtures::image(&[("__consumer_offsets", 1), ("a", 1)]);
    assert_eq!(page(&image, 0, "", false).0, ["a"]);
    assert_eq!(page(&image, 0, "", true).0, ["__consumer_offsets", "a"]);
}

#[test]
fn a_description_tells_leaders_and_epochs() {
    let image = fixtures::image(&[("a", 2)]);
    let described = description(&image, image.topic_by_name("a").expect("it was made"));
    assert_eq!(described.topic_id, fixtures::topic_id("a").to_string());
    assert_eq!(described.partitions.len(), 2);
    let second = &described.partitions[1];
    assert_eq!((second.partition, second.leader_id, second.leader_epoch), (1, Some(1), 4));
    assert_eq!(second.replica_ids, [1]);
    assert!(described.brokers.is_empty(), "broker 1 is not registered");
}

#[test]
fn assignments_stand_alone() {
    let request = || v1::CreateTopicRequest { name: "t".to_owned(), ..v1::CreateTopicRequest::default() };
    let assignments = vec![v1::ReplicaAssignment { partition: 0, broker_ids: vec![1, 2] }];
    let topic = new_topic(v1::CreateTopicRequest { assignments: assignments.clone(), ..request() });
    let expected = ManualAssignment { partition: 0, brokers: vec![BrokerId(1), BrokerId(2)] };
    assert_eq!(topic.map(|topic| topic.assignments), Ok(vec![expected]));
    let both = v1::CreateTopicRequest { assignments, partition_count: Some(1), ..request() };
    assert_eq!(new_topic(both).map_err(|error| error.code), Err(ErrorCode::InvalidRequest));
    let factor = v1::CreateTopicRequest { replication_factor: Some(70_000), ..request() };
    assert_eq!(new_topic(factor).map_err(|error| error.code), Err(ErrorCode::InvalidReplicationFactor));
}
