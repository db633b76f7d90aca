//! A member of the classic protocol that keeps what it has while its group rebalances (KIP-429).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    messages::{
        ConsumerProtocolAssignment, ConsumerProtocolSubscription, GroupId, HeartbeatRequest, JoinGroupRequest,
        JoinGroupResponse, LeaveGroupRequest, SyncGroupRequest, TopicName,
        consumer_protocol_assignment::TopicPartition as Assigned,
        consumer_protocol_subscription::TopicPartition as Owned, join_group_request::JoinGroupRequestProtocol,
        sync_group_request::SyncGroupRequestAssignment,
    },
    protocol::{Decodable, Encodable, StrBytes},
};
use levada_end_to_end::{Outcome, fail};
use tokio::time;

use super::{Farewell, Goodbye, Place, board::Standing, sticky};

/// The last versions before the flexible ones, and the one before leaving was batched.
const JOIN_GROUP: i16 = 5;
const SYNC_GROUP: i16 = 3;
const HEARTBEAT: i16 = 3;
const LEAVE_GROUP: i16 = 2;

/// The version of what consumers tell each other in which they say what they own.
const SUBSCRIPTION: i16 = 1;

const MEMBER_ID_REQUIRED: i16 = 79;
const ILLEGAL_GENERATION: i16 = 22;
const REBALANCE_IN_PROGRESS: i16 = 27;

/// Kafka's default `heartbeat.interval.ms`.
pub(super) const INTERVAL: Duration = Duration::from_secs(3);

/// Before what could not be done yet is asked again.
const RETRY: Duration = Duration::from_millis(50);

struct Member {
    place: Place,
    member_id: StrBytes,
    generation: i32,
    owned: BTreeSet<i32>,
}

/// Is a member until it is told to go; when it was heard of last.
pub(super) async fn run(place: Place, mut goodbye: Goodbye) -> Outcome<Instant> {
    let mut member = Member { place, member_id: StrBytes::default(), generation: -1, owned: BTreeSet::new() };
    loop {
        member.rebalance().await?;
        let mut last;
        loop {
            last = Instant::now();
            match member.heartbeat().await? {
                0 => {}
                REBALANCE_IN_PROGRESS => break,
                code => return fail(format!("a heartbeat: error {code}")),
            }
            let farewell = tokio::select! {
                farewell = &mut goodbye => farewell?,
                () = time::sleep(INTERVAL.saturating_sub(last.elapsed())) => continue,
            };
            if farewell == Farewell::Leave {
                member.leave().await?;
            }
            member.place.board.gone(member.place.number);
            return Ok(last);
        }
    }
}

impl Member {
    /// Joins generations until it has given up what it is to give up.
    async fn rebalance(&mut self) -> Outcome {
        self.place.board.stirs(self.place.number);
        loop {
            let asked = Instant::now();
            self.place.board.said();
            let joined = self.join().await?;
            self.generation = joined.generation_id;
            let Some(assigned) = self.sync(&joined).await? else { continue };
            let gives_up = !self.owned.is_subset(&assigned);
            self.owned = assigned;
            let (epoch, owned) = (self.generation, self.owned.clone());
            let now = Standing { epoch, owned, is_settled: !gives_up };
            self.place.board.got(self.place.number, asked, true, now);
            if !gives_up {
                return Ok(());
            }
        }
    }

    async fn join(&mut self) -> Outcome<JoinGroupResponse> {
        loop {
            let topic = || TopicName(StrBytes::from_string(self.place.topic.clone()));
            let owned = Owned::default().with_topic(topic()).with_partitions(self.owned.iter().copied().collect());
            let subscription =
                ConsumerProtocolSubscription::default().with_topics(vec![topic().0]).with_owned_partitions(vec![owned]);
            let protocol = JoinGroupRequestProtocol::default()
                .with_name(StrBytes::from_static_str("cooperative-sticky"))
                .with_metadata(written(&subscription)?);
            let request = JoinGroupRequest::default()
                .with_group_id(self.group())
                .with_session_timeout_ms(i32::try_from(self.place.session.as_millis())?)
                .with_rebalance_timeout_ms(60_000)
                .with_member_id(self.member_id.clone())
                .with_protocol_type(StrBytes::from_static_str("consumer"))
                .with_protocols(vec![protocol]);
            let joined = self.place.connection.call(&request, JOIN_GROUP).await?;
            match joined.error_code {
                0 => return Ok(joined),
                MEMBER_ID_REQUIRED => self.member_id = joined.member_id,
                // The coordinators' topic is being created, or the shard is loaded.
                14..=16 => time::sleep(RETRY).await,
                code => return fail(format!("JoinGroup: error {code}")),
            }
        }
    }

    /// What it is assigned; `None` if the group has gone on to another generation meanwhile.
    async fn sync(&self, joined: &JoinGroupResponse) -> Outcome<Option<BTreeSet<i32>>> {
        let mut owned = BTreeMap::new();
        for member in &joined.members {
            let mut metadata = member.metadata.clone();
            let subscription: ConsumerProtocolSubscription = read(&mut metadata)?;
            let partitions = subscription.owned_partitions.iter().flat_map(|topic| topic.partitions.iter().copied());
            owned.insert(member.member_id.to_string(), partitions.collect());
        }
        let mut assignments = Vec::new();
        // Of all members only the leader is told.
        if !owned.is_empty() {
            for (member, partitions) in sticky::assign(self.place.partitions, &owned) {
                let topic = TopicName(StrBytes::from_string(self.place.topic.clone()));
                let assigned = Assigned::default().with_topic(topic).with_partitions(partitions.into_iter().collect());
                let assignment = ConsumerProtocolAssignment::default().with_assigned_partitions(vec![assigned]);
                assignments.push(
                    SyncGroupRequestAssignment::default()
                        .with_member_id(StrBytes::from_string(member))
                        .with_assignment(written(&assignment)?),
                );
            }
        }
        let request = SyncGroupRequest::default()
            .with_group_id(self.group())
            .with_generation_id(self.generation)
            .with_member_id(self.member_id.clone())
            .with_assignments(assignments);
        let mut answer = self.place.connection.call(&request, SYNC_GROUP).await?;
        match answer.error_code {
            0 => {
                let assignment: ConsumerProtocolAssignment = read(&mut answer.assignment)?;
                Ok(Some(assignment.assigned_partitions.iter().flat_map(|topic| topic.partitions.clone()).collect()))
            }
            REBALANCE_IN_PROGRESS | ILLEGAL_GENERATION => Ok(None),
            code => fail(format!("SyncGroup: error {code}")),
        }
    }

    async fn heartbeat(&self) -> Outcome<i16> {
        let request = HeartbeatRequest::default()
            .with_group_id(self.group())
            .with_generation_id(self.generation)
            .with_member_id(self.member_id.clone());
        Ok(self.place.connection.call(&request, HEARTBEAT).await?.error_code)
    }

    async fn leave(&self) -> Outcome {
        let request = LeaveGroupRequest::default().with_group_id(self.group()).with_member_id(self.member_id.clone());
        self.place.board.said();
        match self.place.connection.call(&request, LEAVE_GROUP).await?.error_code {
            0 => Ok(()),
            code => fail(format!("LeaveGroup: error {code}")),
        }
    }

    fn group(&self) -> GroupId {
        GroupId(StrBytes::from_string(self.place.group.clone()))
    }
}

/// What consumers tell each other bears its version in front.
fn written(what: &impl Encodable) -> Outcome<Bytes> {
    let mut bytes = BytesMut::from(&SUBSCRIPTION.to_be_bytes()[..]);
    what.encode(&mut bytes, SUBSCRIPTION)?;
    Ok(bytes.freeze())
}

fn read<T: Decodable>(bytes: &mut Bytes) -> Outcome<T> {
    if bytes.len() < 2 {
        return fail("a consumer that has said nothing of itself");
    }
    let version = bytes.split_to(2);
    Ok(T::decode(bytes, i16::from_be_bytes([version[0], version[1]]))?)
}
