//! Real text to produce: the sources of the crates that this machine built the project from.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

/// Files larger than this are left out: a record must stay well below the default `max.message.bytes`.
const MAX_FILE_BYTES: u64 = 512 * 1024;

/// One file of the corpus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorpusFile {
    /// Its name, from the name of its crate on; no two files share it.
    pub key: String,
    /// Where it lies.
    pub path: PathBuf,
    /// What it holds.
    pub text: Vec<u8>,
}

/// A set of real files, in order of name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corpus {
    files: Vec<CorpusFile>,
}

impl Corpus {
    /// Loads files up to `max_bytes` in all.
    ///
    /// Any machine that built the project has these in cargo's registry directory; where cargo takes its crates from
    /// somewhere else, the sources of the project itself serve.
    pub fn load(max_bytes: u64) -> io::Result<Self> {
        let mut corpus = Self { files: Vec::new() };
        let mut left = max_bytes;
        for registry in registries() {
            collect(&registry, &registry, &mut left, &mut corpus.files)?;
        }
        if corpus.files.is_empty() {
            let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates");
            collect(&sources, &sources, &mut left, &mut corpus.files)?;
        }
        Ok(corpus)
    }

    /// The files.
    pub fn files(&self) -> &[CorpusFile] {
        &self.files
    }

    /// The file for the record with this number: one after the other, and the first again after the last; `None` if there are
    /// none.
    pub fn in_turn(&self, number: u64) -> Option<&CorpusFile> {
        self.files.get(usize::try_from(number).ok()?.checked_rem(self.files.len())?)
    }

    /// That file as a record: its key and its value.
    pub fn record(&self, number: u64) -> Option<(&str, &[u8])> {
        self.in_turn(number).map(|file| (file.key.as_str(), file.text.as_slice()))
    }

    /// The file called `key`.
    pub fn get(&self, key: &str) -> Option<&CorpusFile> {
        self.files.binary_search_by(|file| file.key.as_str().cmp(key)).ok().and_then(|index| self.files.get(index))
    }

    /// How much text there is, in bytes.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.text.len() as u64).sum()
    }
}

/// The directories that cargo unpacked crates into.
fn registries() -> Vec<PathBuf> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")));
    let Some(entries) = home.and_then(|home| fs::read_dir(home.join("registry/src")).ok()) else { return Vec::new() };
    let mut registries: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    registries.sort();
    registries.truncate(1); // names are unique within one registry
    registries
}

fn collect(root: &Path, directory: &Path, left: &mut u64, files: &mut Vec<CorpusFile>) -> io::Result<()> {
    let mut entries = fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
    // By path with separators as they sort in a key, so that the whole list is in order of key.
    entries.sort_by_key(|entry| sort_key(&entry.path(), entry.file_type().is_ok_and(|kind| kind.is_dir())));
    for entry in entries {
        let kind = entry.file_type()?;
        let path = entry.path();
        if kind.is_dir() {
            collect(root, &path, left, files)?;
        } else if kind.is_file() {
            let bytes = entry.metadata()?.len();
            let Some(key) = path.strip_prefix(root).ok().and_then(Path::to_str) else { continue };
            if bytes > 0 && bytes <= MAX_FILE_BYTES.min(*left) {
                let text = fs::read(&path)?;
                *left -= bytes;
                files.push(CorpusFile { key: key.to_owned(), path: path.clone(), text });
            }
        }
    }
    Ok(())
}

fn sort_key(path: &Path, is_directory: bool) -> Vec<u8> {
    let mut key = path.as_os_str().as_encoded_bytes().to_vec();
    if is_directory {
        key.push(b'/');
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_is_bounded_sorted_and_found_by_key() {
        let corpus = Corpus::load(2 << 20).expect("the corpus can be read");
        assert!(corpus.bytes() <= 2 << 20);
        assert!(corpus.bytes() > 1 << 20, "any machine that built this has more than a megabyte of sources");
        assert!(corpus.files().windows(2).all(|pair| pair[0].key < pair[1].key));
        for file in corpus.files() {
            assert_eq!(corpus.get(&file.key), Some(file));
        }
        assert_eq!(corpus.get("no such file"), None);
    }
}
