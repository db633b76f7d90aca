//! Between roles: generated from `proto/levada/internal/v1`, and the conversions to the types of `levada-metadata` and
//! `levada-groups`.
//!
//! Messages come from the network or the disk, so a conversion to a type of the house checks what it reads and fails
//! with [`ConversionError`]; the other way cannot fail.

mod command_conversion;
mod conversion_error;
mod coordinators;
mod field;
mod groups;
mod metadata_conversion;
mod nodes;
mod partition_commands;
mod partition_responses;
mod response_conversion;
#[cfg(test)]
mod tests;

pub use conversion_error::ConversionError;
pub use generated::*;
pub use metadata_conversion::{ENTRY_VERSION, SNAPSHOT_VERSION};

#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::unwrap_used,
    reason = "generated code keeps its own style; what it means is told in the .proto files"
)]
mod generated {
    tonic::include_proto!("levada.internal.v1");
}
