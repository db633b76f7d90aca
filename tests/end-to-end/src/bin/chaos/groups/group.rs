//! One group of a run: its members, who looks at it, and what became known of it.

use std::{
    collections::BTreeMap,
    fmt::Write,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use levada_end_to_end::{Outcome, Protocol, fail};

use super::{
    blow::Blow,
    book::{Book, Closed},
    check::{self, Promised},
    event::now,
    history::Who,
    kind::Kind,
    process::{MemberProcess, State},
    watcher::Watcher,
};

/// How many members a group begins with.
const MEMBERS: usize = 3;

/// The most that it gets: one more than there are partitions, and another.
const MAX_MEMBERS: usize = 5;

/// How long a group may commit nothing while everything runs and there is something to commit: sessions that have to end, and
/// members that are waited for, take a part of it.
const STALL_LIMIT: Duration = Duration::from_secs(60);

/// How long a member may take to close its consumer, while everything runs for the most of it.
const LEAVE_LIMIT: Duration = Duration::from_secs(60);

/// How long members may take to say how they are.
const SAY_LIMIT: Duration = Duration::from_secs(2);

/// How often is looked again.
const PAUSE: Duration = Duration::from_millis(50);

/// One group of a run.
pub(super) struct Group {
    kind: Kind,
    bootstrap: String,
    book: Arc<Book>,
    members: Vec<MemberProcess>,
    /// How many processes there have been.
    started: usize,
    watcher: Watcher,
}

impl Group {
    /// Starts its members.
    pub(super) fn start(kind: Kind, partitions: i32, bootstrap: &str) -> Outcome<Self> {
        let book = Arc::new(Book::default());
        let watcher = Watcher::start(kind, partitions, bootstrap, book.clone())?;
        let bootstrap = bootstrap.to_owned();
        let mut group = Self { kind, bootstrap, book, members: Vec::new(), started: 0, watcher };
        (0..MEMBERS).try_for_each(|_| group.add(None))?;
        Ok(group)
    }

    pub(super) fn topic(&self) -> &'static str {
        self.kind.topic
    }

    pub(super) fn name(&self) -> &'static str {
        self.kind.name
    }

    /// Starts one more member, which a static one knows as the next life of another if one is named.
    fn add(&mut self, identity: Option<usize>) -> Outcome {
        let member = self.started;
        let identity = identity.filter(|_| self.kind.is_static).unwrap_or(member);
        let who = Who { member, identity };
        self.started += 1;
        self.members.push(MemberProcess::start(&self.kind, &self.bootstrap, who, &self.book)?);
        Ok(())
    }

    /// Strikes one of the members that run; tells which, if there is one to be struck.
    pub(super) fn begin(&mut self, blow: Blow, drawn: u64, lasts: Duration) -> Outcome<Option<Who>> {
        let running: Vec<usize> = (0..self.members.len())
            .filter(|index| self.members.get(*index).is_some_and(|member| member.state == State::Running))
            .collect();
        if blow == Blow::Join {
            if running.len() < MAX_MEMBERS {
                self.add(None)?;
            }
            return Ok(None);
        }
        let drawn = usize::try_from(drawn % 1_000_000)?;
        let index = drawn.checked_rem(running.len()).and_then(|drawn| running.get(drawn).copied());
        let Some(member) = index.and_then(|index| self.members.get_mut(index)) else { return Ok(None) };
        let who = member.who;
        match blow {
            Blow::Kill => {
                member.kill()?;
                self.members.retain(|member| member.who != who);
            }
            Blow::Leave => member.leave()?,
            Blow::Freeze => member.freeze()?,
            Blow::Abandon => member.sleep(lasts)?,
            Blow::Shrink if running.len() > 1 => member.leave()?,
            Blow::Shrink | Blow::Join => return Ok(None),
        }
        Ok(Some(who))
    }

    /// The blow is over.
    pub(super) fn end(&mut self, blow: Blow, who: Who) -> Outcome {
        match blow {
            Blow::Kill | Blow::Leave => self.add(Some(who.identity)),
            Blow::Freeze => {
                self.members.iter_mut().filter(|member| member.who == who).try_for_each(MemberProcess::thaw)
            }
            Blow::Abandon | Blow::Join | Blow::Shrink => Ok(()),
        }
    }

    /// Lets everybody go on.
    pub(super) fn heal(&mut self) -> Outcome {
        self.members.iter_mut().try_for_each(MemberProcess::thaw)
    }

    /// Whether something went wrong already.
    pub(super) fn check_running(&mut self) -> Outcome {
        self.forget_the_left()?;
        match self.book.what_is_wrong() {
            Some(wrong) => fail(format!("group {}: {wrong}", self.kind.name)),
            None => Ok(()),
        }
    }

    fn forget_the_left(&mut self) -> Outcome {
        let mut left = Vec::new();
        let mut given_up = Vec::new();
        for member in &mut self.members {
            let has_given_up = self.book.has_given_up(member.who.member);
            if member.state != State::Leaving && !has_given_up {
                continue;
            }
            if member.leaving_for() > LEAVE_LIMIT {
                // Whoever runs such a member kills it. What its client says tells whether a server is to blame.
                let number = member.who.member;
                member.kill()?;
                self.book.hung(number);
                left.push(member.who);
                continue;
            }
            if member.has_ended().map_err(|error| format!("group {}: {error}", self.kind.name))? {
                left.push(member.who);
                given_up.extend((member.state != State::Leaving).then_some(member.who.identity));
            }
        }
        self.members.retain(|member| !left.contains(&member.who));
        // As whoever runs such a member starts it again.
        given_up.into_iter().try_for_each(|identity| self.add(Some(identity)))
    }

    /// Writes down what became known of it, in a file of its name.
    pub(super) fn write_down(&self, directory: &Path) -> Outcome {
        Ok(self.book.write(&directory.join(format!("group-{}.txt", self.kind.name)))?)
    }

    /// Waits until the group has committed everything below these ends, which it does when everything runs.
    ///
    /// # Errors
    /// If nothing is committed for too long, with what is known of the group.
    pub(super) fn wait_until_committed(&mut self, ends: &BTreeMap<i32, i64>) -> Outcome {
        let asked = now();
        let (mut most, mut moved) = (0, Instant::now());
        loop {
            self.check_running()?;
            let look = self.book.last_look();
            let committed = look.as_ref().map(|look| look.offsets.clone()).unwrap_or_default();
            let behind: BTreeMap<i32, i64> = ends
                .iter()
                .map(|(partition, end)| (*partition, end - committed.get(partition).copied().unwrap_or(0)))
                .filter(|(_, lag)| *lag > 0)
                .collect();
            if behind.is_empty() && look.is_some_and(|look| look.asked > asked) {
                return Ok(());
            }
            let all: i64 = committed.values().sum();
            if all != most {
                (most, moved) = (all, Instant::now());
            }
            if moved.elapsed() > STALL_LIMIT {
                let standing = self.standing()?;
                return fail(format!(
                    "group {} has committed nothing for {STALL_LIMIT:?}, though everything runs; records behind by \
                     partition: {behind:?}\n{standing}",
                    self.kind.name
                ));
            }
            thread::sleep(PAUSE);
        }
    }

    /// How its members are, as they say.
    fn standing(&mut self) -> Outcome<String> {
        self.members.iter_mut().try_for_each(MemberProcess::say)?;
        thread::sleep(SAY_LIMIT);
        let mut text = format!("last look: {:?}", self.book.last_look());
        for member in &self.members {
            let number = member.who.member;
            write!(
                text,
                "\nmember {number} ({:?}) owns {:?}; its client said:",
                member.state,
                self.book.owned(number)
            )?;
            for line in self.book.said(number) {
                write!(text, "\n  {line}")?;
            }
        }
        Ok(text)
    }

    /// Has everybody leave, and checks what became known of the group; tells what it has come to.
    pub(super) fn finish(mut self, promised: &Promised<'_>, directory: &Path) -> Outcome<String> {
        self.members.iter_mut().try_for_each(MemberProcess::leave)?;
        while !self.members.is_empty() {
            self.check_running()?;
            thread::sleep(PAUSE);
        }
        self.watcher.stop()?;
        let Closed { history, met, gave_up, hung } = self.book.close();
        let one_generation = matches!(self.kind.protocol, Protocol::Classic(_));
        let (checked, findings) = check::check(&history, promised, one_generation);
        if !findings.is_empty() {
            history.write(&directory.join(format!("group-{}.txt", self.kind.name)))?;
            return fail(format!("group {}: {findings}", self.kind.name));
        }
        Ok(format!(
            "group {} ({}): {} members processed {} records, {} of them again; {} commits accepted ({} without a generation), \
             {} refused, {} unknown; {} readings of committed offsets, {} moved back by a newer commit; nothing lost, nothing \
             ahead, no second owner, no commit of a generation that was over; {gave_up} clients gave up, {hung} did not close; met: {met:?}",
            self.kind.name,
            self.kind.protocol_name(),
            self.started,
            checked.processed,
            checked.again,
            checked.accepted,
            checked.without_generation,
            checked.refused,
            checked.unknown,
            checked.readings,
            checked.moved_back,
        ))
    }
}
