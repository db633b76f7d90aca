//! Group coordinators that are killed, frozen, stopped and started: what was committed stays committed, and goes on.

use std::time::Duration;

use levada_end_to_end::{Admin, Outcome};
use levada_harness::{Sandbox, SandboxOptions};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer},
};

use crate::patience::{LIMIT, wait_until};

const TOPIC: &str = "orders";

/// Groups, whose names lie in so many shards that each coordinator has some of them.
const GROUPS: usize = 12;

/// Commits of groups without members, each to offsets that only grow.
struct Groups {
    consumers: Vec<BaseConsumer>,
    /// What each was told last that it has committed.
    told: Vec<i64>,
}

impl Groups {
    fn connect(sandbox: &mut Sandbox) -> Outcome<Self> {
        let bootstrap = sandbox.broker(1)?.kafka()?.to_string();
        let connect = |number: usize| {
            let group = format!("group-{}", number * 9);
            let mut config = rdkafka::ClientConfig::new();
            config.set("bootstrap.servers", &bootstrap).set("group.id", group).set("enable.auto.commit", "false");
            config.create()
        };
        let consumers = (0..GROUPS).map(connect).collect::<Result<Vec<BaseConsumer>, _>>()?;
        Ok(Self { consumers, told: vec![0; GROUPS] })
    }

    /// Has each group commit the next offset, however long that takes.
    fn commit(&mut self) -> Outcome {
        for (consumer, told) in self.consumers.iter().zip(&mut self.told) {
            let next = *told + 1;
            let mut offsets = TopicPartitionList::new();
            offsets.add_partition_offset(TOPIC, 0, Offset::Offset(next))?;
            // A commit whose outcome nobody knows may be made again.
            wait_until("a commit succeeds", || Ok(consumer.commit(&offsets, CommitMode::Sync).is_ok()))?;
            *told = next;
        }
        Ok(())
    }

    /// What the groups have committed is what they were told.
    fn check(&self) -> Outcome {
        for (consumer, told) in self.consumers.iter().zip(&self.told) {
            let mut asked = TopicPartitionList::new();
            asked.add_partition(TOPIC, 0);
            let committed = consumer.committed_offsets(asked, LIMIT)?;
            let offset = committed.find_partition(TOPIC, 0).map(|partition| partition.offset());
            assert_eq!(offset, Some(Offset::Offset(*told)));
        }
        Ok(())
    }

    fn commit_and_check(&mut self) -> Outcome {
        self.commit()?;
        self.check()
    }
}

#[test]
fn what_was_committed_outlives_coordinators_that_are_killed_frozen_and_stopped() -> Outcome {
    let options = SandboxOptions::new(1, 1).set_controllers("broker.session.timeout.ms", "6000");
    let mut sandbox = Sandbox::start(&options)?;
    Admin::connect(sandbox.broker(1)?.kafka()?)?.create_topic(TOPIC, 1, &[])?;
    let mut groups = Groups::connect(&mut sandbox)?;
    groups.commit_and_check()?;

    sandbox.group_coordinator(2001)?.kill()?;
    groups.commit_and_check()?;
    sandbox.group_coordinator(2001)?.start_again()?;
    groups.commit_and_check()?;

    // The other one hangs for longer than its session lasts. What it wakes up with is not what counts.
    sandbox.group_coordinator(2002)?.freeze()?;
    groups.commit_and_check()?;
    groups.commit_and_check()?;
    sandbox.group_coordinator(2002)?.thaw()?;
    groups.check()?;
    groups.commit_and_check()?;

    sandbox.group_coordinator(2001)?.terminate()?;
    groups.commit_and_check()?;
    sandbox.group_coordinator(2002)?.kill()?;
    sandbox.group_coordinator(2001)?.start_again()?;
    groups.commit_and_check()?;

    // Without one there are no groups, and as soon as there is one again they are as they were.
    sandbox.group_coordinator(2001)?.kill()?;
    let asked = {
        let mut asked = TopicPartitionList::new();
        asked.add_partition(TOPIC, 0);
        asked
    };
    let refused = groups.consumers[0].committed_offsets(asked, Duration::from_secs(1));
    assert!(refused.is_err(), "{refused:?}");
    sandbox.group_coordinator(2002)?.start_again()?;
    groups.commit_and_check()
}
