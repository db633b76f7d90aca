//! Which of the free partitions each member gets, once it is known how many.

use std::collections::{BTreeMap, VecDeque};

use super::Spec;

/// In which order partitions that no rack decides are given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// One to each member in turn, so that each gets some of every topic.
    InTurn,
    /// A run of neighbours to each member.
    InRuns,
}

/// A member that is to get `want` more.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hand {
    /// Who.
    pub(super) member: u32,
    /// How many.
    pub(super) want: u32,
}

/// Gives out `free` things, as many as the hands want together. `racks_of` says where a thing has replicas. Returns who
/// gets each.
pub(super) fn deal<'a>(
    spec: &'a Spec,
    free: usize,
    racks_of: impl Fn(usize) -> &'a [u32],
    hands: Vec<Hand>,
    style: Style,
) -> Vec<Option<u32>> {
    let mut hands = hands;
    let mut owners = vec![None; free];
    if spec.knows_racks() {
        deal_near(spec, &mut owners, racks_of, &mut hands);
    }
    let mut rest: VecDeque<Hand> = hands.into_iter().filter(|hand| hand.want > 0).collect();
    for owner in owners.iter_mut().filter(|owner| owner.is_none()) {
        let Some(mut hand) = rest.pop_front() else { break };
        *owner = Some(hand.member);
        hand.want -= 1;
        match style {
            _ if hand.want == 0 => {}
            Style::InTurn => rest.push_back(hand),
            Style::InRuns => rest.push_front(hand),
        }
    }
    owners
}

/// Gives partitions to members that stand where a replica stands. Those that fit in the fewest racks go first, and among a
/// partition's racks the one that still wants the most is served.
fn deal_near<'a>(spec: &Spec, owners: &mut [Option<u32>], racks_of: impl Fn(usize) -> &'a [u32], hands: &mut [Hand]) {
    let mut racks: BTreeMap<u32, (u32, VecDeque<usize>)> = BTreeMap::new();
    for (at, hand) in hands.iter().enumerate().filter(|(_, hand)| hand.want > 0) {
        if let Some(rack) = spec.members.get(hand.member as usize).and_then(|member| member.rack) {
            let (want, waiting) = racks.entry(rack).or_default();
            *want += hand.want;
            waiting.push_back(at);
        }
    }
    let mut order: Vec<usize> = (0..owners.len()).collect();
    order.sort_by_key(|&thing| racks_of(thing).iter().filter(|rack| racks.contains_key(rack)).count());
    for thing in order {
        let wanting = racks_of(thing).iter().filter_map(|rack| Some((racks.get(rack)?.0, *rack)));
        let Some((want, rack)) = wanting.max_by_key(|&(want, rack)| (want, std::cmp::Reverse(rack))) else { continue };
        if want == 0 {
            continue;
        }
        let Some((want, waiting)) = racks.get_mut(&rack) else { continue };
        let Some(at) = waiting.pop_front() else { continue };
        *want -= 1;
        hands[at].want -= 1;
        owners[thing] = Some(hands[at].member);
        if hands[at].want > 0 {
            waiting.push_back(at);
        }
    }
}
