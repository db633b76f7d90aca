//! Times and spans as they are typed, in Kafka's ways and in people's.

use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use levada_types::TimestampMs;

/// A time: `2026-01-31T12:00:00.000`, which is UTC, or with `Z`, `+02:00` or `+0200` behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment(pub(super) TimestampMs);

/// A span: `P1DT2H30M` as in ISO 8601, or `1d 2h 30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span(pub(super) Duration);

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("{text:?} is no time such as 2026-01-31T12:00:00, 2026-01-31T12:00:00Z or …+02:00");
        let (local, ahead_minutes) = split_zone(text).ok_or_else(wrong)?;
        let time = humantime::parse_rfc3339_weak(local).map_err(|_| wrong())?;
        let ms = milliseconds(time).and_then(|ms| ms.checked_sub(ahead_minutes * 60_000));
        ms.filter(|ms| *ms >= 0).map(Self).ok_or_else(wrong)
    }
}

/// The time of day somewhere, and how many minutes the clocks there are ahead of UTC.
fn split_zone(text: &str) -> Option<(&str, i64)> {
    // Dates have hyphens, so a sign counts behind the `T` alone.
    let time = text.find(['T', ' ']).unwrap_or(text.len());
    let Some(sign) = text.get(time..)?.find(['+', '-']).map(|at| time + at) else { return Some((text, 0)) };
    let (local, zone) = text.split_at_checked(sign)?;
    let digits: String = zone.get(1..)?.chars().filter(|c| *c != ':').collect();
    let (hours, minutes) = digits.split_at_checked(2).filter(|_| digits.len() == 4)?;
    let ahead = hours.parse::<i64>().ok().filter(|h| (0..24).contains(h))? * 60
        + minutes.parse::<i64>().ok().filter(|m| (0..60).contains(m))?;
    Some((local, if zone.starts_with('-') { -ahead } else { ahead }))
}

fn milliseconds(time: SystemTime) -> Option<TimestampMs> {
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let span = if text.starts_with('P') { iso_8601(text) } else { humantime::parse_duration(text).ok() };
        span.map(Self).ok_or_else(|| format!("{text:?} is no span such as PT15M, P1DT2H or 15m"))
    }
}

/// `PnDTnHnMnS`, the part of ISO 8601 that has fixed lengths; as Java's `Duration` reads it.
fn iso_8601(text: &str) -> Option<Duration> {
    let (days, time) = match text.strip_prefix('P')?.split_once('T') {
        Some((_, "")) => return None,
        Some((days, time)) => (days, time),
        None => (text.strip_prefix('P')?, ""),
    };
    if days.is_empty() && time.is_empty() {
        return None;
    }
    let mut seconds = 0.0;
    if !days.is_empty() {
        seconds += number(days.strip_suffix('D')?)? * 86_400.0;
    }
    let mut rest = time;
    for (unit, length) in [('H', 3_600.0), ('M', 60.0), ('S', 1.0)] {
        if let Some((count, behind)) = rest.split_once(unit) {
            seconds += number(count)? * length;
            rest = behind;
        }
    }
    if rest.is_empty() { Duration::try_from_secs_f64(seconds).ok() } else { None }
}

fn number(text: &str) -> Option<f64> {
    text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.').then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_utc_unless_it_says_where() {
        let noon = 12 * 3_600_000;
        for text in [
            "1970-01-01T12:00:00",
            "1970-01-01T12:00:00.000",
            "1970-01-01T12:00:00Z",
            "1970-01-01T14:00:00+02:00",
            "1970-01-01T14:00:00.000+0200",
            "1970-01-01T06:30:00-05:30",
        ] {
            assert_eq!(text.parse(), Ok(Moment(noon)), "{text}");
        }
        for wrong in
            ["", "noon", "1970-01-01", "1970-01-01T12:00:00+2", "1970-01-01T00:00:00+01:00", "1969-01-01T00:00:00"]
        {
            assert!(wrong.parse::<Moment>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_span_is_read_as_java_and_as_people_write_it() {
        for (text, seconds) in
            [("PT15M", 900), ("P1DT2H", 93_600), ("P2D", 172_800), ("PT1H30M5S", 5_405), ("15m", 900), ("1h 5s", 3_605)]
        {
            assert_eq!(text.parse(), Ok(Span(Duration::from_secs(seconds))), "{text}");
        }
        assert_eq!("PT0.5S".parse(), Ok(Span(Duration::from_millis(500))));
        for wrong in ["", "P", "PT", "P1DT", "P1M", "PT1D", "PT-5M", "P1Y", "PT5", "soon"] {
            assert!(wrong.parse::<Span>().is_err(), "{wrong}");
        }
    }
}
