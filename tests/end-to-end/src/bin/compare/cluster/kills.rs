//! SIGKILL of brokers under a producer: how long until the next acknowledged write.

use std::{thread, time::Duration};

use levada_end_to_end::Outcome;

use super::{
    gap_watch::{GapWatch, after_fault_ms},
    rdkafka_watch::RdkafkaWatch,
    subject::Subject,
    table::{median_and_greatest, row},
    time_of_day::now_us,
};

const TOPIC: &str = "failover";

/// How long the producers go on after the cluster has dealt with a fault, so that its end is seen, and before the next one.
const SETTLE: Duration = Duration::from_millis(700);

/// How often librdkafka looks for partitions whose leader is not there. The kills are spread over this time evenly: always
/// at the same moment of it, all of its times would be the same.
const SCAN: Duration = Duration::from_secs(1);

/// What is killed.
#[derive(Clone, Copy)]
enum Victim {
    Leader,
    Follower,
    LeaderAndController,
}

/// Times from the kill to the next acknowledged write.
#[derive(Default)]
struct Times {
    own_ms: Vec<f64>,
    rdkafka_ms: Vec<f64>,
}

/// Kills and measures; every process is started again, and all replicas are in sync again, before the next kill.
pub(crate) fn run(leaders: u32, followers: u32, controllers: u32) -> Outcome {
    let mut subject = Subject::start(TOPIC, 1, &[("min.insync.replicas", "2")], &[])?;
    let mut own = GapWatch::start(&mut subject, &["--retry", "10ms", "--longer-than", "2ms"])?;
    for (victim, count, name, goal, goal_of_others) in [
        (Victim::Leader, leaders, "the partition's leader", "median < 300 ms, all < 500 ms", "< 1,000 ms"),
        (Victim::Follower, followers, "a follower", "median < 300 ms, all < 500 ms", "< 1,000 ms"),
        (Victim::LeaderAndController, controllers, "the leader and the active controller", "< 3,000 ms", ""),
    ] {
        let mut times = Times::default();
        for kill in 0..count {
            let struck = strike(&mut subject, victim, SCAN * kill / count, &mut own);
            let (own_ms, rdkafka_ms) = struck.map_err(|error| format!("{error}\n{}", subject.sandbox.log()))?;
            eprintln!("SIGKILL of {name}: {own_ms:.1} ms, librdkafka {rdkafka_ms:.1} ms");
            times.own_ms.push(own_ms);
            times.rdkafka_ms.push(rdkafka_ms);
        }
        row(&format!("SIGKILL of {name} to the next acks=all"), &median_and_greatest(&times.own_ms), goal);
        row("the same by librdkafka with its defaults", &median_and_greatest(&times.rdkafka_ms), goal_of_others);
    }
    Ok(())
}

/// Kills so long after librdkafka's first acknowledgement and the time in which all settles.
fn strike(subject: &mut Subject, victim: Victim, phase: Duration, own: &mut GapWatch) -> Outcome<(f64, f64)> {
    // A new one each time: librdkafka remembers for ten seconds how often a connection has failed, and waits accordingly.
    let other = RdkafkaWatch::start(subject.bootstrap(), TOPIC)?;
    other.wait_until_acknowledged()?;
    thread::sleep(SETTLE + phase);
    own.gaps()?;
    let broker = match victim {
        Victim::Leader | Victim::LeaderAndController => subject.leader()?,
        Victim::Follower => subject.follower()?,
    };
    let controller = match victim {
        Victim::LeaderAndController => Some(subject.active_controller()?),
        Victim::Leader | Victim::Follower => None,
    };
    let fault_us = now_us();
    if let Some(controller) = controller {
        subject.sandbox.controller(controller)?.kill()?;
    }
    subject.sandbox.broker(broker)?.kill()?;
    subject.wait_until_out(broker)?;
    other.wait_until_acknowledged()?;
    thread::sleep(SETTLE);
    let times = (after_fault_ms(&own.gaps()?, fault_us), other.after_fault_ms(fault_us));
    other.finish()?;
    if let Some(controller) = controller {
        subject.sandbox.controller(controller)?.start_again()?;
    }
    subject.sandbox.broker(broker)?.start_again()?;
    subject.wait_until_in_sync()?;
    Ok(times)
}
