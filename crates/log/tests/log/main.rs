//! The log as the broker uses it, on a real disk and on a simulated one.

mod append;
mod directories;
mod kafka_layout;
mod reads;
mod restart;
mod retention;
mod support;
mod truncation;
