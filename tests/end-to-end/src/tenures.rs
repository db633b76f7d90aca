//! In which generations of a group a member had which partitions.

use std::collections::{BTreeMap, BTreeSet};

/// The partitions that one member had, from which generation or member epoch to which.
#[derive(Debug, Clone, Default)]
pub struct Tenures {
    /// The newest generation that the member knows; 0 before the first.
    generation: i32,
    /// Those that it has, since when.
    open: BTreeMap<i32, i32>,
    /// Those that it had: partition, first generation, last generation.
    closed: Vec<(i32, i32, i32)>,
}

impl Tenures {
    /// The member has entered a generation.
    pub fn enter(&mut self, generation: i32) {
        if generation > 0 {
            self.generation = generation;
        }
    }

    /// These are the member's from now on.
    pub fn begin(&mut self, partitions: &BTreeSet<i32>) {
        for partition in partitions {
            self.open.entry(*partition).or_insert(self.generation);
        }
    }

    /// These are not any more.
    pub fn end(&mut self, partitions: &BTreeSet<i32>) {
        for partition in partitions {
            if let Some(first) = self.open.remove(partition) {
                self.closed.push((*partition, first, self.generation));
            }
        }
    }

    /// All of them; what the member has it has up to the generation that it knows.
    fn all(&self) -> impl Iterator<Item = (i32, i32, i32)> {
        let open = self.open.iter().map(|(partition, first)| (*partition, *first, self.generation));
        open.chain(self.closed.iter().copied())
    }

    /// How many times partitions changed hands between members, if no partition had two owners in one generation; else says
    /// which one, and whose it was.
    ///
    /// # Errors
    /// Also where a member had partitions and nobody knows in which generation.
    pub fn check(members: &[Self]) -> Result<usize, String> {
        let mut by_partition: BTreeMap<i32, Vec<(i32, i32, usize)>> = BTreeMap::new();
        for (member, tenures) in members.iter().enumerate() {
            for (partition, first, last) in tenures.all() {
                if first <= 0 {
                    return Err(format!("member {member} had partition {partition} in no generation: {tenures:?}"));
                }
                by_partition.entry(partition).or_default().push((first, last, member));
            }
        }
        let mut changes = 0;
        for (partition, mut owners) in by_partition {
            owners.sort_unstable();
            let mut before: Option<(i32, usize)> = None;
            for (first, last, member) in owners {
                match before {
                    Some((until, other)) if other != member && first <= until => {
                        return Err(format!(
                            "partition {partition} is member {member}'s in generation {first}, and member {other}'s until {until}"
                        ));
                    }
                    Some((_, other)) if other != member => changes += 1,
                    _ => {}
                }
                before = Some((last, member));
            }
        }
        Ok(changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn had(generations: &[(i32, &[i32], &[i32])]) -> Tenures {
        let mut tenures = Tenures::default();
        for (generation, comes, goes) in generations {
            tenures.end(&goes.iter().copied().collect());
            tenures.enter(*generation);
            tenures.begin(&comes.iter().copied().collect());
        }
        tenures
    }

    #[test]
    fn a_partition_has_one_owner_in_a_generation() {
        let first = had(&[(1, &[0, 1], &[]), (2, &[], &[1]), (4, &[], &[])]);
        assert_eq!(Tenures::check(&[first.clone(), had(&[(2, &[1], &[]), (3, &[], &[])])]), Ok(1));
        assert_eq!(Tenures::check(&[first.clone(), had(&[(5, &[0], &[])])]), Ok(1), "the first has not heard of 5");
        assert!(Tenures::check(&[first.clone(), had(&[(1, &[1], &[])])]).is_err());
        assert!(Tenures::check(&[first, had(&[(4, &[0], &[])])]).is_err());
        assert!(Tenures::check(&[had(&[(0, &[0], &[])])]).is_err());
    }
}
