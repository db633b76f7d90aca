//! What faces ask of a broker, in the words of the house: topic ids, offsets, epochs, error codes.
//!
//! A face (the Kafka protocol, gRPC) decodes its wire format into these requests, calls [`crate::Broker`], and encodes
//! the answers. Names are resolved by the face from [`crate::Broker::image`]; nothing here knows a wire format.

mod delete_records;
mod describe;
mod epoch_end;
mod fetch;
mod list_offsets;
mod move_replica;
mod partition_error;
mod produce;

pub use delete_records::DeleteRecords;
pub use describe::{DescribedConfig, DescribedLogDir, DescribedProducer, DescribedReplica, DescribedResource};
pub use epoch_end::{EpochEnd, EpochEndRequest};
pub use fetch::{AbortedTransaction, Fetch, FetchPartition, FetchedPartition, ReadFrom};
pub use list_offsets::{FoundOffset, ListOffset, OffsetSpec};
pub use move_replica::MoveReplica;
pub use partition_error::{LeaderHint, PartitionError};
pub use produce::{Acks, Produce, ProducePartition, Produced};
