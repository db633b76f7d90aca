//! The log as the broker uses it, on a real disk and on a simulated one.

mod append;
mod directories;
mod disk_errors;
mod kafka_layout;
mod reads;
mod restart;
mod retention;
mod simulation;
mod support;
mod truncation;
