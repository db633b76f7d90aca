//! Waiting for what has to come. That it does not come is what a test finds, not how long it takes: the limit is far beyond
//! what a busy machine needs.

use std::{
    fmt::Debug,
    thread,
    time::{Duration, Instant},
};

use levada_end_to_end::{Outcome, fail};

/// How long anything may take that is waited for.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Asks again and again until the answer `holds`, and gives it; fails with the last one, or with the first error.
pub(crate) fn until<T: Debug>(mut ask: impl FnMut() -> Outcome<T>, holds: impl Fn(&T) -> bool) -> Outcome<T> {
    let begun = Instant::now();
    loop {
        let now = ask()?;
        if holds(&now) {
            return Ok(now);
        }
        if begun.elapsed() > LIMIT {
            return fail(format!("after {LIMIT:?} it is still {now:?}"));
        }
        thread::yield_now();
    }
}

/// Asks again and again until it is so; fails saying `what` is not, or with the first error.
pub(crate) fn wait_until(what: &str, is_so: impl FnMut() -> Outcome<bool>) -> Outcome {
    until(is_so, |is_so| *is_so).map_err(|error| format!("{what}: {error}"))?;
    Ok(())
}
