//! Partitions as they are typed: `TOPIC` for all of a topic, `TOPIC:0,1,2` for some.

use std::str::FromStr;

use levada_client::TopicSelection;
use levada_types::TopicName;

/// Partitions of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Selection(pub(super) TopicSelection);

impl FromStr for Selection {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (topic, partitions) = match text.split_once(':') {
            Some((topic, partitions)) => (topic, Some(partitions)),
            None => (text, None),
        };
        let topic = TopicName::new(topic).map_err(|error| error.to_string())?.to_string();
        let number = |text: &str| match text.trim().parse::<i32>() {
            Ok(partition) if partition >= 0 => Ok(partition),
            _ => Err(format!("{text:?} is no partition; write TOPIC or TOPIC:0,1,2")),
        };
        let partitions = partitions.map_or_else(|| Ok(Vec::new()), |all| all.split(',').map(number).collect())?;
        Ok(Self(TopicSelection { topic, partitions }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_stands_for_all_of_its_partitions_or_names_some() {
        let read = |text: &str| text.parse::<Selection>().map(|read| (read.0.topic, read.0.partitions));
        assert_eq!(read("orders"), Ok(("orders".to_owned(), vec![])));
        assert_eq!(read("orders:0,12"), Ok(("orders".to_owned(), vec![0, 12])));
        for wrong in ["", ":1", "orders:", "orders:a", "orders:-1", "a b", "orders:1,"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
