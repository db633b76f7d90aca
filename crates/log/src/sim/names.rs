//! The names on a simulated disk: as programs see them, and as they would be found after a crash.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::random::Random;

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    Dir,
    File(u64),
}

/// A change of the names in one directory.
#[derive(Debug, Clone)]
enum Change {
    Add(PathBuf, Node),
    Remove(PathBuf),
    /// With everything below it; atomic.
    Rename(PathBuf, PathBuf),
}

/// The names on a disk.
#[derive(Debug, Default)]
pub(super) struct Names {
    now: BTreeMap<PathBuf, Node>,
    durable: BTreeMap<PathBuf, Node>,
    /// Changes since each directory's last sync, in order.
    pending: HashMap<PathBuf, Vec<Change>>,
    /// Changes that were synced in a directory of which nobody would find the name after a crash: there once that is.
    unnamed: HashMap<PathBuf, Vec<Change>>,
}

impl Names {
    pub(super) fn get(&self, path: &Path) -> Option<Node> {
        self.now.get(path).copied()
    }

    /// The names directly in a directory.
    pub(super) fn children(&self, dir: &Path) -> impl Iterator<Item = (&PathBuf, Node)> {
        self.now.iter().filter(move |(path, _)| path.parent() == Some(dir)).map(|(path, node)| (path, *node))
    }

    /// Every file that a name stands for, now or after a crash.
    pub(super) fn files(&self) -> impl Iterator<Item = u64> {
        let added = self.pending.values().chain(self.unnamed.values()).flatten().filter_map(|change| match change {
            Change::Add(_, node) => Some(node),
            Change::Remove(_) | Change::Rename(..) => None,
        });
        self.now.values().chain(self.durable.values()).chain(added).filter_map(|node| match node {
            Node::File(inode) => Some(*inode),
            Node::Dir => None,
        })
    }

    pub(super) fn add(&mut self, path: &Path, node: Node) {
        self.change(path, Change::Add(path.to_path_buf(), node));
    }

    pub(super) fn remove(&mut self, path: &Path) {
        self.pending.retain(|dir, _| !dir.starts_with(path));
        self.unnamed.retain(|dir, _| !dir.starts_with(path));
        self.change(path, Change::Remove(path.to_path_buf()));
    }

    /// What is not durable yet of a directory's contents goes with it: what comes to bear its old name has none of it.
    pub(super) fn rename(&mut self, from: &Path, to: &Path) {
        for all in [&mut self.pending, &mut self.unnamed] {
            let moved: Vec<PathBuf> = all.keys().filter(|dir| dir.starts_with(from)).cloned().collect();
            for dir in moved {
                let changes = all.remove(&dir).unwrap_or_default();
                let changes = changes.into_iter().map(|change| change.moved(from, to)).collect();
                all.insert(moved_path(&dir, from, to), changes);
            }
        }
        self.change(from, Change::Rename(from.to_path_buf(), to.to_path_buf()));
    }

    fn change(&mut self, path: &Path, change: Change) {
        apply(&mut self.now, &change);
        let dir = path.parent().unwrap_or(Path::new("")).to_path_buf();
        self.pending.entry(dir).or_default().push(change);
    }

    /// Makes the names in a directory durable.
    pub(super) fn sync(&mut self, dir: &Path) {
        let changes = self.pending.remove(dir).unwrap_or_default();
        match self.durable_name(dir) {
            Some(name) => changes.into_iter().for_each(|change| apply(&mut self.durable, &change.moved(dir, &name))),
            None => self.unnamed.entry(dir.to_path_buf()).or_default().extend(changes),
        }
        // What was synced in directories that have a name only now.
        let mut named: Vec<PathBuf> =
            self.unnamed.keys().filter(|dir| self.durable_name(dir).is_some()).cloned().collect();
        named.sort();
        for dir in named {
            self.unnamed.remove(&dir).unwrap_or_default().iter().for_each(|change| apply(&mut self.durable, change));
        }
    }

    /// The name under which a directory would be found after a crash, if it certainly would.
    fn durable_name(&self, dir: &Path) -> Option<PathBuf> {
        let Some(parent) = dir.parent() else { return Some(dir.to_path_buf()) };
        let mut name = dir.to_path_buf();
        for change in self.unnamed.get(parent).into_iter().chain(self.pending.get(parent)).flatten().rev() {
            match change {
                Change::Add(added, _) if *added == name => return None,
                Change::Rename(from, to) if *to == name => name.clone_from(from),
                _ => {}
            }
        }
        let parent = self.durable_name(parent)?;
        Some(name.file_name().map_or_else(|| parent.clone(), |last| parent.join(last)))
    }

    /// Makes all names durable.
    pub(super) fn sync_all(&mut self) {
        self.durable.clone_from(&self.now);
        self.pending.clear();
        self.unnamed.clear();
    }

    /// Loses what a crash loses.
    pub(super) fn crash(&mut self, random: &mut Random) {
        let mut unnamed = std::mem::take(&mut self.unnamed);
        let mut pending = std::mem::take(&mut self.pending);
        // In an order of their own, whatever the map's: a directory before what is in it.
        let dirs: BTreeSet<PathBuf> = pending.keys().chain(unnamed.keys()).cloned().collect();
        let mut lost = BTreeSet::new();
        for dir in dirs {
            let synced = unnamed.remove(&dir).unwrap_or_default();
            let changes = pending.remove(&dir).unwrap_or_default();
            let is_lost = dir.ancestors().any(|dir| lost.contains(dir));
            let kept = if is_lost { 0 } else { random.up_to(changes.len()) };
            if !is_lost {
                synced.iter().chain(&changes[..kept]).for_each(|change| apply(&mut self.durable, change));
            }
            lost.extend(changes[kept..].iter().filter_map(Change::named).map(Path::to_path_buf));
        }
        // What is in a directory that was lost is lost.
        let names = std::mem::take(&mut self.durable);
        for (path, node) in &names {
            if path.parent().is_none_or(|dir| is_root(dir) || self.durable.contains_key(dir)) {
                self.durable.insert(path.clone(), *node);
            }
        }
        self.now.clone_from(&self.durable);
    }
}

impl Change {
    /// The name that something has by it.
    fn named(&self) -> Option<&Path> {
        match self {
            Self::Add(name, _) | Self::Rename(_, name) => Some(name),
            Self::Remove(_) => None,
        }
    }

    /// The same change after `from`, in which it is, was renamed.
    fn moved(self, from: &Path, to: &Path) -> Self {
        match self {
            Self::Add(path, node) => Self::Add(moved_path(&path, from, to), node),
            Self::Remove(path) => Self::Remove(moved_path(&path, from, to)),
            Self::Rename(old, new) => Self::Rename(moved_path(&old, from, to), moved_path(&new, from, to)),
        }
    }
}

fn moved_path(path: &Path, from: &Path, to: &Path) -> PathBuf {
    match path.strip_prefix(from) {
        Ok(rest) if rest.as_os_str().is_empty() => to.to_path_buf(),
        Ok(rest) => to.join(rest),
        Err(_) => path.to_path_buf(),
    }
}

/// Whether it is there whatever happens.
fn is_root(dir: &Path) -> bool {
    dir.parent().is_none()
}

fn apply(names: &mut BTreeMap<PathBuf, Node>, change: &Change) {
    match change {
        Change::Add(path, node) => {
            names.insert(path.clone(), *node);
        }
        Change::Remove(path) => names.retain(|name, _| !name.starts_with(path)),
        Change::Rename(from, to) => {
            if !names.contains_key(from) {
                return;
            }
            names.retain(|name, _| !name.starts_with(to));
            let moved: Vec<_> =
                names.iter().filter(|(name, _)| name.starts_with(from)).map(|(n, _)| n.clone()).collect();
            for name in moved {
                if let Some(node) = names.remove(&name) {
                    names.insert(moved_path(&name, from, to), node);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_durable_in_a_renamed_directory_is_not_in_the_next_of_its_name() {
        let mut names = Names::default();
        let path = |name: &str| PathBuf::from(name);
        names.add(&path("/t"), Node::Dir);
        names.add(&path("/t/1"), Node::File(1));
        names.rename(&path("/t"), &path("/t-delete"));
        names.add(&path("/t"), Node::Dir);
        names.add(&path("/t/2"), Node::File(2));
        names.sync(&path("/"));
        names.sync(&path("/t"));
        names.crash(&mut Random::new(1));
        assert_eq!(names.get(&path("/t/2")), Some(Node::File(2)));
        assert_eq!(names.get(&path("/t/1")), None);
    }

    #[test]
    fn what_is_durable_in_a_directory_is_not_in_the_one_before_it_of_its_name() {
        let path = |name: &str| PathBuf::from(name);
        for seed in 0..20 {
            let mut names = Names::default();
            names.add(&path("/d"), Node::Dir);
            names.add(&path("/d/t"), Node::Dir);
            names.add(&path("/d/t/1"), Node::File(1));
            ["/", "/d", "/d/t"].iter().for_each(|dir| names.sync(&path(dir)));
            names.rename(&path("/d/t"), &path("/d/t-delete"));
            names.add(&path("/d/t"), Node::Dir);
            names.add(&path("/d/t/2"), Node::File(2));
            names.sync(&path("/d/t"));
            names.crash(&mut Random::new(seed));
            let found = |name: &str| names.get(&path(name)).is_some();
            let all = ["/d/t/1", "/d/t-delete/1", "/d/t/2"].map(found);
            let right = [[true, false, false], [false, true, false], [false, true, true]];
            assert!(right.contains(&all), "seed {seed}: {all:?}");
        }
    }
}
