//! The producers that a partition remembers.

use levada_types::{ErrorCode, TopicIdPartition};

use crate::Broker;
use crate::api::{DescribedProducer, PartitionError};
use crate::threads::{Gather, Job};

impl Broker {
    /// See [`Broker::describe_producers`].
    pub(crate) async fn list_producers(&self, id: TopicIdPartition) -> Result<Vec<DescribedProducer>, PartitionError> {
        let partition = self.locate(&id)?;
        partition.role().check_leads(None)?;
        let (gather, slots) = Gather::new(vec![None], || None);
        for slot in slots {
            partition.post(Job::DescribeProducers(slot));
        }
        (&gather).await;
        let answers = gather.give_up(|| None);
        answers.into_iter().flatten().next().ok_or_else(|| ErrorCode::NotLeaderOrFollower.into())
    }
}
