//! A data directory as Kafka lays it out opens here, and what is written here is what Kafka would have written.
