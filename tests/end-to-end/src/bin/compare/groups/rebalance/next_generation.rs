//! A member of the next-generation protocol (KIP-848), which does at once what it is told, as clients do whose program is
//! polling.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use kafka_protocol::{
    messages::{
        ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, GroupId, TopicName,
        consumer_group_heartbeat_request::TopicPartitions,
    },
    protocol::StrBytes,
};
use levada_end_to_end::{Outcome, fail};
use tokio::time;

use super::{Farewell, Goodbye, Place, board::Standing};

/// The version in which members make their own ids.
const CONSUMER_GROUP_HEARTBEAT: i16 = 1;

/// The epochs of one that joins and of one that leaves.
const JOIN: i32 = 0;
const LEAVE: i32 = -1;

/// Before what could not be done yet is asked again.
const RETRY: Duration = Duration::from_millis(50);

struct Member {
    place: Place,
    member_id: StrBytes,
    epoch: i32,
    /// What it has, as the coordinator was told or is to be told.
    owned: Vec<TopicPartitions>,
}

/// Is a member until it is told to go; when it was heard of last.
pub(super) async fn run(place: Place, mut goodbye: Goodbye) -> Outcome<Instant> {
    let member_id = StrBytes::from_string(format!("{}-{}", place.group, place.number));
    let mut member = Member { place, member_id, epoch: JOIN, owned: Vec::new() };
    member.place.board.said();
    let (mut tells_all, mut gives_up) = (true, false);
    loop {
        let asked = Instant::now();
        if gives_up {
            member.place.board.said();
        }
        let answer = member.heartbeat(tells_all).await?;
        match answer.error_code {
            0 => {}
            // The coordinators' topic is being created, or the shard is loaded.
            14..=16 => {
                time::sleep(RETRY).await;
                continue;
            }
            code => return fail(format!("a heartbeat: error {code}: {:?}", answer.error_message)),
        }
        (tells_all, gives_up) = member.take(&answer, asked);
        if tells_all {
            continue;
        }
        let pause = Duration::from_millis(u64::try_from(answer.heartbeat_interval_ms)?);
        let farewell = tokio::select! {
            farewell = &mut goodbye => farewell?,
            () = time::sleep(pause.saturating_sub(asked.elapsed())) => continue,
        };
        if farewell == Farewell::Leave {
            member.leave().await?;
        }
        member.place.board.gone(member.place.number);
        return Ok(asked);
    }
}

impl Member {
    /// Takes an answer in. Whether it has something to tell at once, and whether that is that it has given something up.
    fn take(&mut self, answer: &ConsumerGroupHeartbeatResponse, asked: Instant) -> (bool, bool) {
        self.epoch = answer.member_epoch;
        let before = self.partitions();
        if let Some(assignment) = &answer.assignment {
            let topics = assignment.topic_partitions.iter();
            self.owned = topics
                .map(|topic| {
                    TopicPartitions::default().with_topic_id(topic.topic_id).with_partitions(topic.partitions.clone())
                })
                .collect();
        }
        let owned = self.partitions();
        let (changes, gives_up) = (owned != before, !before.is_subset(&owned));
        let now = Standing { epoch: self.epoch, owned, is_settled: !changes };
        self.place.board.got(self.place.number, asked, changes, now);
        (changes, gives_up)
    }

    fn partitions(&self) -> BTreeSet<i32> {
        self.owned.iter().flat_map(|topic| topic.partitions.iter().copied()).collect()
    }

    async fn heartbeat(&self, tells_all: bool) -> Outcome<ConsumerGroupHeartbeatResponse> {
        let topic = || TopicName(StrBytes::from_string(self.place.topic.clone()));
        let request = self
            .request()
            .with_member_epoch(self.epoch)
            .with_rebalance_timeout_ms(if self.epoch == JOIN { 60_000 } else { -1 })
            .with_subscribed_topic_names((self.epoch == JOIN).then(|| vec![topic()]))
            .with_topic_partitions(tells_all.then(|| self.owned.clone()));
        self.place.connection.call(&request, CONSUMER_GROUP_HEARTBEAT).await
    }

    async fn leave(&self) -> Outcome {
        self.place.board.said();
        let request = self.request().with_member_epoch(LEAVE).with_rebalance_timeout_ms(-1);
        match self.place.connection.call(&request, CONSUMER_GROUP_HEARTBEAT).await?.error_code {
            0 => Ok(()),
            code => fail(format!("a member that leaves: error {code}")),
        }
    }

    fn request(&self) -> ConsumerGroupHeartbeatRequest {
        ConsumerGroupHeartbeatRequest::default()
            .with_group_id(GroupId(StrBytes::from_string(self.place.group.clone())))
            .with_member_id(self.member_id.clone())
    }
}
