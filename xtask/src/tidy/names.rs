//! Banned names: a file called after nothing in particular collects everything.

use super::{sources::Source, violation::Violation};

/// Names that say nothing about what is inside.
const BANNED: [&str; 8] = ["util", "utils", "common", "helper", "helpers", "manager", "misc", "stuff"];

/// No file, directory or inline module has a banned name.
pub(super) fn check(source: &Source) -> Vec<Violation> {
    let mut violations = Vec::new();
    for part in source.path.split('/').map(|part| part.trim_end_matches(".rs")) {
        if is_banned(part) {
            violations
                .push(Violation::new(&source.path, format!("`{part}` says nothing: name it after what it holds")));
        }
    }
    for (index, line) in source.text.lines().enumerate() {
        let declared = line.trim_start().split_once("mod ").filter(|(before, _)| is_visibility(before));
        if let Some((_, rest)) = declared {
            let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if rest.trim_end().ends_with('{') && is_banned(&name) {
                let place = format!("{}:{}", source.path, index + 1);
                violations
                    .push(Violation::new(place, format!("`mod {name}` says nothing: name it after what it holds")));
            }
        }
    }
    violations
}

fn is_banned(name: &str) -> bool {
    BANNED.contains(&name) || BANNED.iter().any(|banned| name.ends_with(&format!("_{banned}")))
}

fn is_visibility(before: &str) -> bool {
    let before = before.trim();
    before.is_empty() || before.starts_with("pub")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        check(&Source { path: path.into(), text: text.into() }).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn files_and_directories_count() {
        assert_eq!(
            found("crates/log/src/utils.rs", ""),
            ["crates/log/src/utils.rs: `utils` says nothing: name it after what it holds"]
        );
        assert_eq!(found("crates/log/src/common/segment.rs", "").len(), 1);
        assert_eq!(found("crates/log/src/segment_manager.rs", "").len(), 1);
        assert_eq!(found("crates/log/src/commonality.rs", ""), Vec::<String>::new());
    }

    #[test]
    fn inline_modules_count_and_prose_does_not() {
        assert_eq!(
            found("a.rs", "//! x\npub(crate) mod helpers {\n"),
            ["a.rs:2: `mod helpers` says nothing: name it after what it holds"]
        );
        assert_eq!(found("a.rs", "// a mod helpers {\nlet x = \"mod utils {\";\n"), Vec::<String>::new());
    }
}
