//! Watching something that takes its time: a bar on a terminal, a line now and then elsewhere, and when it will be done.

use std::collections::VecDeque;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{DecimalBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output;

/// How often the cluster is asked how it stands.
pub(crate) const ASK_INTERVAL: Duration = Duration::from_secs(1);

/// How often a line is written where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Over how long a rate is taken: long enough to be steady, short enough to follow a changed throttle.
const RATE_WINDOW: Duration = Duration::from_secs(30);

/// Shows on standard error how far something has come.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// On a terminal.
    bar: Option<ProgressBar>,
    last_line: Option<(Instant, String)>,
    last_note: String,
}

impl Waiting {
    /// Nothing is shown yet.
    pub(crate) fn new() -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
            match ProgressStyle::with_template("{bar:30} {msg}") {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
        });
        Self { bar, last_line: None, last_note: String::new() }
    }

    /// It has come to `done` of `total`; `text` says it in words.
    pub(crate) fn show(&mut self, done: u64, total: u64, text: String) {
        if let Some(bar) = &self.bar {
            bar.set_length(total.max(1));
            bar.set_position(done.min(total));
            bar.set_message(text);
            return;
        }
        let now = Instant::now();
        let due = self.last_line.as_ref().is_none_or(|(at, last)| *last != text && now >= *at + LINE_INTERVAL);
        if due {
            output::tell(format_args!("{text}"));
            self.last_line = Some((now, text));
        }
    }

    /// Something that the user may have to do something about; told once until it changes.
    pub(crate) fn note(&mut self, text: &str) {
        if self.last_note == text {
            return;
        }
        text.clone_into(&mut self.last_note);
        if text.is_empty() {
            return;
        }
        match &self.bar {
            Some(bar) => bar.suspend(|| output::tell(format_args!("{text}"))),
            None => output::tell(format_args!("{text}")),
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// How fast bytes are copied, from what was copied at several times.
#[derive(Debug, Default)]
pub(crate) struct Rate {
    readings: VecDeque<(Instant, u64)>,
}

impl Rate {
    /// Takes note that `copied` bytes are there. What shrinks begins anew: something else is being copied.
    pub(crate) fn read(&mut self, now: Instant, copied: u64) {
        if self.readings.back().is_some_and(|(_, last)| *last > copied) {
            self.readings.clear();
        }
        self.readings.push_back((now, copied));
        // The oldest that is kept is at least the window old, so that the rate is one over the window.
        while self.readings.get(1).is_some_and(|(at, _)| *at + RATE_WINDOW <= now) {
            self.readings.pop_front();
        }
    }

    /// Bytes per second, once anything is copied.
    pub(crate) fn per_second(&self) -> Option<u64> {
        let ((from, first), (to, last)) = self.readings.front().zip(self.readings.back())?;
        let seconds = to.duration_since(*from).as_secs_f64();
        let copied = last.saturating_sub(*first);
        (seconds > 0.0 && copied > 0).then_some((copied as f64 / seconds) as u64).filter(|rate| *rate > 0)
    }

    /// How long what is left will take at this rate.
    pub(crate) fn time_left(&self, left: u64) -> Option<Duration> {
        self.per_second().map(|rate| Duration::from_secs(left.div_ceil(rate)))
    }

    /// Bytes copied, the rate and the time left, in words.
    pub(crate) fn text(&self, copied: u64, total: u64) -> String {
        let copied_text = format!("{} of {}", DecimalBytes(copied), DecimalBytes(total));
        match (self.per_second(), self.time_left(total.saturating_sub(copied))) {
            (Some(rate), Some(left)) => {
                format!("{copied_text}, {}/s, about {} left", DecimalBytes(rate), humantime::format_duration(left))
            }
            _ => copied_text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_follows_the_rate_of_the_last_half_minute() {
        let start = Instant::now();
        let mut rate = Rate::default();
        assert_eq!(rate.time_left(100), None);
        for second in 0..=60 {
            // 10 bytes per second for the first half minute, 100 for the second.
            let copied = if second <= 30 { 10 * second } else { 300 + 100 * (second - 30) };
            rate.read(start + Duration::from_secs(second), copied);
        }
        assert_eq!(rate.per_second(), Some(100));
        assert_eq!(rate.time_left(1_001), Some(Duration::from_secs(11)));
        assert_eq!(rate.text(3_300, 4_300), "3.30 kB of 4.30 kB, 100 B/s, about 10s left");
    }

    #[test]
    fn what_begins_anew_has_no_rate_yet() {
        let start = Instant::now();
        let mut rate = Rate::default();
        rate.read(start, 500);
        rate.read(start + Duration::from_secs(1), 600);
        assert_eq!(rate.per_second(), Some(100));
        rate.read(start + Duration::from_secs(2), 10);
        assert_eq!(rate.per_second(), None);
    }
}
