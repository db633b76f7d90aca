//! What this program says on its standard streams. Whether anybody reads it or not, the program goes on: `println!` and
//! `eprintln!` would panic once the reader has gone.

use std::fmt::Display;
use std::io::{self, Write};

/// Says a line on standard output.
pub(crate) fn announce(line: impl Display) {
    let mut stdout = io::stdout().lock();
    // Nobody who reads, and so nobody to tell.
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

/// Says on standard error what went wrong.
pub(crate) fn complain(of: impl Display) {
    // As above.
    let _ = writeln!(io::stderr().lock(), "levada: {of}");
}
