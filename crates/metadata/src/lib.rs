//! Cluster metadata as a pure state machine: decide, apply, the proposer, the image.
