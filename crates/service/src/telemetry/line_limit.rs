//! How many lines a flood may log.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Lets a few lines through in each interval and counts the rest, so that whoever can cause a line at will cannot fill a
/// disk with them.
#[derive(Debug)]
pub struct LineLimit {
    lines: u32,
    every: Duration,
    window: Mutex<Window>,
}

#[derive(Debug)]
struct Window {
    began: Option<Instant>,
    lines: u32,
    left_out: u64,
}

impl LineLimit {
    /// At most `lines` lines in each interval of length `every`, which begins with its first line.
    #[must_use]
    pub const fn new(lines: u32, every: Duration) -> Self {
        Self { lines, every, window: Mutex::new(Window { began: None, lines: 0, left_out: 0 }) }
    }

    /// Ten lines in ten seconds: enough to see several clients go wrong at once, and under 100 MB of lines in a day.
    #[must_use]
    pub const fn of_clients_faults() -> Self {
        Self::new(10, Duration::from_secs(10))
    }

    /// Whether what happened at `now` gets a line. If it does: how many went without one since the line before, which
    /// this line should say.
    pub fn admit(&self, now: Instant) -> Option<u64> {
        let mut window = self.window.lock();
        if window.began.is_none_or(|began| now.duration_since(began) >= self.every) {
            window.began = Some(now);
            window.lines = 0;
        }
        if window.lines >= self.lines {
            window.left_out += 1;
            return None;
        }
        window.lines += 1;
        Some(std::mem::take(&mut window.left_out))
    }

    /// How many went without a line, once the interval is over at `now`: so that the end of a flood is told too.
    pub fn left_out(&self, now: Instant) -> Option<u64> {
        let mut window = self.window.lock();
        let is_over = window.began.is_some_and(|began| now.duration_since(began) >= self.every);
        (is_over && window.left_out > 0).then(|| std::mem::take(&mut window.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(10);

    #[test]
    fn a_flood_gets_a_few_lines_and_its_count() {
        let limit = LineLimit::new(2, EVERY);
        let began = Instant::now();
        assert_eq!((limit.admit(began), limit.admit(began)), (Some(0), Some(0)));
        assert!((0..1_000).all(|ms| limit.admit(began + Duration::from_millis(ms)).is_none()));
        assert_eq!(limit.left_out(began + EVERY / 2), None, "the interval is not over");
        assert_eq!(limit.admit(began + EVERY), Some(1_000), "the next line tells what it stands for");
        assert_eq!(limit.admit(began + EVERY), Some(0));
    }

    #[test]
    fn the_end_of_a_flood_is_told_once() {
        let limit = LineLimit::new(1, EVERY);
        let began = Instant::now();
        assert_eq!(limit.left_out(began + EVERY), None, "nothing happened");
        assert_eq!((limit.admit(began), limit.admit(began), limit.admit(began)), (Some(0), None, None));
        assert_eq!((limit.left_out(began + EVERY), limit.left_out(began + EVERY)), (Some(2), None));
        assert_eq!(limit.admit(began + EVERY), Some(0));
    }
}
