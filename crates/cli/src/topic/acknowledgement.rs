//! What an acknowledgement of a topic means, in words.

use serde::Serialize;

/// What the meaning depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Durability {
    /// Replicas of the partition that has the fewest.
    pub(super) replicas: usize,
    pub(super) min_insync_replicas: usize,
    /// `acks.fsync`.
    pub(super) acks_fsync: bool,
    /// `flush.messages` and `flush.ms`, if known.
    pub(super) flush_messages: Option<i64>,
    pub(super) flush_ms: Option<i64>,
}

/// What each level of `acks` promises.
#[derive(Debug, Serialize)]
pub(super) struct Acknowledgement {
    all: String,
    one: String,
    zero: String,
    flush: String,
}

impl Durability {
    pub(super) fn acknowledgement(&self) -> Acknowledgement {
        Acknowledgement { all: self.all(), one: self.one(), zero: ZERO.to_owned(), flush: self.flush() }
    }

    /// A topic cannot ask for more replicas in sync than it has.
    fn minimum(&self) -> usize {
        self.min_insync_replicas.min(self.replicas).max(1)
    }

    fn all(&self) -> String {
        let replicas = self.replicas;
        let has = if self.acks_fsync { "has the record on its disk (fsynced)" } else { "has the record" };
        let survives = |minimum: usize| {
            let brokers = format!("the loss of {} broker{}", minimum - 1, if minimum == 2 { "" } else { "s" });
            match self.acks_fsync {
                true => format!("{brokers}, and of power everywhere at once"),
                false => brokers,
            }
        };
        match (replicas, self.minimum()) {
            (0 | 1, _) => format!("the only replica {has}; it is lost with that broker's disk"),
            (_, 1) => format!(
                "every in-sync replica {has}, which may be the leader alone (min.insync.replicas=1 of {replicas} \
                 replicas), and then it is lost with that broker{}",
                if self.acks_fsync { "'s disk" } else { "" }
            ),
            (_, minimum) => format!(
                "every in-sync replica {has}, at least {minimum} of {replicas}; with fewer in sync it is refused \
                 (NOT_ENOUGH_REPLICAS); it survives {}",
                survives(minimum)
            ),
        }
    }

    fn one(&self) -> String {
        match self.replicas {
            0 | 1 if self.acks_fsync => "the only replica has the record, on its disk or not yet".to_owned(),
            0 | 1 => "the same as acks=all, since there is one replica".to_owned(),
            _ => "the leader has the record; it is lost if the leader fails before a follower has it, too".to_owned(),
        }
    }

    fn flush(&self) -> String {
        let machines = if self.replicas > 1 { "all of these machines lose" } else { "the machine loses" };
        match (self.flush_messages, self.flush_ms) {
            _ if self.acks_fsync => format!(
                "in the page cache at first; acks=all waits for the disk of every in-sync replica, and consumers see a \
                 record only then (acks.fsync=true). What acks=1 answered may be lost if {machines} power at once"
            ),
            (Some(1), _) => "on disk: each replica flushes every append before it counts".to_owned(),
            (messages, ms) => {
                let mut bounds = Vec::new();
                if let Some(messages) = messages.filter(|&messages| messages < i64::MAX) {
                    bounds.push(format!("after {messages} records"));
                }
                if let Some(ms) = ms.filter(|&ms| ms < i64::MAX) {
                    bounds.push(format!("after {ms} ms"));
                }
                let when = if bounds.is_empty() {
                    "whenever the operating system writes it back".to_owned()
                } else {
                    format!("at the latest {}", bounds.join(" or "))
                };
                format!("in the page cache, on disk {when}: what is not there yet is lost if {machines} power at once")
            }
        }
    }
}

/// What acks=0 promises.
const ZERO: &str = "nothing: the broker does not answer, and a record that it refuses is lost";

impl Acknowledgement {
    pub(super) fn text(&self) -> String {
        format!(
            "an acknowledgement means\n  acks=all  {}\n  acks=1    {}\n  acks=0    {}\n  \"has\"     {}",
            self.all, self.one, self.zero, self.flush
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn durability(replicas: usize, min_insync_replicas: usize) -> Durability {
        let never = Some(i64::MAX);
        Durability { replicas, min_insync_replicas, acks_fsync: false, flush_messages: never, flush_ms: never }
    }

    #[test]
    fn the_minimum_decides_what_is_survived() {
        assert!(durability(3, 2).all().contains("survives the loss of 1 broker"));
        assert!(durability(3, 3).all().contains("survives the loss of 2 brokers"));
        assert!(durability(3, 1).all().contains("leader alone"));
        assert!(durability(1, 2).all().contains("only replica"), "the minimum is capped by the replicas");
    }

    #[test]
    fn fsynced_acknowledgements_survive_the_loss_of_power() {
        let fsynced = |replicas, minimum| Durability { acks_fsync: true, ..durability(replicas, minimum) };
        let all = fsynced(3, 2).all();
        assert!(all.contains("on its disk (fsynced), at least 2 of 3") && all.contains("power everywhere"), "{all}");
        assert!(fsynced(1, 1).one().contains("not yet"), "acks=1 waits for no disk");
        assert!(fsynced(3, 2).flush().contains("acks=all waits for the disk"));
        assert!(!durability(3, 2).all().contains("fsynced"));
    }

    #[test]
    fn flushing_is_told_as_it_is_set() {
        let set = |flush_messages, flush_ms| Durability { flush_messages, flush_ms, ..durability(1, 1) }.flush();
        assert!(set(Some(1), None).starts_with("on disk"));
        assert!(set(Some(i64::MAX), Some(1_000)).contains("at the latest after 1000 ms"));
        assert!(set(Some(10), Some(1_000)).contains("after 10 records or after 1000 ms"));
        assert!(set(None, None).contains("whenever the operating system"));
    }
}
