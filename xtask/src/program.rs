//! Starting other programs, and saying which one it was when it fails.

use std::{
    env,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::failure::{Failure, Outcome};

/// One run of another program.
pub(crate) struct Program {
    name: OsString,
    command: Command,
}

impl Program {
    /// A run of `name`, found through `PATH` unless it is a path.
    pub(crate) fn new(name: impl AsRef<OsStr>) -> Self {
        Self { name: name.as_ref().to_owned(), command: Command::new(name) }
    }

    /// A run of the cargo that started this program.
    pub(crate) fn cargo() -> Self {
        Self::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
    }

    /// Adds arguments.
    pub(crate) fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Sets the working directory.
    pub(crate) fn directory(mut self, directory: &Path) -> Self {
        self.command.current_dir(directory);
        self
    }

    /// Runs it with this terminal's output and fails if it fails.
    pub(crate) fn run(mut self) -> Outcome {
        eprintln!("$ {}", self.line());
        let status = self.command.status().map_err(Failure::io(format!("cannot start `{}`", self.line())))?;
        if status.success() { Ok(()) } else { Err(Failure::new(format!("`{}` ended with {status}", self.line()))) }
    }

    /// Runs it, returns what it wrote to stdout, and fails if it fails.
    pub(crate) fn output(mut self) -> Outcome<String> {
        let output = self
            .command
            .stderr(Stdio::inherit())
            .output()
            .map_err(Failure::io(format!("cannot start `{}`", self.line())))?;
        if !output.status.success() {
            return Err(Failure::new(format!("`{}` ended with {}", self.line(), output.status)));
        }
        String::from_utf8(output.stdout)
            .map_err(|_| Failure::new(format!("`{}` wrote something that is not UTF-8", self.line())))
    }

    fn line(&self) -> String {
        let mut line = self.name.to_string_lossy().into_owned();
        for argument in self.command.get_args() {
            line.push(' ');
            line.push_str(&argument.to_string_lossy());
        }
        line
    }
}

/// The full path of `name` if `PATH` has it.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|directory| directory.join(name)).find(|path| path.is_file())
}
