//! The frame of Kafka's checkpoint files: a version, a count, and that many lines.

/// The only version of these files.
const VERSION: &str = "0";

/// A checkpoint file with these lines.
pub(super) fn write(lines: impl ExactSizeIterator<Item = String>) -> String {
    let mut text = format!("{VERSION}\n{}\n", lines.len());
    for line in lines {
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// The lines of a checkpoint file.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read(text: &str) -> Result<Vec<&str>, String> {
    // A file that was renamed before its end was on the device may end within a number.
    if !text.ends_with('\n') {
        return Err("its last line has no end".to_owned());
    }
    let mut lines = text.lines();
    let version = lines.next().unwrap_or_default();
    if version.trim() != VERSION {
        return Err(format!("its version is '{version}', {VERSION} is supported"));
    }
    let count = lines.next().unwrap_or_default();
    let count: usize = count.trim().parse().map_err(|_| format!("'{count}' is no number of lines"))?;
    let lines: Vec<_> = lines.filter(|line| !line.trim().is_empty()).collect();
    if lines.len() == count { Ok(lines) } else { Err(format!("it has {} lines, not {count}", lines.len())) }
}
