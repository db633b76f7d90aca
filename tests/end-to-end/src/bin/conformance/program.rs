//! Starting client programs.

use std::{
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

use levada_end_to_end::{Outcome, fail};
use levada_harness::{Corpus, Node};
use tempfile::NamedTempFile;

use crate::plan::Client;

/// The corpus as client programs get it: a line `key<TAB>path` for each file.
pub(crate) struct CorpusList(NamedTempFile);

impl CorpusList {
    /// Writes the list.
    pub(crate) fn write(corpus: &Corpus) -> Outcome<Self> {
        let mut file = NamedTempFile::new()?;
        for entry in corpus.files() {
            writeln!(file, "{}\t{}", entry.key, entry.path.display())?;
        }
        file.flush()?;
        Ok(Self(file))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

/// One phase of a client program over one topic.
pub(crate) struct Phase<'a> {
    /// `produce`, `verify` or `produce-endlessly`.
    pub(crate) name: &'static str,
    /// Where the client connects.
    pub(crate) bootstrap: SocketAddr,
    /// The topic.
    pub(crate) topic: &'a str,
    /// The compression type.
    pub(crate) compression: &'a str,
    /// What to produce or to compare with.
    pub(crate) corpus: &'a CorpusList,
}

impl Phase<'_> {
    /// Runs the phase to its end.
    pub(crate) fn run(&self, client: &Client) -> Outcome {
        let status = self.command(client)?.status()?;
        if status.success() { Ok(()) } else { fail(format!("{} of {}: {status}", self.name, self.topic)) }
    }

    /// Starts the phase, which does not end by itself.
    pub(crate) fn start(&self, client: &Client) -> Outcome<Running> {
        let mut child = self.command(client)?.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let lines = BufReader::new(child.stdout.take().ok_or("no stdout")?).lines();
        Ok(Running { child, lines: Box::new(lines) })
    }

    fn command(&self, client: &Client) -> Outcome<Command> {
        let mut command = command(client)?;
        command.arg(self.name);
        command.arg("--bootstrap").arg(self.bootstrap.to_string());
        command.arg("--topic").arg(self.topic);
        command.arg("--compression").arg(self.compression);
        command.arg("--corpus").arg(self.corpus.path());
        Ok(command)
    }
}

/// A client program that goes on until it is stopped, and what it prints.
pub(crate) struct Running {
    child: Child,
    lines: Box<dyn Iterator<Item = std::io::Result<String>>>,
}

impl Running {
    /// The next line; `None` once the program has ended.
    pub(crate) fn line(&mut self) -> Outcome<Option<String>> {
        Ok(self.lines.next().transpose()?)
    }

    /// Stops the program and returns what it had still printed, but for a line it was just writing.
    pub(crate) fn stop(mut self) -> Outcome<Vec<String>> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(std::mem::replace(&mut self.lines, Box::new(std::iter::empty())).collect::<std::io::Result<_>>()?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Only what was not stopped above is still there; nothing is left to do about a failure.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a client that is one script, against a node of its own.
pub(crate) fn run_script(client: &Client) -> Outcome {
    let node = Node::start()?;
    let mut command = command(client)?;
    command.arg(node.kafka()?.to_string()).arg(node.grpc()?.to_string());
    let status = command.status()?;
    if status.success() { Ok(()) } else { fail(format!("the script ended with {status}")) }
}

/// The command that starts a client's program; its arguments follow.
pub(crate) fn command(client: &Client) -> Outcome<Command> {
    let (program, arguments) = client.argv.split_first().ok_or("an empty argv")?;
    let mut command = Command::new(program);
    command.args(arguments).envs(&client.env).stdin(Stdio::null());
    Ok(command)
}
