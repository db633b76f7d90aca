//! The metadata log on Raft. Nothing outside this folder knows openraft or sled, so that a change of either stays here.

mod examination;
mod founding;
mod log_store;
mod log_sync;
mod log_tree;
mod network;
mod node;
mod reserve;
mod seal;
mod service;
mod snapshot_file;
mod state_machine;
mod types;
mod voter_key;
mod voters;
mod whereabouts;
mod wire;
mod witness;

pub(crate) use founding::Founding;
pub(crate) use network::MAX_MESSAGE_BYTES;
pub(crate) use node::{Leadership, RaftNode, RaftOptions, Written};
pub(crate) use service::Founders;
pub(crate) use snapshot_file::{CHUNK_BYTES, chunks, header};
pub use types::StorageError;
pub(crate) use voter_key::VoterKey;
pub(crate) use voters::{MemberStanding, VoterError};
