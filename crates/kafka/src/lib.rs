//! The Kafka wire protocol at the broker.
