//! The public API, generated from `proto/levada/v1`.

pub use generated::*;

// Generated code keeps its own style.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, clippy::unwrap_used)]
mod generated {
    tonic::include_proto!("levada.v1");
}
