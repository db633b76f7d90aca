//! The cleaning of one log, from its first look to what is told of it.

use std::time::Instant;

use levada_log::{CleanError, Cleaned, Cleaner, CleaningStats};

use super::cleaners::Stop;
use super::guide::Attendant;
use super::settings::Settings;
use super::work::{Task, Work};
use crate::Broker;
use crate::clock::now_ms;

/// Cleans a log; says whether it is cleaner than before. Blocks.
pub(super) fn clean(broker: &Broker, work: &Work, task: &Task, settings: &Settings, stop: &Stop) -> bool {
    let id = task.partition.id();
    let backoff_ms = i64::try_from(settings.backoff.as_millis()).unwrap_or(i64::MAX);
    let began = Instant::now();
    match try_clean(broker, task, settings, stop) {
        Ok(Some((from, cleaned))) => {
            work.settle(broker, id);
            tell(broker, task, &cleaned, began);
            let has_come_further = cleaned.end > from;
            if !has_come_further {
                // What comes next is undecided yet.
                work.postpone(id, backoff_ms);
            }
            has_come_further
        }
        Ok(None) => {
            work.postpone(id, backoff_ms);
            false
        }
        Err(error) if error.is_lasting() => {
            work.set_aside(broker, &task.partition, &error);
            false
        }
        Err(error) => {
            tracing::debug!(partition = %task.partition.name(), %error, "a cleaning has ended early");
            work.postpone(id, backoff_ms);
            false
        }
    }
}

/// Where the log was clean up to, and what has become of it; `None` if it is not to be cleaned just now.
fn try_clean(
    broker: &Broker,
    task: &Task,
    settings: &Settings,
    stop: &Stop,
) -> Result<Option<(i64, Cleaned)>, CleanError> {
    let partition = &task.partition;
    // What is cleaned goes by what is newer, so that has to outlive the machine.
    partition.reader().flush_closed_segments()?;
    let mut attendant = Attendant::new(broker, partition, stop);
    let Some(snapshot) = attendant.begin() else { return Ok(None) };
    let now_ms = now_ms();
    let what = snapshot.cleanable(&task.config, partition.last_stable_offset(), now_ms);
    let what = what.map_err(|error| CleanError::Log(error.into()))?;
    if !what.is_due() {
        return Ok(None);
    }
    let cleaned = Cleaner::new(settings.share).clean(&snapshot, &what, &task.config, now_ms, &mut attendant)?;
    Ok(Some((what.first_dirty, cleaned)))
}

fn tell(broker: &Broker, task: &Task, cleaned: &Cleaned, began: Instant) {
    let metrics = &broker.metrics;
    let Cleaned { end, stats } = cleaned;
    let CleaningStats { bytes_before, bytes_after, records_before, records_after, records_without_key, .. } = *stats;
    metrics.cleanings.increment(1);
    metrics.compacted_bytes.increment(bytes_before);
    metrics.cleaned_bytes.increment(bytes_before.saturating_sub(bytes_after));
    metrics.cleaned_records.increment(records_before.saturating_sub(records_after));
    metrics.cleaning_seconds.record(began.elapsed().as_secs_f64());
    metrics.cleaner_map_utilization.set(stats.map_utilization);
    tracing::info!(
        partition = %task.partition.name(),
        end,
        bytes_before,
        bytes_after,
        records_before,
        records_after,
        segments_before = stats.segments_before,
        segments_after = stats.segments_after,
        "compacted a log"
    );
    if records_without_key > 0 {
        tracing::warn!(
            partition = %task.partition.name(),
            records = records_without_key,
            "records without a key were removed: they are from before the topic was compacted"
        );
    }
}
