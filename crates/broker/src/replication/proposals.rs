//! Asks the controller for other in-sync sets (AlterPartition), those of many partitions in one command.

use std::mem::take;
use std::sync::Arc;
use std::time::Duration;

use levada_metadata::limits::MAX_PARTITIONS_PER_REQUEST;
use levada_metadata::{AlteredPartition, Command, IsrMember, IsrProposal, ItemError, LeaderRecovery, Response};
use levada_peers::SubmitError;
use levada_replication::{Event, Proposal, ProposalAnswer};
use levada_service::shutdown::CancellationToken;
use levada_types::{BrokerEpoch, ErrorCode};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::Broker;
use crate::partition::Partition;
use crate::threads::Job;

/// How long the controller may take to answer. What is not answered then is unknown, and proposed again.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A proposal, by whom, under which registration.
struct Proposed {
    partition: Arc<Partition>,
    broker_epoch: BrokerEpoch,
    proposal: Proposal,
}

/// Proposals that wait to be sent. Bounded by the partitions, since each has at most one under way.
#[derive(Default)]
pub(crate) struct Proposals {
    waiting: Mutex<Vec<Proposed>>,
    news: Notify,
}

impl Proposals {
    /// Sends this proposal soon; its answer comes as a job.
    pub(crate) fn post(&self, partition: &Arc<Partition>, broker_epoch: BrokerEpoch, proposal: Proposal) {
        self.waiting.lock().push(Proposed { partition: Arc::clone(partition), broker_epoch, proposal });
        self.news.notify_one();
    }

    /// Some that were made under the same registration.
    fn some(&self) -> Vec<Proposed> {
        let mut waiting = self.waiting.lock();
        let Some(epoch) = waiting.first().map(|first| first.broker_epoch) else { return Vec::new() };
        let same = waiting.iter().take_while(|proposed| proposed.broker_epoch == epoch).count();
        if same == waiting.len() && same <= MAX_PARTITIONS_PER_REQUEST {
            return take(&mut *waiting);
        }
        waiting.drain(..same.min(MAX_PARTITIONS_PER_REQUEST)).collect()
    }
}

/// Proposes what there is to propose until `stop`.
pub(crate) async fn propose_in_sync_sets(broker: Arc<Broker>, stop: CancellationToken) {
    let proposals = &broker.replication.proposals;
    let proposing = async {
        loop {
            let some = proposals.some();
            let Some(epoch) = some.first().map(|first| first.broker_epoch) else {
                proposals.news.notified().await;
                continue;
            };
            let partitions = some.iter().map(|proposed| proposal_of(&proposed.partition, &proposed.proposal)).collect();
            let command = Command::AlterPartition { broker: broker.id(), epoch, partitions };
            let answers = answers_of(broker.controller.submit(&command, TIMEOUT).await, &some);
            for (Proposed { partition, proposal, .. }, answer) in some.into_iter().zip(answers) {
                partition.post(Job::Replica(Event::ProposalAnswered { id: proposal.id, answer }));
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = proposing => {}
    }
}

fn proposal_of(partition: &Partition, proposal: &Proposal) -> IsrProposal {
    let id = partition.id();
    IsrProposal {
        topic: id.topic_id,
        partition: id.partition,
        leader_epoch: proposal.leader_epoch,
        partition_epoch: proposal.partition_epoch,
        isr: proposal.isr.iter().map(|member| IsrMember { broker: member.broker, epoch: member.epoch }).collect(),
        incomplete: proposal.incomplete.clone(),
        recovery: LeaderRecovery::Recovered,
    }
}

fn answers_of<O>(submitted: Result<(Response, O), SubmitError>, asked: &[Proposed]) -> Vec<ProposalAnswer> {
    let all = |answer| asked.iter().map(|_| answer).collect();
    match submitted {
        Ok((Response::AlterPartition(Ok(items)), _)) if items.len() == asked.len() => {
            items.iter().zip(asked).map(|(item, asked)| answer_of(item, asked)).collect()
        }
        Ok((Response::AlterPartition(Err(refused)), _)) => {
            tracing::warn!(%refused, "the controller took none of the proposed in-sync sets");
            all(refusal(refused.code))
        }
        Ok(_) | Err(SubmitError::Unknown { .. } | SubmitError::Unreadable { .. }) => all(ProposalAnswer::Unknown),
        Err(error @ (SubmitError::NoController { .. } | SubmitError::Refused { .. })) => {
            tracing::warn!(%error, "in-sync sets could not be proposed; trying again");
            all(ProposalAnswer::NotApplied)
        }
    }
}

fn answer_of(item: &Result<AlteredPartition, ItemError>, asked: &Proposed) -> ProposalAnswer {
    match item {
        // Nothing was changed, so no image will come that says so.
        Ok(altered) if altered.partition_epoch == asked.proposal.partition_epoch => ProposalAnswer::NotApplied,
        Ok(altered) => ProposalAnswer::Committed { partition_epoch: altered.partition_epoch },
        Err(refused) => {
            tracing::debug!(partition = %asked.partition.name(), %refused, "a proposed in-sync set was refused");
            refusal(refused.code)
        }
    }
}

fn refusal(code: ErrorCode) -> ProposalAnswer {
    match code {
        // Somebody knows of newer metadata than the proposer did: it comes.
        ErrorCode::FencedLeaderEpoch
        | ErrorCode::InvalidUpdateVersion
        | ErrorCode::NewLeaderElected
        | ErrorCode::StaleBrokerEpoch
        | ErrorCode::UnknownTopicId
        | ErrorCode::UnknownTopicOrPartition => ProposalAnswer::Stale,
        _ => ProposalAnswer::NotApplied,
    }
}
