//! The names on a simulated disk: as programs see them, and as they would be found after a crash.

use std::collections::{BTreeMap, HashMap};
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
        let added = self.pending.values().flatten().filter_map(|change| match change {
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
        self.change(path, Change::Remove(path.to_path_buf()));
    }

    /// What is not durable yet of a directory's contents goes with it: what comes to bear its old name has none of it.
    pub(super) fn rename(&mut self, from: &Path, to: &Path) {
        let moved: Vec<PathBuf> = self.pending.keys().filter(|dir| dir.starts_with(from)).cloned().collect();
        for dir in moved {
            let changes = self.pending.remove(&dir).unwrap_or_default();
            let changes = changes.into_iter().map(|change| change.moved(from, to)).collect();
            self.pending.insert(moved_path(&dir, from, to), changes);
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
        for change in self.pending.remove(dir).unwrap_or_default() {
            apply(&mut self.durable, &change);
        }
    }

    /// Makes all names durable.
    pub(super) fn sync_all(&mut self) {
        self.durable.clone_from(&self.now);
        self.pending.clear();
    }

    /// Loses what a crash loses.
    pub(super) fn crash(&mut self, random: &mut Random) {
        let mut pending: Vec<_> = std::mem::take(&mut self.pending).into_iter().collect();
        // In an order of their own, whatever the map's.
        pending.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (_, changes) in pending {
            let kept = random.up_to(changes.len());
            for change in &changes[..kept] {
                apply(&mut self.durable, change);
            }
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
}
