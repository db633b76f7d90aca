//! `levada config`: settings of topics and brokers, with their defaults and sources.

use clap::{ArgGroup, Args, Subcommand};
use levada_client::{ConfigChange, ConfigResource};
use levada_types::BrokerId;

use crate::CliError;
use crate::connect::{ConnectArgs, runtime};
use crate::output::{OutputArgs, print_line};
use crate::settings::{Assignment, SettingView, settings_table};

/// How alike (0 to 1, Jaro-Winkler) an unknown name must be to a known one for that one to be suggested; as brokers do it.
const NEAR: f64 = 0.8;

/// What to do with settings.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Shows settings with their values and where each comes from.
    Get(GetArgs),
    /// Changes settings, all or none; those that are not named keep their values.
    Set(SetArgs),
}

/// Whose settings.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("resource").required(true))]
pub(crate) struct ResourceArgs {
    /// Of this topic.
    #[arg(long, value_name = "NAME", group = "resource")]
    topic: Option<String>,
    /// Of the broker with this id.
    #[arg(long, value_name = "ID", group = "resource")]
    broker: Option<i32>,
    /// The cluster-wide defaults of all brokers.
    #[arg(long, group = "resource")]
    all_brokers: bool,
}

/// Arguments of `config get`.
#[derive(Debug, Args)]
pub struct GetArgs {
    /// Which settings [default: all].
    names: Vec<String>,
    #[command(flatten)]
    resource: ResourceArgs,
    /// Only those that somebody set.
    #[arg(long)]
    set_only: bool,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Arguments of `config set`.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// The new values.
    #[arg(value_name = "NAME=VALUE", required_unless_present_any = ["delete", "append", "subtract"])]
    assignments: Vec<Assignment>,
    #[command(flatten)]
    resource: ResourceArgs,
    /// Take a setting's value away, so that the next weaker one applies; may be repeated.
    #[arg(long, value_name = "NAME")]
    delete: Vec<String>,
    /// Add items to a list; may be repeated.
    #[arg(long, value_name = "NAME=ITEMS")]
    append: Vec<Assignment>,
    /// Remove items from a list; may be repeated.
    #[arg(long, value_name = "NAME=ITEMS")]
    subtract: Vec<Assignment>,
    /// Check everything and change nothing.
    #[arg(long)]
    validate_only: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

impl ResourceArgs {
    fn resource(&self) -> ConfigResource {
        match (&self.topic, self.broker) {
            (Some(topic), _) => ConfigResource::Topic(topic.clone()),
            (None, Some(id)) => ConfigResource::Broker(BrokerId(id)),
            (None, None) => ConfigResource::AllBrokers,
        }
    }
}

/// Runs one of the commands.
pub(crate) fn run(command: ConfigCommand) -> Result<(), CliError> {
    let runtime = runtime(1)?;
    match command {
        ConfigCommand::Get(args) => runtime.block_on(get(args)),
        ConfigCommand::Set(args) => runtime.block_on(set(args)),
    }
}

async fn get(args: GetArgs) -> Result<(), CliError> {
    let names: Vec<&str> = args.names.iter().map(String::as_str).collect();
    let (admin, resource) = (args.connect.client()?.admin(), args.resource.resource());
    let entries = admin.describe_configs(&resource, &names).await?;
    if let Some(unknown) = names.iter().find(|name| !entries.iter().any(|entry| entry.name == **name)) {
        let all = admin.describe_configs(&resource, &[]).await?;
        return Err(CliError::Failed(no_setting(unknown, all.iter().map(|entry| entry.name.as_str()))));
    }
    let mut settings: Vec<SettingView> = entries.into_iter().map(SettingView::new).collect();
    settings.retain(|setting| !args.set_only || setting.is_set());
    args.output.print(&settings, |settings| settings_table(settings))
}

/// Says that there is no such setting, and which of those that there are is nearest.
fn no_setting<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> String {
    let nearest = known
        .map(|name| (strsim::jaro_winkler(unknown, name), name))
        .filter(|(likeness, _)| *likeness >= NEAR)
        .reduce(|best, next| if next.0 > best.0 { next } else { best });
    let hint = nearest.map(|(_, name)| format!("; did you mean {name}?")).unwrap_or_default();
    format!("there is no setting {unknown}{hint}")
}

async fn set(args: SetArgs) -> Result<(), CliError> {
    let each = |assignments: Vec<Assignment>, change: fn(String, String) -> ConfigChange| {
        assignments.into_iter().map(move |assignment| change(assignment.name, assignment.value))
    };
    let changes: Vec<ConfigChange> = each(args.assignments, ConfigChange::set)
        .chain(each(args.append, ConfigChange::append))
        .chain(each(args.subtract, ConfigChange::subtract))
        .chain(args.delete.into_iter().map(ConfigChange::delete))
        .collect();
    let resource = args.resource.resource();
    args.connect.client()?.admin().alter_configs(&resource, &changes, args.validate_only).await?;
    print_line(if args.validate_only { "the changes are valid" } else { "changed" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_setting_is_named_if_one_is_near() {
        let known = ["retention.bytes", "retention.ms", "segment.ms"];
        let told = no_setting("retention.m", known.into_iter());
        assert_eq!(told, "there is no setting retention.m; did you mean retention.ms?");
        assert_eq!(no_setting("zzz", known.into_iter()), "there is no setting zzz");
    }
}
