//! Starts real `levada` processes for tests and stops what it started.
//!
//! A [`Node`] is one `levada dev` process with a data directory of its own and ports that the kernel chose. It can be
//! stopped, killed, frozen and started again on the same directory and ports, and it is gone when the value is dropped,
//! after a panic too. A [`Sandbox`] is a whole cluster, every role in a process of its own, and a [`Cluster`] one whose processes
//! have a machine each: an address, a disk and a way through a network, all of which can fail.
//! [`Corpus`] is the real text that tests produce and consume; a [`LossyVolume`] loses what
//! is not synced, and a [`Network`] the packets that it is told to.
//!
//! Nothing here waits for time: a node is ready when it says so, and gone when the kernel has reaped it.

mod binary;
mod cluster;
mod corpus;
mod launched;
mod log_tail;
mod lossy_volume;
mod network;
mod node;
mod node_error;
mod node_options;
mod port_block;
mod process;
mod process_facts;
mod proxy;
mod ready_line;
mod sandbox;
mod sandbox_options;
mod sandbox_process;
mod seeded;
mod small_volume;
mod stdout_lines;

pub use binary::{levada_binary, without_options};
pub use cluster::{Cluster, ClusterOptions, Machine, Side};
pub use corpus::{Corpus, CorpusFile};
pub use lossy_volume::{DiskTrouble, LossyVolume, Lost};
pub use network::Network;
pub use node::Node;
pub use node_error::NodeError;
pub use node_options::NodeOptions;
pub use process::{ask_to_stop, freeze, thaw};
pub use process_facts::ProcessFacts;
pub use proxy::{Proxy, Route, Way, Weather};
pub use ready_line::{ReadyLine, ReadyLineError};
pub use sandbox::Sandbox;
pub use sandbox_options::SandboxOptions;
pub use sandbox_process::{Role, SandboxProcess};
pub use seeded::Seeded;
pub use small_volume::SmallVolume;
