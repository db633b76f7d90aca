//! Committed offsets, asked as clients ask.

mod expiry;
mod transactions;

use levada_types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicId};

use crate::{
    GroupConfig, MAX_GROUP_ID_BYTES,
    api::{
        CommitPartition, CommitTopic, DeleteGroup, DeleteOffsets, DeleteTopic, FetchOffsets, FetchTopic,
        FetchedPartition, ListGroups, ListedGroup, OffsetCommit, OffsetCommitAnswer, Request, Response,
    },
    classic::tests::{joining, subscription},
    world::World,
};

/// A commit of one partition by a client that is no member.
fn committing(group: &str, topic: &str, topic_id: TopicId, partition: PartitionIndex, offset: Offset) -> OffsetCommit {
    OffsetCommit {
        group_id: group.to_owned(),
        generation_id_or_member_epoch: -1,
        member_id: String::new(),
        group_instance_id: None,
        retention_time_ms: None,
        topics: vec![CommitTopic {
            name: topic.to_owned(),
            topic_id: Some(topic_id),
            partitions: vec![CommitPartition { partition, offset, leader_epoch: None, metadata: None }],
        }],
        stream_number: None,
    }
}

impl World {
    fn commit(&mut self, request: OffsetCommit) -> OffsetCommitAnswer {
        match self.answer(Request::OffsetCommit(request)) {
            Response::OffsetCommit(answer) => answer,
            other => panic!("not the answer to a commit: {other:?}"),
        }
    }

    /// What came of a commit of one partition.
    fn commit_error(&mut self, request: OffsetCommit) -> ErrorCode {
        self.commit(request).topics[0].partitions[0].error
    }

    fn fetch_partition(
        &mut self,
        group: &str,
        topic: &str,
        partition: PartitionIndex,
        stable: bool,
    ) -> FetchedPartition {
        let request = FetchOffsets {
            group_id: group.to_owned(),
            member_id: None,
            member_epoch: -1,
            topics: Some(vec![FetchTopic { name: topic.to_owned(), topic_id: None, partitions: vec![partition] }]),
            require_stable: stable,
        };
        match self.answer(Request::FetchOffsets(request)) {
            Response::FetchOffsets(answer) => {
                assert_eq!(answer.error, ErrorCode::None);
                answer.topics[0].partitions[0].clone()
            }
            other => panic!("not the answer to a fetch: {other:?}"),
        }
    }

    fn committed(&mut self, group: &str, topic: &str, partition: PartitionIndex) -> Option<Offset> {
        self.fetch_partition(group, topic, partition, false).offset
    }

    /// All that a group has: topic, partition, offset.
    fn all_committed(&mut self, group: &str) -> Vec<(String, PartitionIndex, Option<Offset>)> {
        let request = FetchOffsets {
            group_id: group.to_owned(),
            member_id: None,
            member_epoch: -1,
            topics: None,
            require_stable: false,
        };
        let Response::FetchOffsets(answer) = self.answer(Request::FetchOffsets(request)) else {
            panic!("not the answer to a fetch")
        };
        let topics = answer.topics.into_iter();
        topics
            .flat_map(|topic| {
                topic.partitions.into_iter().map(move |told| (topic.name.clone(), told.partition, told.offset))
            })
            .collect()
    }

    fn delete_offset(&mut self, group: &str, topic: &str, partition: PartitionIndex) -> (ErrorCode, Vec<ErrorCode>) {
        let topics = vec![DeleteTopic { name: topic.to_owned(), partitions: vec![partition] }];
        let Response::DeleteOffsets(answer) =
            self.answer(Request::DeleteOffsets(DeleteOffsets { group_id: group.to_owned(), topics }))
        else {
            panic!("not the answer to a deletion")
        };
        let errors = answer.topics.iter().flat_map(|topic| topic.partitions.iter().map(|partition| partition.error));
        (answer.error, errors.collect())
    }

    fn delete_group(&mut self, group: &str) -> ErrorCode {
        let Response::DeleteGroup(answer) =
            self.answer(Request::DeleteGroup(DeleteGroup { group_id: group.to_owned() }))
        else {
            panic!("not the answer to a deletion")
        };
        answer.error
    }

    fn listed(&mut self, states: &[&str], types: &[&str]) -> Vec<ListedGroup> {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let request = ListGroups { states: owned(states), types: owned(types) };
        match self.answer(Request::ListGroups(request)) {
            Response::ListGroups(groups) => groups,
            other => panic!("not a list: {other:?}"),
        }
    }
}

#[test]
fn what_was_committed_is_read_back_whole() {
    let mut world = World::new();
    let topic = world.create_topic("orders", 2);
    let mut request = committing("g", "orders", topic, 1, 42);
    request.topics[0].partitions[0].leader_epoch = Some(LeaderEpoch(7));
    request.topics[0].partitions[0].metadata = Some("as far as «é»".to_owned());
    let answer = world.commit(request);
    assert_eq!((answer.topics[0].name.as_str(), answer.topics[0].topic_id), ("orders", Some(topic)));
    assert_eq!(answer.topics[0].partitions[0].error, ErrorCode::None);
    let committed_at = world.now;
    for _ in 0..2 {
        let told = world.fetch_partition("g", "orders", 1, true);
        assert_eq!((told.offset, told.leader_epoch), (Some(42), Some(LeaderEpoch(7))));
        assert_eq!((told.metadata.as_str(), told.committed_at), ("as far as «é»", Some(committed_at)));
        assert_eq!(world.committed("g", "orders", 0), None);
        assert_eq!(world.committed("other", "orders", 1), None);
        assert_eq!(world.all_committed("g"), [("orders".to_owned(), 1, Some(42))]);
        world.check();
        world.pass(1_000);
        world.take_over();
    }
    assert_eq!(world.commit_error(committing("g", "orders", topic, 1, 41)), ErrorCode::None);
    assert_eq!(world.committed("g", "orders", 1), Some(41));
    assert_eq!(world.groups.counts().offsets, 1);
    let overviews: Vec<_> = world.groups.overviews().collect();
    let [group] = overviews.as_slice() else { panic!("{overviews:?}") };
    assert_eq!((group.group_id.as_ref(), group.state, group.members), ("g", "Empty", 0));
    let offsets: Vec<_> =
        group.offsets().map(|(topic, partition, offset)| (topic.as_ref(), partition, offset)).collect();
    assert_eq!(offsets, [("orders", 1, 41)]);
}

#[test]
fn what_cannot_be_committed_changes_nothing() {
    let mut world = World::with(GroupConfig { offset_metadata_max_bytes: 4, ..GroupConfig::default() });
    let topic = world.create_topic("orders", 2);
    let unknown = OffsetCommit {
        topics: vec![CommitTopic { topic_id: None, ..committing("g", "orders", topic, 0, 1).topics.remove(0) }],
        ..committing("g", "orders", topic, 0, 1)
    };
    let mut too_long = committing("g", "orders", topic, 0, 1);
    too_long.topics[0].partitions[0].metadata = Some("12345".to_owned());
    let of_generation = OffsetCommit { generation_id_or_member_epoch: 1, ..committing("g", "orders", topic, 0, 1) };
    let long_id = "x".repeat(MAX_GROUP_ID_BYTES + 1);
    let cases = [
        (unknown, ErrorCode::UnknownTopicOrPartition),
        (committing("g", "orders", TopicId::ZERO, 0, 1), ErrorCode::UnknownTopicOrPartition),
        (committing("g", "orders", topic, 2, 1), ErrorCode::UnknownTopicOrPartition),
        (committing("g", "orders", topic, -1, 1), ErrorCode::UnknownTopicOrPartition),
        (too_long, ErrorCode::OffsetMetadataTooLarge),
        (of_generation, ErrorCode::IllegalGeneration),
        (committing(&long_id, "orders", topic, 0, 1), ErrorCode::InvalidGroupId),
    ];
    for (request, error) in cases {
        assert_eq!(world.commit_error(request), error);
    }
    assert_eq!((world.log.len(), world.listed(&[], &[])), (0, Vec::new()));
}

#[test]
fn metadata_is_measured_as_kafka_measures_it() {
    let mut world = World::with(GroupConfig { offset_metadata_max_bytes: 4, ..GroupConfig::default() });
    let topic = world.create_topic("orders", 1);
    for (metadata, error) in [
        ("\u{e4}\u{e4}\u{e4}\u{e4}", ErrorCode::None),
        ("\u{1f600}\u{1f600}", ErrorCode::None),
        ("\u{1f600}\u{1f600}\u{1f600}", ErrorCode::OffsetMetadataTooLarge),
    ] {
        let mut request = committing("g", "orders", topic, 0, 1);
        request.topics[0].partitions[0].metadata = Some(metadata.to_owned());
        assert_eq!(world.commit_error(request), error, "{metadata}");
    }
}

#[test]
fn one_bad_partition_does_not_spoil_the_others() {
    let mut world = World::new();
    let topic = world.create_topic("orders", 1);
    let mut request = committing("g", "orders", topic, 0, 5);
    request.topics[0].partitions.push(CommitPartition { partition: 9, offset: 5, leader_epoch: None, metadata: None });
    let answer = world.commit(request);
    let errors: Vec<ErrorCode> = answer.topics[0].partitions.iter().map(|partition| partition.error).collect();
    assert_eq!(errors, [ErrorCode::None, ErrorCode::UnknownTopicOrPartition]);
    assert_eq!(world.all_committed("g").len(), 1);
}

#[test]
fn while_a_group_has_members_only_they_commit_and_in_their_generation() {
    let mut world = World::new();
    let topic = world.create_topic("orders", 1);
    let members = world.settled("g", 2);
    let of = |member_id: &str, generation| OffsetCommit {
        member_id: member_id.to_owned(),
        generation_id_or_member_epoch: generation,
        ..committing("g", "orders", topic, 0, 9)
    };
    let id = members[0].member_id.as_str();
    assert_eq!(world.commit_error(committing("g", "orders", topic, 0, 1)), ErrorCode::UnknownMemberId);
    assert_eq!(world.commit_error(of("stranger", 1)), ErrorCode::UnknownMemberId);
    assert_eq!(world.commit_error(of(id, 0)), ErrorCode::IllegalGeneration);
    assert_eq!(world.commit_error(of(id, 2)), ErrorCode::IllegalGeneration);
    let named = OffsetCommit { group_instance_id: Some("nobody".to_owned()), ..of(id, 1) };
    assert_eq!(world.commit_error(named), ErrorCode::UnknownMemberId);
    assert_eq!(world.committed("g", "orders", 0), None);
    assert_eq!(world.commit_error(of(id, 1)), ErrorCode::None);

    // While others join again, what was consumed until then may still be committed; once they have, it may not.
    let leader = world.join(crate::classic::tests::again("g", &members[0]));
    assert_eq!(world.commit_error(of(&members[1].member_id, 1)), ErrorCode::None);
    let other = world.join(crate::classic::tests::again("g", &members[1]));
    assert_eq!(world.joined(leader).generation_id, 2);
    assert_eq!(world.joined(other).generation_id, 2);
    assert_eq!(world.commit_error(of(id, 1)), ErrorCode::IllegalGeneration);
    assert_eq!(world.commit_error(of(id, 2)), ErrorCode::RebalanceInProgress);
}

#[test]
fn a_commit_is_a_sign_of_life() {
    let mut world = World::new();
    let topic = world.create_topic("orders", 1);
    let members = world.settled("g", 1);
    let commit = OffsetCommit {
        member_id: members[0].member_id.clone(),
        generation_id_or_member_epoch: 1,
        ..committing("g", "orders", topic, 0, 9)
    };
    for _ in 0..5 {
        world.pass(9_000);
        assert_eq!(world.commit_error(commit.clone()), ErrorCode::None);
    }
    world.pass(10_000);
    assert_eq!(world.commit_error(commit), ErrorCode::UnknownMemberId);
}

#[test]
fn offsets_of_a_deleted_topic_are_not_those_of_the_next_one_of_its_name() {
    let mut world = World::new();
    let old = world.create_topic("orders", 1);
    world.create_topic("returns", 1);
    let kept = world.image.topic_id("returns").unwrap();
    for group in ["a", "b"] {
        assert_eq!(world.commit_error(committing(group, "orders", old, 0, 100)), ErrorCode::None);
    }
    assert_eq!(world.commit_error(committing("b", "returns", kept, 0, 100)), ErrorCode::None);
    world.delete_topic(old);
    let new = world.create_topic("orders", 1);
    assert_eq!(world.commit_error(committing("a", "orders", old, 0, 101)), ErrorCode::UnknownTopicOrPartition);
    assert_eq!(world.committed("b", "orders", 0), None);
    assert_eq!(world.committed("b", "returns", 0), Some(100));
    let groups: Vec<String> = world.listed(&[], &[]).into_iter().map(|group| group.group_id).collect();
    assert_eq!(groups, ["b"], "nothing is left of the other");
    world.check();
    assert_eq!(world.commit_error(committing("a", "orders", new, 0, 1)), ErrorCode::None);
    assert_eq!(world.committed("a", "orders", 0), Some(1));
    world.check();
}

#[test]
fn a_topic_that_was_deleted_while_nobody_had_the_shard_loses_its_offsets_at_the_load() {
    let mut world = World::new();
    let topic = world.create_topic("orders", 1);
    world.create_topic("returns", 1);
    world.commit(committing("g", "orders", topic, 0, 100));
    world.delete_topic(topic);
    world.take_over();
    assert_eq!(world.all_committed("g"), []);
    world.check();
}

#[test]
fn a_change_of_a_topic_that_is_not_its_end_costs_no_offset() {
    let mut world = World::new();
    let topic = world.create_topic("orders", 1);
    world.commit(committing("g", "orders", topic, 0, 100));
    world.add_partitions(topic, 1..4);
    assert_eq!(world.commit_error(committing("g", "orders", topic, 3, 7)), ErrorCode::None);
    assert_eq!(world.committed("g", "orders", 0), Some(100));
    assert_eq!(world.committed("g", "orders", 3), Some(7));
}

#[test]
fn offsets_are_deleted_but_of_topics_that_members_use() {
    let mut world = World::new();
    let orders = world.create_topic("orders", 1);
    let returns = world.create_topic("returns", 1);
    assert_eq!(world.delete_offset("g", "orders", 0).0, ErrorCode::GroupIdNotFound);
    world.commit(committing("g", "orders", orders, 0, 1));
    world.commit(committing("g", "returns", returns, 0, 1));
    let members = world.settled("g", 1);
    assert_eq!(world.delete_offset("g", "orders", 0), (ErrorCode::None, vec![ErrorCode::GroupSubscribedToTopic]));
    assert_eq!(world.delete_offset("g", "returns", 0), (ErrorCode::None, vec![ErrorCode::None]));
    assert_eq!(world.all_committed("g"), [("orders".to_owned(), 0, Some(1))]);
    world.leave("g", &[(&members[0].member_id, None)]);
    assert_eq!(world.delete_offset("g", "orders", 0), (ErrorCode::None, vec![ErrorCode::None]));
    assert_eq!(world.delete_offset("g", "orders", 5), (ErrorCode::None, vec![ErrorCode::None]));
    let unknown = ErrorCode::UnknownTopicOrPartition;
    assert_eq!(world.delete_offset("g", "nothing", 0), (ErrorCode::None, vec![unknown]));
    assert_eq!(world.delete_offset("", "orders", 0).0, ErrorCode::InvalidGroupId);
    assert_eq!(world.all_committed("g"), []);
    world.check();
}

#[test]
fn of_members_that_are_no_consumers_no_offset_is_deleted() {
    let mut world = World::new();
    let topic = world.create_topic("orders", 1);
    world.commit(committing("g", "orders", topic, 0, 1));
    let token = world.join(crate::api::JoinGroup { protocol_type: "connect".to_owned(), ..joining("g") });
    assert_eq!(world.delete_offset("g", "orders", 0).0, ErrorCode::NonEmptyGroup);
    assert_eq!(world.take(token), None);
    assert_eq!(world.committed("g", "orders", 0), Some(1));
}

#[test]
fn an_empty_group_is_deleted_with_its_offsets() {
    let mut world = World::new();
    let topic = world.create_topic("orders", 3);
    assert_eq!(world.delete_group("g"), ErrorCode::GroupIdNotFound);
    let members = world.settled("g", 1);
    for partition in 0..3 {
        world.commit(OffsetCommit {
            member_id: members[0].member_id.clone(),
            generation_id_or_member_epoch: 1,
            ..committing("g", "orders", topic, partition, 5)
        });
    }
    world.commit(committing("other", "orders", topic, 0, 6));
    assert_eq!(world.delete_group("g"), ErrorCode::NonEmptyGroup);
    world.leave("g", &[(&members[0].member_id, None)]);
    assert_eq!(world.delete_group("g"), ErrorCode::None);
    assert_eq!(world.delete_group("g"), ErrorCode::GroupIdNotFound);
    assert_eq!(world.all_committed("g"), []);
    assert_eq!(world.committed("other", "orders", 0), Some(6));
    let hard = world.check();
    assert_eq!((hard.classic.len(), hard.offsets.len()), (0, 1));
}

#[test]
fn groups_are_listed_by_state_and_type_in_whatever_case() {
    let mut world = World::new();
    let topic = world.create_topic("orders", 1);
    world.commit(committing("offsets-only", "orders", topic, 0, 1));
    world.settled("settled", 1);
    let names = |groups: Vec<ListedGroup>| groups.into_iter().map(|group| group.group_id).collect::<Vec<_>>();
    assert_eq!(names(world.listed(&[], &[])), ["offsets-only", "settled"]);
    assert_eq!(names(world.listed(&["stable"], &["CLASSIC"])), ["settled"]);
    assert_eq!(names(world.listed(&["Empty", "Dead"], &[])), ["offsets-only"]);
    assert_eq!(names(world.listed(&[], &["consumer"])), [] as [&str; 0]);
    let kinds: Vec<String> = world.listed(&[], &[]).into_iter().map(|group| group.protocol_type).collect();
    assert_eq!(kinds, ["", "consumer"]);
    assert_eq!(subscription(&["a"]).len(), 2 + 4 + 3 + 4);
}
