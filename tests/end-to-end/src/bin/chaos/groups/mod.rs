//! Consumer groups of real librdkafka consumers, a process for each member, which are killed, frozen, left alone, sent away and
//! joined by others while the servers fail; and a check of what they saw (the rules stand in [`check`]).

mod blow;
mod book;
mod check;
mod event;
mod group;
mod history;
mod kind;
mod member;
mod process;
mod watcher;

use std::{collections::BTreeMap, net::SocketAddr, path::Path, time::Duration};

use levada_end_to_end::{History, Outcome, Reader};

pub(crate) use self::{
    blow::Blow,
    event::print,
    member::{MemberArguments, run as run_member},
};
use self::{check::Promised, group::Group, history::Who, kind::KINDS};

/// The groups of a run; none, if it is to have none.
#[derive(Default)]
pub(crate) struct Groups {
    groups: Vec<Group>,
    /// The blows that are not over: which group, and which member.
    under_way: BTreeMap<u64, (usize, Who)>,
}

impl Groups {
    /// Starts them, each on a topic of so many partitions that is there.
    pub(crate) fn start(bootstrap: &[SocketAddr], partitions: i32) -> Outcome<Self> {
        let bootstrap = bootstrap.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(",");
        let start = |kind| Group::start(kind, partitions, &bootstrap);
        Ok(Self { groups: KINDS.into_iter().map(start).collect::<Outcome<_>>()?, under_way: BTreeMap::new() })
    }

    /// A blow begins, whose victim a number decides; tells who it is.
    pub(crate) fn begin(&mut self, blow: Blow, drawn: u64, lasts: Duration) -> Outcome<String> {
        let count = u64::try_from(self.groups.len())?;
        let Some(index) = drawn.checked_rem(count) else { return Ok("nobody".to_owned()) };
        let index = usize::try_from(index)?;
        let group = self.groups.get_mut(index).ok_or("there is no such group")?;
        let who = group.begin(blow, drawn / count, lasts)?;
        let name = group.name();
        Ok(match who {
            Some(who) => {
                self.under_way.insert(drawn, (index, who));
                format!("member {} of {name}", who.member)
            }
            None => name.to_owned(),
        })
    }

    /// A blow is over.
    pub(crate) fn end(&mut self, blow: Blow, drawn: u64) -> Outcome {
        match self.under_way.remove(&drawn) {
            Some((index, who)) => self.groups.get_mut(index).map_or(Ok(()), |group| group.end(blow, who)),
            None => Ok(()),
        }
    }

    /// Lets every member go on.
    pub(crate) fn heal(&mut self) -> Outcome {
        self.groups.iter_mut().try_for_each(Group::heal)
    }

    /// Whether something went wrong already.
    pub(crate) fn check_running(&mut self) -> Outcome {
        self.groups.iter_mut().try_for_each(Group::check_running)
    }

    /// Waits until each group has committed everything that its topic has now, which it does when everything runs.
    pub(crate) fn catch_up(&mut self, bootstrap: SocketAddr) -> Outcome {
        for group in &mut self.groups {
            let ranges = Reader::connect(bootstrap, group.topic())?.ranges()?;
            let ends = ranges.into_iter().map(|(partition, range)| (partition, range.end)).collect();
            group.wait_until_committed(&ends)?;
        }
        Ok(())
    }

    /// Writes down what became known of each group, in files of this directory.
    pub(crate) fn write_down(&self, directory: &Path) -> Outcome {
        self.groups.iter().try_for_each(|group| group.write_down(directory))
    }

    /// Has all members leave and checks what they saw, by what the producers of their topics were told and by the print of each
    /// record; tells what each group has come to. What breaks a rule is written down in `directory`.
    pub(crate) fn finish(
        self,
        produced: &BTreeMap<&'static str, &History>,
        print: &dyn Fn(u64) -> Option<u64>,
        directory: &Path,
    ) -> Outcome<Vec<String>> {
        let mut told = Vec::new();
        for group in self.groups {
            let produced = produced.get(group.topic()).ok_or("a group of a topic that nobody produces to")?;
            told.push(group.finish(&Promised { produced, print }, directory)?);
        }
        Ok(told)
    }
}
