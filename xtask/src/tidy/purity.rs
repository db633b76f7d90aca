//! Purity of floors 0 and 1: no runtime, no network, no files, no clock, no randomness.
//!
//! Dependencies are checked here; calls are forbidden by the crate's own `clippy.toml`, whose entries are checked here.

use super::{layers::Layers, violation::Violation};
use crate::workspace::Package;

/// A pure crate names none of the banned dependencies, and links none of the worst even through others.
pub(super) fn check_dependencies(layers: &Layers, package: &Package, closure: &[&str]) -> Vec<Violation> {
    let purity = &layers.purity;
    let direct = package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind.as_deref() != Some("dev"))
        .filter(|dependency| {
            purity.banned_dependencies.contains(&dependency.name) || purity.banned_anywhere.contains(&dependency.name)
        })
        .map(|dependency| Violation::new(&package.name, format!("is pure and may not use `{}`", dependency.name)));
    let linked = closure
        .iter()
        .filter(|name| purity.banned_anywhere.iter().any(|banned| banned == *name))
        .filter(|name| !package.dependencies.iter().any(|dependency| dependency.name == **name))
        .map(|name| Violation::new(&package.name, format!("is pure and may not link `{name}`, even through another")));
    direct.chain(linked).collect()
}

/// A pure crate has a `clippy.toml` that forbids every call it must not make.
pub(super) fn check_clippy(layers: &Layers, package: &str, clippy: Option<&str>) -> Vec<Violation> {
    let Some(text) = clippy else {
        return vec![Violation::new(package, "is pure and needs a clippy.toml with the banned calls of layers.toml")];
    };
    let parsed: toml::Table = match text.parse() {
        Ok(table) => table,
        Err(error) => return vec![Violation::new(package, format!("clippy.toml: {error}"))],
    };
    let forbidden: Vec<&str> = parsed
        .get("disallowed-methods")
        .and_then(toml::Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.as_str().or_else(|| entry.get("path")?.as_str()))
        .collect();
    layers
        .purity
        .banned_calls
        .iter()
        .filter(|call| !forbidden.contains(&call.as_str()))
        .map(|call| Violation::new(package, format!("its clippy.toml does not forbid `{call}`")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    fn layers() -> Layers {
        Layers::parse(
            r#"
            [purity]
            banned_dependencies = ["rand"]
            banned_anywhere = ["tokio"]
            banned_calls = ["std::time::Instant::now", "std::fs::read"]
            [[floor]]
            name = "facts"
            pure = true
            crates = ["types"]
            "#,
        )
        .expect("the fixture parses")
    }

    fn package(dependencies: &[(&str, Option<&str>)]) -> Package {
        Package {
            id: "types".into(),
            name: "types".into(),
            manifest_path: "types".into(),
            dependencies: dependencies
                .iter()
                .map(|(name, kind)| Dependency { name: (*name).into(), kind: kind.map(Into::into) })
                .collect(),
        }
    }

    #[test]
    fn a_banned_dependency_is_found_unless_it_is_for_tests() {
        let found = check_dependencies(&layers(), &package(&[("rand", None), ("bytes", None)]), &["rand", "bytes"]);
        assert_eq!(found, [Violation::new("types", "is pure and may not use `rand`")]);
        assert_eq!(check_dependencies(&layers(), &package(&[("rand", Some("dev"))]), &[]), []);
    }

    #[test]
    fn what_another_crate_brings_along_is_found() {
        let found = check_dependencies(&layers(), &package(&[("innocent", None)]), &["innocent", "rand", "tokio"]);
        assert_eq!(found, [Violation::new("types", "is pure and may not link `tokio`, even through another")]);
    }

    #[test]
    fn clippy_must_forbid_every_call() {
        let both = r#"disallowed-methods = ["std::time::Instant::now", { path = "std::fs::read", reason = "pure" }]"#;
        assert_eq!(check_clippy(&layers(), "types", Some(both)), []);
        let one = r#"disallowed-methods = [{ path = "std::fs::read" }]"#;
        assert_eq!(
            check_clippy(&layers(), "types", Some(one)),
            [Violation::new("types", "its clippy.toml does not forbid `std::time::Instant::now`")]
        );
        assert_eq!(check_clippy(&layers(), "types", None).len(), 1);
        assert_eq!(check_clippy(&layers(), "types", Some("not toml =")).len(), 1);
    }
}
