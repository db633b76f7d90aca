//! Deleting the head of a log.

use std::sync::Arc;
use std::time::Duration;

use levada_types::{ErrorCode, LeaderEpoch, Offset};

use crate::Broker;
use crate::api::{DeleteRecords, PartitionError};
use crate::partition::Partition;
use crate::threads::{self, Gather, Job};

impl Broker {
    /// See [`Broker::delete_records`].
    pub(crate) async fn delete_heads(
        &self,
        request: Vec<DeleteRecords>,
        timeout: Duration,
    ) -> Vec<Result<Offset, PartitionError>> {
        let mut answers = Vec::with_capacity(request.len());
        let mut deletions = Vec::with_capacity(request.len());
        for asked in request {
            match self.deletable(&asked) {
                Ok((partition, leader_epoch)) => {
                    deletions.push((partition, leader_epoch, asked.before));
                    answers.push(None);
                }
                Err(error) => answers.push(Some(Err(error))),
            }
        }
        let (gather, slots) = Gather::new(answers, || Err(ErrorCode::NotLeaderOrFollower.into()));
        for ((partition, leader_epoch, before), answer) in deletions.into_iter().zip(slots) {
            partition.post(Job::DeleteRecords(threads::DeleteRecords { before, leader_epoch, answer }));
        }
        // What was not answered in time is done all the same.
        drop(tokio::time::timeout(timeout, &gather).await);
        gather.give_up(|| Err(ErrorCode::RequestTimedOut.into()))
    }

    fn deletable(&self, asked: &DeleteRecords) -> Result<(Arc<Partition>, LeaderEpoch), PartitionError> {
        let partition = self.locate(&asked.partition)?;
        let topic = &partition.name().topic;
        if topic.is_internal() {
            let message = format!("clients may not delete records of {topic}");
            return Err(PartitionError::new(ErrorCode::InvalidTopicException, message));
        }
        let role = partition.role();
        role.check_leads(None)?;
        if self.is_compacted_only(asked.partition.topic_id) {
            let message =
                format!("{topic} is compacted; records are deleted only where cleanup.policy holds \"delete\"");
            return Err(PartitionError::new(ErrorCode::PolicyViolation, message));
        }
        Ok((partition, role.leader_epoch))
    }
}
