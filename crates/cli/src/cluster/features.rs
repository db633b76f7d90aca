//! `levada cluster features`: what all nodes can do, and what the cluster does.

use std::str::FromStr;

use clap::Args;
use levada_client::{Feature, FeatureUpdate};
use serde::Serialize;

use crate::CliError;
use crate::connect::ConnectArgs;
use crate::output::{OutputArgs, print_line, table};

/// Arguments of `cluster features`.
#[derive(Debug, Args)]
pub struct FeaturesArgs {
    /// Bring a feature to this level, all that are named or none; may be repeated. Shows the features if there is none.
    #[arg(long, value_name = "NAME=LEVEL")]
    set: Vec<LevelArg>,
    /// Let a level become lower, too, where the feature can.
    #[arg(long, requires = "set")]
    allow_downgrade: bool,
    /// Check everything and change nothing.
    #[arg(long, requires = "set")]
    validate_only: bool,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// `NAME=LEVEL`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LevelArg {
    name: String,
    level: u32,
}

impl FromStr for LevelArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let (name, level) = text.split_once('=')?;
            Some(Self { name: (!name.is_empty()).then(|| name.to_owned())?, level: level.parse().ok()? })
        };
        read().ok_or_else(|| format!("{text:?} is not NAME=LEVEL, such as metadata.level=2"))
    }
}

/// A feature as it is shown.
#[derive(Debug, Serialize)]
struct FeatureView {
    name: String,
    finalized_level: Option<u32>,
    min_supported_level: u32,
    max_supported_level: u32,
    /// Nodes that support fewer levels.
    limited_by: Vec<String>,
}

pub(super) async fn run(args: FeaturesArgs) -> Result<(), CliError> {
    let admin = args.connect.client()?.admin();
    if args.set.is_empty() {
        let features: Vec<FeatureView> = admin.describe_features().await?.into_iter().map(FeatureView::new).collect();
        return args.output.print(&features, |features| features_table(features));
    }
    let allow_downgrade = args.allow_downgrade;
    let update = |arg: LevelArg| FeatureUpdate { name: arg.name, level: arg.level, allow_downgrade };
    let updates: Vec<FeatureUpdate> = args.set.into_iter().map(update).collect();
    admin.update_features(&updates, args.validate_only).await?;
    let verb = if args.validate_only { "could be brought" } else { "brought" };
    for update in updates {
        print_line(&format!("{} {verb} to level {}", update.name, update.level))?;
    }
    Ok(())
}

impl FeatureView {
    fn new(feature: Feature) -> Self {
        let node = |node: levada_client::NodeLevels| format!("{} ({} to {})", node.node, node.min, node.max);
        Self {
            name: feature.name,
            finalized_level: feature.finalized_level,
            min_supported_level: feature.min_supported_level,
            max_supported_level: feature.max_supported_level,
            limited_by: feature.limited_by.into_iter().map(node).collect(),
        }
    }
}

fn features_table(features: &[FeatureView]) -> String {
    let rows = features.iter().map(|feature| {
        [
            feature.name.clone(),
            feature.finalized_level.map_or_else(|| "none".to_owned(), |level| level.to_string()),
            format!("{} to {}", feature.min_supported_level, feature.max_supported_level),
            if feature.limited_by.is_empty() { "-".to_owned() } else { feature.limited_by.join(", ") },
        ]
    });
    table(&["FEATURE", "LEVEL", "SUPPORTED BY ALL", "LIMITED BY"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_a_number_behind_a_name() {
        let read = |text: &str| text.parse::<LevelArg>().ok().map(|arg| (arg.name, arg.level));
        assert_eq!(read("metadata.level=2"), Some(("metadata.level".to_owned(), 2)));
        for text in ["metadata.level", "=2", "metadata.level=", "metadata.level=-1"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
