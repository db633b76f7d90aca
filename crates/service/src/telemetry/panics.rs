//! Panics as log lines and as a metric: a defect must be seen wherever the task that met it goes.

use std::backtrace::Backtrace;
use std::panic;

/// Panics since the start. Anything but 0 is a defect.
const PANICS: &str = "levada_panics_total";

/// Sends panics to the log instead of the bare standard error. The panic itself goes on as it would have.
pub(super) fn report() {
    metrics::describe_counter!(PANICS, "Panics since the start; anything but 0 is a defect");
    panic::set_hook(Box::new(|panic| {
        metrics::counter!(PANICS).increment(1);
        let payload = panic.payload_as_str().unwrap_or("no message");
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("unnamed");
        tracing::error!(location, thread, backtrace = %Backtrace::capture(), "panicked: {payload}");
    }));
}
