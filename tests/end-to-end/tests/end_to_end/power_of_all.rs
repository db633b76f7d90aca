//! Every broker of a cluster loses power at once: nothing is lost that was acknowledged as fsynced, and where something may
//! be lost it is counted and told.

use levada_end_to_end::{Admin, Outcome, Reader, Recorder, RecorderOptions, check_acknowledged, fail, metric_at};
use levada_harness::{Cluster, ClusterOptions, Corpus, LossyVolume, Machine, Role};

const SYNCED: &str = "synced";
const PLAIN: &str = "plain";
const PARTITIONS: i32 = 3;

/// How often the power goes.
const LOSSES: u64 = 2;

/// How many records must be acknowledged before each loss.
const ACKNOWLEDGED_BEFORE_A_LOSS: usize = 200;

/// What the brokers count, together.
fn counted(cluster: &Cluster, name: &str) -> Outcome<u64> {
    let brokers = cluster.machines().iter().filter(|machine| machine.role() == Role::Broker);
    brokers.map(|broker| metric_at(broker.http(), name)).sum()
}

fn all_lose_power(cluster: &mut Cluster, survives: impl Fn(u64) -> u64 + Copy) -> Outcome {
    let is_broker = |machine: &&mut Machine| machine.role() == Role::Broker;
    for broker in cluster.machines_mut().iter_mut().filter(is_broker) {
        broker.kill()?;
    }
    for broker in cluster.machines_mut().iter_mut().filter(is_broker) {
        broker.lose_unsynced(survives)?;
    }
    Ok(cluster.start_all()?)
}

#[test]
fn when_all_brokers_lose_power_what_was_acknowledged_as_fsynced_stays_and_other_losses_are_told() -> Outcome {
    if let Err(error) = LossyVolume::mount() {
        println!("not run: a volume that loses what is not synced takes FUSE and the right to mount: {error}");
        return Ok(());
    }
    let home = tempfile::tempdir()?;
    let mut cluster = Cluster::start(&ClusterOptions {
        home: home.path().to_path_buf(),
        controllers: 1,
        brokers: 3,
        group_coordinators: 0,
        controller_settings: Vec::new(),
        broker_settings: Vec::new(),
        group_coordinator_settings: Vec::new(),
        network: false,
        disks: true,
        seed: 1,
    })?;
    let corpus = Corpus::load(1 << 20)?;
    let file = |number| corpus.record(number);
    let bootstrap = *cluster.bootstrap().first().ok_or("a cluster without brokers")?;
    let admin = Admin::connect(bootstrap)?;
    let settings = [("min.insync.replicas", "2"), ("acks.fsync", "true")];
    admin.create_replicated_topic(SYNCED, (PARTITIONS, 3), &settings)?;
    admin.create_replicated_topic(PLAIN, (PARTITIONS, 3), &settings[..1])?;
    let idempotent = RecorderOptions { idempotent: true, ..RecorderOptions::default() };
    let mut synced = Recorder::connect(bootstrap, &idempotent)?;
    for loss in 0..LOSSES {
        let mut plain = Recorder::connect(bootstrap, &idempotent)?;
        let enough = synced.acknowledged() + ACKNOWLEDGED_BEFORE_A_LOSS;
        while synced.acknowledged() < enough || plain.acknowledged() < ACKNOWLEDGED_BEFORE_A_LOSS {
            for (recorder, topic) in [(&mut synced, SYNCED), (&mut plain, PLAIN)] {
                let number = recorder.sent();
                let (key, value) = file(number).ok_or("the corpus is empty")?;
                recorder.send(topic, Some(i32::try_from(number)? % PARTITIONS), key, value)?;
            }
        }
        let history = plain.finish()?;
        if !history.failed.is_empty() {
            let first = history.failed.first_key_value();
            return fail(format!("{} records failed before anything was lost; first {first:?}", history.failed.len()));
        }
        // At first nothing survives that was not synced, then half of each write.
        all_lose_power(&mut cluster, |appended| appended * loss / LOSSES)?;
        // The cluster takes records again, wherever they are to go.
        let mut after = Recorder::connect(bootstrap, &idempotent)?;
        for partition in 0..PARTITIONS {
            after.send(PLAIN, Some(partition), "after", b"the power is back")?;
        }
        let after = after.finish()?;
        assert_eq!(after.acknowledged.len(), 3, "{:?}", after.failed);
    }
    let losses = counted(&cluster, "levada_broker_possible_losses_total")?;
    if losses == 0 {
        return fail(format!("nobody counts a loss; they wrote:\n{}", cluster.log()));
    }
    let told = cluster.machines().iter().map(|machine| machine.lines_with(&["may be missing"]));
    let told: Vec<String> = told.collect::<Result<Vec<_>, _>>()?.concat();
    assert!(told.iter().any(|line| line.contains(PLAIN)), "{told:?}");
    let history = synced.finish()?;
    check_acknowledged(&Reader::connect(bootstrap, SYNCED)?, &history, true, file)
        .map_err(|error| format!("{error}; they wrote:\n{}", cluster.log()).into())
}
