//! Routed, retrying clients of the internal services, and the watch that keeps the metadata image.
//!
//! [`Controllers`] knows the way to the controllers and which of them is active. On it stand [`ControllerClient`], which
//! submits commands, [`MetadataWatch`], which keeps the newest [`levada_metadata::Image`], [`BrokerSession`], which keeps a
//! broker registered, and [`CoordinatorSession`], which keeps a coordinator registered; beside it [`ReplicaLogs`], which asks
//! brokers what their logs hold. None of them ever moves the image back, and none repeats what might have been done and must
//! not be done twice.

mod backoff;
mod broker_channels;
mod broker_session;
mod controller_client;
mod controllers;
mod coordinator_session;
mod group_client;
mod lag_client;
mod lease;
mod member_session;
mod metadata_assembler;
mod metadata_watch;
mod outcome;
pub mod parcels;
mod quorum;
mod record_reader;
mod replica_logs;
mod session_state;
mod session_stream;
mod submit_error;

pub use broker_channels::BrokerChannels;
pub use broker_session::BrokerSession;
pub use controller_client::ControllerClient;
pub use controllers::{CLUSTER_HEADER, Controllers};
pub use coordinator_session::CoordinatorSession;
pub use group_client::{GroupClient, GroupClientError};
pub use lag_client::{LagClient, MAX_PLACES_PER_REQUEST, Place, ReaderLag, ReaderPlace};
pub use lease::Lease;
pub use metadata_watch::{MetadataWatch, StaleImage, WatchFailure};
pub use outcome::never_connected;
pub use quorum::{Quorum, QuorumError, QuorumMember};
pub use record_reader::{MAX_PARTITIONS_PER_READ, ReadPosition, ReadRecords, RecordReader};
pub use replica_logs::{MAX_REPLICAS_PER_REQUEST, ReplicaLog, ReplicaLogs, ReplicaLogsError, partition_of};
pub use session_state::{RegistrationError, SessionState};
pub use submit_error::SubmitError;
