//! `leader-epoch-checkpoint`: where each leader epoch starts in a log.

use levada_types::LeaderEpoch;

use super::numbered_lines;
use crate::epochs::{EpochStart, LeaderEpochs};

/// Its name.
pub(crate) const EPOCH_CHECKPOINT_FILE: &str = "leader-epoch-checkpoint";

/// The file for these epochs.
pub(crate) fn epochs_text(epochs: &LeaderEpochs) -> String {
    numbered_lines::write(epochs.entries().iter().map(|entry| format!("{} {}", entry.epoch, entry.start)))
}

/// Reads the file.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse_epochs(text: &str) -> Result<LeaderEpochs, String> {
    let mut entries = Vec::new();
    for line in numbered_lines::read(text)? {
        let entry = line.split_once(' ').and_then(|(epoch, start)| {
            Some(EpochStart { epoch: LeaderEpoch(epoch.parse().ok()?), start: start.trim().parse().ok()? })
        });
        entries.push(entry.ok_or_else(|| format!("'{line}' is no epoch and start offset"))?);
    }
    Ok(LeaderEpochs::from_entries(entries))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_kafkas() {
        let text = "0\n2\n0 0\n3 1234\n";
        let epochs = parse_epochs(text).unwrap();
        assert_eq!(epochs.latest(), Some(LeaderEpoch(3)));
        assert_eq!(epochs_text(&epochs), text);
        for damaged in ["", "1\n0\n", "0\n2\n0 0\n", "0\n1\n0\n", "0\nx\n", "0\n1\na b\n", "0\n2\n0 0\n3 12"] {
            assert!(parse_epochs(damaged).is_err(), "{damaged:?}");
        }
    }
}
