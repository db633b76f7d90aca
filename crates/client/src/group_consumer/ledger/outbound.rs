//! What is to be said to the broker.

use levada_proto::v1;
use levada_proto::v1::subscribe_request::Kind;

use super::held::{Held, Standing};
use super::{Leaving, Ledger};

impl Ledger {
    /// What the present stream is to be told now: what is processed before anything that depends on it.
    pub(in super::super) fn say(&mut self) -> Vec<v1::SubscribeRequest> {
        if !self.joined || !std::mem::take(&mut self.dirty) {
            return Vec::new();
        }
        let mut kinds = Vec::new();
        self.say_processed(&mut kinds);
        self.say_seeks(&mut kinds);
        self.say_commits(&mut kinds);
        self.say_revocations(&mut kinds);
        if std::mem::take(&mut self.progress) && kinds.is_empty() && self.partitions.values().any(Held::is_under_way) {
            kinds.push(Kind::Progress(v1::SubscriptionProgress {}));
        }
        if self.leaving == Leaving::Wanted(false) {
            self.leaving = Leaving::Wanted(true);
            kinds.push(Kind::Leave(v1::LeaveSubscription {}));
        }
        kinds.into_iter().map(|kind| v1::SubscribeRequest { kind: Some(kind) }).collect()
    }

    fn say_processed(&mut self, kinds: &mut Vec<Kind>) {
        for (key, held) in &mut self.partitions {
            let Some(next_offset) = held.processed.filter(|_| held.processed > held.told) else { continue };
            if !held.confirmed || held.seek.is_some() {
                continue;
            }
            held.told = held.processed;
            let topic_id = key.topic_id.to_string();
            kinds.push(Kind::Processed(v1::ProcessedRecords { topic_id, partition: key.partition, next_offset }));
        }
    }

    fn say_seeks(&mut self, kinds: &mut Vec<Kind>) {
        for (key, held) in self.partitions.iter_mut().filter(|(_, held)| held.confirmed) {
            let Some(seek) = held.seek.as_mut().filter(|seek| !seek.sent) else { continue };
            seek.sent = true;
            kinds.push(Kind::Seek(v1::SeekSubscription {
                topic_id: key.topic_id.to_string(),
                partition: key.partition,
                request_id: seek.request_id,
                start: Some(seek.start),
            }));
        }
    }

    fn say_commits(&mut self, kinds: &mut Vec<Kind>) {
        for (request_id, commit) in self.commits.iter_mut().filter(|(_, commit)| !commit.sent) {
            // The broker of a new stream has to know first that these are the member's.
            let unknown = |key| self.partitions.get(key).is_some_and(|held| !held.confirmed);
            if commit.keys.iter().any(unknown) {
                continue;
            }
            commit.sent = true;
            let offsets = commit.offsets.clone();
            kinds.push(Kind::Commit(v1::CommitSubscription { request_id: *request_id, offsets }));
        }
    }

    fn say_revocations(&mut self, kinds: &mut Vec<Kind>) {
        let partitions = &mut self.partitions;
        self.revocations.retain(|revocation| {
            let waits = |key| partitions.get(key).is_some_and(|held| held.standing != Standing::GivenUp);
            if revocation.keys.iter().any(waits) {
                return true;
            }
            for key in &revocation.keys {
                partitions.remove(key);
            }
            kinds.push(Kind::RevocationDone(v1::RevocationDone { number: revocation.number }));
            false
        });
    }
}
