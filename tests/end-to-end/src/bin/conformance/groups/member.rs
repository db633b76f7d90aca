//! Member processes, and what they tell.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, ChildStdin, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use levada_end_to_end::{Outcome, fail};

use super::SESSION_MS;
use crate::{plan::Client, program};

/// How a member is to be started.
pub(super) struct MemberOptions<'a> {
    pub(super) bootstrap: SocketAddr,
    pub(super) topic: &'a str,
    pub(super) group: &'a str,
    pub(super) protocol: &'a str,
    /// The name of a static member.
    pub(super) instance: Option<&'a str>,
}

/// A member, by its number.
#[derive(Clone, Copy)]
pub(super) struct Member {
    pub(super) number: usize,
}

/// What a member told.
pub(super) struct Told {
    /// Which one.
    pub(super) member: usize,
    /// When, in milliseconds of the machine's clock.
    pub(super) at: u64,
    pub(super) event: Event,
}

/// What happened to a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// These partitions are its own now.
    Gained(Vec<i32>),
    /// It has given these up.
    Gave(Vec<i32>),
    /// These were taken from it.
    Lost(Vec<i32>),
    /// It has processed a record.
    Record { partition: i32, offset: i64 },
    /// It has left the group, as it was asked to.
    Left,
    /// Its process has ended.
    Ended,
}

/// All members of a group's life.
pub(super) struct Members {
    processes: Vec<Process>,
    told: Receiver<Told>,
    tell: Sender<Told>,
}

struct Process {
    child: Child,
    /// Closed to ask it to leave.
    stdin: Option<ChildStdin>,
    is_meant_to_end: bool,
}

impl Members {
    pub(super) fn new() -> Self {
        let (tell, told) = mpsc::channel();
        Self { processes: Vec::new(), told, tell }
    }

    /// Starts a member.
    pub(super) fn start(&mut self, client: &Client, options: &MemberOptions<'_>) -> Outcome<Member> {
        let mut command = program::command(client)?;
        command
            .arg("member")
            .args(["--bootstrap", &options.bootstrap.to_string(), "--topic", options.topic, "--group", options.group])
            .args(["--protocol", options.protocol, "--session-ms", &SESSION_MS.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if let Some(instance) = options.instance {
            command.args(["--instance", instance]);
        }
        let mut child = command.spawn()?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().ok_or("no stdout")?;
        let number = self.processes.len();
        let tell = self.tell.clone();
        thread::spawn(move || {
            let told = BufReader::new(stdout).lines().map_while(Result::ok).filter_map(|line| parse(number, &line));
            let ended = Told { member: number, at: now(), event: Event::Ended };
            for told in told.chain([ended]) {
                if tell.send(told).is_err() {
                    break;
                }
            }
        });
        self.processes.push(Process { child, stdin, is_meant_to_end: false });
        Ok(Member { number })
    }

    /// What some member tells next; `None` if none does within `limit`.
    pub(super) fn next(&mut self, limit: Duration) -> Outcome<Option<Told>> {
        match self.told.recv_timeout(limit) {
            Ok(told) => {
                let was_meant = self.processes.get(told.member).is_some_and(|process| process.is_meant_to_end);
                if told.event == Event::Ended && !was_meant {
                    return fail(format!("member {} ended by itself", told.member));
                }
                Ok(Some(told))
            }
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => fail("nobody can tell anything"),
        }
    }

    pub(super) fn ask_to_leave(&mut self, member: &Member) -> Outcome {
        let process = self.process(member)?;
        process.is_meant_to_end = true;
        process.stdin = None;
        Ok(())
    }

    /// Waits for the end of a member that has left.
    pub(super) fn wait(&mut self, member: &Member) -> Outcome {
        let status = self.process(member)?.child.wait()?;
        if status.success() { Ok(()) } else { fail(format!("member {} ended with {status}", member.number)) }
    }

    /// Kills a member; tells when, in milliseconds of the machine's clock: nothing that it did is later.
    pub(super) fn kill(&mut self, member: &Member) -> Outcome<u64> {
        let process = self.process(member)?;
        process.is_meant_to_end = true;
        process.child.kill()?;
        process.child.wait()?;
        Ok(now())
    }

    fn process(&mut self, member: &Member) -> Outcome<&mut Process> {
        Ok(self.processes.get_mut(member.number).ok_or("no such member")?)
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        for process in &mut self.processes {
            // Nothing is left to do about one that cannot be killed, or has ended already.
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// A line `MILLISECONDS EVENT NUMBER… .`; one cut short by the member's end says nothing.
fn parse(member: usize, line: &str) -> Option<Told> {
    let mut words: Vec<&str> = line.split(' ').collect();
    if words.pop() != Some(".") {
        return None;
    }
    let (at, event, numbers) = match words.as_slice() {
        [at, event, numbers @ ..] => (at.parse().ok()?, *event, numbers),
        _ => return None,
    };
    let partitions = || numbers.iter().map(|number| number.parse().ok()).collect::<Option<Vec<i32>>>();
    let event = match (event, numbers) {
        ("gained", _) => Event::Gained(partitions()?),
        ("gave", _) => Event::Gave(partitions()?),
        ("lost", _) => Event::Lost(partitions()?),
        ("record", [partition, offset]) => {
            Event::Record { partition: partition.parse().ok()?, offset: offset.parse().ok()? }
        }
        ("left", []) => Event::Left,
        _ => return None,
    };
    Some(Told { member, at, event })
}
