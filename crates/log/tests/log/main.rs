//! The log as the broker uses it, on a real disk and on a simulated one.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that meets an error it does not expect fails")]

mod append;
mod capacity;
mod compaction;
mod directories;
mod disk_errors;
mod flush;
mod kafka_layout;
mod moving;
mod reads;
mod restart;
mod retention;
mod simulation;
mod support;
mod truncation;
