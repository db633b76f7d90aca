//! How results are shown: a table for people, JSON for programs.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};

use clap::{Args, ValueEnum};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use crate::CliError;

/// How a listing is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// Columns for people.
    #[default]
    Table,
    /// One JSON value for programs.
    Json,
}

/// The option that every listing has.
#[derive(Debug, Clone, Copy, Args)]
pub struct OutputArgs {
    /// How to show the result.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Format,
}

impl OutputArgs {
    /// Prints `value` as JSON, or the text that `people` makes.
    ///
    /// # Errors
    /// If standard output is gone.
    pub fn print<T: Serialize>(self, value: &T, people: impl FnOnce(&T) -> String) -> Result<(), CliError> {
        let text = match self.output {
            Format::Table => people(value),
            Format::Json => serde_json::to_string_pretty(value)
                .map_err(|error| CliError::Failed(format!("the result cannot be written as JSON: {error}")))?,
        };
        print_line(&text)
    }
}

/// Prints a line to standard output. A reader that went away (`levada … | head`) is no error.
pub(crate) fn print_line(text: &str) -> Result<(), CliError> {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(CliError::io("standard output")(error)),
        _ => Ok(()),
    }
}

/// Says something on standard error. That nobody reads it any more changes nothing of what the command does, whereas
/// `eprintln!` would panic.
pub(crate) fn tell(text: fmt::Arguments<'_>) {
    let text = text.to_string();
    let lines: Vec<Cow<'_, str>> = text.split('\n').map(visible).collect();
    let _ = writeln!(io::stderr().lock(), "levada: {}", lines.join("\n"));
}

/// The text with its control characters as escapes: clients name their groups and themselves as they like, and what they chose
/// must neither command an operator's terminal nor look like another row.
fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(escaped).collect())
}

/// `1 thing`, `2 things`.
pub(crate) fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// A table with one header line and no frame, so that `awk` and eyes both read it.
pub(crate) fn table<R, C>(header: &[&str], rows: R) -> String
where
    R: IntoIterator<Item = C>,
    C: IntoIterator<Item = String>,
{
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.iter().copied());
    for row in rows {
        table.add_row(row.into_iter().map(|cell| visible(&cell).into_owned()).collect::<Vec<_>>());
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_without_a_frame() {
        let text =
            table(&["TOPIC", "PARTITIONS"], [["a".to_owned(), "12".to_owned()], ["longer".to_owned(), "1".to_owned()]]);
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        assert_eq!(lines.len(), 3);
        let column = |line: usize, word: &str| text.lines().nth(line).and_then(|text| text.find(word));
        assert_eq!(column(0, "PARTITIONS"), column(1, "12"));
        assert_eq!(column(1, "12"), column(2, "1"));
    }

    #[test]
    fn what_others_named_cannot_command_the_terminal() {
        let text = table(&["GROUP"], [["a\u{1b}[2Jb\nc\u{9b}\u{7f}é".to_owned()]]);
        let rows: Vec<&str> = text.lines().map(str::trim).collect();
        assert_eq!(rows, ["GROUP", r"a\u{1b}[2Jb\nc\u{9b}\u{7f}é"]);
    }
}
