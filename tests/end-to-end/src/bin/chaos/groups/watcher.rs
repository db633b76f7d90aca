//! Who looks at what a group has committed, again and again, without being a member.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use levada_end_to_end::{Outcome, client_config, fail};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
};

use super::{book::Book, event::now, history::Look, kind::Kind};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// How long the coordinator may take over one look.
const LIMIT: Duration = Duration::from_secs(5);

/// A thread that looks at a group.
#[derive(Debug)]
pub(super) struct Watcher {
    stopping: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Watcher {
    /// Looks at what the group has committed of so many partitions, until it is stopped.
    pub(super) fn start(kind: Kind, partitions: i32, bootstrap: &str, book: Arc<Book>) -> Outcome<Self> {
        let consumer: BaseConsumer = client_config(([127, 0, 0, 1], 0).into())
            .set("bootstrap.servers", bootstrap)
            .set("group.id", kind.name)
            .set("enable.auto.commit", "false")
            .create()?;
        let stopping = Arc::new(AtomicBool::new(false));
        let stop = stopping.clone();
        let thread = thread::Builder::new().name(format!("look at {}", kind.name)).spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                // That nobody answers just now is what this run is about.
                if let Ok(look) = look(&consumer, kind.topic, partitions) {
                    book.look(look);
                }
                thread::sleep(PAUSE);
            }
        })?;
        Ok(Self { stopping, thread })
    }

    /// Looks no more.
    pub(super) fn stop(self) -> Outcome {
        self.stopping.store(true, Ordering::Relaxed);
        self.thread.join().or_else(|_| fail("who looks at a group has panicked"))
    }
}

fn look(consumer: &BaseConsumer, topic: &str, partitions: i32) -> Outcome<Look> {
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition(topic, partition);
    }
    let asked = now();
    let answer = consumer.committed_offsets(list, LIMIT)?;
    let told = now();
    let mut offsets = BTreeMap::new();
    for element in answer.elements() {
        element.error()?;
        if let Offset::Offset(offset) = element.offset() {
            offsets.insert(element.partition(), offset);
        }
    }
    Ok(Look { asked, told, offsets })
}
