//! gRPC servers and channels with the settings that were measured for bulk data and for control messages.

mod intake;
mod measured;
mod options;
mod owed;
mod profile;
mod server;
mod severable;
mod standing;
mod trace;

pub use intake::{MessageLimit, unreadable};
pub use options::GrpcOptions;
pub use profile::Profile;
pub use server::{GrpcServer, GrpcServerError};
pub use tonic_health::ServingStatus;
pub use tonic_health::server::HealthReporter;
