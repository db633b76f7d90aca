//! The clients of the controllers against controllers that follow a script.

#![allow(clippy::unwrap_used, reason = "a test that meets an error it does not expect fails by it")]

mod coordinator_script;
mod group_streams;
mod groups;
mod script;
mod session;
mod submit;
mod watch;
