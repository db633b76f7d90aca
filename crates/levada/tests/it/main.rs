//! The binary as an operator meets it: ready lines, signals, exit codes.

#![allow(clippy::unwrap_used, reason = "a test that meets an error it does not expect fails by it")]

mod program;
mod roles;
mod usage;
