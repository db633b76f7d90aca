//! Group coordinators that are killed, frozen, stopped and started: what was committed stays committed, and goes on.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, AtomicI64, Ordering},
    thread,
    time::Duration,
};

use levada_end_to_end::{Admin, Outcome, fail, metric_at};
use levada_harness::{Proxy, Route, Sandbox, SandboxOptions};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer},
};

use crate::patience::{LIMIT, wait_until};

const TOPIC: &str = "orders";

/// Groups, whose names lie in so many shards that each coordinator has some of them.
const GROUPS: usize = 12;

/// Commits of each group before the next thing happens.
const STEP: i64 = 5;

/// How often a coordinator is paused before it is given up that an append of its comes late.
const PAUSES: usize = 6;

/// A group without members, which commits offsets that only grow.
struct Group {
    consumer: BaseConsumer,
    /// What it was told last that it has committed.
    told: AtomicI64,
}

impl Group {
    fn told(&self) -> i64 {
        self.told.load(Ordering::Relaxed)
    }

    /// Commits the next offset, however long that takes.
    fn commit(&self) -> Outcome {
        let next = self.told() + 1;
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(TOPIC, 0, Offset::Offset(next))?;
        // A commit whose outcome nobody knows may be made again.
        wait_until("a commit succeeds", || Ok(self.consumer.commit(&offsets, CommitMode::Sync).is_ok()))?;
        self.told.store(next, Ordering::Relaxed);
        Ok(())
    }

    /// What it has committed is what it was told.
    fn check(&self) -> Outcome {
        let mut committed = None;
        wait_until("what is committed is told", || {
            let all = self.consumer.committed_offsets(asked(), LIMIT).ok();
            committed = all.and_then(|all| Some(all.find_partition(TOPIC, 0)?.offset()));
            Ok(committed.is_some())
        })?;
        let told = self.told();
        if committed == Some(Offset::Offset(told)) {
            return Ok(());
        }
        fail(format!("{told} was committed, and {committed:?} is told afterwards"))
    }

    /// Commits one offset after the other, and looks after each whether it is there, until `stop`.
    fn commit_until(&self, stop: &AtomicBool) -> Outcome {
        while !stop.load(Ordering::Relaxed) {
            self.commit()?;
            self.check()?;
        }
        Ok(())
    }
}

/// The partition that groups commit offsets of.
fn asked() -> TopicPartitionList {
    let mut asked = TopicPartitionList::new();
    asked.add_partition(TOPIC, 0);
    asked
}

struct Groups(Vec<Group>);

impl Groups {
    fn connect(sandbox: &mut Sandbox) -> Outcome<Self> {
        let kafka = sandbox.broker(1)?.kafka()?;
        Admin::connect(kafka)?.create_topic(TOPIC, 1, &[])?;
        let connect = |number: usize| {
            let group = format!("group-{}", number * 9);
            let mut config = rdkafka::ClientConfig::new();
            config
                .set("bootstrap.servers", kafka.to_string())
                .set("group.id", group)
                .set("enable.auto.commit", "false");
            Ok(Group { consumer: config.create()?, told: AtomicI64::new(0) })
        };
        Ok(Self((0..GROUPS).map(connect).collect::<Outcome<_>>()?))
    }

    /// Has each group commit the next offset.
    fn commit(&self) -> Outcome {
        self.0.iter().try_for_each(Group::commit)
    }

    fn check(&self) -> Outcome {
        self.0.iter().try_for_each(Group::check)
    }

    fn commit_and_check(&self) -> Outcome {
        self.commit()?;
        self.check()
    }

    /// Waits until every group has committed some more, or one has failed, which stops them all.
    fn go_on(&self, stop: &AtomicBool) -> Outcome {
        let before: Vec<i64> = self.0.iter().map(Group::told).collect();
        wait_until("every group goes on", || {
            let mut both = self.0.iter().zip(&before);
            Ok(stop.load(Ordering::Relaxed) || both.all(|(group, before)| group.told() >= before + STEP))
        })
    }

    /// Does `work` while every group does `task` on a thread of its own. A task that fails, and the end of the work, stop
    /// whoever heeds that.
    fn meanwhile(
        &self,
        task: impl Fn(&Group, &AtomicBool) -> Outcome + Sync,
        work: impl FnOnce(&AtomicBool) -> Outcome,
    ) -> Outcome {
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let (task, stop) = (&task, &stop);
            let run = |group| {
                move || {
                    // Errors stay on their threads.
                    let done = task(group, stop).map_err(|error| error.to_string());
                    if done.is_err() {
                        stop.store(true, Ordering::Relaxed);
                    }
                    done
                }
            };
            let tasks: Vec<_> = self.0.iter().map(|group| scope.spawn(run(group))).collect();
            let worked = work(stop);
            stop.store(true, Ordering::Relaxed);
            for task in tasks {
                task.join().map_err(|_| "a group met a defect")??;
            }
            worked
        })
    }
}

/// With a session that a coordinator which is frozen has soon lost.
fn options() -> SandboxOptions {
    SandboxOptions::new(1, 1).set_controllers("broker.session.timeout.ms", "6000")
}

/// How often the coordinator that serves its metrics at `http` has begun to serve a shard.
fn loads(http: SocketAddr) -> Outcome<u64> {
    metric_at(http, "levada_coordinator_loads_total{kind=\"group\"}")
}

#[test]
fn what_was_committed_outlives_coordinators_that_are_killed_frozen_and_stopped() -> Outcome {
    let mut sandbox = Sandbox::start(&options())?;
    let groups = Groups::connect(&mut sandbox)?;
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
    let refused = groups.0[0].consumer.committed_offsets(asked(), Duration::from_secs(1));
    assert!(refused.is_err(), "{refused:?}");
    sandbox.group_coordinator(2002)?.start_again()?;
    groups.commit_and_check()
}

/// What a coordinator had under way, and what waited in its sockets, when it was stopped for longer than its session, does no
/// harm when it goes on: nothing of it comes to lie above what was committed at the next owner.
#[test]
fn a_coordinator_that_slept_past_its_session_moves_no_offset_back_when_it_wakes() -> Outcome {
    let mut sandbox = Sandbox::start(&options())?;
    let groups = Groups::connect(&mut sandbox)?;
    groups.meanwhile(Group::commit_until, |stop| {
        for coordinator in [2001, 2002] {
            groups.go_on(stop)?;
            let coordinator = sandbox.group_coordinator(coordinator)?;
            let before = loads(coordinator.http)?;
            coordinator.freeze()?;
            groups.go_on(stop)?;
            coordinator.thaw()?;
            // It has found out, and come back.
            wait_until("it owns shards again", || {
                Ok(stop.load(Ordering::Relaxed) || loads(coordinator.http)? > before)
            })?;
        }
        groups.go_on(stop)
    })
}

/// Appends of a coordinator that is paused are on their way all the while, and arrive when others have its shards: they are
/// refused, and neither the new owners nor who reads the log later know anything of them.
#[test]
fn an_append_that_arrives_when_the_shard_has_passed_on_is_refused() -> Outcome {
    // Whoever dials the broker gets to a proxy at that address, at the same port.
    let mut sandbox = Sandbox::start(&options().set_brokers("internal.advertised.listener", "127.0.0.2:0"))?;
    let upstream = sandbox.broker(1)?.internal;
    let listen = SocketAddr::from(([127, 0, 0, 2], upstream.port()));
    let proxy = Proxy::start(vec![Route { listen, upstream }], None, 0)?;
    let groups = Groups::connect(&mut sandbox)?;
    let broker = sandbox.broker(1)?.http;
    let refused = || metric_at(broker, "levada_broker_refused_shard_appends_total{reason=\"session\"}");

    // On a machine that is so slow that a connection is given up before a shard passes on, nothing arrives late.
    let pairs = [(2001, 2002), (2002, 2001)].into_iter().cycle().take(PAUSES);
    for (owner, other) in pairs {
        sandbox.group_coordinator(other)?.terminate()?;
        groups.commit_and_check()?;
        let (before, http) = (refused()?, sandbox.group_coordinator(owner)?.http);
        let loaded = loads(http)?;

        // Every shard is the owner's, which has nothing under way; and nothing of it passes to the broker from now on.
        proxy.hold();
        let appends = || metric_at(http, "levada_coordinator_appends_total{kind=\"group\"}");
        let sent = appends()?;
        groups.meanwhile(
            |group, _| group.commit(),
            |stop| {
                wait_until("the owner sends what is committed", || {
                    Ok(stop.load(Ordering::Relaxed) || appends()? > sent)
                })?;
                sandbox.group_coordinator(owner)?.freeze()?;
                Ok(sandbox.group_coordinator(other)?.start_again()?)
            },
        )?;
        // The other one has all of it, and more.
        groups.commit_and_check()?;
        proxy.release();
        sandbox.group_coordinator(owner)?.thaw()?;
        wait_until("it is refused, or the owner is back", || Ok(refused()? > before || loads(http)? > loaded))?;
        groups.check()?;
        // Who comes next knows the shards by their logs.
        sandbox.group_coordinator(other)?.kill()?;
        groups.check()?;
        sandbox.group_coordinator(other)?.start_again()?;
        groups.commit_and_check()?;
        if refused()? > before {
            return Ok(());
        }
    }
    fail(format!("nothing came late when a coordinator was paused {PAUSES} times"))
}
