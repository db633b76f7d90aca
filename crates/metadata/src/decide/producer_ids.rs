//! Producer ids: blocks that are handed out once.

use levada_types::{BrokerEpoch, BrokerId, ErrorCode};

use super::draft::Draft;
use crate::{Delta, ItemError, PRODUCER_ID_BLOCK_LEN, ProducerIdBlock};

pub(super) fn allocate(draft: &mut Draft, broker: BrokerId, epoch: BrokerEpoch) -> Result<ProducerIdBlock, ItemError> {
    draft.registration(broker, epoch)?;
    let first = draft.state().next_producer_id();
    let next = first
        .checked_add(PRODUCER_ID_BLOCK_LEN)
        .ok_or_else(|| ItemError::new(ErrorCode::UnknownServerError, "all producer ids have been handed out"))?;
    draft.add(vec![Delta::ProducerIdsAllocated { next }])?;
    Ok(ProducerIdBlock { first, len: PRODUCER_ID_BLOCK_LEN })
}
