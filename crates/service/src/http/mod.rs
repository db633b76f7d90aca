//! The HTTP endpoint of a process: `/metrics`, `/healthz`, `/readyz`.

mod bounded;
mod readiness;
mod server;

pub use readiness::{Readiness, ReadyFlag};
pub use server::HttpServer;
