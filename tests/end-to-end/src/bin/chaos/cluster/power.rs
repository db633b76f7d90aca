//! Every broker loses power at once: nothing that was acknowledged as synced is lost, and of the rest only the newest, which
//! is noticed, counted and logged.

use std::time::Duration;

use levada_end_to_end::{Admin, History, Outcome, Reader, Recorder, RecorderOptions, Seeded, fail, metric_at};
use levada_harness::{Cluster, Corpus, Machine, Role};

use super::{
    clock,
    line::record,
    load::{Load, MINIMUM, PARTITIONS, synced},
    report::Report,
    standing::wait_until_in_sync,
};

/// How often the power goes.
const LOSSES: u64 = 3;

/// How many records are acknowledged before each loss.
const RECORDS: usize = 500;

/// The metric in which a broker counts leaderships that it took without a proof that nothing is missing.
const COUNTED: &str = "levada_broker_possible_losses_total";

/// Has all brokers lose power at once, again and again, under load.
pub(super) fn run(cluster: &mut Cluster, rate: u32, seed: u64, report: &mut Report) -> Outcome {
    let bootstrap = *cluster.bootstrap().first().ok_or("there is no broker")?;
    let load = Load::start(bootstrap, rate, vec![synced("synced-through-losses")])?;
    if let Err(error) = lose(cluster, &load, seed, report) {
        return fail(format!("{error}\n{}\n{}", load.findings(), cluster.log()));
    }
    let stopped = load.stop()?;
    stopped.check(bootstrap, report)
}

fn lose(cluster: &mut Cluster, load: &Load, seed: u64, report: &mut Report) -> Outcome {
    let bootstrap = *cluster.bootstrap().first().ok_or("there is no broker")?;
    let corpus = Corpus::load(1 << 20)?;
    let mut random = Seeded::new(seed);
    for loss in 1..=LOSSES {
        let topic = format!("plain-{loss}");
        Admin::connect(bootstrap)?.create_replicated_topic(&topic, (PARTITIONS, 3), &[MINIMUM])?;
        wait_until_in_sync(cluster)?;
        let mut recorder = Recorder::connect(bootstrap, &RecorderOptions::default())?;
        while recorder.acknowledged() < RECORDS {
            if recorder.sent() < 2 * RECORDS as u64 {
                let (key, value) = record(&corpus, recorder.sent()).ok_or("the corpus is empty")?;
                recorder.send(&topic, None, key, value)?;
            }
            recorder.poll(Duration::from_millis(1));
        }
        let history = recorder.finish()?;
        load.wait_until_acknowledged(RECORDS)?;

        let brokers = || |machine: &&mut Machine| machine.role() == Role::Broker;
        cluster.machines_mut().iter_mut().filter(brokers()).try_for_each(Machine::kill)?;
        for machine in cluster.machines_mut().iter_mut().filter(brokers()) {
            let lost = machine.lose_unsynced(|appended| random.below(appended + 1))?;
            report.lost(lost.bytes);
            clock::say(&format!("{machine} lost {} bytes in {} files", lost.bytes, lost.files));
        }
        cluster.start_all()?;
        wait_until_in_sync(cluster)?;
        load.wait_until_acknowledged(RECORDS)?;
        let missing = missing(&Reader::connect(bootstrap, &topic)?, &history, &corpus)?;
        // A broker counts from its start on.
        let counted = counted(cluster)?;
        report.note(format!(
            "{topic}: after a loss of power of all brokers {missing} of {} acknowledged records are missing; \
             {counted} possible losses were counted",
            history.acknowledged.len()
        ));
        if missing > 0 && counted == 0 {
            return fail(format!("{topic}: {missing} acknowledged records are missing, and {COUNTED} is 0"));
        }
    }
    Ok(())
}

/// How many possible losses the brokers have counted since they started.
fn counted(cluster: &Cluster) -> Outcome<u64> {
    let brokers = cluster.machines().iter().filter(|machine| machine.role() == Role::Broker);
    brokers.map(|broker| metric_at(broker.http(), COUNTED)).sum()
}

/// How many acknowledged records are missing: all of them at the end of their partition, and none of the others is another.
fn missing(reader: &Reader, history: &History, corpus: &Corpus) -> Outcome<usize> {
    let mut left = history.acknowledged.clone();
    let ranges = reader.read_all(|seen| {
        let number = seen.number.ok_or("not one of our records")?;
        match record(corpus, number) {
            Some((key, value)) if key == seen.key && value == seen.value => {}
            _ => return fail(format!("record {number} came back with other bytes")),
        }
        if left.get(&number).is_some_and(|place| (place.partition, place.offset) == (seen.partition, seen.offset)) {
            left.remove(&number);
        }
        Ok(())
    })?;
    for (number, place) in &left {
        if ranges.get(&place.partition).is_some_and(|range| place.offset < range.end) {
            return fail(format!(
                "record {number} was acknowledged at {place:?}, and another one stands there: {ranges:?}"
            ));
        }
    }
    Ok(left.len())
}
