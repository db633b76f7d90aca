//! The wire format: what frames say, and how answers are written.

pub(crate) mod answer;
pub(crate) mod api;
pub(crate) mod endpoints;
pub(crate) mod list_offsets_v0;
pub(crate) mod operations;
pub(crate) mod request;
pub(crate) mod rope;
pub(crate) mod shape;
pub(crate) mod text;
