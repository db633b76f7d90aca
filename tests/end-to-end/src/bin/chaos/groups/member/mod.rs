//! The program of one member, a process of its own so that it can be killed and frozen as one: it subscribes, processes and
//! commits by hand, and tells all of it on stdout, a line of JSON each. What a killed process has written is there still.

mod context;
mod orders;
mod telling;

use std::{
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use levada_end_to_end::{Outcome, RECORD_NUMBER_HEADER, client_config};
use rdkafka::{
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::{BorrowedMessage, Headers, Message},
    types::RDKafkaErrorCode,
};

use self::{
    context::Context,
    orders::{Order, Orders},
    telling::Telling,
};
use super::event::{Event, print};

/// How long one look for a record takes, after which the member looks at what it was told to do.
const POLL: Duration = Duration::from_millis(10);

/// How long a look takes that only finds out whether anything is there.
const GLANCE: Duration = Duration::from_millis(1);

/// How often it commits what it has processed.
const COMMIT_INTERVAL: Duration = Duration::from_millis(100);

/// How long it may take to close its consumer before it tells what the client says meanwhile.
const CLOSE_LIMIT: Duration = Duration::from_secs(30);

/// How long it waits to be told under which generation the last commit was sent, before it commits again all the same.
const LINES_LIMIT: Duration = Duration::from_secs(1);

/// Which member of which group.
#[derive(Debug, Args)]
pub(crate) struct MemberArguments {
    #[arg(long)]
    bootstrap: String,
    #[arg(long)]
    group: String,
    #[arg(long)]
    topic: String,
    /// `consumer`, or an assignor of the classic protocol.
    #[arg(long)]
    protocol: String,
    #[arg(long)]
    instance: Option<String>,
    /// `session.timeout.ms` of the classic protocol.
    #[arg(long)]
    session_ms: u64,
    /// `max.poll.interval.ms`.
    #[arg(long)]
    poll_ms: u64,
}

/// Is a member until stdin says to leave, or ends.
pub(crate) fn run(arguments: &MemberArguments) -> Outcome {
    let telling = Arc::new(Telling::default());
    let outcome = Member::join(arguments, &telling).and_then(|member| member.live());
    if let Err(error) = &outcome {
        telling.tell(Event::Failed(error.to_string()));
    }
    telling.flush();
    outcome
}

/// A member that polls.
struct Member {
    consumer: BaseConsumer<Context>,
    telling: Arc<Telling>,
    orders: Orders,
    /// When it last committed.
    committed: Instant,
    /// Whether its client has ended.
    has_given_up: bool,
}

impl Member {
    fn join(arguments: &MemberArguments, telling: &Arc<Telling>) -> Outcome<Self> {
        let mut config = client_config(([127, 0, 0, 1], 0).into());
        config
            .set("bootstrap.servers", &arguments.bootstrap)
            .set("group.id", &arguments.group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            .set("check.crcs", "true")
            .set("fetch.wait.max.ms", "50")
            .set("max.poll.interval.ms", arguments.poll_ms.to_string())
            .set("topic.metadata.refresh.interval.ms", "2000")
            // It says with each commit under which generation that is sent.
            .set("debug", "cgrp")
            .set_log_level(RDKafkaLogLevel::Debug);
        if arguments.protocol == "consumer" {
            config.set("group.protocol", "consumer");
        } else {
            config
                .set("partition.assignment.strategy", &arguments.protocol)
                .set("session.timeout.ms", arguments.session_ms.to_string())
                .set("heartbeat.interval.ms", (arguments.session_ms / 10).to_string());
        }
        if let Some(instance) = &arguments.instance {
            config.set("group.instance.id", instance);
        }
        let context = Context::new(arguments.topic.clone(), telling.clone());
        let consumer: BaseConsumer<Context> = config.create_with_context(context)?;
        consumer.subscribe(&[&arguments.topic])?;
        Ok(Self {
            consumer,
            telling: telling.clone(),
            orders: Orders::listen()?,
            committed: Instant::now(),
            has_given_up: false,
        })
    }

    fn live(mut self) -> Outcome {
        while !self.has_given_up {
            match self.orders.next() {
                Some(Order::Leave) => break,
                // Whoever does not poll is still seen by the coordinator, until `max.poll.interval.ms` is over.
                Some(Order::Sleep(ms)) => {
                    self.telling.flush();
                    thread::sleep(Duration::from_millis(ms));
                }
                Some(Order::Say) => self.telling.tell(Event::Says(self.context().said())),
                None => {}
            }
            if !self.look(GLANCE)? {
                self.context().tell_generations();
                self.telling.flush();
                self.look(POLL)?;
            }
            let since = self.committed.elapsed();
            if since > COMMIT_INTERVAL && (!self.context().waits_for_lines() || since > LINES_LIMIT) {
                self.context().commit(&self.consumer);
                self.committed = Instant::now();
            }
        }
        if !self.has_given_up {
            self.context().commit(&self.consumer);
        }
        self.telling.flush();
        let telling = self.telling.clone();
        let closed = say_if_late(self.context().clone(), telling.clone())?;
        // Closes the consumer, which gives its partitions back and says that it goes.
        drop(self);
        drop(closed);
        telling.tell(Event::Left);
        Ok(())
    }

    fn context(&self) -> &Arc<Context> {
        self.consumer.context()
    }

    /// Processes the next record, if one is there or comes within `limit`; tells whether one came.
    fn look(&mut self, limit: Duration) -> Outcome<bool> {
        match self.consumer.poll(limit) {
            None => return Ok(false),
            Some(Ok(message)) => self.process(&message)?,
            Some(Err(error @ KafkaError::MessageConsumptionFatal(code))) => {
                // Its log comes behind what it means.
                while self.consumer.poll(GLANCE).is_some_and(|next| next.is_ok()) {}
                self.telling.tell(Event::Says(self.context().said()));
                self.has_given_up = match code {
                    RDKafkaErrorCode::FencedInstanceId => true,
                    RDKafkaErrorCode::InvalidRequest => self.context().joined_for_nothing(),
                    _ => false,
                };
                if !self.has_given_up {
                    return Err(error.into());
                }
                self.telling.tell(Event::GaveUp);
            }
            // Servers that are gone, and a group that has gone on without this member, are what this is about. What that has
            // done to it is seen in what it reads and commits.
            Some(Err(error)) => self.telling.tell(Event::Met(error.to_string())),
        }
        Ok(true)
    }

    fn process(&self, message: &BorrowedMessage<'_>) -> Outcome {
        let headers = message.headers().ok_or("a record without headers")?;
        let number = headers.iter().find(|header| header.key == RECORD_NUMBER_HEADER);
        let number = number.and_then(|header| header.value).ok_or("a record without a number")?;
        let number = std::str::from_utf8(number)?.parse()?;
        let key = std::str::from_utf8(message.key().unwrap_or_default())?;
        let print = print(key, message.payload().unwrap_or_default());
        let (partition, offset) = (message.partition(), message.offset());
        self.telling.tell(Event::Record { partition, offset, number, print });
        self.context().processed(partition, offset);
        Ok(())
    }
}

/// Tells what the client says of itself if what this returns is not dropped in time: who closes its consumer does nothing else.
fn say_if_late(context: Arc<Context>, telling: Arc<Telling>) -> Outcome<Sender<()>> {
    let (closed, waits) = mpsc::channel::<()>();
    thread::Builder::new().name("closing".to_owned()).spawn(move || {
        if waits.recv_timeout(CLOSE_LIMIT) == Err(RecvTimeoutError::Timeout) {
            telling.tell(Event::Says(context.said()));
            telling.flush();
        }
    })?;
    Ok(closed)
}
