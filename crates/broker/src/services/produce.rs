//! Produce: lets batches in, and hands them to their partitions' log threads.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use levada_records::BatchHeader;
use levada_types::{ErrorCode, LeaderEpoch};

use crate::Broker;
use crate::api::{Acks, PartitionError, Produce, ProducePartition, Produced};
use crate::partition::Partition;
use crate::threads::{Append, Gather, Job};

type Answer = Result<Produced, PartitionError>;

/// A batch that may be appended, and where.
struct Admitted {
    partition: Arc<Partition>,
    leader_epoch: LeaderEpoch,
    records: Bytes,
}

impl Broker {
    /// See [`Broker::produce`].
    pub(crate) fn append(&self, request: Produce) -> impl Future<Output = Vec<Answer>> + Send + use<> {
        self.metrics.produce_requests.increment(1);
        let Produce { acks, timeout, partitions } = request;
        let mut seen = Seen::over(&partitions);
        let mut answers = Vec::with_capacity(partitions.len());
        let mut admitted = Vec::with_capacity(partitions.len());
        for asked in partitions {
            match seen.first_time(&asked).and_then(|()| self.admit(asked, acks)) {
                Ok(batch) => {
                    admitted.push(batch);
                    answers.push(None);
                }
                Err(error) => {
                    self.metrics.produce_errors.increment(1);
                    answers.push(Some(Err(error)));
                }
            }
        }
        // A slot is dropped unfilled only when the replica is being closed.
        let (gather, slots) = Gather::new(answers, || Err(ErrorCode::NotLeaderOrFollower.into()));
        for (batch, answer) in admitted.into_iter().zip(slots) {
            let Admitted { partition, leader_epoch, records } = batch;
            let share = self.in_flight.take(records.len());
            partition.post(Job::Append(Append { records, acks, leader_epoch, answer, share }));
        }
        async move {
            if acks == Acks::All {
                // Late answers are for nobody then; what was queued is appended all the same.
                let in_time = tokio::time::timeout(timeout, &gather).await;
                drop(in_time);
            } else {
                (&gather).await;
            }
            gather.give_up(|| Err(ErrorCode::RequestTimedOut.into()))
        }
    }

    /// Checks what can be checked without touching the log; the log's writer checks the rest.
    fn admit(&self, asked: ProducePartition, acks: Acks) -> Result<Admitted, PartitionError> {
        let partition = self.locate(&asked.partition)?;
        if partition.name().topic.is_internal() {
            let message = format!("clients may not write to {}", partition.name().topic);
            return Err(PartitionError::new(ErrorCode::InvalidTopicException, message));
        }
        let role = partition.role();
        role.check_leads(None)?;
        self.mandate.check(&role)?;
        if acks == Acks::All {
            role.check_in_sync()?;
        }
        // What is no batch at all is the log's to refuse, like everything else about it.
        if BatchHeader::parse(&asked.records).is_ok_and(|header| header.is_transactional()) {
            // Kafka's answer for a transaction that its coordinator has not confirmed (KIP-890).
            let message = "no transaction coordinator knows this transaction";
            return Err(PartitionError::new(ErrorCode::InvalidTxnState, message));
        }
        Ok(Admitted { partition, leader_epoch: role.leader_epoch, records: asked.records })
    }
}

/// The partitions of a request that were seen already. Most requests have one partition and need no set.
struct Seen(Option<HashSet<levada_types::TopicIdPartition>>);

impl Seen {
    fn over(partitions: &[ProducePartition]) -> Self {
        Self((partitions.len() > 1).then(|| HashSet::with_capacity(partitions.len())))
    }

    fn first_time(&mut self, asked: &ProducePartition) -> Result<(), PartitionError> {
        let is_new = self.0.as_mut().is_none_or(|seen| seen.insert(asked.partition));
        if is_new {
            return Ok(());
        }
        let message = format!("{} occurs more than once in the request", asked.partition);
        Err(PartitionError::new(ErrorCode::InvalidRequest, message))
    }
}
