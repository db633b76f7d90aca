//! Namespaces of its own for a run: whatever it mounts, starts or makes of networks is gone when it ends, however it ends.

use std::{
    env, io,
    os::unix::process::CommandExt,
    process::{Command, Stdio},
};

use levada_end_to_end::Outcome;

/// Says that this process runs in namespaces of its own.
const INSIDE: &str = "LEVADA_CHAOS_INSIDE";

/// Namespaces for mounts, networks and processes; the processes there are killed when whoever made them is.
const NAMESPACES: [&str; 6] = ["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"];

/// What an unprivileged user needs besides: to be root in there.
const UNPRIVILEGED: [&str; 2] = ["--user", "--map-root-user"];

/// Whether this process runs in namespaces of its own. If they can be had and it does not yet, the process is replaced by
/// one that does, and this does not return.
pub(super) fn enter() -> Outcome<bool> {
    if env::var_os(INSIDE).is_some() {
        return prepare().map(|()| true);
    }
    for extra in [&[], &UNPRIVILEGED[..]] {
        let mut trial = Command::new("unshare");
        let tried = trial.args(extra).args(NAMESPACES).arg("true").stderr(Stdio::null()).status();
        if tried.is_ok_and(|status| status.success()) {
            let mut command = Command::new("unshare");
            command.args(extra).args(NAMESPACES).arg(env::current_exe()?).args(env::args_os().skip(1));
            return Err(command.env(INSIDE, "1").exec().into());
        }
    }
    Ok(false)
}

/// Makes the namespaces a place to run in: `ip` keeps its names in `/run`, and this machine talks to itself.
fn prepare() -> Outcome {
    run("mount", &["-t", "tmpfs", "tmpfs", "/run"])?;
    run("ip", &["link", "set", "lo", "up"])
}

fn run(program: &str, arguments: &[&str]) -> Outcome {
    let output = Command::new(program).args(arguments).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{program} {}: {}", arguments.join(" "), said.trim())).into())
}
