//! The file that says a data directory was closed cleanly (`.kafka_cleanshutdown`).

/// Its name.
pub(crate) const CLEAN_SHUTDOWN_FILE: &str = ".kafka_cleanshutdown";

/// What it holds: the epoch under which the broker was registered, so that the controller can tell whether this is the
/// shutdown of the registration it knows; -1 if there was none.
pub(crate) fn clean_shutdown_text(broker_epoch: i64) -> String {
    format!(r#"{{"version":0,"brokerEpoch":{broker_epoch}}}"#)
}

/// The broker epoch in it; -1 if it says none, as older versions of Kafka left the file empty.
pub(crate) fn clean_shutdown_epoch(text: &str) -> i64 {
    let number = |text: &str| {
        let text = text.trim_start().strip_prefix(':')?.trim_start();
        let end = text.find(|c: char| c != '-' && !c.is_ascii_digit()).unwrap_or(text.len());
        text[..end].parse().ok()
    };
    text.split_once(r#""brokerEpoch""#).and_then(|(_, rest)| number(rest)).unwrap_or(-1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_epoch_comes_back() {
        assert_eq!(clean_shutdown_text(42), r#"{"version":0,"brokerEpoch":42}"#);
        for epoch in [-1, 0, 42, i64::MAX] {
            assert_eq!(clean_shutdown_epoch(&clean_shutdown_text(epoch)), epoch);
        }
        for text in ["", "{}", "{\"brokerEpoch\"", "{\"brokerEpoch\": \"x\"}"] {
            assert_eq!(clean_shutdown_epoch(text), -1, "{text}");
        }
    }
}
