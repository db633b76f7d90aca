//! Topics that come into being because a client asked for them.

use std::collections::HashMap;
use std::time::Duration;

use levada_metadata::config::Resolver;
use levada_metadata::{Command, NewTopic, Response};
use levada_types::{ErrorCode, TopicName};

use crate::Broker;

impl Broker {
    /// See [`Broker::auto_create_topics`].
    pub(crate) async fn create_missing(&self, names: &[&str]) -> Vec<Result<(), ErrorCode>> {
        let image = self.image();
        let resolver = Resolver::new(image.state(), Some(self.id()), &self.options.statics);
        let allowed = resolver.broker_bool("auto.create.topics.enable").unwrap_or(false);
        let judged: Vec<Result<bool, ErrorCode>> = names
            .iter()
            .map(|name| {
                let name = TopicName::new(name).map_err(|_| ErrorCode::InvalidTopicException)?;
                match image.topic_id(name.as_str()) {
                    Some(_) => Ok(false),
                    // Internal topics come from their coordinators, with settings of their own.
                    None if !allowed || name.is_internal() => Err(ErrorCode::UnknownTopicOrPartition),
                    None => Ok(true),
                }
            })
            .collect();
        let missing: Vec<&str> =
            names.iter().zip(&judged).filter(|(_, judged)| **judged == Ok(true)).map(|(name, _)| *name).collect();
        // The defaults are this broker's, as in Kafka.
        let partitions = resolver.broker_long("num.partitions").and_then(|n| i32::try_from(n).ok());
        let replicas = resolver.broker_long("default.replication.factor").and_then(|n| i16::try_from(n).ok());
        let created =
            if missing.is_empty() { HashMap::new() } else { self.create(&missing, partitions, replicas).await };
        names
            .iter()
            .zip(judged)
            .map(|(name, judged)| match judged {
                Ok(true) => created.get(*name).copied().unwrap_or(Err(ErrorCode::LeaderNotAvailable)),
                Ok(false) => Ok(()),
                Err(code) => Err(code),
            })
            .collect()
    }

    /// Creates topics without settings of their own, all in one command.
    async fn create(
        &self,
        names: &[&str],
        partitions: Option<i32>,
        replication_factor: Option<i16>,
    ) -> HashMap<String, Result<(), ErrorCode>> {
        let mut topics: Vec<NewTopic> = Vec::with_capacity(names.len());
        for name in names {
            if topics.iter().all(|topic| topic.name != *name) {
                topics.push(NewTopic {
                    name: (*name).to_owned(),
                    partitions,
                    replication_factor,
                    assignments: Vec::new(),
                    configs: Vec::new(),
                });
            }
        }
        let command = Command::CreateTopics { topics, validate_only: false };
        match self.decide(&command, Duration::from_millis(self.options.request_timeout_ms)).await {
            Ok(Response::CreateTopics(results)) => results
                .into_iter()
                .map(|topic| {
                    let result = match topic.result {
                        Ok(_) => Ok(()),
                        // Another broker was asked at the same time.
                        Err(error) if error.code == ErrorCode::TopicAlreadyExists => Ok(()),
                        Err(error) => {
                            tracing::info!(topic = topic.name, %error, "topic not created on demand");
                            Err(error.code)
                        }
                    };
                    (topic.name, result)
                })
                .collect(),
            Ok(_) => HashMap::new(),
            Err(error) => {
                tracing::warn!(%error, "topics not created on demand");
                // Clients that meet this look again in a moment.
                names.iter().map(|name| ((*name).to_owned(), Err(ErrorCode::LeaderNotAvailable))).collect()
            }
        }
    }
}
