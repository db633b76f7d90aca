//! Between roles: generated from `proto/levada/internal/v1`, and the conversions to the types of `levada-metadata`.
//!
//! Messages come from the network or the disk, so a conversion to a type of the house checks what it reads and fails
//! with [`ConversionError`]; the other way cannot fail.

pub use generated::*;

// Generated code keeps its own style.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, clippy::unwrap_used)]
mod generated {
    tonic::include_proto!("levada.internal.v1");
}
