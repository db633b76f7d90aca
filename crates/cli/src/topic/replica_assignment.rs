//! Who holds which partition, as it is typed: `1:2:3,2:3:1` is two partitions, the preferred leader first (Kafka's form).

use std::str::FromStr;

use levada_types::BrokerId;

/// The brokers of each partition, from the first one on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReplicaAssignment(pub(super) Vec<Vec<BrokerId>>);

impl FromStr for ReplicaAssignment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let brokers = |partition: &str| -> Option<Vec<BrokerId>> {
            partition.split(':').map(|id| id.trim().parse().ok().map(BrokerId)).collect()
        };
        let partitions = text.split(',').map(brokers).collect::<Option<Vec<_>>>();
        partitions
            .map(Self)
            .ok_or_else(|| format!("{text:?} is not like 1:2:3,2:3:1, which is two partitions, each on three brokers"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_part_partitions_and_colons_brokers() {
        let read = |text: &str| -> Option<Vec<Vec<i32>>> {
            let read: ReplicaAssignment = text.parse().ok()?;
            Some(read.0.iter().map(|brokers| brokers.iter().map(|id| id.0).collect()).collect())
        };
        assert_eq!(read("1:2,2:1"), Some(vec![vec![1, 2], vec![2, 1]]));
        assert_eq!(read("3"), Some(vec![vec![3]]));
        for text in ["", "1:", "1,,2", "a:b"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
