//! Where records come from: lines of standard input or of files, or whole files.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::ProduceArgs;
use crate::CliError;

/// Bytes that are read of a file at once.
const BUFFER: usize = 256 << 10;

/// The key and value of a record to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) key: Option<Bytes>,
    pub(super) value: Bytes,
}

impl Piece {
    pub(super) fn bytes(&self) -> u64 {
        (self.key.as_ref().map_or(0, Bytes::len) + self.value.len()) as u64
    }
}

/// Iterates over what is to be produced.
pub(super) struct Input<'a> {
    /// Files that are yet to be read.
    files: VecDeque<PathBuf>,
    /// The lines of what is being read, and its name.
    lines: Option<(Box<dyn BufRead>, String)>,
    /// Bytes of a whole record at most, and so of a line.
    max_bytes: u64,
    whole: bool,
    key_separator: Option<&'a str>,
    total_bytes: Option<u64>,
}

impl<'a> Input<'a> {
    /// Finds the files, if any; opens nothing yet.
    pub(super) fn open(args: &'a ProduceArgs) -> Result<Self, CliError> {
        let mut input = Self {
            files: VecDeque::new(),
            lines: None,
            max_bytes: args.max_record_size.0,
            whole: args.whole,
            key_separator: args.key_separator.as_deref(),
            total_bytes: None,
        };
        if args.files.is_empty() {
            input.lines = Some((Box::new(BufReader::with_capacity(BUFFER, io::stdin())), "standard input".to_owned()));
            return Ok(input);
        }
        for path in &args.files {
            input.add(path)?;
        }
        Ok(input)
    }

    /// Bytes of all files together, if there are files.
    pub(super) const fn total_bytes(&self) -> Option<u64> {
        self.total_bytes
    }

    /// Adds a file, or all files of a directory by name.
    fn add(&mut self, path: &Path) -> Result<(), CliError> {
        let failed = || CliError::io(path.display().to_string());
        let metadata = fs::metadata(path).map_err(failed())?;
        if !metadata.is_dir() {
            self.total_bytes = Some(self.total_bytes.unwrap_or(0) + metadata.len());
            self.files.push_back(path.to_owned());
            return Ok(());
        }
        if !self.whole {
            return Err(CliError::Usage(format!("{} is a directory; its files go whole (--whole)", path.display())));
        }
        let entries = fs::read_dir(path).map_err(failed())?;
        let mut paths =
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>().map_err(failed())?;
        paths.sort();
        paths.iter().try_for_each(|path| self.add(path))
    }

    fn next_whole(&mut self) -> Result<Option<Piece>, CliError> {
        let Some(path) = self.files.pop_front() else { return Ok(None) };
        let failed = || CliError::io(path.display().to_string());
        let file = File::open(&path).map_err(failed())?;
        let mut value = Vec::new();
        file.take(self.max_bytes.saturating_add(1)).read_to_end(&mut value).map_err(failed())?;
        self.check_size(value.len(), &path.display().to_string())?;
        let key = Bytes::from(path.to_string_lossy().into_owned());
        Ok(Some(Piece { key: Some(key), value: value.into() }))
    }

    fn next_line(&mut self) -> Result<Option<Piece>, CliError> {
        loop {
            if self.lines.is_none() {
                let Some(path) = self.files.pop_front() else { return Ok(None) };
                let name = path.display().to_string();
                let file = File::open(&path).map_err(CliError::io(name.clone()))?;
                self.lines = Some((Box::new(BufReader::with_capacity(BUFFER, file)), name));
            }
            let Some((reader, name)) = &mut self.lines else { return Ok(None) };
            let mut line = Vec::new();
            // Bounded, so that a file without line ends does not fill the memory.
            let mut bounded = reader.take(self.max_bytes.saturating_add(2));
            bounded.read_until(b'\n', &mut line).map_err(CliError::io(name.clone()))?;
            if line.is_empty() {
                self.lines = None;
                continue;
            }
            if line.last() == Some(&b'\n') {
                line.pop();
            }
            let name = name.clone();
            self.check_size(line.len(), &name)?;
            return self.split(line.into(), &name).map(Some);
        }
    }

    fn check_size(&self, size: usize, name: &str) -> Result<(), CliError> {
        if size as u64 <= self.max_bytes {
            return Ok(());
        }
        Err(CliError::Failed(format!("{name}: a record of more than {} bytes (--max-record-size)", self.max_bytes)))
    }

    /// Cuts a line into key and value.
    fn split(&self, line: Bytes, name: &str) -> Result<Piece, CliError> {
        let Some(separator) = self.key_separator.filter(|separator| !separator.is_empty()) else {
            return Ok(Piece { key: None, value: line });
        };
        let at = line.windows(separator.len()).position(|window| window == separator.as_bytes());
        let at =
            at.ok_or_else(|| CliError::Failed(format!("{name}: a line without the key separator {separator:?}")))?;
        Ok(Piece { key: Some(line.slice(..at)), value: line.slice(at + separator.len()..) })
    }
}

impl Iterator for Input<'_> {
    type Item = Result<Piece, CliError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.whole { self.next_whole() } else { self.next_line() }.transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(max_bytes: u64, whole: bool, key_separator: Option<&str>) -> Input<'_> {
        Input { files: VecDeque::new(), lines: None, max_bytes, whole, key_separator, total_bytes: None }
    }

    fn lines(text: &'static str, max_bytes: u64, separator: Option<&'static str>) -> Input<'static> {
        let mut input = input(max_bytes, false, separator);
        input.lines = Some((Box::new(text.as_bytes()), "test".to_owned()));
        input
    }

    fn pieces(input: Input<'_>) -> Result<Vec<(Option<String>, String)>, CliError> {
        let text = |bytes: Bytes| String::from_utf8_lossy(&bytes).into_owned();
        input.map(|piece| piece.map(|piece| (piece.key.map(text), text(piece.value)))).collect()
    }

    fn value(text: &str) -> (Option<String>, String) {
        (None, text.to_owned())
    }

    #[test]
    fn each_line_is_a_record_empty_ones_too() {
        assert_eq!(pieces(lines("a\n\nb\r\nc", 9, None)).unwrap(), [value("a"), value(""), value("b\r"), value("c")]);
        assert_eq!(pieces(lines("", 9, None)).unwrap(), []);
    }

    #[test]
    fn keys_end_at_the_first_separator() {
        let keyed = |key: &str, value: &str| (Some(key.to_owned()), value.to_owned());
        assert_eq!(pieces(lines("a::b::c\n::d", 9, Some("::"))).unwrap(), [keyed("a", "b::c"), keyed("", "d")]);
        assert!(pieces(lines("a", 9, Some("::"))).is_err());
    }

    #[test]
    fn a_record_beyond_the_limit_is_an_error_and_one_at_it_is_not() {
        assert_eq!(pieces(lines("12345\n12345", 5, None)).unwrap().len(), 2);
        assert!(pieces(lines("123456\n", 5, None)).is_err());
    }

    #[test]
    fn files_go_whole_with_their_paths_as_keys() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("b")).unwrap();
        fs::write(directory.path().join("b/inner"), "one\ntwo").unwrap();
        fs::write(directory.path().join("a"), "").unwrap();
        let mut whole = input(100, true, None);
        whole.add(directory.path()).unwrap();
        assert_eq!(whole.total_bytes(), Some(7));
        let path = |name: &str| Some(directory.path().join(name).display().to_string());
        assert_eq!(pieces(whole).unwrap(), [(path("a"), String::new()), (path("b/inner"), "one\ntwo".to_owned())]);
        assert!(matches!(input(100, false, None).add(directory.path()), Err(CliError::Usage(_))));
    }

    #[test]
    fn lines_of_several_files_follow_each_other() {
        let directory = tempfile::tempdir().unwrap();
        let mut both = input(100, false, None);
        for (name, text) in [("1", "a\nb"), ("2", "c\n")] {
            fs::write(directory.path().join(name), text).unwrap();
            both.add(&directory.path().join(name)).unwrap();
        }
        assert_eq!(pieces(both).unwrap(), [value("a"), value("b"), value("c")]);
    }
}
