//! What the coordinator answers.

use std::collections::BTreeMap;

use levada_groups::api::{FetchOffsets, FetchOffsetsAnswer, FetchTopic, Request, Response};
use levada_types::{ErrorCode, TopicIdPartition};

use super::super::owned::Stage;
use super::{Asked, FIRST_PAUSE, Member, Refusal, World};

/// The refusal that an error of an API is.
fn refusal(code: ErrorCode, message: Option<String>) -> Refusal {
    Refusal { code, message: message.unwrap_or_default() }
}

impl Member {
    /// The coordinator has answered what was asked last.
    pub(super) fn answered(&mut self, answer: Result<Response, Refusal>, world: &mut World<'_>) {
        let Some(asked) = self.asked.take() else { return };
        let answer = match answer {
            Ok(Response::Failed(code)) => Err(refusal(code, None)),
            other => other,
        };
        match (asked, answer) {
            (Asked::Heartbeat { owned }, Ok(Response::ConsumerGroupHeartbeat(answer))) => match answer.error {
                ErrorCode::None => self.heard(owned, answer, world),
                code => self.unheard(refusal(code, answer.error_message), world),
            },
            (Asked::Heartbeat { .. }, answer) => self.unheard(unexpected(answer), world),
            (Asked::Commit(commit), Ok(Response::OffsetCommit(answer))) => {
                self.committed(commit, &answer.topics, world);
            }
            (Asked::Commit(commit), answer) => self.not_committed(commit, &unexpected(answer), world),
            (Asked::Offsets(partitions), Ok(Response::FetchOffsets(answer))) => {
                self.told_offsets(&partitions, answer, world);
            }
            (Asked::Offsets(_), answer) => self.untold_offsets(unexpected(answer).code, world),
            (Asked::Leave, answer) => self.said_farewell(&answer, world),
        }
    }

    /// The question for what is committed of the partitions that wait for it.
    pub(super) fn offsets_request(&self) -> Option<(Asked, Request)> {
        let mut topics: Vec<FetchTopic> = Vec::new();
        let mut partitions = BTreeMap::new();
        let waiting = self.partitions.iter().filter(|(_, owned)| owned.stage == Stage::Committed && !owned.revoked);
        for (&id, owned) in waiting {
            partitions.insert(id, owned.generation);
            match topics.last_mut().filter(|topic| topic.topic_id == Some(id.topic_id)) {
                Some(topic) => topic.partitions.push(id.partition),
                None => topics.push(FetchTopic {
                    name: owned.topic.clone(),
                    topic_id: Some(id.topic_id),
                    partitions: vec![id.partition],
                }),
            }
        }
        let request = FetchOffsets {
            group_id: self.settings.group_id.clone(),
            member_id: Some(self.member_id.clone()),
            member_epoch: self.epoch,
            topics: Some(topics),
            require_stable: true,
        };
        (!partitions.is_empty()).then_some((Asked::Offsets(partitions), Request::FetchOffsets(request)))
    }

    fn told_offsets(
        &mut self,
        asked: &BTreeMap<TopicIdPartition, u64>,
        answer: FetchOffsetsAnswer,
        world: &mut World<'_>,
    ) {
        if !answer.error.is_none() {
            return self.untold_offsets(answer.error, world);
        }
        let mut told = BTreeMap::new();
        for topic in answer.topics {
            for partition in topic.partitions {
                told.insert((topic.name.clone(), partition.partition), partition);
            }
        }
        self.pause = FIRST_PAUSE;
        for (&id, &generation) in asked {
            let Some(owned) = self.partitions.get_mut(&id) else { continue };
            if owned.generation != generation || owned.stage != Stage::Committed {
                continue;
            }
            match told.get(&(owned.topic.clone(), id.partition)).map(|told| (told.error, told.offset)) {
                Some((ErrorCode::None, Some(offset))) => owned.start_at(offset, true),
                Some((ErrorCode::None, None)) => self.reset(id, "nothing is committed"),
                // A transaction that commits offsets is open, or the coordinator does not know of the topic yet.
                _ => self.hold_back(world.now),
            }
        }
    }

    fn untold_offsets(&mut self, code: ErrorCode, world: &mut World<'_>) {
        match code {
            ErrorCode::UnknownMemberId | ErrorCode::FencedMemberEpoch => self.fenced(code, world),
            ErrorCode::StaleMemberEpoch => {
                (self.heartbeat_at, self.full) = (world.now, true);
                self.hold_back(world.now);
            }
            _ => self.hold_back(world.now),
        }
    }
}

/// What an answer to another question comes to.
fn unexpected(answer: Result<Response, Refusal>) -> Refusal {
    match answer {
        Err(refusal) => refusal,
        Ok(_) => refusal(
            ErrorCode::UnknownServerError,
            Some("the coordinator answered something else than was asked".to_owned()),
        ),
    }
}
