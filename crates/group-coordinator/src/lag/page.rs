//! The page of `/metrics` that tells of groups.

use std::collections::BTreeMap;
use std::sync::Arc;

use levada_types::TimestampMs;
use metrics::{SharedString, describe_gauge, gauge};

use super::survey::Findings;

const LAG_RECORDS: &str = "levada_consumer_group_lag_records";
const LAG_SECONDS: &str = "levada_consumer_group_lag_seconds";
const COMMITTED_OFFSET: &str = "levada_consumer_group_committed_offset";
const TOTAL_LAG_RECORDS: &str = "levada_consumer_group_total_lag_records";
const MAX_LAG_SECONDS: &str = "levada_consumer_group_max_lag_seconds";
const MEMBERS: &str = "levada_consumer_group_members";
const STATE: &str = "levada_consumer_group_state";
const GROUPS: &str = "levada_consumer_groups";
const LEFT_OUT: &str = "levada_consumer_group_partitions_left_out";
const UNKNOWN: &str = "levada_consumer_group_partitions_unknown";
const NOT_UNDERSTOOD: &str = "levada_consumer_group_records_not_understood";

/// Records what was found, as it is at `now`.
pub(super) fn record(findings: &Findings, now: TimestampMs) {
    describe();
    let mut states: BTreeMap<&'static str, u32> = BTreeMap::new();
    let longest = findings.longest(now);
    for (index, group) in findings.groups.iter().enumerate() {
        let id = text(&group.group_id);
        *states.entry(group.state).or_default() += 1;
        gauge!(MEMBERS, "group" => id.clone()).set(group.members as f64);
        gauge!(STATE, "group" => id.clone(), "state" => group.state).set(1);
        if let Some(records) = group.records {
            gauge!(TOTAL_LAG_RECORDS, "group" => id.clone()).set(records as f64);
        }
        if let Some(milliseconds) = longest.get(&index) {
            gauge!(MAX_LAG_SECONDS, "group" => id).set(seconds(*milliseconds));
        }
    }
    for row in &findings.rows {
        let Some(group) = findings.groups.get(row.group) else { continue };
        let labels = || {
            let (group, topic) = (text(&group.group_id), text(&row.topic));
            [("group", group), ("topic", topic), ("partition", row.index().to_string().into())]
        };
        gauge!(COMMITTED_OFFSET, &labels()).set(row.committed as f64);
        gauge!(LAG_RECORDS, &labels()).set(row.records() as f64);
        if let Some(milliseconds) = row.lag.milliseconds(row.committed, now) {
            gauge!(LAG_SECONDS, &labels()).set(seconds(milliseconds));
        }
    }
    for (state, groups) in states {
        gauge!(GROUPS, "state" => state).set(groups);
    }
    gauge!(LEFT_OUT).set(findings.left_out as f64);
    gauge!(UNKNOWN).set(findings.unknown as f64);
    gauge!(NOT_UNDERSTOOD).set(findings.not_understood as f64);
}

fn describe() {
    describe_gauge!(LAG_RECORDS, "Records after what a group has committed of a partition");
    describe_gauge!(LAG_SECONDS, "How long the oldest of those records has been waiting, by its timestamp");
    describe_gauge!(COMMITTED_OFFSET, "The offset that a group has committed of a partition");
    describe_gauge!(
        TOTAL_LAG_RECORDS,
        "Records after what a group has committed, over all partitions whose end is known"
    );
    describe_gauge!(MAX_LAG_SECONDS, "The greatest lag in seconds of a group's partitions that are told one by one");
    describe_gauge!(MEMBERS, "Members of a group");
    describe_gauge!(STATE, "1 for the state that a group is in");
    describe_gauge!(GROUPS, "Groups whose coordinator this process is, by state");
    describe_gauge!(LEFT_OUT, "Partitions of groups not told one by one, beyond coordinator.lag.max.partitions");
    describe_gauge!(UNKNOWN, "Partitions of groups that are in no lag, since their leader could not be asked");
    describe_gauge!(NOT_UNDERSTOOD, "Records of groups that were not understood when their shards were loaded");
}

/// A text as a label. Control characters, of which the ids of groups may have any, are written as escapes, but for the end of a
/// line, which the format has one for: a reader may take a NUL for the end of the page.
fn text(text: &Arc<str>) -> SharedString {
    let is_control = |c: char| c.is_control() && c != '\n';
    if !text.contains(is_control) {
        return SharedString::from_shared(Arc::clone(text));
    }
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if is_control(c) { escaped.extend(c.escape_unicode()) } else { escaped.push(c) }
    }
    escaped.into()
}

fn seconds(milliseconds: i64) -> f64 {
    milliseconds as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_has_no_control_characters() {
        for (id, label) in [("billing", "billing"), ("a\0b\n\u{e4}\u{7f}", "a\\u{0}b\n\u{e4}\\u{7f}")] {
            assert_eq!(text(&Arc::from(id)).as_ref(), label);
        }
    }
}
