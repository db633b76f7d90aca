//! Where consuming begins, as people type it.

use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use levada_client::{Client, ListedOffset, OffsetTarget, StartAt};
use levada_types::{Offset, TimestampMs};

use crate::CliError;

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// At a place that every partition has.
    At(StartAt),
    /// So many records before the end.
    BeforeEnd(u64),
}

impl FromStr for Start {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "beginning" => return Ok(Self::At(StartAt::Earliest)),
            "end" => return Ok(Self::At(StartAt::Latest)),
            _ => {}
        }
        if let Some(count) = text.strip_prefix('-').and_then(|count| count.parse().ok()) {
            return Ok(Self::BeforeEnd(count));
        }
        if let Ok(offset) = text.parse::<Offset>() {
            return Ok(Self::At(StartAt::Offset(offset)));
        }
        let time = match text.strip_suffix(" ago") {
            Some(age) => humantime::parse_duration(age).ok().and_then(|age| SystemTime::now().checked_sub(age)),
            None => humantime::parse_rfc3339_weak(text).ok(),
        };
        let time = time.and_then(timestamp).ok_or_else(|| {
            format!("{text:?} is none of beginning, end, an offset, -N, 2026-01-31T12:00:00Z, and such as \"15m ago\"")
        })?;
        Ok(Self::At(StartAt::Timestamp(time)))
    }
}

impl Start {
    /// Where each partition begins; `None` stands for all partitions of the topic.
    pub(super) async fn resolve(
        self,
        client: &Client,
        topic: &str,
        partitions: &[i32],
    ) -> Result<Vec<(Option<i32>, StartAt)>, CliError> {
        let count = match self {
            Self::At(start) if partitions.is_empty() => return Ok(vec![(None, start)]),
            Self::At(start) => return Ok(partitions.iter().map(|&partition| (Some(partition), start)).collect()),
            Self::BeforeEnd(count) => i64::try_from(count).unwrap_or(i64::MAX),
        };
        let admin = client.admin();
        let starts = admin.list_offsets(topic, partitions, OffsetTarget::Earliest).await?;
        let ends = admin.list_offsets(topic, partitions, OffsetTarget::Latest).await?;
        let begin = |(start, end): (&ListedOffset, &ListedOffset)| {
            (Some(end.partition), StartAt::Offset(end.offset.saturating_sub(count).max(start.offset)))
        };
        Ok(starts.iter().zip(&ends).map(begin).collect())
    }
}

fn timestamp(time: SystemTime) -> Option<TimestampMs> {
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_typed() {
        let at = |start| Ok(Start::At(start));
        assert_eq!("beginning".parse(), at(StartAt::Earliest));
        assert_eq!("end".parse(), at(StartAt::Latest));
        assert_eq!("42".parse(), at(StartAt::Offset(42)));
        assert_eq!("-10".parse(), Ok(Start::BeforeEnd(10)));
        assert_eq!("1970-01-01T00:00:01Z".parse(), at(StartAt::Timestamp(1_000)));
        assert_eq!("1970-01-02 00:00:00".parse(), at(StartAt::Timestamp(86_400_000)));
        assert!(matches!("15m ago".parse(), Ok(Start::At(StartAt::Timestamp(_)))));
        for wrong in ["", "start", "--1", "yesterday", "ago", "1500-01-01T00:00:00Z"] {
            assert!(wrong.parse::<Start>().is_err(), "{wrong}");
        }
    }
}
