//! Founding a quorum of several controllers, and finding out that it was founded without this one.
//!
//! Every founder starts with an empty directory and the same list of voters, and so cannot know whether it is the first
//! start of the cluster or the one after its disk was lost. It asks the others: only when all of them say that they have
//! heard of no quorum either, the one with the lowest number founds it, with every founder under the directory that it
//! told. So a founding that was interrupted is simply gone on with, and a disk that was lost never founds a second quorum.

use std::collections::BTreeMap;
use std::time::Duration;

use levada_proto::internal as pb;
use levada_proto::internal::raft_client::RaftClient;
use levada_service::grpc::Profile;
use levada_service::net::{Address, Network};
use levada_types::{ClusterId, DirectoryId};
use tonic::transport::Channel;
use tonic::{Code, Request};

use super::node::RaftNode;
use super::types::QuorumNode;
use super::voter_key::VoterKey;
use crate::options::StartError;

/// The pause between two rounds of asking.
const ROUND_PAUSE: Duration = Duration::from_millis(100);

/// The same for a node that is known to be none of the founders, which waits for an operator.
const OUTSIDER_PAUSE: Duration = Duration::from_secs(2);

/// How long one founder may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// Rounds between two lines in the log about the same trouble.
const ROUNDS_PER_LINE: u64 = 100;

/// What a founder needs.
pub(crate) struct Founding {
    /// The founders, this one included: number and internal address.
    pub(crate) voters: BTreeMap<u64, String>,
    /// The cluster to be founded, if it was named.
    pub(crate) cluster_id: Option<ClusterId>,
    /// The way to the others.
    pub(crate) network: Network,
}

/// What a round of asking came to.
enum Round {
    /// All have answered, and none has heard of a quorum: their directories.
    AllNew(BTreeMap<u64, DirectoryId>),
    /// There is a quorum already.
    Founded {
        /// Who said so.
        by: u64,
        /// The directory under which it knows this node, if it does.
        known_as: Option<DirectoryId>,
    },
    /// Somebody has not answered, or was told something else.
    Waiting(String),
}

impl Founding {
    /// Goes on until this node belongs to a quorum: founded by it, or by another that has let it in.
    pub(crate) async fn run(self, node: RaftNode) -> Result<(), StartError> {
        let mut others = self.others();
        let (mut rounds, mut is_outsider) = (0u64, false);
        while !node.is_initialized().await? {
            match self.ask(&node, &mut others).await {
                Round::AllNew(directories) => {
                    if self.voters.keys().min() == Some(&node.key().id) {
                        node.found(self.members(&directories)).await?;
                        tracing::info!(voters = self.voters.len(), "the metadata quorum is founded");
                        return Ok(());
                    }
                }
                Round::Founded { by, known_as } if known_as != Some(node.key().directory) && !is_outsider => {
                    is_outsider = true;
                    tracing::warn!(
                        told_by = by,
                        known_as = known_as.map(|directory| directory.to_string()),
                        directory = %node.key().directory,
                        "the metadata quorum exists and does not know this controller with this directory; it follows \
                         and has no vote. If its disk was lost or exchanged, run `levada cluster controllers remove {id}` \
                         and then `levada cluster controllers add {id}`",
                        id = node.key().id
                    );
                }
                // The leader comes by itself.
                Round::Founded { .. } => {}
                Round::Waiting(why) => {
                    if rounds % ROUNDS_PER_LINE == 0 {
                        tracing::info!(why, "waiting for the other founders of the metadata quorum");
                    }
                }
            }
            rounds += 1;
            tokio::time::sleep(if is_outsider { OUTSIDER_PAUSE } else { ROUND_PAUSE }).await;
        }
        Ok(())
    }

    fn others(&self) -> Vec<(u64, RaftClient<Channel>)> {
        let readable = self.voters.iter().filter_map(|(id, address)| Some((*id, address.parse::<Address>().ok()?)));
        readable
            .map(|(id, address)| (id, RaftClient::new(self.network.dialer(address).channel(Profile::Control))))
            .collect()
    }

    fn members(&self, directories: &BTreeMap<u64, DirectoryId>) -> BTreeMap<u64, QuorumNode> {
        let member = |(id, address): (&u64, &String)| {
            let directory = directories.get(id).copied().unwrap_or(DirectoryId::UNASSIGNED);
            (*id, QuorumNode { directory, internal_address: address.clone() })
        };
        self.voters.iter().map(member).collect()
    }

    async fn ask(&self, node: &RaftNode, others: &mut [(u64, RaftClient<Channel>)]) -> Round {
        let mut directories = BTreeMap::from([(node.key().id, node.key().directory)]);
        let mut waiting = Vec::new();
        for (id, client) in others.iter_mut().filter(|(id, _)| *id != node.key().id) {
            let mut request = Request::new(self.introduction(node.key()));
            request.set_timeout(ANSWER_TIMEOUT);
            let answer = match client.introduce(request).await {
                Ok(answer) => answer.into_inner(),
                Err(status) if status.code() == Code::FailedPrecondition => {
                    tracing::error!(controller = *id, "{}", status.message());
                    waiting.push(format!("{id} was told something else"));
                    continue;
                }
                Err(_) => {
                    waiting.push(format!("{id} does not answer"));
                    continue;
                }
            };
            if let Some(membership) = &answer.membership {
                let known_as = membership.nodes.get(&node.key().id);
                let known_as = known_as.and_then(|known| super::voter_key::directory_from(&known.directory).ok());
                return Round::Founded { by: *id, known_as };
            }
            match VoterKey::from_message(answer.from) {
                Ok(key) if key.id == *id => {
                    directories.insert(*id, key.directory);
                }
                Ok(key) => waiting.push(format!("{key} answers at the address of controller {id}")),
                Err(error) => waiting.push(format!("{id}: {error}")),
            }
        }
        if waiting.is_empty() { Round::AllNew(directories) } else { Round::Waiting(waiting.join(", ")) }
    }

    fn introduction(&self, from: VoterKey) -> pb::IntroduceRequest {
        pb::IntroduceRequest {
            from: Some(from.to_message()),
            voters: self.voters.keys().copied().collect(),
            cluster_id: self.cluster_id.map(|id| id.to_string()).unwrap_or_default(),
        }
    }
}
