//! Fuzz targets as plain functions over bytes.
//!
//! Each takes whatever bytes there are and must return: an answer, or an error that it swallows. A panic, an endless loop
//! or memory beyond the named bounds is a defect. The same functions are explored by cargo-fuzz (`fuzz/Cargo.toml`) and
//! replayed on stable Rust over the saved inputs of `fuzz/corpus/<target>` by this package's test, so that an input that
//! once failed stays a test.

mod batches;
mod frame;
mod index;
mod segment;
mod workshop;

pub use batches::batches;
pub use frame::frame;
pub use index::index;
pub use segment::segment;

/// A target: its name, which is that of its corpus directory, and the function.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[("batches", batches), ("frame", frame), ("index", index), ("segment", segment)];
