//! The gRPC stubs generated from `proto/` and the conversions to the types of the house.
//!
//! [`v1`] is public: what clients are written against. [`internal`] is between roles, and the format of the metadata log.
//! [`status`] is how errors travel, and [`codec`] how messages do.

pub mod codec;
pub mod internal;
pub mod status;
pub mod v1;

/// The encoded `FileDescriptorSet` of the public services, for server reflection.
pub const PUBLIC_DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/public.bin"));

/// The encoded `FileDescriptorSet` of every service, internal ones included; never served to clients.
pub const ALL_DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/all.bin"));
