//! The controller role: cluster metadata on Raft.
