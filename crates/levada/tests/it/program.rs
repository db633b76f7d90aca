//! The `levada` program, run by a test.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The program with these arguments and none of this shell's options.
pub(crate) fn levada(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_levada"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("LEVADA_")) {
        command.env_remove(name);
    }
    command.args(arguments);
    command
}

/// How the program ended by itself: its exit code and what it wrote to standard error.
pub(crate) fn outcome(arguments: &[&str]) -> (Option<i32>, String) {
    let output = levada(arguments).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// A program that serves. Killed when it is dropped.
pub(crate) struct Serving {
    child: Child,
    stdout: BufReader<ChildStdout>,
    ready: String,
}

impl Serving {
    /// Starts the program and waits for its ready line.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = levada(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut ready = String::new();
        stdout.read_line(&mut ready).unwrap();
        Self { child, stdout, ready }
    }

    /// `levada dev` on free ports with its data in `dir`.
    pub(crate) fn dev(dir: &Path) -> Self {
        let any = "127.0.0.1:0";
        let dir = dir.to_str().unwrap();
        Self::start(&["dev", "--data-dir", dir, "--kafka-addr", any, "--grpc-addr", any, "--http-addr", any])
    }

    /// The ready line.
    pub(crate) fn ready(&self) -> &str {
        self.ready.trim_end()
    }

    /// The address behind `name=` in the ready line.
    pub(crate) fn address(&self, name: &str) -> &str {
        let mut words = self.ready().split(' ');
        words.find_map(|word| word.strip_prefix(name)?.strip_prefix('=')).unwrap()
    }

    /// Sends `signal` and waits for the end: the exit code and whatever came on standard output after the ready line.
    pub(crate) fn stop(mut self, signal: Signal) -> (Option<i32>, String) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
