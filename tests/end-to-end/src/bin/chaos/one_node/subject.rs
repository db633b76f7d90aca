//! What a chaos run strikes at: a node, and the disk that it writes to.

use std::{net::SocketAddr, time::Duration};

use levada_end_to_end::{Outcome, Seeded};
use levada_harness::{LossyVolume, Node, NodeOptions};

/// What is struck at.
pub(super) struct Subject {
    // Gone before its disk is unmounted.
    /// The node.
    node: Node,
    /// The disk that it writes to, if that can lose power.
    volume: Option<LossyVolume>,
}

impl Subject {
    /// One node, on a disk that can lose power if `loss` says so.
    pub(super) fn start(loss: bool) -> Outcome<Self> {
        let volume = loss.then(LossyVolume::mount).transpose();
        let volume = volume.map_err(|error| format!("no volume that loses what is not synced: {error}"))?;
        let data_dir = volume.as_ref().map(|volume| volume.path().join("data"));
        let node = Node::start_with(NodeOptions { data_dir, ..NodeOptions::default() })?;
        Ok(Self { node, volume })
    }

    /// Where clients connect.
    pub(super) fn kafka(&self) -> Outcome<SocketAddr> {
        Ok(self.node.kafka()?)
    }

    /// SIGKILL, and the loss of power that it stands for.
    pub(super) fn kill(&mut self, survival: u64) -> Outcome {
        self.node.kill()?;
        if let Some(volume) = &self.volume {
            let mut random = Seeded::new(survival);
            let lost = volume.lose_unsynced(|appended| random.below(appended + 1))?;
            println!("chaos: {} bytes in {} files were not synced and are gone", lost.bytes, lost.files);
        }
        Ok(())
    }

    /// A second SIGKILL, while `meanwhile` has gone on for a part of the start; then it is started again.
    pub(super) fn kill_again(
        &mut self,
        survival: u64,
        starting: Duration,
        mut meanwhile: impl FnMut(Duration) -> Outcome,
    ) -> Outcome {
        self.node.launch()?;
        meanwhile(starting)?;
        self.kill(survival)?;
        self.start_again()
    }

    /// SIGTERM, and waits for the end.
    pub(super) fn terminate(&mut self) -> Outcome {
        let status = self.node.terminate()?;
        if status.success() { Ok(()) } else { Err(format!("SIGTERM ended the node with {status}").into()) }
    }

    /// Starts it again and waits until it serves.
    pub(super) fn start_again(&mut self) -> Outcome {
        Ok(self.node.start_again()?)
    }

    /// SIGSTOP.
    pub(super) fn freeze(&mut self) -> Outcome {
        Ok(self.node.freeze()?)
    }

    /// SIGCONT.
    pub(super) fn thaw(&mut self) -> Outcome {
        Ok(self.node.thaw()?)
    }

    /// The end of the log.
    pub(super) fn log(&self) -> String {
        self.node.log()
    }
}
