//! Moves under way, as they are shown.

use std::time::Instant;

use indicatif::DecimalBytes;
use levada_client::{Admin, OngoingReassignment};
use levada_types::{BrokerId, TopicPartition};
use serde::Serialize;

use crate::CliError;
use crate::output::{OutputArgs, table};
use crate::waiting::{ASK_INTERVAL, Rate};

/// A partition that moves.
#[derive(Debug, Serialize)]
struct MoveView {
    topic: String,
    partition: i32,
    leader: Option<i32>,
    replicas: Vec<i32>,
    adding: Vec<i32>,
    removing: Vec<i32>,
    isr: Vec<i32>,
    /// Bytes that are there of those to come, over all of `adding`; absent if somebody did not tell.
    copied_bytes: Option<u64>,
    total_bytes: Option<u64>,
    bytes_per_second: Option<u64>,
    /// Absent while nothing is copied.
    seconds_left: Option<u64>,
    stuck_because: Option<String>,
}

/// Shows what is being moved; of these partitions, or of all.
pub(super) async fn list(admin: &Admin, named: &[TopicPartition], output: OutputArgs) -> Result<(), CliError> {
    let first = admin.list_partition_reassignments(named).await?;
    let asked = Instant::now();
    if first.is_empty() {
        let none: [MoveView; 0] = [];
        return output.print(&none, |_| "nothing is being moved".to_owned());
    }
    // A rate takes two readings.
    tokio::time::sleep(ASK_INTERVAL).await;
    let second = admin.list_partition_reassignments(named).await?;
    let now = Instant::now();
    let views: Vec<MoveView> = second
        .into_iter()
        .map(|moving| {
            let mut rate = Rate::default();
            let before = first.iter().find(|before| before.partition == moving.partition);
            if let Some((copied, _)) = before.and_then(bytes) {
                rate.read(asked, copied);
            }
            MoveView::new(moving, rate, now)
        })
        .collect();
    output.print(&views, |views| text(views))
}

/// Bytes copied and bytes to copy, over all replicas that come; `None` if somebody did not tell.
pub(super) fn bytes(moving: &OngoingReassignment) -> Option<(u64, u64)> {
    moving.progress.iter().try_fold((0, 0), |(copied, total), replica| {
        let of = replica.total_bytes?;
        // A replica in sync has everything, whatever its log takes on its disk.
        let has = if replica.in_sync { of } else { replica.copied_bytes?.min(of) };
        Some((copied + has, total + of))
    })
}

impl MoveView {
    fn new(moving: OngoingReassignment, mut rate: Rate, now: Instant) -> Self {
        let ids = |ids: &[BrokerId]| ids.iter().map(|id| id.0).collect();
        let progress = bytes(&moving);
        if let Some((copied, _)) = progress {
            rate.read(now, copied);
        }
        let left = progress.map(|(copied, total)| total - copied);
        Self {
            topic: moving.partition.topic.to_string(),
            partition: moving.partition.partition,
            leader: moving.leader.map(|leader| leader.0),
            replicas: ids(&moving.replicas),
            adding: ids(&moving.adding),
            removing: ids(&moving.removing),
            isr: ids(&moving.isr),
            copied_bytes: progress.map(|(copied, _)| copied),
            total_bytes: progress.map(|(_, total)| total),
            bytes_per_second: rate.per_second(),
            seconds_left: left.and_then(|left| rate.time_left(left)).map(|left| left.as_secs()),
            stuck_because: moving.stuck_because,
        }
    }

    fn row(&self) -> [String; 7] {
        let ids = |ids: &[i32]| match ids {
            [] => "-".to_owned(),
            ids => ids.iter().map(i32::to_string).collect::<Vec<_>>().join(","),
        };
        let copied = match self.copied_bytes.zip(self.total_bytes) {
            Some((copied, total)) => format!("{} of {}", DecimalBytes(copied), DecimalBytes(total)),
            None => "unknown".to_owned(),
        };
        let left = match (&self.stuck_because, self.seconds_left) {
            (Some(reason), _) => reason.clone(),
            (None, Some(seconds)) => humantime::format_duration(std::time::Duration::from_secs(seconds)).to_string(),
            (None, None) => "-".to_owned(),
        };
        [
            self.topic.clone(),
            self.partition.to_string(),
            ids(&self.replicas),
            ids(&self.adding),
            ids(&self.removing),
            copied,
            left,
        ]
    }
}

fn text(views: &[MoveView]) -> String {
    if views.is_empty() {
        return "nothing is being moved".to_owned();
    }
    table(
        &["TOPIC", "PARTITION", "REPLICAS", "ADDING", "REMOVING", "COPIED", "TIME LEFT"],
        views.iter().map(MoveView::row),
    )
}

#[cfg(test)]
mod tests {
    use levada_client::ReplicaProgress;
    use levada_types::TopicName;

    use super::*;

    #[test]
    fn bytes_are_summed_and_unknown_if_one_is() {
        let progress = |broker, in_sync, copied_bytes| ReplicaProgress {
            broker: BrokerId(broker),
            in_sync,
            copied_bytes,
            total_bytes: Some(100),
        };
        let moving = |progress| OngoingReassignment {
            partition: TopicPartition { topic: TopicName::new("t").unwrap(), partition: 0 },
            replicas: Vec::new(),
            adding: Vec::new(),
            removing: Vec::new(),
            leader: None,
            isr: Vec::new(),
            progress,
            stuck_because: None,
        };
        let all = vec![progress(1, false, Some(40)), progress(2, true, None), progress(3, false, Some(120))];
        assert_eq!(bytes(&moving(all)), Some((240, 300)), "nobody has more than there is");
        assert_eq!(bytes(&moving(vec![progress(1, false, Some(40)), progress(2, false, None)])), None);
        assert_eq!(bytes(&moving(Vec::new())), Some((0, 0)));
    }
}
