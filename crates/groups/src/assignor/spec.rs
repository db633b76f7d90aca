//! What an assignor is told.

/// Topics and members, by number. Whoever builds it sorts the members by what outlives a restart (the name of a static
/// member, the id of another), so that an assignment does not depend on the order of joining.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spec {
    /// The topics that somebody subscribes to.
    pub topics: Vec<TopicSpec>,
    /// The members.
    pub members: Vec<MemberSpec>,
}

/// A topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicSpec {
    /// How many partitions it has.
    pub partitions: u32,
    /// In which racks each partition has replicas, by numbers of racks; empty where that is not known.
    pub racks: Vec<Vec<u32>>,
}

/// A member.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberSpec {
    /// The number of its rack, if it has told.
    pub rack: Option<u32>,
    /// The topics that it subscribes to, ascending.
    pub topics: Vec<u32>,
    /// What it was to own so far.
    pub owned: Vec<Slot>,
}

/// A partition of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot {
    /// The number of the topic.
    pub topic: u32,
    /// The partition.
    pub partition: u32,
}

/// Nobody, where members are numbers.
pub(super) const NOBODY: u32 = u32::MAX;

impl Spec {
    /// The racks of a partition's replicas; empty where they are not known.
    pub(super) fn racks_of(&self, slot: Slot) -> &[u32] {
        self.topics
            .get(slot.topic as usize)
            .and_then(|topic| topic.racks.get(slot.partition as usize))
            .map_or(&[], Vec::as_slice)
    }

    /// Whether a replica of the partition stands in the member's rack.
    pub(super) fn is_near(&self, member: u32, slot: Slot) -> bool {
        let rack = self.members.get(member as usize).and_then(|member| member.rack);
        rack.is_some_and(|rack| self.racks_of(slot).contains(&rack))
    }

    /// Whether racks decide anything: some member has told its rack, and some replica's rack is known.
    pub(super) fn knows_racks(&self) -> bool {
        self.members.iter().any(|member| member.rack.is_some())
            && self.topics.iter().any(|topic| topic.racks.iter().any(|racks| !racks.is_empty()))
    }

    /// The subscribers of each topic, ascending.
    pub(super) fn subscribers(&self) -> Vec<Vec<u32>> {
        let mut subscribers = vec![Vec::new(); self.topics.len()];
        for (member, number) in self.members.iter().zip(0u32..) {
            for topic in &member.topics {
                if let Some(of_topic) = subscribers.get_mut(*topic as usize) {
                    of_topic.push(number);
                }
            }
        }
        subscribers
    }
}
