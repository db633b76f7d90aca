//! Records of one partition: sent with a promise, and read back.

use std::net::SocketAddr;

use levada_end_to_end::{Outcome, Reader, Recorder, RecorderOptions, fail};

/// Sends records with these values to partition 0 of a topic, and waits until each is acknowledged.
pub(crate) fn produce(
    bootstrap: SocketAddr,
    topic: &str,
    acks: &'static str,
    values: impl IntoIterator<Item: AsRef<[u8]>>,
) -> Outcome {
    let mut recorder = Recorder::connect(bootstrap, &RecorderOptions { acks, ..RecorderOptions::default() })?;
    for value in values {
        recorder.send(topic, Some(0), "key", value.as_ref())?;
    }
    let history = recorder.finish()?;
    if history.failed.is_empty() { Ok(()) } else { fail(format!("{:?}", history.failed)) }
}

/// The values of a topic's records.
pub(crate) fn values(bootstrap: SocketAddr, topic: &str) -> Outcome<Vec<String>> {
    let mut values = Vec::new();
    Reader::connect(bootstrap, topic)?.read_all(|seen| {
        values.push(String::from_utf8(seen.value)?);
        Ok(())
    })?;
    Ok(values)
}
