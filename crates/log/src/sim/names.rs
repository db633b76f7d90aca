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
        self.change(path, Change::Remove(path.to_path_buf()));
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) {
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
            if path.parent().is_none_or(|dir| dir == Path::new("") || self.durable.contains_key(dir)) {
                self.durable.insert(path.clone(), *node);
            }
        }
        self.now.clone_from(&self.durable);
    }
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
                if let (Some(node), Ok(rest)) = (names.remove(&name), name.strip_prefix(from)) {
                    let target = if rest.as_os_str().is_empty() { to.clone() } else { to.join(rest) };
                    names.insert(target, node);
                }
            }
        }
    }
}
