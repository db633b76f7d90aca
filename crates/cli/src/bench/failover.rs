//! `levada bench failover`: for how long nothing is acknowledged while somebody kills, stops or cuts off brokers.
//!
//! A round sends a record to each partition and waits for every answer; what failed is tried again, after a pause and with
//! the leaders asked for anew, until it is acknowledged. A gap is a round that took longer than `--longer-than`, from the
//! last acknowledgement before it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use levada_records::Compression;
use serde::Serialize;

use super::args::FailoverArgs;
use super::kafka;
use super::workload::Workload;
use crate::CliError;
use crate::clock::now_ms;
use crate::output::{Format, print_line};

/// What to do.
#[derive(Debug, Clone)]
pub(super) struct FailoverPlan {
    /// A broker's address, as `host:port`.
    pub(super) address: String,
    pub(super) topic: String,
    pub(super) workload: Workload,
    /// 1 or -1 (all).
    pub(super) acks: i16,
    /// Between the beginnings of two rounds, while all goes well.
    pub(super) interval: Duration,
    /// Before what failed is tried again.
    pub(super) retry: Duration,
    pub(super) duration: Duration,
}

/// Something to tell of.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Event {
    /// Every partition has acknowledged a record.
    Begun {
        at_us: u64,
        partitions: usize,
    },
    Gap(Gap),
    Ended(Summary),
}

/// A time in which not everything was acknowledged. Times of day are in microseconds since the epoch.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Gap {
    /// When the last round before it was acknowledged.
    last_acknowledged_us: u64,
    /// When the first partition was acknowledged again.
    first_acknowledged_us: u64,
    /// When every partition was.
    all_acknowledged_us: u64,
    /// From the last acknowledgement before to the last partition's, in milliseconds.
    gap_ms: f64,
    /// Partitions that failed at least once.
    partitions: usize,
    /// How often each error was met; a partition counts each time.
    errors: BTreeMap<String, u64>,
}

/// Everything at the end.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Summary {
    seconds: f64,
    /// Records that were acknowledged.
    acknowledged: u64,
    gaps: usize,
    longest_ms: f64,
}

/// Notes rounds and makes gaps of those that took long.
#[derive(Debug)]
pub(super) struct Gaps {
    longer_than: Duration,
    /// One moment on both clocks, so that moments can be told as times of day.
    anchor: (Instant, SystemTime),
    last_acknowledged: Instant,
    first_acknowledged: Option<Instant>,
    failed: BTreeMap<i32, u64>,
    errors: BTreeMap<String, u64>,
    summary: Summary,
}

impl Gaps {
    pub(super) fn new(longer_than: Duration, now: Instant, time_of_day: SystemTime) -> Self {
        Self {
            longer_than,
            anchor: (now, time_of_day),
            last_acknowledged: now,
            first_acknowledged: None,
            failed: BTreeMap::new(),
            errors: BTreeMap::new(),
            summary: Summary { seconds: 0.0, acknowledged: 0, gaps: 0, longest_ms: 0.0 },
        }
    }

    /// A partition's record was not acknowledged.
    pub(super) fn failed(&mut self, partition: i32, reason: &str) {
        *self.failed.entry(partition).or_default() += 1;
        *self.errors.entry(reason.to_owned()).or_default() += 1;
    }

    /// A partition's record was acknowledged.
    pub(super) fn acknowledged(&mut self, partition: i32, now: Instant) {
        self.summary.acknowledged += 1;
        // What never failed was not missing.
        if self.failed.contains_key(&partition) || self.failed.is_empty() {
            self.first_acknowledged.get_or_insert(now);
        }
    }

    /// Every partition's record was acknowledged, the last one `now`. The first round of all is no gap.
    pub(super) fn round_ended(&mut self, now: Instant) -> Option<Gap> {
        let took = now.duration_since(self.last_acknowledged);
        let first = self.first_acknowledged.take().unwrap_or(now);
        let (failed, errors) = (std::mem::take(&mut self.failed), std::mem::take(&mut self.errors));
        let gap = (took > self.longer_than).then(|| Gap {
            last_acknowledged_us: self.time_of_day_us(self.last_acknowledged),
            first_acknowledged_us: self.time_of_day_us(first),
            all_acknowledged_us: self.time_of_day_us(now),
            gap_ms: took.as_secs_f64() * 1e3,
            partitions: failed.len(),
            errors,
        });
        self.last_acknowledged = now;
        if let Some(gap) = &gap {
            self.summary.gaps += 1;
            self.summary.longest_ms = self.summary.longest_ms.max(gap.gap_ms);
        }
        gap
    }

    /// Leaves the first round out of the count of gaps, and tells that it is over.
    pub(super) fn begin(&mut self, now: Instant, partitions: usize) -> Event {
        self.round_ended(now);
        (self.summary.gaps, self.summary.longest_ms) = (0, 0.0);
        Event::Begun { at_us: self.time_of_day_us(now), partitions }
    }

    /// What there was, or an error if something is missing still.
    pub(super) fn end(mut self, now: Instant) -> Result<Event, CliError> {
        if !self.failed.is_empty() {
            return Err(CliError::Failed(format!(
                "{} partitions have acknowledged nothing for {:.3} s: {:?}",
                self.failed.len(),
                now.duration_since(self.last_acknowledged).as_secs_f64(),
                self.errors
            )));
        }
        self.summary.seconds = now.duration_since(self.anchor.0).as_secs_f64();
        Ok(Event::Ended(self.summary))
    }

    fn time_of_day_us(&self, at: Instant) -> u64 {
        let (instant, time_of_day) = self.anchor;
        let since_epoch = time_of_day.duration_since(UNIX_EPOCH).unwrap_or_default() + at.duration_since(instant);
        u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX)
    }
}

impl Event {
    /// A line for people.
    fn text(&self) -> String {
        match self {
            Self::Begun { partitions, .. } => format!("{partitions} partitions acknowledge records"),
            Self::Gap(gap) => {
                let errors: Vec<String> = gap.errors.iter().map(|(what, count)| format!("{count} × {what}")).collect();
                let errors = if errors.is_empty() { "nothing failed".to_owned() } else { errors.join(", ") };
                format!("{:.1} ms without every acknowledgement ({errors})", gap.gap_ms)
            }
            Self::Ended(Summary { seconds, acknowledged, gaps, longest_ms }) => {
                format!(
                    "{acknowledged} records acknowledged in {seconds:.1} s, {gaps} gaps, the longest {longest_ms:.1} ms"
                )
            }
        }
    }
}

/// Runs the command.
pub(super) fn run(args: &FailoverArgs) -> Result<(), CliError> {
    let acks = i16::from(args.acks);
    if acks == 0 {
        return Err(CliError::Usage("without acknowledgements (--acks 0) there is nothing to wait for".to_owned()));
    }
    let workload = Workload {
        record_size: args.record_size.try_into()?,
        records_per_batch: 1,
        compression: Compression::None,
        distinct: false,
        keys: None,
        timestamp: now_ms(),
    };
    let plan = FailoverPlan {
        address: args.addr.clone(),
        topic: args.topic.clone(),
        workload,
        acks,
        interval: Duration::from_secs_f64(1.0 / args.rate),
        retry: *args.retry,
        duration: *args.duration,
    };
    let gaps = Gaps::new(*args.longer_than, Instant::now(), SystemTime::now());
    kafka::watch(&plan, gaps, |event| match args.output.output {
        Format::Table => print_line(&event.text()),
        Format::Json => print_line(
            &serde_json::to_string(event)
                .map_err(|error| CliError::Failed(format!("the result cannot be written as JSON: {error}")))?,
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(20);

    fn ms(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn a_gap_lasts_from_the_last_acknowledgement_before_to_the_last_partition_after() {
        let start = Instant::now();
        let mut gaps = Gaps::new(LIMIT, start, UNIX_EPOCH + Duration::from_secs(1));
        assert_eq!(gaps.begin(ms(start, 500), 3), Event::Begun { at_us: 1_500_000, partitions: 3 });
        gaps.acknowledged(0, ms(start, 510));
        assert_eq!(gaps.round_ended(ms(start, 510)), None, "as long as it may be");
        gaps.failed(1, "refused");
        gaps.failed(2, "refused");
        gaps.acknowledged(0, ms(start, 511));
        gaps.failed(2, "not the leader");
        gaps.acknowledged(1, ms(start, 700));
        gaps.acknowledged(2, ms(start, 760));
        let gap = gaps.round_ended(ms(start, 760)).unwrap();
        assert_eq!(
            gap,
            Gap {
                last_acknowledged_us: 1_510_000,
                first_acknowledged_us: 1_700_000,
                all_acknowledged_us: 1_760_000,
                gap_ms: 250.0,
                partitions: 2,
                errors: BTreeMap::from([("not the leader".to_owned(), 1), ("refused".to_owned(), 2)]),
            }
        );
        let summary = Summary { seconds: 1.0, acknowledged: 4, gaps: 1, longest_ms: 250.0 };
        assert_eq!(gaps.end(ms(start, 1_000)).unwrap(), Event::Ended(summary));
    }

    #[test]
    fn a_slow_answer_is_a_gap_though_nothing_failed() {
        let start = Instant::now();
        let mut gaps = Gaps::new(LIMIT, start, UNIX_EPOCH);
        gaps.begin(start, 1);
        gaps.acknowledged(0, ms(start, 21));
        let gap = gaps.round_ended(ms(start, 21)).unwrap();
        assert_eq!((gap.first_acknowledged_us, gap.all_acknowledged_us, gap.partitions), (21_000, 21_000, 0));
    }

    #[test]
    fn what_is_missing_at_the_end_is_a_failure() {
        let start = Instant::now();
        let mut gaps = Gaps::new(LIMIT, start, UNIX_EPOCH);
        gaps.begin(start, 1);
        gaps.failed(0, "refused");
        let error = gaps.end(ms(start, 2_500)).unwrap_err().to_string();
        assert!(error.contains("2.500 s") && error.contains("refused"), "{error}");
    }
}
