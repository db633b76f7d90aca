//! The configuration file of a process of a sandbox.

use std::fs;
use std::path::Path;

use super::failure::SandboxFailure;
use super::layout::Layout;
use super::member::{Member, Role, local};
use crate::listeners::listeners_at;

/// Writes it anew, so that it says what this start was told.
///
/// `racks` is over how many the brokers are spread, by their numbers in turn.
pub(crate) fn write(dir: &Path, layout: &Layout, member: &Member, racks: Option<u32>) -> Result<(), SandboxFailure> {
    let path = member.config_file(dir);
    fs::create_dir_all(member.dir(dir)).map_err(SandboxFailure::file(&path))?;
    fs::write(&path, text(dir, layout, member, racks)).map_err(SandboxFailure::file(&path))
}

fn text(dir: &Path, layout: &Layout, member: &Member, racks: Option<u32>) -> String {
    let list = |items: Vec<String>| items.join(",");
    let mut options =
        vec![("http.listener", local(member.ports.http)), ("internal.listener", local(member.ports.internal))];
    let data = member.data_dir(dir).map(|data| data.display().to_string()).unwrap_or_default();
    let servers = || list(layout.controllers().map(|member| local(member.ports.internal)).collect());
    match member.role {
        Role::Controller => {
            let voter = |member: &Member| format!("{}@{}", member.id, local(member.ports.internal));
            options.push(("node.id", member.id.to_string()));
            options.push(("metadata.log.dir", data));
            options.push(("controller.quorum.voters", list(layout.controllers().map(voter).collect())));
        }
        Role::GroupCoordinator => {
            options.push(("coordinator.name", format!("{}-{}", member.role.command(), member.id)));
            options.push(("controller.quorum.bootstrap.servers", servers()));
        }
        Role::Broker => {
            options.push(("node.id", member.id.to_string()));
            options.push(("log.dirs", data));
            options.push(("controller.quorum.bootstrap.servers", servers()));
            // Numbers of brokers begin at 1.
            if let Some(rack) = racks.and_then(|racks| member.id.wrapping_sub(1).checked_rem(racks)) {
                options.push(("broker.rack", format!("rack-{}", rack + 1)));
            }
            if let (Some(kafka), Some(grpc)) = (member.ports.kafka, member.ports.grpc) {
                options.push(("listeners", listeners_at(&local(kafka), &local(grpc))));
            }
        }
    }
    let mut text = format!("# {member} of a sandbox; written anew at each start.\n");
    for (name, value) in options {
        text.push_str(&format!("{name} = {}\n", toml::Value::String(value)));
    }
    text
}
