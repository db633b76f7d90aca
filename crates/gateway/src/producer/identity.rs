//! Who produces, as a request says it.

use levada_broker::api::PartitionError;
use levada_proto::v1;
use levada_types::{ProducerEpoch, ProducerId};

use crate::refusal::invalid;

/// The producer identity of a request or a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) producer_id: ProducerId,
    pub(super) producer_epoch: ProducerEpoch,
}

impl Identity {
    pub(super) fn read(producer: Option<v1::ProducerIdentity>) -> Result<Option<Self>, PartitionError> {
        let Some(producer) = producer else { return Ok(None) };
        let producer_epoch = ProducerEpoch::try_from(producer.producer_epoch).ok().filter(|epoch| *epoch >= 0);
        match (producer.producer_id, producer_epoch) {
            (producer_id @ 0.., Some(producer_epoch)) => Ok(Some(Self { producer_id, producer_epoch })),
            _ => Err(invalid(
                "a producer id must be 0 or greater and a producer epoch from 0 to 32767; get them from Init",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(producer_id: i64, producer_epoch: i32) -> Option<Identity> {
        Identity::read(Some(v1::ProducerIdentity { producer_id, producer_epoch })).ok().flatten()
    }

    #[test]
    fn only_what_init_gives_is_an_identity() {
        assert_eq!(read(0, 32_767), Some(Identity { producer_id: 0, producer_epoch: 32_767 }));
        for (id, epoch) in [(-1, 0), (0, -1), (0, 32_768), (-1, -1)] {
            assert_eq!(read(id, epoch), None, "{id} {epoch}");
        }
        assert_eq!(Identity::read(None), Ok(None));
    }
}
