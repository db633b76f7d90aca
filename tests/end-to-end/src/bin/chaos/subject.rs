//! What a chaos run strikes at: one node, or a cluster of processes.

use std::{net::SocketAddr, time::Duration};

use levada_end_to_end::{Outcome, Seeded};
use levada_harness::{LossyVolume, Node, NodeOptions, Sandbox, SandboxOptions};

/// Brokers show that they live so often, and are fenced after such a silence: shorter than the longest freeze, so that
/// frozen brokers are fenced in some steps and not in others.
const SESSION: [(&str, &str); 2] = [("broker.heartbeat.interval.ms", "200"), ("broker.session.timeout.ms", "1000")];

/// What is struck at.
pub(crate) enum Subject {
    /// One node in one process.
    Node {
        // Gone before its disk is unmounted.
        /// The node.
        node: Box<Node>,
        /// The disk that it writes to, if that can lose power.
        volume: Option<LossyVolume>,
    },
    /// Three controllers and three brokers.
    Cluster(Box<Sandbox>),
}

impl Subject {
    /// One node, on a disk that can lose power if `loss` says so.
    pub(crate) fn node(loss: bool) -> Outcome<Self> {
        let volume = loss.then(LossyVolume::mount).transpose();
        let volume = volume.map_err(|error| format!("no volume that loses what is not synced: {error}"))?;
        let data_dir = volume.as_ref().map(|volume| volume.path().join("data"));
        let node = Node::start_with(NodeOptions { data_dir, ..NodeOptions::default() })?;
        Ok(Self::Node { node: Box::new(node), volume })
    }

    /// A cluster.
    pub(crate) fn cluster() -> Outcome<Self> {
        let options = SESSION
            .into_iter()
            .fold(SandboxOptions::new(3, 3), |options, (name, value)| options.set_controllers(name, value));
        Ok(Self::Cluster(Box::new(Sandbox::start(&options)?)))
    }

    /// Where clients connect first.
    pub(crate) fn kafka(&mut self) -> Outcome<SocketAddr> {
        Ok(match self {
            Self::Node { node, .. } => node.kafka()?,
            Self::Cluster(sandbox) => sandbox.broker(1)?.kafka()?,
        })
    }

    /// What a fault strikes, by the number that the schedule has drawn.
    pub(crate) fn name(&self, victim: u64) -> String {
        match self {
            Self::Node { .. } => "the node".to_owned(),
            Self::Cluster(sandbox) => {
                let processes = sandbox.processes();
                let found = index(victim, processes.len()).and_then(|index| processes.get(index));
                found.map_or_else(|| "nothing".to_owned(), ToString::to_string)
            }
        }
    }

    /// SIGKILL, and the loss of power that it stands for.
    pub(crate) fn kill(&mut self, victim: u64, survival: u64) -> Outcome {
        match self {
            Self::Cluster(sandbox) => Ok(process(sandbox, victim)?.kill()?),
            Self::Node { node, volume } => {
                node.kill()?;
                if let Some(volume) = volume {
                    let mut random = Seeded::new(survival);
                    let lost = volume.lose_unsynced(|appended| random.below(appended + 1))?;
                    println!("chaos: {} bytes in {} files were not synced and are gone", lost.bytes, lost.files);
                }
                Ok(())
            }
        }
    }

    /// A second SIGKILL, while `meanwhile` has gone on for a part of the start: of the node itself, or of the neighbour of
    /// the first victim, which is down too. Starts again whatever is down.
    pub(crate) fn kill_again(
        &mut self,
        victim: u64,
        survival: u64,
        starting: Duration,
        mut meanwhile: impl FnMut(Duration) -> Outcome,
    ) -> Outcome {
        match self {
            Self::Node { node, .. } => {
                node.launch()?;
                meanwhile(starting)?;
                self.kill(victim, survival)?;
                self.start_again(victim)
            }
            Self::Cluster(sandbox) => {
                process(sandbox, victim.wrapping_add(1))?.kill()?;
                meanwhile(starting)?;
                self.start_again(victim)?;
                self.start_again(victim.wrapping_add(1))
            }
        }
    }

    /// SIGTERM, and waits for the end.
    pub(crate) fn terminate(&mut self, victim: u64) -> Outcome {
        match self {
            Self::Cluster(sandbox) => Ok(process(sandbox, victim)?.terminate()?),
            Self::Node { node, .. } => {
                let status = node.terminate()?;
                if status.success() { Ok(()) } else { Err(format!("SIGTERM ended the node with {status}").into()) }
            }
        }
    }

    /// Starts it again and waits until it serves.
    pub(crate) fn start_again(&mut self, victim: u64) -> Outcome {
        match self {
            Self::Node { node, .. } => Ok(node.start_again()?),
            Self::Cluster(sandbox) => Ok(process(sandbox, victim)?.start_again()?),
        }
    }

    /// SIGSTOP.
    pub(crate) fn freeze(&mut self, victim: u64) -> Outcome {
        match self {
            Self::Node { node, .. } => Ok(node.freeze()?),
            Self::Cluster(sandbox) => Ok(process(sandbox, victim)?.freeze()?),
        }
    }

    /// SIGCONT.
    pub(crate) fn thaw(&mut self, victim: u64) -> Outcome {
        match self {
            Self::Node { node, .. } => Ok(node.thaw()?),
            Self::Cluster(sandbox) => Ok(process(sandbox, victim)?.thaw()?),
        }
    }

    /// The ends of the logs.
    pub(crate) fn log(&self) -> String {
        match self {
            Self::Node { node, .. } => node.log(),
            Self::Cluster(sandbox) => sandbox.log(),
        }
    }
}

fn index(victim: u64, processes: usize) -> Option<usize> {
    usize::try_from(victim % u64::try_from(processes).ok()?.max(1)).ok()
}

fn process(sandbox: &mut Sandbox, victim: u64) -> Outcome<&mut levada_harness::SandboxProcess> {
    let processes = sandbox.processes_mut();
    let index = index(victim, processes.len()).unwrap_or(0);
    Ok(processes.get_mut(index).ok_or("a sandbox without processes")?)
}
