//! Nothing half done stays in the tree.

use super::{sources::Source, violation::Violation};

/// What must not stand in a source line, and what to do instead. Spelled in two pieces, so that this file passes.
const LEFTOVERS: [(&str, &str); 7] = [
    (concat!("TO", "DO"), "do it, or write it down where work is planned"),
    (concat!("FIX", "ME"), "do it, or write it down where work is planned"),
    (concat!("XX", "X:"), "do it, or write it down where work is planned"),
    (concat!("to", "do!("), "write the code"),
    (concat!("unimple", "mented!("), "write the code"),
    (concat!("db", "g!("), "use `tracing`, or take it out"),
    (concat!("#[ig", "nore"), "a test that does not run proves nothing"),
];

/// No line holds a leftover.
pub(super) fn check(source: &Source) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        for (leftover, advice) in LEFTOVERS {
            if line.contains(leftover) {
                let place = format!("{}:{}", source.path, index + 1);
                violations.push(Violation::new(place, format!("`{leftover}`: {advice}")));
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_are_found_with_their_line() {
        let text = format!("//! A module.\n// {}: later\nfn f() {{ {}x); }}\n", LEFTOVERS[0].0, LEFTOVERS[5].0);
        let found = check(&Source { path: "a.rs".into(), text });
        assert_eq!(
            found,
            [
                Violation::new("a.rs:2", format!("`{}`: {}", LEFTOVERS[0].0, LEFTOVERS[0].1)),
                Violation::new("a.rs:3", format!("`{}`: {}", LEFTOVERS[5].0, LEFTOVERS[5].1)),
            ]
        );
    }

    #[test]
    fn finished_code_passes() {
        let text = "//! A module.\nfn f() -> u32 {\n    1\n}\n".to_owned();
        assert_eq!(check(&Source { path: "a.rs".into(), text }), []);
    }
}
