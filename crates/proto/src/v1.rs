//! The public API, generated from `proto/levada/v1`.

pub use generated::*;

#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::unwrap_used,
    reason = "generated code keeps its own style; what it means is told in the .proto files"
)]
mod generated {
    tonic::include_proto!("levada.v1");
}
