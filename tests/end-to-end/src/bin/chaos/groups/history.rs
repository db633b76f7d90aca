//! All that became known of one group, in the order of time.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use super::event::{Answer, Event, Happened};

/// One member, and who it is to the group: a static member keeps its identity through its lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Who {
    /// The process, counted from 0 on.
    pub(super) member: usize,
    /// The same for all lives of a static member, and the process for others.
    pub(super) identity: usize,
}

/// What the group said that it has committed, at some moment between the two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) asked: u64,
    pub(super) told: u64,
    /// Partitions of which nothing is committed are left out.
    pub(super) offsets: BTreeMap<i32, i64>,
}

/// What is known of a group.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    happened: Vec<(Who, Happened)>,
    looks: Vec<Look>,
}

/// A commit, from its begin to its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Commit {
    pub(super) who: Who,
    pub(super) begun: u64,
    pub(super) offsets: BTreeMap<i32, i64>,
    /// When it was answered, and how; `None` if its member ended before.
    pub(super) answer: Option<(u64, Answer)>,
    /// The newest generation under which it may have been sent, if that is known.
    pub(super) generation: Option<i32>,
}

impl Commit {
    /// When the group was known to have the offsets.
    pub(super) fn accepted(&self) -> Option<u64> {
        self.answer.as_ref().filter(|(_, answer)| *answer == Answer::Accepted).map(|(ended, _)| *ended)
    }
}

impl History {
    /// Something has happened to a member.
    pub(super) fn note(&mut self, who: Who, happened: Happened) {
        self.happened.push((who, happened));
    }

    /// The group was looked at.
    pub(super) fn look(&mut self, look: Look) {
        self.looks.push(look);
    }

    /// Puts everything into the order of time; what one member tells stays as it told it.
    pub(super) fn sort(&mut self) {
        self.happened.sort_by_key(|(_, happened)| happened.at);
        self.looks.sort_by_key(|look| look.told);
    }

    /// Writes everything down, a line for each thing that happened.
    pub(super) fn write(&self, file: &Path) -> io::Result<()> {
        let mut out = BufWriter::new(File::create(file)?);
        for (who, happened) in &self.happened {
            writeln!(out, "{} member {} {:?}", happened.at, who.member, happened.event)?;
        }
        for look in &self.looks {
            writeln!(out, "{} look {look:?}", look.told)?;
        }
        out.flush()
    }

    /// What happened to members, as it came in or, once sorted, in the order of time.
    pub(super) fn happened(&self) -> impl DoubleEndedIterator<Item = (Who, u64, &Event)> {
        self.happened.iter().map(|(who, happened)| (*who, happened.at, &happened.event))
    }

    /// What the group said that it has committed.
    pub(super) fn looks(&self) -> &[Look] {
        &self.looks
    }

    /// All commits, in the order in which they began.
    pub(super) fn commits(&self) -> Vec<Commit> {
        let mut commits: Vec<Commit> = Vec::new();
        // The commits of a member that wait for their answer, and for the generation that they were sent under.
        let mut unanswered: BTreeMap<usize, usize> = BTreeMap::new();
        let mut unnamed: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (who, at, event) in self.happened() {
            match event {
                Event::Commits(offsets) => {
                    unanswered.insert(who.member, commits.len());
                    unnamed.entry(who.member).or_default().push(commits.len());
                    commits.push(Commit { who, begun: at, offsets: offsets.clone(), answer: None, generation: None });
                }
                Event::Committed(answer) => {
                    let commit = unanswered.remove(&who.member).and_then(|index| commits.get_mut(index));
                    if let Some(commit) = commit {
                        commit.answer = Some((at, answer.clone()));
                    }
                }
                Event::SentUnder(generations) => {
                    for index in unnamed.remove(&who.member).unwrap_or_default() {
                        if let Some(commit) = commits.get_mut(index) {
                            commit.generation = generations.iter().copied().max();
                        }
                    }
                }
                _ => {}
            }
        }
        commits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_are_put_together_from_what_each_member_told() {
        let who = |member| Who { member, identity: member };
        let mut history = History::default();
        let mut note = |member, at, event| history.note(who(member), Happened { at, event });
        note(0, 10, Event::Commits([(0, 5)].into()));
        note(1, 11, Event::Commits([(1, 7)].into()));
        note(1, 12, Event::Committed(Answer::Unknown("timed out".to_owned())));
        note(0, 13, Event::Committed(Answer::Accepted));
        note(0, 14, Event::SentUnder(vec![3, 4]));
        note(0, 20, Event::Commits([(0, 6)].into()));
        let commits = history.commits();
        let told: Vec<_> = commits
            .iter()
            .map(|commit| (commit.who.member, commit.begun, commit.accepted(), commit.generation))
            .collect();
        assert_eq!(told, [(0, 10, Some(13), Some(4)), (1, 11, None, None), (0, 20, None, None)]);
        assert!(commits[2].answer.is_none(), "the member ended meanwhile");
    }
}
