//! Commits of members that were thrown out: rule 6.

use super::{
    super::{
        event::{Answer, Event},
        history::{Commit, Who},
    },
    Checked, Findings, History, time,
};

/// A member was told that a partition is its own.
struct Claim {
    who: Who,
    at: u64,
    generation: i32,
    partition: i32,
}

/// No commit of a generation that was over when it began is accepted, and none of a partition that has gone to another.
pub(super) fn check(
    history: &History,
    commits: &[Commit],
    one_generation: bool,
    checked: &mut Checked,
    findings: &mut Findings,
) {
    let claims: Vec<Claim> = claims(history);
    for commit in commits {
        match &commit.answer {
            None | Some((_, Answer::Unknown(_))) => checked.unknown += 1,
            Some((_, Answer::Refused(_))) => checked.refused += 1,
            Some((_, Answer::Accepted)) => {
                checked.accepted += 1;
                match commit.generation {
                    // Nobody's commit is taken where nobody is a member, and those who were may all have been silent too long.
                    Some(..=0) => checked.without_generation += 1,
                    generation => findings.0.extend(stale(commit, generation, &claims, one_generation)),
                }
            }
        }
    }
}

fn claims(history: &History) -> Vec<Claim> {
    let mut claims = Vec::new();
    for (who, at, event) in history.happened() {
        if let Event::Assigned { generation, partitions } = event {
            let claim = |partition: &i32| Claim { who, at, generation: *generation, partition: *partition };
            claims.extend(partitions.iter().map(claim));
        }
    }
    claims
}

/// What was wrong with accepting this commit.
fn stale(commit: &Commit, generation: Option<i32>, claims: &[Claim], one_generation: bool) -> Option<String> {
    // Claims are in the order of time.
    let before = claims.get(..claims.partition_point(|claim| claim.at < commit.begun)).unwrap_or_default();
    let others = || before.iter().rev().filter(|claim| claim.who.identity != commit.who.identity);
    if let (true, Some(generation)) = (one_generation, generation)
        && let Some(newer) = others().find(|claim| claim.generation > generation)
    {
        return Some(format!(
            "{} a commit of member {} in generation {generation} was accepted, and since {} member {} is in generation {}",
            time(commit.begun),
            commit.who.member,
            time(newer.at),
            newer.who.member,
            newer.generation
        ));
    }
    commit.offsets.keys().find_map(|partition| {
        let own = before.iter().rev().find(|claim| claim.who == commit.who && claim.partition == *partition);
        // Whoever did not poll may be told late of a partition that has gone on since: the generation counts, not the time.
        let is_newer = |claim: &&Claim| own.is_none_or(|own| claim.generation > own.generation);
        others().filter(is_newer).find(|claim| claim.partition == *partition).map(|taken| {
            format!(
                "{} a commit of member {} for partition {partition} was accepted, which since {} is member {}'s",
                time(commit.begun),
                commit.who.member,
                time(taken.at),
                taken.who.member
            )
        })
    })
}
