//! What a run says while it goes on, with the time since it began.

use std::{sync::OnceLock, time::Instant};

static BEGUN: OnceLock<Instant> = OnceLock::new();

/// The run begins.
pub(super) fn start() {
    BEGUN.get_or_init(Instant::now);
}

/// Says something on stdout.
pub(super) fn say(text: &str) {
    println!("chaos: {:>8.2} {text}", BEGUN.get_or_init(Instant::now).elapsed().as_secs_f64());
}
