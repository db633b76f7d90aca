//! `levada cluster decommission` and `levada cluster unregister`: a broker is emptied, then forgotten.

use std::time::Instant;

use clap::Args;
use indicatif::DecimalBytes;
use levada_client::{Admin, Decommission, StuckReplica};
use levada_types::BrokerId;
use serde::Serialize;

use crate::CliError;
use crate::connect::ConnectArgs;
use crate::output::{OutputArgs, counted, print_line, table};
use crate::waiting::{ASK_INTERVAL, Rate, Waiting};

/// Arguments of `cluster decommission`.
#[derive(Debug, Args)]
pub struct DecommissionArgs {
    /// The broker. Without one the brokers that are being emptied are shown.
    #[arg(value_name = "BROKER-ID")]
    id: Option<i32>,
    /// Only show how it stands.
    #[arg(long, conflicts_with_all = ["cancel", "wait"])]
    show: bool,
    /// Stop emptying it: it takes replicas again, and those on their way stay.
    #[arg(long, requires = "id", conflicts_with = "wait")]
    cancel: bool,
    /// Wait until it is empty.
    #[arg(long, requires = "id")]
    wait: bool,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Arguments of `cluster unregister`.
#[derive(Debug, Args)]
pub struct UnregisterArgs {
    /// The broker; it must have stopped.
    #[arg(value_name = "BROKER-ID")]
    id: i32,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// How emptying a broker stands.
#[derive(Debug, Serialize)]
struct DecommissionView {
    broker: i32,
    draining: bool,
    /// Replicas that it still holds.
    replicas: u32,
    leaderships: u32,
    /// Partitions on their way to others.
    moving: u32,
    /// Absent if the broker did not tell.
    remaining_bytes: Option<u64>,
    /// What keeps it from becoming empty, at most 100.
    stuck: Vec<StuckView>,
    stuck_count: u32,
}

/// A replica that does not get away.
#[derive(Debug, Serialize)]
struct StuckView {
    topic: String,
    partition: i32,
    reason: String,
}

pub(super) async fn run(args: DecommissionArgs) -> Result<(), CliError> {
    let admin = args.connect.client()?.admin();
    let Some(id) = args.id.map(BrokerId) else { return show(&admin, &[], args.output).await };
    if args.show {
        return show(&admin, &[id], args.output).await;
    }
    if args.cancel {
        admin.cancel_decommission(id).await?;
        return print_line(&format!("broker {id} is not being emptied any more"));
    }
    admin.start_decommission(id).await?;
    if !args.wait {
        return show(&admin, &[id], args.output).await;
    }
    wait(&admin, id).await?;
    print_line(&format!("broker {id} is empty: stop it, then `levada cluster unregister {id}`"))
}

pub(super) async fn unregister(args: UnregisterArgs) -> Result<(), CliError> {
    let (admin, id) = (args.connect.client()?.admin(), BrokerId(args.id));
    let holds = admin.describe_decommissions(&[id]).await?.first().map_or(0, |stands| stands.replicas);
    admin.unregister_broker(id).await?;
    print_line(&match holds {
        0 => format!("broker {id} is forgotten"),
        holds => format!(
            "broker {id} is forgotten; {} still assigned to it, which `levada cluster reassign` can give to others",
            counted(holds as usize, "replica is", "replicas are")
        ),
    })
}

async fn show(admin: &Admin, ids: &[BrokerId], output: OutputArgs) -> Result<(), CliError> {
    let stands = admin.describe_decommissions(ids).await?;
    let views: Vec<DecommissionView> = stands.into_iter().map(DecommissionView::new).collect();
    output.print(&views, |views| text(views))
}

/// Waits until the broker holds nothing any more, and says what keeps it, if anything does.
async fn wait(admin: &Admin, id: BrokerId) -> Result<(), CliError> {
    let mut waiting = Waiting::new();
    let mut rate = Rate::default();
    let (mut most_replicas, mut most_bytes) = (0, 0);
    loop {
        let stands = admin.describe_decommissions(&[id]).await?.into_iter().next();
        let stands = stands.ok_or_else(|| CliError::Failed(format!("nobody tells how broker {id} stands")))?;
        if stands.replicas == 0 {
            waiting.finish();
            return Ok(());
        }
        if !stands.draining {
            waiting.finish();
            let left = counted(stands.replicas as usize, "replica", "replicas");
            return Err(CliError::Failed(format!("it was cancelled while broker {id} held {left}")));
        }
        most_replicas = most_replicas.max(stands.replicas);
        let done = most_replicas - stands.replicas;
        let mut text = format!("{done} of {} moved", counted(most_replicas as usize, "replica", "replicas"));
        if let Some(left) = stands.remaining_bytes {
            most_bytes = most_bytes.max(left);
            rate.read(Instant::now(), most_bytes - left);
            text = format!("{text}, {}", rate.text(most_bytes - left, most_bytes));
        }
        waiting.show(done.into(), most_replicas.into(), text);
        waiting.note(&kept(&stands));
        tokio::time::sleep(ASK_INTERVAL).await;
    }
}

/// What keeps the broker, in a line; empty if nothing does.
fn kept(stands: &Decommission) -> String {
    match stands.stuck.first() {
        None => String::new(),
        Some(first) => {
            let others = match stands.stuck_count {
                0 | 1 => String::new(),
                count => format!(" (and {} more)", count - 1),
            };
            format!("{} stays{others}: {}", first.partition, first.reason)
        }
    }
}

impl DecommissionView {
    fn new(stands: Decommission) -> Self {
        let stuck = |stuck: StuckReplica| StuckView {
            topic: stuck.partition.topic.to_string(),
            partition: stuck.partition.partition,
            reason: stuck.reason,
        };
        Self {
            broker: stands.broker.0,
            draining: stands.draining,
            replicas: stands.replicas,
            leaderships: stands.leaderships,
            moving: stands.moving,
            remaining_bytes: stands.remaining_bytes,
            stuck: stands.stuck.into_iter().map(stuck).collect(),
            stuck_count: stands.stuck_count,
        }
    }

    fn state(&self) -> &'static str {
        match (self.draining, self.replicas, self.stuck_count) {
            (false, ..) => "in use",
            (true, 0, _) => "empty",
            (true, _, 0) => "being emptied",
            (true, ..) => "stuck",
        }
    }
}

fn text(views: &[DecommissionView]) -> String {
    if views.is_empty() {
        return "no broker is being emptied".to_owned();
    }
    let rows = views.iter().map(|view| {
        [
            view.broker.to_string(),
            view.state().to_owned(),
            view.replicas.to_string(),
            view.leaderships.to_string(),
            view.moving.to_string(),
            view.remaining_bytes.map_or_else(|| "unknown".to_owned(), |bytes| DecimalBytes(bytes).to_string()),
        ]
    });
    let mut parts = vec![table(&["BROKER", "STATE", "REPLICAS", "LEADS", "MOVING", "BYTES"], rows)];
    let stuck: Vec<&StuckView> = views.iter().flat_map(|view| &view.stuck).collect();
    if !stuck.is_empty() {
        let rows = stuck.iter().map(|at| [at.topic.clone(), at.partition.to_string(), at.reason.clone()]);
        parts.push(table(&["TOPIC", "PARTITION", "WHY IT STAYS"], rows));
    }
    parts.join("\n\n")
}
