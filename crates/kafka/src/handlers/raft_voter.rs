//! Who is to get or to lose a vote, as AddRaftVoter and RemoveRaftVoter name it.

use kafka_protocol::protocol::StrBytes;
use levada_broker::api::PartitionError;
use levada_metadata::Image;
use levada_types::{ClusterId, DirectoryId, ErrorCode};
use uuid::Uuid;

/// A controller, in the words of the house.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RaftVoter {
    /// Its number.
    pub(super) id: u64,
    /// The directory of its log; `None` if the request bears the id of none, whatever the directory.
    pub(super) directory: Option<DirectoryId>,
}

impl RaftVoter {
    /// Reads a voter.
    ///
    /// # Errors
    /// `InvalidRequest` for a number that no controller has.
    pub(super) fn read(id: i32, directory: Uuid) -> Result<Self, PartitionError> {
        let invalid = |_| PartitionError::new(ErrorCode::InvalidRequest, format!("{id} is no id of a controller"));
        let directory = Some(DirectoryId(directory)).filter(|directory| *directory != DirectoryId::UNASSIGNED);
        Ok(Self { id: u64::try_from(id).map_err(invalid)?, directory })
    }
}

/// Refuses a request that is meant for another cluster.
///
/// # Errors
/// `InconsistentClusterId`.
pub(super) fn check_cluster(image: &Image, asked: Option<&StrBytes>) -> Result<(), PartitionError> {
    let Some(asked) = asked else { return Ok(()) };
    if image.cluster_id().is_some() && ClusterId::parse(asked) == image.cluster_id() {
        return Ok(());
    }
    Err(PartitionError::new(ErrorCode::InconsistentClusterId, format!("this is not the cluster {:?}", &**asked)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_voter_is_a_number_and_perhaps_a_directory() {
        let directory = Uuid::from_u128(9);
        assert_eq!(RaftVoter::read(3, directory), Ok(RaftVoter { id: 3, directory: Some(DirectoryId(directory)) }));
        assert_eq!(RaftVoter::read(3, Uuid::nil()), Ok(RaftVoter { id: 3, directory: None }));
        assert_eq!(RaftVoter::read(-1, directory).map_err(|error| error.code), Err(ErrorCode::InvalidRequest));
    }

    #[test]
    fn another_clusters_request_is_refused() {
        let name = StrBytes::from_static_str("MkU3OEVBNTcwNTJENDM2Qg");
        let image = Image::new();
        assert_eq!(check_cluster(&image, None), Ok(()));
        let refused = check_cluster(&image, Some(&name)).map_err(|error| error.code);
        assert_eq!(refused, Err(ErrorCode::InconsistentClusterId));
    }
}
