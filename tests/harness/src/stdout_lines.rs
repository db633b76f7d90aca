//! What a process writes to stdout, while nobody may be waiting for it.

use std::{
    io::{BufRead, BufReader},
    process::ChildStdout,
    sync::mpsc::{self, Receiver},
    thread,
};

/// The lines that a process writes to stdout. All of them are read, so that the process can never block on a full pipe,
/// whether somebody waits for them or not.
pub(crate) fn stdout_lines(stdout: Option<ChildStdout>) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in stdout.map(BufReader::new).into_iter().flat_map(BufRead::lines) {
            let Ok(line) = line else { return };
            // Nobody waits for the second line.
            let _ = sender.send(line);
        }
    });
    lines
}
