//! `levada topic describe`.

use levada_client::{Admin, ConfigResource, OffsetTarget};
use serde::Serialize;

use super::DescribeArgs;
use super::acknowledgement::{Acknowledgement, Durability};
use super::view::{PARTITION_COLUMNS, PartitionView};
use crate::CliError;
use crate::output::table;
use crate::settings::{SettingView, settings_table};

/// A topic with everything that an operator asks first.
#[derive(Debug, Serialize)]
struct TopicView {
    name: String,
    id: String,
    internal: bool,
    acknowledgement: Acknowledgement,
    partitions: Vec<PartitionView>,
    settings: Vec<SettingView>,
    #[serde(skip)]
    with_offsets: bool,
}

pub(super) async fn describe(args: DescribeArgs) -> Result<(), CliError> {
    let admin = args.connect.client()?.admin();
    let mut views = Vec::new();
    let names = match args.names.as_slice() {
        [] => admin.list_topics(true).await?.into_iter().map(|topic| topic.name).collect(),
        names => names.to_vec(),
    };
    for name in &names {
        let view = view(&admin, name, &args).await?;
        if !args.unhealthy || !view.partitions.is_empty() {
            views.push(view);
        }
    }
    args.output.print(&views, |views| match views.as_slice() {
        [] => "every partition has its leader and all its replicas in sync".to_owned(),
        views => views.iter().map(TopicView::text).collect::<Vec<_>>().join("\n\n"),
    })
}

async fn view(admin: &Admin, name: &str, args: &DescribeArgs) -> Result<TopicView, CliError> {
    let topic = admin.describe_topic(name).await?;
    let entries = admin.describe_configs(&ConfigResource::Topic(name.to_owned()), &[]).await?;
    let mut settings: Vec<SettingView> = entries.into_iter().map(SettingView::new).collect();
    let mut partitions: Vec<PartitionView> = topic.partitions.into_iter().map(PartitionView::new).collect();
    if args.offsets {
        let starts = admin.list_offsets(name, &[], OffsetTarget::Earliest).await?;
        let ends = admin.list_offsets(name, &[], OffsetTarget::Latest).await?;
        partitions.iter_mut().for_each(|partition| partition.add_offsets(&starts, &ends));
    }
    let value = |name: &str| settings.iter().find(|setting| setting.name == name).and_then(|s| s.value.as_deref());
    let durability = Durability {
        replicas: partitions.iter().map(|partition| partition.replicas.len()).min().unwrap_or(0),
        min_insync_replicas: value("min.insync.replicas").and_then(|value| value.parse().ok()).unwrap_or(1),
        acks_fsync: value("acks.fsync") == Some("true"),
        flush_messages: value("flush.messages").and_then(|value| value.parse().ok()),
        flush_ms: value("flush.ms").and_then(|value| value.parse().ok()),
    };
    let acknowledgement = durability.acknowledgement();
    partitions.retain(|partition| !args.unhealthy || !partition.is_healthy());
    settings.retain(|setting| args.all_settings || setting.is_set());
    Ok(TopicView {
        name: topic.name,
        id: topic.id.to_string(),
        internal: topic.internal,
        acknowledgement,
        partitions,
        settings,
        with_offsets: args.offsets,
    })
}

impl TopicView {
    fn text(&self) -> String {
        let internal = if self.internal { ", internal" } else { "" };
        let mut header = PARTITION_COLUMNS.to_vec();
        if self.with_offsets {
            header.extend(["START", "END"]);
        }
        let mut parts = vec![
            format!("topic {} ({}{internal})", self.name, self.id),
            self.acknowledgement.text(),
            table(&header, self.partitions.iter().map(PartitionView::row)),
        ];
        if !self.settings.is_empty() {
            parts.push(settings_table(&self.settings));
        }
        parts.join("\n\n")
    }
}
