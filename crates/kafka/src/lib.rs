//! The Kafka wire protocol at the broker.
//!
//! A [`KafkaFace`] accepts connections; each is one task that cuts frames out of the stream, starts requests, and sends
//! answers in the order of their requests. The rooms:
//!
//! - `face`: the listener, the limits of connections, shutdown.
//! - `connection`: framing, the order of requests, memory bounds, and the way out (`sendfile`).
//! - `wire`: the version table, requests read and checked, answers encoded around record bodies.
//! - `session`: incremental fetch sessions (KIP-227), pure.
//! - `handlers`: one file per API, over [`levada_broker::Broker`].
//!
//! Invariants:
//! 1. Nothing received is trusted with a length before it is checked, and memory is taken as bytes arrive.
//! 2. Records are never copied here on their way in: what the broker gets is a slice of the frame.
//! 3. Answers leave in the order of their requests, and a frame that has begun is finished or the connection ends.

mod complaints;
mod connection;
mod face;
mod fuzz;
mod handlers;
mod listener;
mod metrics;
mod options;
mod session;
mod wire;

pub use face::KafkaFace;
pub use fuzz::fuzz_frame;
pub use options::KafkaOptions;
