//! What every crate inherits from the workspace: lints, package fields and dependency versions.

use toml::{Table, Value};

use super::violation::Violation;
use crate::failure::{Failure, Outcome};

/// Package fields that are the same in every crate.
const INHERITED_FIELDS: [&str; 6] = ["version", "edition", "rust-version", "license", "authors", "publish"];

/// Tables that hold dependencies.
const DEPENDENCY_TABLES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// Checks the `Cargo.toml` at `path`, which holds `text`.
pub(super) fn check(path: &str, text: &str) -> Outcome<Vec<Violation>> {
    let manifest: Table = text.parse().map_err(|error| Failure::new(format!("{path}: {error}")))?;
    let mut violations = Vec::new();
    if !manifest.get("lints").is_some_and(inherits) {
        violations.push(Violation::new(path, "needs `[lints] workspace = true`"));
    }
    for field in INHERITED_FIELDS {
        if !manifest.get("package").and_then(|package| package.get(field)).is_some_and(inherits) {
            violations.push(Violation::new(path, format!("needs `{field}.workspace = true`")));
        }
    }
    check_dependencies(path, &manifest, &mut violations);
    for target in manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values) {
        if let Some(target) = target.as_table() {
            check_dependencies(path, target, &mut violations);
        }
    }
    Ok(violations)
}

fn check_dependencies(path: &str, holder: &Table, violations: &mut Vec<Violation>) {
    for table in DEPENDENCY_TABLES {
        for (name, value) in holder.get(table).and_then(Value::as_table).into_iter().flatten() {
            if !inherits(value) {
                let message =
                    format!("`{name}` in [{table}] needs `workspace = true`: versions live in the root Cargo.toml");
                violations.push(Violation::new(path, message));
            }
        }
    }
}

fn inherits(value: &Value) -> bool {
    value.get("workspace").and_then(Value::as_bool) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        [package]
        name = "levada-types"
        version.workspace = true
        edition.workspace = true
        rust-version.workspace = true
        license.workspace = true
        authors.workspace = true
        publish.workspace = true
        [lints]
        workspace = true
        [dependencies]
        bytes.workspace = true
        tokio = { workspace = true, optional = true }
    "#;

    fn messages(text: &str) -> Vec<String> {
        let violations = check("Cargo.toml", text).expect("the fixture parses");
        violations.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_crate_that_inherits_everything_is_fine() {
        assert_eq!(messages(GOOD), Vec::<String>::new());
    }

    #[test]
    fn own_lints_own_fields_and_own_versions_are_found() {
        let bad = GOOD
            .replace("[lints]\n        workspace = true", "[lints.rust]\n        unsafe_code = \"allow\"")
            .replace("edition.workspace = true", "edition = \"2021\"")
            .replace("bytes.workspace = true", "bytes = \"1\"");
        assert_eq!(
            messages(&bad),
            [
                "Cargo.toml: needs `[lints] workspace = true`",
                "Cargo.toml: needs `edition.workspace = true`",
                "Cargo.toml: `bytes` in [dependencies] needs `workspace = true`: versions live in the root Cargo.toml",
            ]
        );
    }

    #[test]
    fn dependencies_of_one_platform_count_too() {
        let bad = format!("{GOOD}\n[target.'cfg(unix)'.dev-dependencies]\nnix = {{ version = \"0.31\" }}\n");
        assert_eq!(
            messages(&bad),
            ["Cargo.toml: `nix` in [dev-dependencies] needs `workspace = true`: versions live in the root Cargo.toml"]
        );
    }
}
