//! Where the `levada` binary is.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use crate::NodeError;

/// The path of the `levada` binary to test.
///
/// `LEVADA_BIN` names it, as the lanes do. Without it the binary of this workspace is built first, in the profile of the
/// running test, so that a plain `cargo test --package levada-end-to-end` never tests a stale one.
pub fn levada_binary() -> Result<PathBuf, NodeError> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    match env::var_os("LEVADA_BIN") {
        Some(path) => Ok(path.into()),
        None => BUILT.get_or_init(build).clone().ok_or(NodeError::NoBinary),
    }
}

/// Takes the options of the developer's shell (`LEVADA_...`) away from a command: they are not options of the test.
pub fn without_options(command: &mut Command) {
    for (name, _) in env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"LEVADA_")) {
        command.env_remove(name);
    }
}

fn build() -> Option<PathBuf> {
    // .../target/<profile>/deps/<test>, or .../target/<profile>/<program>
    let running = env::current_exe().ok()?;
    let profile = running.ancestors().skip(1).find(|directory| !directory.ends_with("deps"))?;
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")));
    cargo.args(["build", "--quiet", "--package", "levada", "--bin", "levada"]);
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    cargo.status().ok().filter(|status| status.success()).map(|_| profile.join("levada"))
}
