//! Every controller makes itself known in the metadata, and the active one shows there who votes, and tells the quorum where
//! its members are reached.
//!
//! Both are states to be reached, not messages to be sent: what the metadata say is compared with what is so, and put
//! right until the two agree.

use std::time::Duration;

use levada_metadata::{Command, ControllerId, ControllerRegistration, Image, Response, Voter};
use levada_peers::ControllerClient;
use levada_types::MetadataOffset;
use tokio_util::sync::CancellationToken;

use crate::active::Active;
use crate::feed::Feed;
use crate::raft::RaftNode;

/// How long one attempt may look for the active controller.
const ATTEMPT: Duration = Duration::from_secs(5);

/// The pause after an attempt that came to nothing, and between looks at who votes.
const PAUSE: Duration = Duration::from_millis(500);

/// Keeps this controller's registration in the metadata what it is.
pub(crate) struct Announcer {
    registration: ControllerRegistration,
    active: Active,
    controllers: ControllerClient,
    feed: Feed,
}

impl Announcer {
    /// Announces `registration`: to `active` while that is this node, and to one of `controllers` otherwise.
    pub(crate) fn new(
        registration: ControllerRegistration,
        active: Active,
        controllers: ControllerClient,
        feed: Feed,
    ) -> Self {
        Self { registration, active, controllers, feed }
    }

    /// Goes on until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.announce() => {}
        }
    }

    async fn announce(&self) {
        let (mut offset, mut active) = (self.feed.offset(), self.active.state());
        // Whoever leads is known in a moment, unless this node has yet to be let in.
        let settled = active.wait_for(|state| state.own_term.is_some() || state.other_leads());
        drop(tokio::time::timeout(ATTEMPT, settled).await);
        loop {
            offset.borrow_and_update();
            if is_known(&self.feed.image(), &self.registration) {
                if offset.changed().await.is_err() {
                    return;
                }
                continue;
            }
            match self.attempt().await {
                Ok((Response::RegisterController(Ok(())), at)) => {
                    // What is committed arrives here sooner or later; until then there is nothing to repeat.
                    let arrived = tokio::time::timeout(ATTEMPT, offset.wait_for(|offset| *offset >= at));
                    drop(arrived.await);
                }
                Ok((answer, _)) => {
                    tracing::error!(?answer, "the cluster does not take this controller");
                    tokio::time::sleep(ATTEMPT).await;
                }
                Err(reason) => {
                    tracing::debug!(reason, "this controller is not announced yet");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn attempt(&self) -> Result<(Response, MetadataOffset), String> {
        let command = Command::RegisterController(self.registration.clone());
        if self.active.is_active() {
            return self.active.submit(command).await.map_err(|error| error.to_string());
        }
        self.controllers.submit(&command, ATTEMPT).await.map_err(|error| error.to_string())
    }
}

fn is_known(image: &Image, registration: &ControllerRegistration) -> bool {
    image.controller(registration.id).is_some_and(|known| **known == *registration)
}

/// While this controller is active, keeps the voters in the metadata what they are in Raft, and the addresses in Raft what
/// they are in the metadata, until `stop`.
pub(crate) async fn show_voters(raft: RaftNode, active: Active, feed: Feed, stop: CancellationToken) {
    let showing = async {
        loop {
            if active.is_active() {
                readdress(&raft, &feed.image()).await;
                let voters = voters(&raft);
                if !feed.image().voters().eq(voters.iter().copied())
                    && let Ok((Response::SetVoters(Err(error)), _)) = active.submit(Command::SetVoters { voters }).await
                {
                    tracing::debug!(%error, "the voters are not in the metadata");
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = showing => {}
    }
}

/// Tells the quorum where its members are reached now, by what they have announced.
async fn readdress(raft: &RaftNode, image: &Image) {
    for member in raft.members() {
        let announced = image.controller(ControllerId(member.key.id));
        let moved = announced
            .filter(|known| known.directory == member.key.directory && known.internal_address != member.address);
        let Some(known) = moved else { continue };
        let address = known.internal_address.clone();
        tracing::info!(controller = member.key.id, from = member.address, to = address, "a controller has moved");
        if let Err(error) = raft.set_address(member.key, address).await {
            tracing::debug!(%error, "the quorum does not know the new address yet");
        }
    }
}

/// Who votes, by number.
fn voters(raft: &RaftNode) -> Vec<Voter> {
    let voting = raft.members().into_iter().filter(|member| member.votes);
    voting.map(|member| Voter { id: ControllerId(member.key.id), directory: member.key.directory }).collect()
}
