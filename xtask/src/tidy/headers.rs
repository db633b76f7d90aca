//! Every module says in its first lines what it is for.

use super::{sources::Source, violation::Violation};

/// The first line of a Rust file is a `//!` line with words in it.
pub(super) fn check(source: &Source) -> Option<Violation> {
    let first = source.text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with("#!["));
    let words = first.and_then(|line| line.strip_prefix("//!")).is_some_and(|words| !words.trim().is_empty());
    (!words).then(|| Violation::new(&source.path, "needs a `//!` header that says what the module is for"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_fine(text: &str) -> bool {
        check(&Source { path: "a.rs".into(), text: text.into() }).is_none()
    }

    #[test]
    fn a_header_comes_first() {
        assert!(is_fine("//! The log.\n\nmod segment;\n"));
        assert!(is_fine("#![no_main]\n//! A fuzz target.\n"));
        assert!(!is_fine("mod segment;\n//! The log.\n"));
        assert!(!is_fine("// The log.\n"));
        assert!(!is_fine("//!\nmod segment;\n"));
        assert!(!is_fine(""));
    }
}
