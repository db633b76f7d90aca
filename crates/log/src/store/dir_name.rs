//! The names of the directories of logs, which are Kafka's.

use levada_types::{TopicName, TopicPartition};

/// The longest name that a directory may have on Linux.
const MAX_NAME_BYTES: usize = 255;

/// Why a directory bears a suffix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Suffix {
    /// The log was deleted.
    Delete,
    /// The log is not assigned to this broker.
    Stray,
    /// The log is a copy that is to take the place of the log in another data directory.
    Future,
}

impl Suffix {
    const fn text(self) -> &'static str {
        match self {
            Self::Delete => "-delete",
            Self::Stray => "-stray",
            Self::Future => "-future",
        }
    }
}

/// What a directory's name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DirName {
    /// A log.
    Log(TopicPartition),
    /// A log that was deleted.
    Deleted,
    /// A log that was being moved here from another data directory. A long topic name is cut in it.
    Future(TopicPartition),
    /// A log that was set aside.
    SetAside,
    /// Something else.
    Other,
}

impl DirName {
    /// Reads a name.
    pub(super) fn parse(name: &str) -> Self {
        if name.ends_with("-delete") {
            return Self::Deleted;
        }
        if name.ends_with("-stray") {
            return Self::SetAside;
        }
        if let Some(name) = name.strip_suffix("-future") {
            let log = name.rsplit_once('.').map(|(log, _)| Self::parse(log));
            return if let Some(Self::Log(partition)) = log { Self::Future(partition) } else { Self::Other };
        }
        let parsed = name.rsplit_once('-').and_then(|(topic, number)| {
            let digits = !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit());
            let partition = digits.then(|| number.parse().ok()).flatten()?;
            Some(TopicPartition { topic: TopicName::new(topic).ok()?, partition })
        });
        parsed.map_or(Self::Other, Self::Log)
    }
}

/// The name of a log that is renamed out of the way. `unique` makes it another one for each log of that name; the
/// topic's part is cut to what a name may have.
pub(super) fn name_with_suffix(partition: &TopicPartition, unique: u128, suffix: Suffix) -> String {
    let end = format!("-{}.{unique:032x}{}", partition.partition, suffix.text());
    let topic = partition.topic.as_str();
    let keep = topic.len().min(MAX_NAME_BYTES - end.len());
    format!("{}{end}", &topic[..keep])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(topic: &str, partition: i32) -> DirName {
        DirName::Log(TopicPartition { topic: TopicName::new(topic).unwrap(), partition })
    }

    #[test]
    fn names_are_kafkas() {
        assert_eq!(DirName::parse("orders-0"), log("orders", 0));
        assert_eq!(DirName::parse("a-b.c_d-12-34"), log("a-b.c_d-12", 34));
        assert_eq!(DirName::parse("orders-0.0123456789abcdef0123456789abcdef-delete"), DirName::Deleted);
        assert_eq!(DirName::parse("orders-0.0123456789abcdef0123456789abcdef-stray"), DirName::SetAside);
        let orders = TopicPartition { topic: TopicName::new("orders").unwrap(), partition: 0 };
        assert_eq!(DirName::parse("orders-0.0123456789abcdef0123456789abcdef-future"), DirName::Future(orders));
        for name in [
            "orders-0-future",
            "orders.x-future",
            "orders",
            "-0",
            "orders-",
            "orders-x",
            "orders-99999999999",
            "a b-0",
            "orders--1x",
            "lost+found",
        ] {
            assert_eq!(DirName::parse(name), DirName::Other, "{name}");
        }
    }

    #[test]
    fn a_renamed_log_is_known_for_what_it_is_however_long_its_name() {
        for topic in ["t", &"x".repeat(249)] {
            let partition = TopicPartition { topic: TopicName::new(topic).unwrap(), partition: i32::MAX };
            let name = name_with_suffix(&partition, u128::MAX, Suffix::Delete);
            assert!(name.len() <= MAX_NAME_BYTES);
            assert_eq!(DirName::parse(&name), DirName::Deleted);
            assert_eq!(DirName::parse(&name_with_suffix(&partition, 0, Suffix::Stray)), DirName::SetAside);
            let future = DirName::parse(&name_with_suffix(&partition, 0, Suffix::Future));
            assert!(matches!(future, DirName::Future(named) if topic.starts_with(named.topic.as_str())));
        }
    }
}
