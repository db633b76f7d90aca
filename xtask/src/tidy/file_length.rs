//! No file over the limit, outside a list that only shrinks.
//!
//! A line of the list is `path length`. A listed file may not grow past its length, and when it gets shorter the list
//! must follow, so a length in the list never goes up and an entry that is no longer needed goes away.

use std::collections::BTreeMap;

use super::{sources::Source, violation::Violation};
use crate::failure::{Failure, Outcome};

/// A file that passes this many lines is two rooms.
const LIMIT: usize = 600;

/// The files that may be longer, with the exact length of each.
pub(super) struct AllowList {
    path: &'static str,
    lengths: BTreeMap<String, usize>,
}

impl AllowList {
    /// Parses the list; blank lines and lines that begin with `#` are skipped.
    pub(super) fn parse(path: &'static str, text: &str) -> Outcome<Self> {
        let mut lengths = BTreeMap::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let entry = line.split_once(' ').and_then(|(file, length)| Some((file, length.trim().parse().ok()?)));
            let (file, length) = entry.ok_or_else(|| Failure::new(format!("{path}: `{line}` is not `path length`")))?;
            lengths.insert(file.to_owned(), length);
        }
        Ok(Self { path, lengths })
    }
}

/// Checks every file against the limit, and the list against the files.
pub(super) fn check(sources: &[Source], allowed: &AllowList) -> Vec<Violation> {
    let mut violations = Vec::new();
    for source in sources {
        let lines = source.text.lines().count();
        match allowed.lengths.get(&source.path) {
            None if lines > LIMIT => {
                violations.push(Violation::new(&source.path, format!("{lines} lines; over {LIMIT} it is two rooms")));
            }
            Some(&length) if lines > length => {
                let message = format!("{lines} lines; it may not grow past the {length} of {}", allowed.path);
                violations.push(Violation::new(&source.path, message));
            }
            Some(_) if lines <= LIMIT => {
                violations.push(Violation::new(allowed.path, format!("`{}` needs no entry any more", source.path)));
            }
            Some(&length) if lines < length => {
                violations.push(Violation::new(allowed.path, format!("`{}` is down to {lines} lines", source.path)));
            }
            _ => {}
        }
    }
    for file in allowed.lengths.keys().filter(|file| !sources.iter().any(|source| source.path == **file)) {
        violations.push(Violation::new(allowed.path, format!("`{file}` does not exist")));
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(lines: usize, list: &str) -> Vec<String> {
        let source = Source { path: "a.rs".into(), text: "x\n".repeat(lines) };
        let allowed = AllowList::parse("list", list).expect("the list parses");
        check(&[source], &allowed).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_limit_is_six_hundred_lines() {
        assert_eq!(found(600, ""), Vec::<String>::new());
        assert_eq!(found(601, ""), ["a.rs: 601 lines; over 600 it is two rooms"]);
    }

    #[test]
    fn a_listed_file_may_stay_but_not_grow() {
        assert_eq!(found(700, "# why\na.rs 700\n"), Vec::<String>::new());
        assert_eq!(found(701, "a.rs 700"), ["a.rs: 701 lines; it may not grow past the 700 of list"]);
    }

    #[test]
    fn the_list_shrinks_with_its_files() {
        assert_eq!(found(650, "a.rs 700"), ["list: `a.rs` is down to 650 lines"]);
        assert_eq!(found(600, "a.rs 700"), ["list: `a.rs` needs no entry any more"]);
        assert_eq!(found(1, "gone.rs 700"), ["list: `gone.rs` does not exist"]);
    }

    #[test]
    fn a_line_that_is_no_entry_is_refused() {
        assert!(AllowList::parse("list", "a.rs").is_err());
        assert!(AllowList::parse("list", "a.rs many").is_err());
    }
}
