//! Appends one message: resolves its topic, queues its batches in order, and waits for the outcome.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use levada_broker::Broker;
use levada_broker::api::{Acks, PartitionError, Produce, ProducePartition, Produced};
use levada_proto::v1;
use levada_types::{ErrorCode, TimestampMs, TopicId};

use super::assemble::{Part, Setting, assemble};
use super::identity::Identity;
use crate::gateway::Gateway;
use crate::refusal;
use crate::topics::Wanted;

/// How long to wait for the in-sync replicas unless the client says otherwise: Kafka's default `request.timeout.ms`.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// What holds for a whole request or stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) acks: Acks,
    pub(super) timeout: Duration,
    pub(super) identity: Option<Identity>,
}

impl Terms {
    /// Reads what a client asks for.
    pub(super) fn read(
        acks: v1::Acks,
        timeout_ms: u32,
        producer: Option<v1::ProducerIdentity>,
    ) -> Result<Self, PartitionError> {
        let acks = match acks {
            v1::Acks::Unspecified | v1::Acks::All => Acks::All,
            v1::Acks::Leader => Acks::Leader,
            v1::Acks::None => Acks::None,
        };
        let timeout = match timeout_ms {
            0 => DEFAULT_TIMEOUT,
            ms => Duration::from_millis(ms.into()),
        };
        Ok(Self { acks, timeout, identity: Identity::read(producer)? })
    }
}

/// The outcome of one message.
pub(super) type Outcome = Result<Vec<v1::PartitionProduced>, v1::Error>;

/// Appends `batch`. Its records are queued, in order, once this resolves; the future inside waits for their outcome.
pub(super) async fn append(
    gateway: &Arc<Gateway>,
    terms: Terms,
    batch: v1::ProduceBatch,
) -> impl Future<Output = Outcome> + Send + 'static {
    let prepared = prepare(gateway, terms, batch).await;
    let queued = prepared.map(|(topic_id, parts)| {
        let broker = &gateway.broker;
        let part = |part: Part| (Slip::of(topic_id, &part), queue(broker, terms, part));
        parts.into_iter().map(part).collect::<Vec<_>>()
    });
    let gateway = gateway.clone();
    async move {
        let mut results = Vec::new();
        for (slip, outcome) in queued.map_err(|error| refusal::message(&gateway.broker.image(), error))? {
            let outcome = match outcome {
                Some(outcome) => outcome.await,
                None => Ok(UNREPORTED),
            };
            results.push(slip.fill_in(&gateway, outcome));
        }
        Ok(results)
    }
}

/// What is answered with acks=0.
const UNREPORTED: Produced = Produced { base_offset: -1, log_append_time: -1, log_start_offset: -1 };

/// Queues one batch. `None` with acks=0: nobody waits for the outcome.
fn queue(
    broker: &Broker,
    terms: Terms,
    part: Part,
) -> Option<impl Future<Output = Result<Produced, PartitionError>> + Send + use<>> {
    let partitions = vec![ProducePartition { partition: part.partition, records: part.batch }];
    let outcome = broker.produce(Produce { acks: terms.acks, timeout: terms.timeout, partitions });
    (terms.acks != Acks::None).then_some(async move {
        let answer = outcome.await.pop();
        answer.unwrap_or_else(|| Err(PartitionError::from(ErrorCode::UnknownServerError)))
    })
}

async fn prepare(
    gateway: &Gateway,
    terms: Terms,
    batch: v1::ProduceBatch,
) -> Result<(TopicId, Vec<Part>), PartitionError> {
    let mut batch = batch;
    let wanted = Wanted::read(batch.topic.take())?;
    if let Wanted::Name(name) = &wanted
        && gateway.broker.image().topic_by_name(name).is_none()
    {
        gateway.create_on_demand(name).await?;
    }
    let image = gateway.broker.image();
    let topic = wanted.find(&image)?;
    let setting = Setting {
        identity: terms.identity,
        now_ms: now_ms(),
        spread: gateway.spread.fetch_add(1, Ordering::Relaxed),
        by_id: matches!(wanted, Wanted::Id(_)),
    };
    Ok((topic.id(), assemble(topic, batch, &setting)?))
}

/// A result that lacks only its outcome.
struct Slip(v1::PartitionProduced);

impl Slip {
    fn of(topic_id: TopicId, part: &Part) -> Self {
        Self(v1::PartitionProduced {
            topic_id: topic_id.to_string(),
            partition: part.partition.partition,
            base_offset: -1,
            record_count: part.record_count,
            record_indexes: part.record_indexes.clone(),
            log_append_time_ms: -1,
            log_start_offset: -1,
            error: None,
        })
    }

    fn fill_in(self, gateway: &Gateway, outcome: Result<Produced, PartitionError>) -> v1::PartitionProduced {
        match outcome {
            Ok(produced) => v1::PartitionProduced {
                base_offset: produced.base_offset,
                log_append_time_ms: produced.log_append_time,
                log_start_offset: produced.log_start_offset,
                ..self.0
            },
            Err(error) => {
                v1::PartitionProduced { error: Some(refusal::message(&gateway.broker.image(), error)), ..self.0 }
            }
        }
    }
}

/// The clock that records without a timestamp get theirs from.
fn now_ms() -> TimestampMs {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimestampMs::try_from(since_epoch.as_millis()).unwrap_or(TimestampMs::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_means_the_safest() {
        let terms = Terms::read(v1::Acks::Unspecified, 0, None);
        assert_eq!(terms, Ok(Terms { acks: Acks::All, timeout: DEFAULT_TIMEOUT, identity: None }));
        let terms = Terms::read(v1::Acks::Leader, 7, None).map(|terms| (terms.acks, terms.timeout));
        assert_eq!(terms, Ok((Acks::Leader, Duration::from_millis(7))));
    }
}
