//! Where the workspace is and which packages it has, as `cargo metadata` tells it.

use std::{
    collections::HashMap,
    env,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::{
    failure::{Failure, Outcome},
    program::Program,
};

/// The workspace on disk.
pub(crate) struct Workspace {
    root: PathBuf,
}

/// What `cargo metadata` says, as far as the lanes need it.
#[derive(Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    pub(crate) workspace_members: Vec<String>,
    pub(crate) resolve: Resolve,
}

/// One package, of the workspace or from a registry.
#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) manifest_path: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
}

/// One line of a package's dependency tables.
#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `None` for `[dependencies]`, else `dev` or `build`.
    pub(crate) kind: Option<String>,
}

/// The resolved dependency graph.
#[derive(Deserialize)]
pub(crate) struct Resolve {
    pub(crate) nodes: Vec<Node>,
}

/// A package in the resolved graph.
#[derive(Deserialize)]
pub(crate) struct Node {
    pub(crate) id: String,
    pub(crate) deps: Vec<Edge>,
}

/// An edge of the resolved graph.
#[derive(Deserialize)]
pub(crate) struct Edge {
    pub(crate) pkg: String,
    pub(crate) dep_kinds: Vec<EdgeKind>,
}

/// How an edge is used.
#[derive(Deserialize)]
pub(crate) struct EdgeKind {
    pub(crate) kind: Option<String>,
}

impl Workspace {
    /// The workspace that this program was built in.
    pub(crate) fn locate() -> Self {
        let manifest =
            env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
        Self { root: manifest.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf) }
    }

    /// Its top directory.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where cargo builds.
    pub(crate) fn target(&self) -> PathBuf {
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| self.root.join("target"), |directory| self.root.join(directory))
    }

    /// Cargo, started at the top directory.
    pub(crate) fn cargo(&self, args: &[&str]) -> Program {
        Program::cargo().directory(&self.root).args(args)
    }

    /// The `levada` binary, built now. `release` selects the profile.
    pub(crate) fn build_levada(&self, release: bool) -> Outcome<PathBuf> {
        let mut build = self.cargo(&["build", "--locked", "--package", "levada", "--bin", "levada"]);
        if release {
            build = build.args(["--release"]);
        }
        build.run()?;
        Ok(self.levada(release))
    }

    /// Where cargo puts the `levada` binary.
    pub(crate) fn levada(&self, release: bool) -> PathBuf {
        self.target().join(if release { "release" } else { "debug" }).join("levada")
    }

    /// What `cargo metadata` says of the whole graph.
    pub(crate) fn metadata(&self) -> Outcome<Metadata> {
        let json = self.cargo(&["metadata", "--format-version", "1", "--locked"]).output()?;
        serde_json::from_str(&json)
            .map_err(|error| Failure::new(format!("cargo metadata is not what was expected: {error}")))
    }
}

impl Metadata {
    /// The packages of the workspace itself.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| self.workspace_members.contains(&package.id))
    }

    /// Names of everything `package` links into a normal build, its direct and indirect dependencies.
    pub(crate) fn closure(&self, package: &Package) -> Vec<&str> {
        let nodes: HashMap<&str, &Node> = self.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
        let names: HashMap<&str, &str> =
            self.packages.iter().map(|package| (package.id.as_str(), package.name.as_str())).collect();
        let mut seen: Vec<&str> = Vec::new();
        let mut open = vec![package.id.as_str()];
        while let Some(id) = open.pop() {
            let Some(node) = nodes.get(id) else { continue };
            for edge in &node.deps {
                let normal = edge.dep_kinds.iter().any(|kind| kind.kind.is_none());
                if normal && !seen.contains(&edge.pkg.as_str()) {
                    seen.push(&edge.pkg);
                    open.push(&edge.pkg);
                }
            }
        }
        let mut closure: Vec<&str> = seen.into_iter().filter_map(|id| names.get(id).copied()).collect();
        closure.sort_unstable();
        closure.dedup();
        closure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closure_follows_normal_edges_only() {
        let metadata: Metadata = serde_json::from_str(
            r#"{"packages": [
                {"id": "a#1", "name": "a", "manifest_path": "/a", "dependencies": []},
                {"id": "b#1", "name": "b", "manifest_path": "/b", "dependencies": []},
                {"id": "c#1", "name": "c", "manifest_path": "/c", "dependencies": []},
                {"id": "d#1", "name": "d", "manifest_path": "/d", "dependencies": []}],
              "workspace_members": ["a#1"],
              "resolve": {"nodes": [
                {"id": "a#1", "deps": [{"pkg": "b#1", "dep_kinds": [{"kind": null}]},
                                       {"pkg": "d#1", "dep_kinds": [{"kind": "dev"}]}]},
                {"id": "b#1", "deps": [{"pkg": "c#1", "dep_kinds": [{"kind": null}, {"kind": "build"}]}]},
                {"id": "c#1", "deps": []},
                {"id": "d#1", "deps": []}]}}"#,
        )
        .expect("the fixture parses");
        let a = metadata.members().next().expect("a is a member");
        assert_eq!(metadata.closure(a), ["b", "c"]);
    }
}
