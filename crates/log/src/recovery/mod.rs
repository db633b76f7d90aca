//! Recovery of logs after a crash.

mod progress;

pub use progress::RecoveryProgress;
