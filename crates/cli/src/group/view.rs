//! Groups as they are shown.

use std::collections::BTreeMap;
use std::fmt::Display;

use levada_client::{GroupDescription, GroupListing, GroupMember, GroupOffset, GroupType};
use levada_types::TopicPartition;
use serde::Serialize;

/// What stands where there is nothing, as in Kafka's tool.
const NOTHING: &str = "-";

/// A group at a glance.
#[derive(Debug, Serialize)]
pub(super) struct ListedView {
    pub(super) group: String,
    #[serde(rename = "type")]
    group_type: &'static str,
    protocol_type: String,
    pub(super) state: String,
}

/// A group.
#[derive(Debug, Serialize)]
pub(super) struct GroupView {
    #[serde(flatten)]
    pub(super) listed: ListedView,
    assignor: String,
    epoch: Option<i32>,
    pub(super) members: Vec<MemberView>,
    /// Left out where only the members or the state were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) offsets: Option<Vec<OffsetView>>,
}

/// A member.
#[derive(Debug, Serialize)]
pub(super) struct MemberView {
    member_id: String,
    instance_id: Option<String>,
    client_id: String,
    host: String,
    epoch: Option<i32>,
    assigned: BTreeMap<String, Vec<i32>>,
    /// What it is to own, where that differs.
    target: BTreeMap<String, Vec<i32>>,
}

/// How a group stands with a partition.
#[derive(Debug, Serialize)]
pub(super) struct OffsetView {
    topic: String,
    partition: i32,
    committed_offset: Option<i64>,
    leader_epoch: Option<i32>,
    metadata: String,
    log_start_offset: Option<i64>,
    log_end_offset: Option<i64>,
    lag: Option<i64>,
    lag_seconds: Option<f64>,
    member_id: Option<String>,
    /// Why the partition's leader could not be asked.
    pub(super) error: Option<String>,
}

pub(super) const fn type_name(group_type: Option<GroupType>) -> &'static str {
    match group_type {
        Some(GroupType::Classic) => "classic",
        Some(GroupType::Consumer) => "consumer",
        None => "unknown",
    }
}

fn or_nothing<T: Display>(value: Option<T>) -> String {
    value.map_or_else(|| NOTHING.to_owned(), |value| value.to_string())
}

fn text(value: &str) -> String {
    or_nothing(Some(value).filter(|value| !value.is_empty()))
}

impl ListedView {
    pub(super) fn new(listing: GroupListing) -> Self {
        Self {
            group: listing.id,
            group_type: type_name(listing.group_type),
            protocol_type: listing.protocol_type,
            state: listing.state,
        }
    }

    pub(super) fn row(&self) -> [String; 4] {
        [self.group.clone(), self.group_type.to_owned(), text(&self.protocol_type), self.state.clone()]
    }
}

impl GroupView {
    pub(super) fn new(group: GroupDescription, with_offsets: bool) -> Self {
        Self {
            listed: ListedView::new(group.listing),
            assignor: group.assignor,
            epoch: group.epoch,
            members: group.members.into_iter().map(MemberView::new).collect(),
            offsets: with_offsets.then(|| group.offsets.into_iter().map(OffsetView::new).collect()),
        }
    }

    /// A row for each partition, then one for each member without any; the columns of Kafka's tool and the lag in seconds.
    pub(super) fn offset_rows(&self) -> Vec<[String; 10]> {
        let group = &self.listed.group;
        let offsets = self.offsets.as_deref().unwrap_or_default();
        let owner = |offset: &OffsetView| {
            let id = offset.member_id.as_ref()?;
            self.members.iter().find(|member| member.member_id == *id)
        };
        let of_partition = |offset: &OffsetView| {
            let member = owner(offset);
            [
                group.clone(),
                offset.topic.clone(),
                offset.partition.to_string(),
                or_nothing(offset.committed_offset),
                or_nothing(offset.log_end_offset),
                or_nothing(offset.lag),
                or_nothing(offset.lag_seconds.map(|seconds| format!("{seconds:.3}"))),
                or_nothing(offset.member_id.as_ref()),
                or_nothing(member.map(|member| &member.host)),
                or_nothing(member.map(|member| &member.client_id)),
            ]
        };
        let idle = |member: &&MemberView| offsets.iter().all(|o| o.member_id.as_ref() != Some(&member.member_id));
        let of_member = |member: &MemberView| {
            let nothing = || NOTHING.to_owned();
            [
                group.clone(),
                nothing(),
                nothing(),
                nothing(),
                nothing(),
                nothing(),
                nothing(),
                member.member_id.clone(),
                member.host.clone(),
                member.client_id.clone(),
            ]
        };
        offsets.iter().map(of_partition).chain(self.members.iter().filter(idle).map(of_member)).collect()
    }

    pub(super) fn member_rows(&self) -> impl Iterator<Item = [String; 7]> {
        self.members.iter().map(|member| {
            [
                self.listed.group.clone(),
                member.member_id.clone(),
                member.host.clone(),
                member.client_id.clone(),
                or_nothing(member.instance_id.as_ref()),
                member.assigned.values().map(Vec::len).sum::<usize>().to_string(),
                partitions_text(&member.assigned),
            ]
        })
    }

    pub(super) fn state_row(&self) -> [String; 6] {
        [
            self.listed.group.clone(),
            self.listed.group_type.to_owned(),
            text(&self.assignor),
            self.listed.state.clone(),
            or_nothing(self.epoch),
            self.members.len().to_string(),
        ]
    }
}

impl MemberView {
    fn new(member: GroupMember) -> Self {
        Self {
            member_id: member.id,
            instance_id: member.instance_id,
            client_id: member.client_id,
            host: member.client_host,
            epoch: member.epoch,
            assigned: by_topic(member.assigned),
            target: by_topic(member.target),
        }
    }
}

impl OffsetView {
    fn new(offset: GroupOffset) -> Self {
        Self {
            topic: offset.partition.topic.to_string(),
            partition: offset.partition.partition,
            committed_offset: offset.committed,
            leader_epoch: offset.leader_epoch.map(|epoch| epoch.0),
            metadata: offset.metadata,
            log_start_offset: offset.log_start,
            log_end_offset: offset.log_end,
            lag: offset.lag,
            lag_seconds: offset.lag_time.map(|time| time.as_secs_f64()),
            member_id: offset.member,
            error: offset.error.map(|error| error.to_string()),
        }
    }

    /// Which partition, in words.
    pub(super) fn place(&self) -> String {
        format!("{}-{}", self.topic, self.partition)
    }
}

fn by_topic(partitions: Vec<TopicPartition>) -> BTreeMap<String, Vec<i32>> {
    let mut topics: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for partition in partitions {
        topics.entry(partition.topic.to_string()).or_default().push(partition.partition);
    }
    topics
}

/// `orders(0,1), payments(3)`, as in Kafka's tool.
fn partitions_text(topics: &BTreeMap<String, Vec<i32>>) -> String {
    let topic = |(topic, partitions): (&String, &Vec<i32>)| {
        let numbers: Vec<String> = partitions.iter().map(ToString::to_string).collect();
        format!("{topic}({})", numbers.join(","))
    };
    let topics: Vec<String> = topics.iter().map(topic).collect();
    text(&topics.join(", "))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use levada_types::TopicName;

    use super::*;

    fn at(topic: &str, partition: i32) -> TopicPartition {
        TopicPartition { topic: TopicName::new(topic).unwrap(), partition }
    }

    fn member(id: &str, assigned: Vec<TopicPartition>) -> GroupMember {
        GroupMember {
            id: id.to_owned(),
            instance_id: None,
            client_id: "app".to_owned(),
            client_host: "/10.0.0.1".to_owned(),
            epoch: Some(3),
            assigned,
            target: Vec::new(),
        }
    }

    fn offset(partition: i32, committed: Option<i64>, member: Option<&str>) -> GroupOffset {
        GroupOffset {
            partition: at("orders", partition),
            committed,
            leader_epoch: None,
            metadata: String::new(),
            log_start: Some(0),
            log_end: Some(10),
            lag: committed.map(|committed| 10 - committed),
            lag_time: committed.map(|_| Duration::from_millis(1_500)),
            member: member.map(str::to_owned),
            error: None,
        }
    }

    fn group() -> GroupView {
        let listing = GroupListing {
            id: "billing".to_owned(),
            state: "Stable".to_owned(),
            group_type: Some(GroupType::Consumer),
            protocol_type: "consumer".to_owned(),
        };
        let members = vec![member("m-1", vec![at("orders", 0), at("orders", 1)]), member("m-2", vec![])];
        let offsets = vec![offset(0, Some(7), Some("m-1")), offset(1, None, Some("m-1")), offset(2, Some(10), None)];
        let assignor = "uniform".to_owned();
        GroupView::new(GroupDescription { listing, assignor, epoch: Some(4), members, offsets }, true)
    }

    #[test]
    fn the_columns_are_those_of_kafkas_tool_and_members_without_partitions_are_shown() {
        let rows: Vec<String> = group().offset_rows().iter().map(|row| row.join(" ")).collect();
        assert_eq!(
            rows,
            [
                "billing orders 0 7 10 3 1.500 m-1 /10.0.0.1 app",
                "billing orders 1 - 10 - - m-1 /10.0.0.1 app",
                "billing orders 2 10 10 0 1.500 - - -",
                "billing - - - - - - m-2 /10.0.0.1 app",
            ]
        );
    }

    #[test]
    fn members_and_the_state_have_rows_of_their_own() {
        let rows: Vec<String> = group().member_rows().map(|row| row.join(" ")).collect();
        assert_eq!(rows, ["billing m-1 /10.0.0.1 app - 2 orders(0,1)", "billing m-2 /10.0.0.1 app - 0 -"]);
        assert_eq!(group().state_row().join(" "), "billing consumer uniform Stable 4 2");
    }

    #[test]
    fn offsets_that_were_not_asked_for_are_not_told_as_none() {
        let json = |with_offsets| {
            let listing = GroupListing {
                id: "g".to_owned(),
                state: "Empty".to_owned(),
                group_type: None,
                protocol_type: String::new(),
            };
            let group = GroupDescription {
                listing,
                assignor: String::new(),
                epoch: None,
                members: Vec::new(),
                offsets: Vec::new(),
            };
            serde_json::to_value(GroupView::new(group, with_offsets)).unwrap()
        };
        assert_eq!(json(true).get("offsets"), Some(&serde_json::json!([])));
        assert_eq!(json(false).get("offsets"), None);
        assert_eq!(json(false).get("group"), Some(&serde_json::json!("g")));
    }
}
