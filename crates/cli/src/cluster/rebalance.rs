//! `levada cluster rebalance`: brokers hold equally many replicas and leaderships.

use clap::Args;
use indicatif::DecimalBytes;
use levada_client::{Admin, BrokerLoad, Rebalance};
use serde::Serialize;

use crate::CliError;
use crate::byte_size::ByteSize;
use crate::connect::ConnectArgs;
use crate::output::{OutputArgs, counted, print_line, table};
use crate::waiting::{ASK_INTERVAL, Waiting};

/// Arguments of `cluster rebalance`.
#[derive(Debug, Args)]
pub struct RebalanceArgs {
    /// Only show how it stands and what would be moved.
    #[arg(long, conflicts_with_all = ["cancel", "throttle", "wait"])]
    show: bool,
    /// Move nothing further. What is on its way goes on; `levada cluster reassign --cancel` stops that.
    #[arg(long, conflicts_with_all = ["throttle", "wait"])]
    cancel: bool,
    /// Bytes per second that each broker may send, and may receive, of the replicas that move, such as 50MB.
    #[arg(long, value_name = "BYTES", value_parser = ByteSize::rate)]
    throttle: Option<ByteSize>,
    /// Wait until it is done.
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// How it stands.
#[derive(Debug, Serialize)]
struct RebalanceView {
    active: bool,
    throttle_bytes_per_second: Option<u64>,
    /// Partitions that move at the moment.
    moving: u32,
    /// Partitions that would be moved after those.
    planned_moves: u32,
    brokers: Vec<LoadView>,
}

/// What a broker holds.
#[derive(Debug, Serialize)]
struct LoadView {
    broker: i32,
    replicas: u32,
    preferred_leaderships: u32,
}

pub(super) async fn run(args: RebalanceArgs) -> Result<(), CliError> {
    let admin = args.connect.client()?.admin();
    if args.show {
        return args.output.print(&RebalanceView::new(admin.describe_rebalance().await?), RebalanceView::text);
    }
    if args.cancel {
        admin.cancel_rebalance().await?;
        return print_line("nothing further will be moved");
    }
    let planned = admin.start_rebalance(args.throttle.map(|rate| rate.0), false).await?;
    if !args.wait {
        return print_line(&match planned {
            0 => "the brokers are even; nothing to move".to_owned(),
            planned => format!(
                "{} will be moved; `levada cluster rebalance --show` tells how it stands",
                counted(planned as usize, "partition", "partitions")
            ),
        });
    }
    wait(&admin).await?;
    args.output.print(&RebalanceView::new(admin.describe_rebalance().await?), RebalanceView::text)
}

async fn wait(admin: &Admin) -> Result<(), CliError> {
    let mut waiting = Waiting::new();
    let mut most = 0;
    loop {
        let stands = admin.describe_rebalance().await?;
        let left = u64::from(stands.moving) + u64::from(stands.planned_moves);
        // The controller ends it when nothing is left; whoever cancels it, before.
        if !stands.active && stands.moving == 0 {
            waiting.finish();
            return match left {
                0 => Ok(()),
                left => Err(CliError::Failed(format!("it was cancelled with {left} partitions left to move"))),
            };
        }
        most = most.max(left);
        let text = format!("{} on their way, {} to follow", stands.moving, stands.planned_moves);
        waiting.show(most - left, most, text);
        tokio::time::sleep(ASK_INTERVAL).await;
    }
}

impl RebalanceView {
    fn new(stands: Rebalance) -> Self {
        let load = |load: BrokerLoad| LoadView {
            broker: load.broker.0,
            replicas: load.replicas,
            preferred_leaderships: load.preferred_leaderships,
        };
        Self {
            active: stands.active,
            throttle_bytes_per_second: stands.throttle,
            moving: stands.moving,
            planned_moves: stands.planned_moves,
            brokers: stands.brokers.into_iter().map(load).collect(),
        }
    }

    fn text(&self) -> String {
        let state = match (self.active, self.throttle_bytes_per_second) {
            (true, Some(rate)) => format!("under way, at most {}/s at each broker", DecimalBytes(rate)),
            (true, None) => "under way".to_owned(),
            (false, _) => "not under way".to_owned(),
        };
        let rows = self
            .brokers
            .iter()
            .map(|load| [load.broker.to_string(), load.replicas.to_string(), load.preferred_leaderships.to_string()]);
        format!(
            "{state}; {} moving, {} to move for even brokers\n\n{}",
            self.moving,
            self.planned_moves,
            table(&["BROKER", "REPLICAS", "PREFERRED LEADER OF"], rows)
        )
    }
}
