//! A large group of which one member comes, goes, or dies: what moves, and how long that takes.
//!
//! *The last member has spoken* when whatever the rebalance waits for has been sent: every member has joined the last
//! generation, or whoever is to give up partitions has said that it has, and whoever gains by a member that has gone has sent
//! its next heartbeat. A newcomer of the next-generation protocol has spoken when it joined: that it has to ask again until
//! its partitions are free counts as part of the time.

mod board;
mod cooperative;
mod next_generation;
mod sticky;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use levada_end_to_end::{Admin, Outcome, fail};
use levada_harness::{Role, Sandbox, SandboxOptions};
use tokio::{
    sync::oneshot,
    task::{self, JoinHandle},
    time,
};

use self::board::{Board, Got, Note, Standing, is_stable, owners};
use super::wire::Connection;
use crate::cluster::table::{median_and_greatest, row};

const TOPIC: &str = "orders";

/// Session timeouts, shorter than Kafka's defaults so that one that dies is soon missed.
const SESSION: Duration = Duration::from_secs(10);

/// The interval of heartbeats that a group of the next generation has by default.
const NEXT_GENERATION_INTERVAL: Duration = Duration::from_secs(5);

/// How long a rebalance may take before it is given up.
const PATIENCE: Duration = Duration::from_secs(120);

/// Between two looks at how the members stand.
const LOOK: Duration = Duration::from_millis(5);

/// How a member goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Farewell {
    /// It says so.
    Leave,
    /// It is silent from now on.
    Die,
}

/// How a member is told to go.
type Goodbye = oneshot::Receiver<Farewell>;

/// Which member of what, and by which way.
struct Place {
    number: usize,
    group: String,
    topic: String,
    partitions: i32,
    session: Duration,
    connection: Connection,
    board: Arc<Board>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Cooperative,
    NextGeneration,
}

/// `members` members share `partitions` partitions, and `times` times one comes and one goes.
pub(super) async fn run(members: usize, partitions: i32, times: u32) -> Outcome {
    let session = SESSION.as_millis().to_string();
    let options = SandboxOptions::new(3, 3)
        .set_group_coordinators("group.consumer.min.session.timeout.ms", &session)
        .set_group_coordinators("group.consumer.session.timeout.ms", &session);
    let mut sandbox = Sandbox::start(&options)?;
    let first = sandbox.broker(1)?.kafka()?;
    task::block_in_place(|| Admin::connect(first)?.create_replicated_topic(TOPIC, (partitions, 3), &[]))?;
    let brokers = sandbox.processes().iter().filter(|process| process.role == Role::Broker);
    let brokers: Vec<SocketAddr> = brokers.map(|broker| broker.kafka()).collect::<Result<_, _>>()?;
    for protocol in [Protocol::Cooperative, Protocol::NextGeneration] {
        let mut group = Group {
            protocol,
            brokers: brokers.clone(),
            partitions,
            board: Arc::default(),
            members: BTreeMap::new(),
            next: 0,
        };
        group.measure(members, times).await?;
    }
    Ok(())
}

/// A group and its members.
struct Group {
    protocol: Protocol,
    brokers: Vec<SocketAddr>,
    partitions: i32,
    board: Arc<Board>,
    members: BTreeMap<usize, (oneshot::Sender<Farewell>, JoinHandle<Outcome<Instant>>)>,
    next: usize,
}

/// What became of one change.
#[derive(Default)]
struct Change {
    /// Partitions that have another owner than before.
    moved: usize,
    /// Those that had to.
    due: usize,
    /// How often one was taken from a member that had it.
    taken: usize,
    /// From the last word to the last assignment, in milliseconds.
    after_last_word: f64,
    /// From the first word to the end, in milliseconds.
    whole: f64,
}

impl Group {
    async fn measure(&mut self, members: usize, times: u32) -> Outcome {
        let name = match self.protocol {
            Protocol::Cooperative => "cooperative-sticky",
            Protocol::NextGeneration => "KIP-848",
        };
        let begun = Instant::now();
        for _ in 0..members {
            self.join().await?;
        }
        self.until_stable(0).await?;
        let took = begun.elapsed().as_secs_f64();
        row(
            &format!("{members} members of {} partitions join at once, {name}", self.partitions),
            &format!("{took:.1} s"),
            "",
        );
        self.board.take();

        let (mut more, mut less, mut dead) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..times {
            // At some moment between two heartbeats, another one each time.
            time::sleep(self.interval().mul_f64(f64::from(round) * 0.37 % 1.0)).await;
            more.push(self.one_more().await?);
            time::sleep(self.interval().mul_f64(f64::from(round) * 0.73 % 1.0)).await;
            less.push(self.one_less(Farewell::Leave).await?);
        }
        for _ in 0..times.min(2) {
            self.one_more().await?;
            dead.push(self.one_less(Farewell::Die).await?);
        }
        tell(&format!("{name}: one member more"), &more);
        tell(&format!("{name}: one leaves"), &less);
        tell(&format!("{name}: one falls silent, from the end of its session"), &dead);
        for (_, (goodbye, member)) in std::mem::take(&mut self.members) {
            // One that has failed does not listen; why it failed comes next.
            let _failed = goodbye.send(Farewell::Leave);
            member.await??;
        }
        Ok(())
    }

    fn interval(&self) -> Duration {
        match self.protocol {
            Protocol::Cooperative => cooperative::INTERVAL,
            Protocol::NextGeneration => NEXT_GENERATION_INTERVAL,
        }
    }

    async fn join(&mut self) -> Outcome<usize> {
        let number = self.next;
        self.next += 1;
        let broker = self.brokers.get(number % self.brokers.len().max(1)).ok_or("no broker")?;
        let place = Place {
            number,
            group: format!("{:?}", self.protocol),
            topic: TOPIC.to_owned(),
            partitions: self.partitions,
            session: SESSION,
            connection: Connection::open(*broker).await?,
            board: Arc::clone(&self.board),
        };
        let (goodbye, told) = oneshot::channel();
        let member = match self.protocol {
            Protocol::Cooperative => tokio::spawn(cooperative::run(place, told)),
            Protocol::NextGeneration => tokio::spawn(next_generation::run(place, told)),
        };
        self.members.insert(number, (goodbye, member));
        Ok(number)
    }

    async fn one_more(&mut self) -> Outcome<Change> {
        let before = self.board.standings();
        let begun = Instant::now();
        let newcomer = self.join().await?;
        let after = self.until_stable(greatest_epoch(&before)).await?;
        let due = usize::try_from(self.partitions)? / after.len().max(1);
        Ok(self.change((&before, &after), due, begun, Some(newcomer)))
    }

    async fn one_less(&mut self, farewell: Farewell) -> Outcome<Change> {
        let before = self.board.standings();
        let (number, (goodbye, member)) = self.members.pop_first().ok_or("no member")?;
        let due = before.get(&number).map_or(0, |standing| standing.owned.len());
        let mut begun = Instant::now();
        // One that has failed does not listen; why it failed comes next.
        let _failed = goodbye.send(farewell);
        let last = member.await??;
        if farewell == Farewell::Die {
            begun = last + SESSION;
        }
        let after = self.until_stable(greatest_epoch(&before)).await?;
        Ok(self.change((&before, &after), due, begun, None))
    }

    /// Waits until all members are settled in an epoch past `epoch`, and tells how they stand.
    async fn until_stable(&mut self, epoch: i32) -> Outcome<BTreeMap<usize, Standing>> {
        let begun = Instant::now();
        let wanted = (self.members.len(), usize::try_from(self.partitions)?);
        loop {
            let standings = self.board.standings();
            if is_stable(&standings, epoch, wanted) {
                return Ok(standings);
            }
            if let Some(number) =
                self.members.iter().find(|(_, (_, member))| member.is_finished()).map(|(number, _)| *number)
                && let Some((_, member)) = self.members.remove(&number)
            {
                member.await??;
                return fail("a member has gone by itself");
            }
            if begun.elapsed() > PATIENCE {
                return fail(format!("the group is not stable: {standings:?}"));
            }
            time::sleep(LOOK).await;
        }
    }

    fn change(
        &self,
        (before, after): (&BTreeMap<usize, Standing>, &BTreeMap<usize, Standing>),
        due: usize,
        begun: Instant,
        newcomer: Option<usize>,
    ) -> Change {
        let (before, after) = (owners(before), owners(after));
        let notes = self.board.take();
        let got: Vec<&Got> = notes
            .iter()
            .filter_map(|note| match note {
                Note::Got(got) => Some(got),
                Note::Said(_) => None,
            })
            .collect();
        let said = notes.iter().filter_map(|note| match note {
            Note::Said(at) => Some(*at),
            Note::Got(_) => None,
        });
        let asked =
            got.iter().filter(|got| !got.gained.is_empty() && Some(got.member) != newcomer).map(|got| got.asked);
        let last_word = said.chain(asked).max().unwrap_or(begun);
        let assigned = got.iter().filter(|got| got.is_assignment).map(|got| got.answered).max().unwrap_or(last_word);
        let settled = got.iter().map(|got| got.answered).max().unwrap_or(assigned);
        let in_ms = |time: Duration| time.as_secs_f64() * 1e3;
        Change {
            moved: after.iter().filter(|(partition, owner)| before.get(partition) != Some(owner)).count(),
            due,
            taken: got.iter().map(|got| got.lost.len()).sum(),
            after_last_word: in_ms(assigned.saturating_duration_since(last_word)),
            whole: in_ms(settled.saturating_duration_since(begun)),
        }
    }
}

fn greatest_epoch(standings: &BTreeMap<usize, Standing>) -> i32 {
    standings.values().map(|standing| standing.epoch).max().unwrap_or(0)
}

fn tell(what: &str, changes: &[Change]) {
    if changes.is_empty() {
        return;
    }
    let each = |of: fn(&Change) -> usize| {
        let seen: BTreeSet<usize> = changes.iter().map(of).collect();
        seen.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
    };
    let times = |of: fn(&Change) -> f64| median_and_greatest(&changes.iter().map(of).collect::<Vec<_>>());
    let moved =
        format!("{}; taken from a member that stays {}", each(|change| change.moved), each(|change| change.taken));
    row(&format!("{what}: partitions that moved"), &moved, &each(|change| change.due));
    row("the same, from the last word to the last assignment", &times(|change| change.after_last_word), "< 1,000 ms");
    row("the same, until all know of it", &times(|change| change.whole), "");
}
