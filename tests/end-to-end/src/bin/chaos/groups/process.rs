//! The process of a member, as the run has it.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use levada_end_to_end::{Outcome, fail};
use levada_harness::{freeze, thaw};

use super::{
    book::Book,
    event::{Event, Happened, now},
    history::Who,
    kind::Kind,
};

/// `session.timeout.ms` of members of the classic protocol: some faults last longer and some do not.
pub(super) const SESSION: Duration = Duration::from_secs(4);

/// `max.poll.interval.ms`, which bounds how long a group waits for a member that it knows.
pub(super) const POLL_INTERVAL: Duration = Duration::from_secs(8);

/// What a member is doing, as far as it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Running,
    Frozen,
    /// It was asked to leave.
    Leaving,
}

/// The process of a member. Dropping it kills it.
#[derive(Debug)]
pub(super) struct MemberProcess {
    pub(super) who: Who,
    pub(super) state: State,
    /// When it was asked to leave.
    left: Option<Instant>,
    child: Child,
    stdin: Option<ChildStdin>,
    /// Takes in what it tells.
    reader: Option<JoinHandle<()>>,
    is_meant_to_end: Arc<AtomicBool>,
}

impl MemberProcess {
    /// Starts one, of which everything goes into `book`.
    pub(super) fn start(kind: &Kind, bootstrap: &str, who: Who, book: &Arc<Book>) -> Outcome<Self> {
        let mut command = Command::new(env::current_exe()?);
        command
            .arg("member")
            .args(["--bootstrap", bootstrap, "--group", kind.name, "--topic", kind.topic])
            .args(["--protocol", kind.protocol_name()])
            .args(["--session-ms", &SESSION.as_millis().to_string()])
            .args(["--poll-ms", &POLL_INTERVAL.as_millis().to_string()]);
        if kind.is_static {
            command.args(["--instance", &format!("{}-{}", kind.name, who.identity)]);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().ok_or("no stdout")?;
        let is_meant_to_end = Arc::new(AtomicBool::new(false));
        let (book, is_meant) = (book.clone(), is_meant_to_end.clone());
        let reader = thread::Builder::new().name(format!("{} {}", kind.name, who.member)).spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // The last line of one that was killed may be cut off, and says nothing then.
                if let Ok(happened) = serde_json::from_str(&line) {
                    book.note(who, happened);
                }
            }
            if !is_meant.load(Ordering::Relaxed) && !book.has_given_up(who.member) {
                book.wrong(format!("member {} ended by itself", who.member));
            }
            book.note(who, Happened { at: now(), event: Event::Gone });
        })?;
        Ok(Self { who, state: State::Running, left: None, child, stdin, reader: Some(reader), is_meant_to_end })
    }

    /// Kills it and waits until everything that it told has come in.
    pub(super) fn kill(&mut self) -> Outcome {
        self.is_meant_to_end.store(true, Ordering::Relaxed);
        self.child.kill()?;
        self.child.wait()?;
        self.finish()
    }

    /// Stops it where it is.
    pub(super) fn freeze(&mut self) -> Outcome {
        self.state = State::Frozen;
        Ok(freeze(&self.child)?)
    }

    /// Lets it go on.
    pub(super) fn thaw(&mut self) -> Outcome {
        if self.state == State::Frozen {
            self.state = State::Running;
            thaw(&self.child)?;
        }
        Ok(())
    }

    /// Asks it to leave; it ends when it has.
    pub(super) fn leave(&mut self) -> Outcome {
        if self.state != State::Leaving {
            self.thaw()?;
            self.state = State::Leaving;
            self.left = Some(Instant::now());
            self.is_meant_to_end.store(true, Ordering::Relaxed);
            self.order("leave")?;
            self.stdin = None;
        }
        Ok(())
    }

    /// For how long it has been leaving.
    pub(super) fn leaving_for(&self) -> Duration {
        self.left.map_or(Duration::ZERO, |left| left.elapsed())
    }

    /// Has it not poll for so long.
    pub(super) fn sleep(&mut self, time: Duration) -> Outcome {
        self.order(&format!("sleep {}", time.as_millis()))
    }

    /// Has it tell what its client said of itself.
    pub(super) fn say(&mut self) -> Outcome {
        if self.state == State::Leaving { Ok(()) } else { self.order("say") }
    }

    fn order(&mut self, order: &str) -> Outcome {
        let stdin = self.stdin.as_mut().ok_or("a member that was asked to leave")?;
        // One that has ended does not read it, and that is found out otherwise.
        let _ = writeln!(stdin, "{order}").and_then(|()| stdin.flush());
        Ok(())
    }

    /// Whether it has ended, and everything that it told has come in.
    ///
    /// # Errors
    /// If it did not end well.
    pub(super) fn has_ended(&mut self) -> Outcome<bool> {
        match self.child.try_wait()? {
            None => Ok(false),
            Some(status) => {
                self.finish()?;
                if status.success() { Ok(true) } else { fail(format!("member {} ended: {status}", self.who.member)) }
            }
        }
    }

    fn finish(&mut self) -> Outcome {
        match self.reader.take().map(JoinHandle::join) {
            Some(Err(_)) => fail("who reads what a member tells has panicked"),
            _ => Ok(()),
        }
    }
}

impl Drop for MemberProcess {
    fn drop(&mut self) {
        self.is_meant_to_end.store(true, Ordering::Relaxed);
        // Nothing is left to do about one that cannot be killed, or has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
