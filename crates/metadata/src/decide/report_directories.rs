//! Data directories that fail, and that come back, while their broker runs.

use std::collections::BTreeSet;

use levada_types::{BrokerEpoch, BrokerId, DirectoryId, ErrorCode};

use super::brokers::check_directories;
use super::draft::Draft;
use super::elections::settle_directories;
use crate::{Delta, ItemError};

pub(super) fn decide(
    draft: &mut Draft,
    id: BrokerId,
    epoch: BrokerEpoch,
    online: &[DirectoryId],
    has_offline_directory: bool,
) -> Result<(), ItemError> {
    let known = draft.registration(id, epoch)?;
    check_directories(draft.state(), id, online)
        .map_err(|error| ItemError::new(ErrorCode::InvalidRequest, error.message))?;
    let before: BTreeSet<&DirectoryId> = known.directories.iter().collect();
    if before != online.iter().collect() {
        draft.add(vec![Delta::BrokerDirectoriesChanged { id, epoch, online: online.to_vec() }])?;
    }
    let now = draft.registration(id, epoch)?.clone();
    settle_directories(draft, &now, has_offline_directory)
}
