//! What faces ask of a broker, one room for each service. [`crate::Broker`] lists them all.

mod auto_create;
mod delete_records;
mod describe_configs;
mod describe_log_dirs;
mod describe_producers;
mod epoch_ends;
mod fetch;
mod list_offsets;
mod locate;
mod move_replicas;
mod produce;
mod producer_ids;
mod submit;

pub(crate) use fetch::ReplicaSelector;
pub(crate) use producer_ids::ProducerIds;
