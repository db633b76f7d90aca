//! `levada sandbox`: a whole cluster on this machine, every role in a process of its own.
//!
//! Everything is kept below one directory: for each process a configuration file, its data and its log file. Once all of
//! them serve, `sandbox.json` tells what runs and where. The sandbox restarts nothing: whoever kills a process sees what
//! the others make of it, and starts it again with the `argv` of that file. When the sandbox is stopped, it stops what it
//! started, the brokers first.

mod arguments;
mod config_file;
mod description;
mod failure;
mod layout;
mod member;
mod ports;
mod running;
mod tied;

use std::fs::{self, File, TryLockError};
use std::future::pending;
use std::path::Path;

use levada_service::shutdown::asked_to_stop;

pub(crate) use arguments::SandboxArguments;
pub(crate) use failure::SandboxFailure;

use description::Description;
use layout::Layout;
use member::Role;
use running::Running;

use crate::console::announce;

/// The file that tells what runs.
const DESCRIPTION: &str = "sandbox.json";

/// The file that a sandbox locks to have its directory for itself.
const LOCK: &str = "sandbox.lock";

/// Runs until the process is asked to stop.
pub(crate) fn run(arguments: &SandboxArguments) -> Result<(), SandboxFailure> {
    // One thread, which lives as long as the process: what it starts is tied to it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(SandboxFailure::system("cannot start the runtime"))?.block_on(serve(arguments))
}

async fn serve(arguments: &SandboxArguments) -> Result<(), SandboxFailure> {
    // First of all, so that a signal during the start is not lost.
    let asked = asked_to_stop().map_err(SandboxFailure::system("cannot listen for signals"))?;
    fs::create_dir_all(&arguments.dir).map_err(SandboxFailure::file(&arguments.dir))?;
    let dir = arguments.dir.canonicalize().map_err(SandboxFailure::file(&arguments.dir))?;
    // Before anything is changed that another one lives by.
    let _lock = lock(&dir)?;
    let description = dir.join(DESCRIPTION);
    forget(&description)?;
    let layout = Layout::open(&dir, arguments)?;

    let mut processes = Vec::new();
    let serving = async {
        bring_up(&dir, &layout, arguments, &mut processes).await?;
        tell(&description, &dir, &layout, &processes)?;
        announce(format_args!("ready sandbox={}", description.display()));
        pending().await
    };
    let outcome = tokio::select! {
        failed = serving => failed,
        _ = asked => Ok(()),
    };
    stop(processes).await;
    forget(&description)?;
    outcome
}

/// Takes the directory, for as long as the file is held.
fn lock(dir: &Path) -> Result<File, SandboxFailure> {
    let path = dir.join(LOCK);
    let opened = File::options().create(true).truncate(false).write(true).open(&path);
    let file = opened.map_err(SandboxFailure::file(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(SandboxFailure::InUse { dir: dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(SandboxFailure::file(&path)(source)),
    }
}

/// Starts every process and waits until all of them serve. Brokers and coordinators wait for the controllers by themselves, and
/// these for each other.
async fn bring_up(
    dir: &Path,
    layout: &Layout,
    arguments: &SandboxArguments,
    processes: &mut Vec<Running>,
) -> Result<(), SandboxFailure> {
    for member in layout.members() {
        let settings = match member.role {
            Role::Controller => &arguments.controller_set,
            Role::GroupCoordinator => &arguments.group_coordinator_set,
            Role::Broker => &arguments.broker_set,
        };
        config_file::write(dir, layout, member, arguments.racks)?;
        processes.push(Running::start(dir, member, settings)?);
    }
    for process in processes {
        process.ready().await?;
    }
    Ok(())
}

/// Writes the description as a whole or not at all.
fn tell(path: &Path, dir: &Path, layout: &Layout, processes: &[Running]) -> Result<(), SandboxFailure> {
    let text = Description::new(dir, layout, processes)?.to_json()?;
    let unfinished = path.with_extension("json.new");
    fs::write(&unfinished, text).map_err(SandboxFailure::file(&unfinished))?;
    fs::rename(&unfinished, path).map_err(SandboxFailure::file(path))
}

/// Removes a description that is not true, or not any more.
fn forget(path: &Path) -> Result<(), SandboxFailure> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(SandboxFailure::file(path)(error)),
        _ => Ok(()),
    }
}

/// Stops the brokers, whose clients are answered to the end, then the coordinators, and the controllers last, since the others
/// take leave of them.
async fn stop(mut processes: Vec<Running>) {
    for role in [Role::Broker, Role::GroupCoordinator, Role::Controller] {
        let of_role: Vec<_> = processes.extract_if(.., |process| process.role() == role).collect();
        of_role.iter().for_each(Running::ask_to_stop);
        for process in of_role {
            process.stopped().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_sandbox_at_a_time() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = lock(dir.path()).expect("nobody has it");
        let refused = lock(dir.path()).expect_err("it is taken");
        assert!(refused.to_string().contains("a sandbox runs in"), "{refused}");
        drop(first);
        lock(dir.path()).expect("it is free again");
    }
}
