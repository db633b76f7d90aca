//! Layering: `layers.toml` is one total order, and a crate uses only crates that stand before it.

use serde::Deserialize;

use super::violation::Violation;
use crate::{
    failure::{Failure, Outcome},
    workspace::Package,
};

/// `layers.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Layers {
    floor: Vec<Floor>,
    pub(super) purity: Purity,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Floor {
    #[serde(rename = "name")]
    _name: String,
    #[serde(default)]
    pure: bool,
    crates: Vec<String>,
}

/// What pure crates may not have.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Purity {
    /// Crates that a pure crate may not name as a dependency.
    pub(super) banned_dependencies: Vec<String>,
    /// Crates that may not even be linked through another.
    pub(super) banned_anywhere: Vec<String>,
    /// Functions that the `clippy.toml` of a pure crate forbids.
    pub(super) banned_calls: Vec<String>,
}

impl Layers {
    /// Parses `layers.toml`.
    pub(super) fn parse(text: &str) -> Outcome<Self> {
        toml::from_str(text).map_err(|error| Failure::new(format!("layers.toml: {error}")))
    }

    /// Whether `name` is on a floor that does no I/O.
    pub(super) fn is_pure(&self, name: &str) -> bool {
        self.floor.iter().any(|floor| floor.pure && floor.crates.iter().any(|krate| krate == name))
    }

    /// Every member stands in the order once, every name in the order is a member, and no edge points forward.
    pub(super) fn check<'a>(&self, members: impl Iterator<Item = &'a Package>) -> Vec<Violation> {
        let order: Vec<&str> = self.floor.iter().flat_map(|floor| floor.crates.iter().map(String::as_str)).collect();
        let position = |name: &str| order.iter().position(|krate| *krate == name);
        let members: Vec<&Package> = members.collect();
        let mut violations = Vec::new();

        for (index, name) in order.iter().enumerate() {
            if !members.iter().any(|member| member.name == *name) {
                violations.push(Violation::new("layers.toml", format!("`{name}` is no crate of the workspace")));
            }
            if order.iter().take(index).any(|earlier| earlier == name) {
                violations.push(Violation::new("layers.toml", format!("`{name}` stands twice")));
            }
        }
        for member in &members {
            let Some(own) = position(&member.name) else {
                violations.push(Violation::new("layers.toml", format!("`{}` has no place in the order", member.name)));
                continue;
            };
            for dependency in &member.dependencies {
                if position(&dependency.name).is_some_and(|place| place >= own) {
                    let message = format!("uses `{}`, which stands at or above it in layers.toml", dependency.name);
                    violations.push(Violation::new(&member.name, message));
                }
            }
        }
        violations
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    const LAYERS: &str = r#"
        [purity]
        banned_dependencies = ["rand"]
        banned_anywhere = ["tokio"]
        banned_calls = ["std::time::Instant::now"]
        [[floor]]
        name = "facts"
        pure = true
        crates = ["types"]
        [[floor]]
        name = "engines"
        crates = ["log", "broker"]
    "#;

    fn package(name: &str, dependencies: &[&str]) -> Package {
        Package {
            id: name.into(),
            name: name.into(),
            manifest_path: name.into(),
            dependencies: dependencies.iter().map(|name| Dependency { name: (*name).into(), kind: None }).collect(),
        }
    }

    fn check(packages: &[Package]) -> Vec<String> {
        let layers = Layers::parse(LAYERS).expect("the fixture parses");
        layers.check(packages.iter()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_crate_may_use_what_stands_before_it_and_anything_foreign() {
        let packages = [package("types", &["serde"]), package("log", &["types"]), package("broker", &["types", "log"])];
        assert_eq!(check(&packages), Vec::<String>::new());
    }

    #[test]
    fn an_edge_that_points_forward_is_a_violation() {
        let packages = [package("types", &[]), package("log", &["broker"]), package("broker", &[])];
        assert_eq!(check(&packages), ["log: uses `broker`, which stands at or above it in layers.toml"]);
    }

    #[test]
    fn every_member_has_a_place_and_every_place_a_member() {
        let packages = [package("types", &[]), package("log", &[]), package("stray", &[])];
        assert_eq!(
            check(&packages),
            ["layers.toml: `broker` is no crate of the workspace", "layers.toml: `stray` has no place in the order"]
        );
    }

    #[test]
    fn a_crate_that_stands_twice_is_a_violation() {
        let layers = LAYERS.replace(r#"["log", "broker"]"#, r#"["log", "types"]"#);
        let layers = Layers::parse(&layers).expect("the fixture parses");
        let packages = [package("types", &[]), package("log", &[])];
        let violations: Vec<String> = layers.check(packages.iter()).iter().map(ToString::to_string).collect();
        assert_eq!(violations, ["layers.toml: `types` stands twice"]);
    }

    #[test]
    fn purity_belongs_to_the_floor() {
        let layers = Layers::parse(LAYERS).expect("the fixture parses");
        assert!(layers.is_pure("types"));
        assert!(!layers.is_pure("log"));
    }
}
