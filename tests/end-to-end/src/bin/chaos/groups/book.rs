//! What comes in of a group, from all its members and from who looks at it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    event::{Event, Happened},
    history::{History, Look, Who},
};

/// What comes in of a group while it lives.
#[derive(Debug, Default)]
pub(super) struct Book(Mutex<Pages>);

/// All that came in of a group.
pub(super) struct Closed {
    /// In the order of time.
    pub(super) history: History,
    /// What members met that passes, and how often.
    pub(super) met: BTreeMap<String, usize>,
    /// How many clients gave up.
    pub(super) gave_up: usize,
    /// How many members had to be killed when they were to leave.
    pub(super) hung: usize,
}

#[derive(Debug, Default)]
struct Pages {
    history: History,
    /// What should not have happened.
    wrong: Vec<String>,
    /// What members met that passes, and how often.
    met: BTreeMap<String, usize>,
    owned: BTreeMap<usize, BTreeSet<i32>>,
    said: BTreeMap<usize, Vec<String>>,
    gave_up: BTreeSet<usize>,
    hung: usize,
    last_look: Option<Look>,
}

impl Book {
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something happened to a member.
    pub(super) fn note(&self, who: Who, happened: Happened) {
        let mut pages = self.pages();
        let owned = pages.owned.entry(who.member).or_default();
        match &happened.event {
            Event::Assigned { partitions, .. } => owned.extend(partitions),
            Event::Revoked { partitions } => owned.retain(|partition| !partitions.contains(partition)),
            Event::Left | Event::Gone => owned.clear(),
            Event::Met(what) => *pages.met.entry(what.clone()).or_default() += 1,
            Event::Says(lines) => drop(pages.said.insert(who.member, lines.clone())),
            Event::Failed(why) => pages.wrong.push(format!("member {}: {why}", who.member)),
            Event::GaveUp => drop(pages.gave_up.insert(who.member)),
            Event::Record { .. } | Event::Commits(_) | Event::Committed(_) | Event::SentUnder(_) => {}
        }
        pages.history.note(who, happened);
    }

    /// Something should not have happened.
    pub(super) fn wrong(&self, what: String) {
        self.pages().wrong.push(what);
    }

    /// What should not have happened.
    pub(super) fn what_is_wrong(&self) -> Option<String> {
        let pages = self.pages();
        (!pages.wrong.is_empty()).then(|| pages.wrong.join("\n"))
    }

    /// The group was looked at.
    pub(super) fn look(&self, look: Look) {
        let mut pages = self.pages();
        pages.last_look = Some(look.clone());
        pages.history.look(look);
    }

    /// What was committed when the group was last looked at.
    pub(super) fn last_look(&self) -> Option<Look> {
        self.pages().last_look.clone()
    }

    /// A member had to be killed that was to leave; says why, as far as its client knows.
    pub(super) fn hung(&self, member: usize) {
        self.pages().hung += 1;
        println!("chaos: member {member} did not close its consumer; its client said:");
        self.said(member).iter().for_each(|line| println!("chaos:   {line}"));
    }

    /// Whether the client of a member gave up, so that it ends.
    pub(super) fn has_given_up(&self, member: usize) -> bool {
        self.pages().gave_up.contains(&member)
    }

    /// What a member owns as it sees it.
    pub(super) fn owned(&self, member: usize) -> BTreeSet<i32> {
        self.pages().owned.get(&member).cloned().unwrap_or_default()
    }

    /// What the client of a member said of itself when it was last asked.
    pub(super) fn said(&self, member: usize) -> Vec<String> {
        self.pages().said.get(&member).cloned().unwrap_or_default()
    }

    /// Writes everything down that came in.
    pub(super) fn write(&self, file: &Path) -> io::Result<()> {
        self.pages().history.write(file)
    }

    /// Everything that came in.
    pub(super) fn close(&self) -> Closed {
        let mut pages = std::mem::take(&mut *self.pages());
        pages.history.sort();
        Closed { history: pages.history, met: pages.met, gave_up: pages.gave_up.len(), hung: pages.hung }
    }
}
