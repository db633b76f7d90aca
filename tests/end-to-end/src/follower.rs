//! A librdkafka consumer on a thread of its own that follows a topic while the servers have faults.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::mpsc::{self, Receiver, Sender, TryRecvError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rdkafka::{error::KafkaError, types::RDKafkaErrorCode};

use crate::{Acknowledged, Followed, Outcome, PartitionRange, Reader, Seen, fail};

/// How long one look for a record takes, after which the follower looks at what it was told to do.
const POLL: Duration = Duration::from_millis(50);

/// How long nothing may arrive once the faults are over and the end is not reached.
const STALL_LIMIT: Duration = Duration::from_secs(60);

/// What a follower is told to do.
enum Order {
    /// Read the newest records of each partition again.
    Reread(usize),
    /// Read up to here, then everything again from the start up to here, and end.
    Finish(BTreeMap<i32, PartitionRange>),
}

/// A consumer that reads every partition of a topic by assignment from offset 0 on, whatever happens to the servers, and
/// ends at the first record that breaks a rule of [`Followed`].
#[derive(Debug)]
pub struct Follower {
    orders: Sender<Order>,
    thread: JoinHandle<Outcome<Followed>>,
}

impl Follower {
    /// Starts to follow `topic`. `number` checks a record by itself and tells which one it is.
    pub fn start(
        bootstrap: SocketAddr,
        topic: &str,
        seen_so_far: Followed,
        number: impl Fn(&Seen) -> Outcome<u64> + Send + 'static,
    ) -> Outcome<Self> {
        let reader = Reader::connect(bootstrap, topic)?;
        reader.assign(seen_so_far.due())?;
        let (orders, received) = mpsc::channel();
        let following = Following { reader, seen: seen_so_far, number, orders: received };
        let thread = thread::Builder::new().name(format!("follow {topic}")).spawn(|| following.run())?;
        Ok(Self { orders, thread })
    }

    /// Goes back by up to `records` in each partition and reads them again.
    pub fn reread(&self, records: usize) {
        // A follower that has ended tells why when it is asked to finish.
        let _ = self.orders.send(Order::Reread(records));
    }

    /// Whether it has met something wrong and ended.
    pub fn has_failed(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits until everything below the ends of `ranges` was read twice, and returns what was seen.
    pub fn finish(self, ranges: BTreeMap<i32, PartitionRange>) -> Outcome<Followed> {
        // A follower that has ended by itself has its own outcome.
        let _ = self.orders.send(Order::Finish(ranges));
        self.thread.join().unwrap_or_else(|_| fail("the follower panicked"))
    }
}

/// The thread of a follower.
struct Following<F> {
    reader: Reader,
    seen: Followed,
    number: F,
    orders: Receiver<Order>,
}

impl<F: Fn(&Seen) -> Outcome<u64>> Following<F> {
    fn run(mut self) -> Outcome<Followed> {
        let ranges = loop {
            match self.orders.try_recv() {
                Ok(Order::Reread(records)) => {
                    self.seen.rewind(records);
                    self.reader.seek(self.seen.due())?;
                }
                Ok(Order::Finish(ranges)) => break ranges,
                Err(TryRecvError::Disconnected) => return fail("nobody waits for this follower"),
                Err(TryRecvError::Empty) => {
                    self.step()?;
                }
            }
        };
        self.read_to(&ranges)?;
        self.seen.rewind(usize::MAX);
        self.reader.seek(self.seen.due())?;
        self.read_to(&ranges)?;
        Ok(self.seen)
    }

    fn read_to(&mut self, ranges: &BTreeMap<i32, PartitionRange>) -> Outcome {
        let mut arrived = Instant::now();
        while !self.seen.has_reached(ranges) {
            if self.step()? {
                arrived = Instant::now();
            } else if arrived.elapsed() > STALL_LIMIT {
                let due: Vec<(i32, i64)> = self.seen.due().collect();
                return fail(format!(
                    "nothing came for {STALL_LIMIT:?} at {due:?}, and the topic goes on to {ranges:?}"
                ));
            }
        }
        Ok(())
    }

    /// Takes the next record, if one is there or comes soon; tells whether one came.
    fn step(&mut self) -> Outcome<bool> {
        match self.reader.poll(POLL) {
            Ok(None) => Ok(false),
            Ok(Some(seen)) => {
                let place = Acknowledged { partition: seen.partition, offset: seen.offset };
                let number = (self.number)(&seen).map_err(|error| format!("{place:?}: {error}"))?;
                self.seen.note(place, number)?;
                Ok(true)
            }
            Err(error) if error.downcast_ref().is_some_and(passes) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Whether an error only says that no server answers just now. Anything else, an offset out of range above all, is a
/// finding.
fn passes(error: &KafkaError) -> bool {
    matches!(
        error,
        KafkaError::MessageConsumption(
            RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::OperationTimedOut
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreachable_server_passes_and_lost_records_do_not() {
        assert!(passes(&KafkaError::MessageConsumption(RDKafkaErrorCode::AllBrokersDown)));
        assert!(passes(&KafkaError::MessageConsumption(RDKafkaErrorCode::BrokerTransportFailure)));
        for code in
            [RDKafkaErrorCode::OffsetOutOfRange, RDKafkaErrorCode::AutoOffsetReset, RDKafkaErrorCode::BadMessage]
        {
            assert!(!passes(&KafkaError::MessageConsumption(code)), "{code}");
        }
    }
}
