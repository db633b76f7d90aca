//! How many partitions each member is to have, before it is asked which ones.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};

/// How many links between members and classes are followed in search of chains of moves. Only subscriptions that overlap
/// in many ways come near it; what is left then is an assignment in which no single move would help.
const MAX_LINKS: usize = 2_000_000;

/// Topics with the same subscribers: any partition of any of them may be at any of these members.
#[derive(Debug, Default)]
pub(super) struct Class {
    /// The topics, ascending.
    pub(super) topics: Vec<u32>,
    /// The members that subscribe to them, ascending.
    pub(super) subscribers: Vec<u32>,
    /// How many partitions of the class each subscriber has.
    pub(super) counts: Vec<u32>,
    /// How many partitions of the class nobody has yet.
    pub(super) free: u32,
}

impl Class {
    /// Where `member` stands among the subscribers.
    pub(super) fn position(&self, member: u32) -> Option<usize> {
        self.subscribers.binary_search(&member).ok()
    }
}

/// Gives the free partitions out and then moves as few as possible, until no move, nor a chain of moves, would bring two
/// members' loads nearer to each other. `loads` are the members' counts over all classes.
pub(super) fn level(classes: &mut [Class], loads: &mut [u32]) {
    let mut order: Vec<usize> = (0..classes.len()).collect();
    // Those with the fewest subscribers have the least choice.
    order.sort_by_key(|&class| classes[class].subscribers.len());
    for &class in &order {
        fill(&mut classes[class], loads);
    }
    // What one class has evened out another one may undo, but every move brings two loads nearer to each other.
    let mut moves = true;
    while moves {
        moves = false;
        for &class in &order {
            moves |= even_out(&mut classes[class], loads);
        }
    }
    if classes.len() > 1 {
        Chains::new(classes).resolve(classes, loads);
    }
}

/// Gives the free partitions to whoever has the least.
fn fill(class: &mut Class, loads: &mut [u32]) {
    if class.free == 0 || class.subscribers.is_empty() {
        return;
    }
    let mut least: BinaryHeap<_> =
        class.subscribers.iter().enumerate().map(|(at, &member)| Reverse((loads[member as usize], at))).collect();
    while class.free > 0 {
        let Some(Reverse((load, at))) = least.pop() else { return };
        class.counts[at] += 1;
        class.free -= 1;
        loads[class.subscribers[at] as usize] = load + 1;
        least.push(Reverse((load + 1, at)));
    }
}

/// Moves partitions of one class from the fullest to the emptiest while that helps. Whether it moved any.
fn even_out(class: &mut Class, loads: &mut [u32]) -> bool {
    let load_at = |at: usize| loads[class.subscribers[at] as usize];
    let givers = (0..class.subscribers.len()).filter(|&at| class.counts[at] > 0);
    let most = givers.clone().map(load_at).max().unwrap_or(0);
    let least = (0..class.subscribers.len()).map(load_at).min().unwrap_or(0);
    if most < least + 2 {
        return false;
    }
    let mut givers: BTreeSet<_> = givers.map(|at| (load_at(at), at)).collect();
    let mut takers: BTreeSet<_> = (0..class.subscribers.len()).map(|at| (load_at(at), at)).collect();
    let mut moved = false;
    while let (Some(&(most, from)), Some(&(least, to))) = (givers.last(), takers.first()) {
        if most < least + 2 {
            break;
        }
        moved = true;
        givers.remove(&(most, from));
        takers.remove(&(most, from));
        givers.remove(&(least, to));
        takers.remove(&(least, to));
        class.counts[from] -= 1;
        class.counts[to] += 1;
        loads[class.subscribers[from] as usize] = most - 1;
        loads[class.subscribers[to] as usize] = least + 1;
        if class.counts[from] > 0 {
            givers.insert((most - 1, from));
        }
        givers.insert((least + 1, to));
        takers.insert((most - 1, from));
        takers.insert((least + 1, to));
    }
    moved
}

/// The search for chains: A gives to B in one class, B to C in another, and so A's surplus reaches C.
struct Chains {
    /// Of each member, the classes that it subscribes to and its position there.
    links: Vec<Vec<(usize, usize)>>,
    /// How many more links may be followed.
    left: usize,
}

/// How a member was reached: from which member, in which class.
#[derive(Clone, Copy)]
struct Step {
    from: u32,
    class: usize,
}

impl Chains {
    fn new(classes: &[Class]) -> Self {
        let members =
            classes.iter().flat_map(|class| class.subscribers.last()).max().map_or(0, |&last| last as usize + 1);
        let mut links = vec![Vec::new(); members];
        for (number, class) in classes.iter().enumerate() {
            for (at, &member) in class.subscribers.iter().enumerate() {
                links[member as usize].push((number, at));
            }
        }
        Self { links, left: MAX_LINKS }
    }

    fn resolve(&mut self, classes: &mut [Class], loads: &mut [u32]) {
        // A chain may open a way for somebody who had none before.
        while self.round(classes, loads) {}
    }

    /// Looks for chains from everybody, the fullest first. Whether it found any.
    fn round(&mut self, classes: &mut [Class], loads: &mut [u32]) -> bool {
        let mut found = false;
        let mut sources: BTreeSet<(u32, u32)> =
            (0u32..).zip(&self.links).map(|(m, _)| (loads[m as usize], m)).collect();
        while let Some((load, source)) = sources.pop_last() {
            if load < 2 {
                break;
            }
            if self.left == 0 {
                return false;
            }
            let mut reached: Vec<Option<Step>> = vec![None; self.links.len()];
            match self.search(classes, loads, source, &mut reached) {
                Some(end) => {
                    found = true;
                    sources.remove(&(loads[end as usize], end));
                    shift(classes, source, end, &reached);
                    loads[source as usize] -= 1;
                    loads[end as usize] += 1;
                    sources.insert((loads[source as usize], source));
                    sources.insert((loads[end as usize], end));
                }
                // Whoever can be reached from here reaches nobody who is emptier either.
                None => sources.retain(|&(_, member)| reached[member as usize].is_none()),
            }
        }
        found
    }

    /// Breadth first from `source` to a member that has at least two less; fills `reached` on the way.
    fn search(&mut self, classes: &[Class], loads: &[u32], source: u32, reached: &mut [Option<Step>]) -> Option<u32> {
        let limit = loads[source as usize].checked_sub(2)?;
        let mut seen = vec![false; classes.len()];
        let mut queue = VecDeque::from([source]);
        reached[source as usize] = Some(Step { from: source, class: usize::MAX });
        while let Some(member) = queue.pop_front() {
            for &(number, at) in &self.links[member as usize] {
                if seen[number] || classes[number].counts[at] == 0 {
                    continue;
                }
                seen[number] = true;
                self.left = self.left.saturating_sub(classes[number].subscribers.len());
                for &next in &classes[number].subscribers {
                    if reached[next as usize].is_some() {
                        continue;
                    }
                    reached[next as usize] = Some(Step { from: member, class: number });
                    if loads[next as usize] <= limit {
                        return Some(next);
                    }
                    queue.push_back(next);
                }
            }
        }
        None
    }
}

/// Moves one partition along every step of the chain that ends at `end`.
fn shift(classes: &mut [Class], source: u32, end: u32, reached: &[Option<Step>]) {
    let mut member = end;
    while member != source {
        let Some(step) = reached[member as usize] else { return };
        let class = &mut classes[step.class];
        if let (Some(from), Some(to)) = (class.position(step.from), class.position(member)) {
            class.counts[from] -= 1;
            class.counts[to] += 1;
        }
        member = step.from;
    }
}
