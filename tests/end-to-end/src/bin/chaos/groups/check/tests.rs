//! Histories that break a rule each are found out, and the same ones without it are not.

use levada_end_to_end::{Acknowledged, History as Produced};

use super::{
    super::{
        event::{Answer, Event, Happened},
        history::{History, Look, Who},
    },
    *,
};

/// Two members and one partition: the first processes and commits the offsets 0 to 2, the second goes on with 3.
struct Tale(History);

impl Tale {
    fn new() -> Self {
        Self(History::default())
    }

    fn by(mut self, member: usize, at: u64, event: Event) -> Self {
        self.0.note(Who { member, identity: member }, Happened { at, event });
        self
    }

    fn owns(self, member: usize, at: u64, generation: i32) -> Self {
        self.by(member, at, Event::Assigned { generation, partitions: vec![0] })
    }

    fn gives(self, member: usize, at: u64) -> Self {
        self.by(member, at, Event::Revoked { partitions: vec![0] })
    }

    fn record(self, member: usize, at: u64, offset: i64) -> Self {
        let number = u64::try_from(offset).expect("an offset");
        self.by(member, at, Event::Record { partition: 0, offset, number, print: number * 7 })
    }

    fn commit(self, member: usize, at: u64, offset: i64, generation: i32, answer: Answer) -> Self {
        self.by(member, at, Event::Commits([(0, offset)].into())).by(member, at + 1, Event::Committed(answer)).by(
            member,
            at + 2,
            Event::SentUnder(vec![generation]),
        )
    }

    fn shows(mut self, asked: u64, offset: i64) -> Self {
        self.0.look(Look { asked, told: asked + 1, offsets: [(0, offset)].into() });
        self
    }

    fn handed_over() -> Self {
        Self::new()
            .owns(0, 100, 1)
            .record(0, 110, 0)
            .record(0, 111, 1)
            .record(0, 112, 2)
            .commit(0, 120, 3, 1, Answer::Accepted)
            .gives(0, 130)
            .owns(1, 140, 2)
            .record(1, 150, 3)
            .commit(1, 160, 4, 2, Answer::Accepted)
    }

    fn check_of(mut self, one_generation: bool, numbers: std::ops::Range<u64>) -> (Checked, Findings) {
        let mut produced = Produced::default();
        for number in numbers {
            let offset = i64::try_from(number).expect("a small number");
            produced.acknowledged.insert(number, Acknowledged { partition: 0, offset });
        }
        self.0.sort();
        let print = |number| Some(number * 7);
        check(&self.0, &Promised { produced: &produced, print: &print }, one_generation)
    }

    /// The only finding has this in it.
    fn breaks(self, rule: &str) {
        let (_, findings) = self.check_of(true, 0..4);
        assert!(findings.0.len() == 1 && findings.0[0].contains(rule), "{findings}");
    }

    fn holds(self) -> Checked {
        let (checked, findings) = self.check_of(true, 0..4);
        assert!(findings.is_empty(), "{findings}");
        checked
    }
}

fn unknown() -> Answer {
    Answer::Unknown("timed out".to_owned())
}

#[test]
fn a_partition_that_is_handed_over_keeps_every_rule() {
    let checked = Tale::handed_over().shows(125, 3).shows(170, 4).holds();
    // Each owner begins once, and two looks.
    let expected = Checked { processed: 4, accepted: 2, readings: 4, ..Checked::default() };
    assert_eq!(checked, expected);
}

#[test]
fn what_was_acknowledged_and_not_processed_is_found() {
    let (_, findings) = Tale::handed_over().check_of(true, 0..5);
    assert!(findings.to_string().contains("record 4"), "{findings}");
}

#[test]
fn another_record_at_an_offset_is_found() {
    let other = Event::Record { partition: 0, offset: 4, number: 4, print: 29 };
    Tale::handed_over().by(1, 170, other).breaks("other bytes");
    let again = |number: u64| Event::Record { partition: 0, offset: 2, number, print: number * 7 };
    let back = || Tale::handed_over().gives(1, 180).owns(0, 190, 3).record(0, 200, 4);
    let (_, findings) = back()
        .gives(0, 210)
        .by(2, 220, Event::Assigned { generation: 4, partitions: vec![0] })
        .by(2, 230, again(9))
        .check_of(true, 0..0);
    assert!(findings.to_string().contains("held record 2"), "{findings}");
}

#[test]
fn a_gap_in_what_an_owner_reads_is_found() {
    Tale::new()
        .owns(0, 100, 1)
        .record(0, 110, 0)
        .record(0, 111, 2)
        .record(0, 112, 3)
        .gives(0, 120)
        .owns(1, 130, 2)
        .record(1, 140, 1)
        .breaks_among("where 1 was due");
}

impl Tale {
    /// One of the findings has this in it.
    fn breaks_among(self, rule: &str) {
        let (_, findings) = self.check_of(true, 0..0);
        assert!(findings.0.iter().any(|finding| finding.contains(rule)), "{findings}");
    }
}

#[test]
fn a_record_of_a_partition_that_is_not_ones_own_is_found() {
    Tale::handed_over().record(0, 170, 3).breaks("does not own");
}

#[test]
fn an_offset_beyond_what_was_processed_is_found() {
    Tale::handed_over().shows(170, 5).breaks("only those below 4");
    // Processed, and not yet when it was shown.
    Tale::handed_over().shows(111, 3).breaks("only those below 2");
}

#[test]
fn an_owner_that_begins_beyond_what_was_processed_is_found() {
    Tale::new()
        .owns(0, 100, 1)
        .record(0, 110, 0)
        .gives(0, 120)
        .owns(1, 130, 2)
        .record(1, 140, 2)
        .record(1, 141, 3)
        .gives(1, 150)
        .owns(0, 160, 3)
        .record(0, 170, 1)
        .breaks_among("was where member 1 began, and only those below 1");
}

#[test]
fn a_commit_that_is_lost_is_found() {
    Tale::handed_over().shows(170, 3).breaks("4 was committed");
    Tale::handed_over().shows(170, 0).breaks("4 was committed");
    // A commit of which nobody knows may be there or not, but not be gone once it was shown.
    let unknown = |shown: &[(u64, i64)]| {
        let tale = Tale::handed_over().record(1, 165, 4).commit(1, 170, 5, 2, unknown());
        shown.iter().fold(tale, |tale, (at, offset)| tale.shows(*at, *offset))
    };
    unknown(&[(180, 4), (190, 4)]).holds();
    unknown(&[(180, 4), (190, 5)]).holds();
    unknown(&[(180, 5), (190, 4)]).breaks("5 was committed");
}

#[test]
fn an_owner_that_begins_before_what_was_committed_is_found() {
    Tale::handed_over().gives(1, 170).owns(0, 180, 3).record(0, 190, 3).breaks("4 was committed");
    Tale::handed_over().gives(1, 170).owns(0, 180, 3).record(0, 190, 4).holds();
}

#[test]
fn only_a_newer_commit_moves_an_offset_back() {
    // Of a group without members, such as one whose members were silent for too long.
    let checked = Tale::handed_over().commit(0, 170, 3, -1, Answer::Accepted).shows(180, 3).holds();
    assert_eq!((checked.moved_back, checked.without_generation), (1, 1));
    // An older one that comes late.
    let late = Tale::handed_over().by(0, 122, Event::Commits([(0, 2)].into()));
    late.shows(170, 2).breaks("4 was committed");
}

#[test]
fn two_owners_in_one_generation_are_found() {
    Tale::handed_over().owns(0, 170, 2).breaks("in generation 2");
    Tale::handed_over().gives(1, 165).owns(0, 170, 3).holds();
    // The next life of a static member is the same owner.
    let mut tale = Tale::handed_over();
    let assigned = Event::Assigned { generation: 2, partitions: vec![0] };
    tale.0.note(Who { member: 2, identity: 1 }, Happened { at: 170, event: assigned });
    tale.holds();
}

#[test]
fn an_accepted_commit_of_a_generation_that_is_over_is_found() {
    Tale::handed_over().commit(0, 155, 3, 1, Answer::Accepted).breaks("in generation 1 was accepted");
    let refused = || Answer::Refused("ILLEGAL_GENERATION".to_owned());
    let checked = Tale::handed_over().commit(0, 155, 3, 1, refused()).holds();
    assert_eq!(checked.refused, 1);
}

#[test]
fn who_is_told_late_of_a_generation_that_is_over_takes_nothing() {
    for one_generation in [true, false] {
        // The first member has not polled since its generation was formed, and is told of it now.
        let late = Tale::handed_over().owns(0, 170, 1).commit(1, 180, 4, 2, Answer::Accepted);
        let (_, findings) = late.check_of(one_generation, 0..4);
        assert!(findings.is_empty(), "{findings}");
    }
}

#[test]
fn an_accepted_commit_of_a_partition_that_went_to_another_is_found() {
    let zombie = Tale::handed_over().commit(0, 155, 3, 5, Answer::Accepted);
    let (_, findings) = zombie.check_of(false, 0..4);
    assert!(findings.to_string().contains("is member 1's"), "{findings}");
    let (_, findings) = Tale::handed_over().check_of(false, 0..4);
    assert!(findings.is_empty(), "{findings}");
}
