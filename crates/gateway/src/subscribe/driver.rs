//! Runs a member: brings it what happens, and does what it says.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use levada_groups::api::{Request, Response};
use levada_peers::{Place, ReaderPlace};
use levada_proto::status;
use levada_proto::v1;
use levada_service::grpc::unreadable;
use levada_types::{ErrorCode, MetadataOffset, Offset, TopicIdPartition};
use prost::Message as _;
use tokio::sync::mpsc::Sender;
use tokio::time::Instant;
use tonic::{Status, Streaming};
use uuid::Uuid;

use super::member::{Effect, Event, Member, Reading, Records, Refusal, World};
use super::owned::StartPlace;
use super::readers::Readers;
use super::settings::{Resumption, Settings};
use crate::consumer::Frame;
use crate::gateway::Gateway;
use crate::inflow::Share;
use crate::refusal::{invalid, to_status};

/// How long the coordinator of a group may take. Much less than a session lasts.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a leader may take to find an offset.
const FIND_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a client has to say `join`.
const JOIN_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a client has to take what is left when its stream ends.
const LAST_WORDS_TIMEOUT: Duration = Duration::from_secs(30);

/// Messages that may wait for the connection before the client is not listened to.
const MAX_OUTGOING: usize = 256;

/// The longest sleep; something else wakes the driver long before.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);

/// What a stream's client says and hears.
pub(super) struct Line {
    pub(super) requests: Streaming<v1::SubscribeRequest>,
    /// What the requests take of the budget of what has arrived.
    pub(super) share: Arc<Share>,
    pub(super) answers: Sender<Result<Frame, Status>>,
    /// From where the client comes.
    pub(super) host: String,
}

type Found = (TopicIdPartition, u64, Result<Offset, ErrorCode>);

/// A stream and its member.
struct Driver {
    gateway: Arc<Gateway>,
    member: Member,
    line: Line,
    started: Instant,
    outgoing: VecDeque<Frame>,
    /// The client's side of the stream is open.
    hears: bool,
    /// One question at most.
    asking: FuturesUnordered<BoxFuture<'static, Result<Response, Refusal>>>,
    finding: FuturesUnordered<BoxFuture<'static, Found>>,
    readers: Readers,
    /// The member knows that the broker stops.
    stopping: bool,
    /// What ends the stream in the place of what the member says.
    failure: Option<Status>,
}

/// What has come.
enum Came {
    Answer(Result<Response, Refusal>),
    Found(Found),
    Read(Vec<(Reading, Result<Records, ErrorCode>)>),
    Said(Result<Option<v1::SubscribeRequest>, Status>),
    /// The connection has taken a message.
    Room,
    /// The client hears nothing more.
    Deaf,
    /// The metadata has changed, or time has passed.
    Tick,
    Stopping,
}

/// Serves one stream until it ends.
pub(super) async fn serve(gateway: Arc<Gateway>, mut line: Line) {
    let joined = tokio::time::timeout(JOIN_TIMEOUT, join(&gateway, &mut line)).await;
    let joined =
        joined.unwrap_or_else(|_| Err(to_status(&gateway.broker.image(), invalid("a stream begins with join"))));
    let (settings, resumption) = match joined {
        Ok(joined) => joined,
        Err(status) => {
            // Nobody need be listening any more.
            let _ = line.answers.send(Err(status)).await;
            return;
        }
    };
    let earlier = resumption.as_ref().map_or(0, |resumption: &Resumption| resumption.stream_number);
    let stream_number = earlier.saturating_add(1).max(clock_number());
    let image = gateway.broker.image();
    let mut world = World { now: 0, image: &image, fresh: &mut fresh };
    let member = Member::new(settings, resumption, stream_number, &mut world);
    let driver = Driver {
        readers: Readers::new(gateway.clone(), member.max_response_bytes()),
        gateway,
        member,
        line,
        started: Instant::now(),
        outgoing: VecDeque::new(),
        hears: true,
        asking: FuturesUnordered::new(),
        finding: FuturesUnordered::new(),
        stopping: false,
        failure: None,
    };
    driver.run().await;
}

/// Reads the first message.
async fn join(gateway: &Gateway, line: &mut Line) -> Result<(Settings, Option<Resumption>), Status> {
    let refuse = |error| to_status(&gateway.broker.image(), error);
    let first = line.requests.message().await.map_err(unreadable)?;
    let first = first.ok_or_else(|| refuse(invalid("a stream begins with join")))?;
    line.share.give_back(first.encoded_len());
    match first.kind {
        Some(v1::subscribe_request::Kind::Join(join)) => {
            Settings::read(join, line.host.clone(), &gateway.options).map_err(refuse)
        }
        _ => Err(refuse(invalid("a stream begins with join"))),
    }
}

/// A number that is greater for a later stream, as far as the clocks of brokers agree: microseconds since 1970.
fn clock_number() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

fn fresh() -> String {
    Uuid::new_v4().to_string()
}

impl Driver {
    async fn run(mut self) {
        let mut image = self.gateway.broker.image();
        let mut events = vec![Event::Tick];
        loop {
            for event in events {
                let mut world = World { now: self.now(), image: &image, fresh: &mut fresh };
                let effects = self.member.handle(event, &mut world);
                if let Some(result) = self.apply(effects) {
                    return self.end(result).await;
                }
            }
            // A message that waits for the connection says that the client has enough; what is being read already goes on.
            if self.outgoing.is_empty() {
                let wanted = self.member.readings(self.now());
                self.readers.want(&image, &wanted);
            }
            let came = self.wait(image.offset()).await;
            events = self.events(came);
            image = self.gateway.broker.image();
        }
    }

    fn now(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    /// Waits for the next thing to happen.
    async fn wait(&mut self, seen: MetadataOffset) -> Came {
        let now = self.now();
        let until = u64::try_from(self.member.next_deadline(now).saturating_sub(now)).unwrap_or(0);
        let sleep = Duration::from_millis(until).min(LONGEST_SLEEP);
        let listens = self.hears && self.member.listens() && self.outgoing.len() < MAX_OUTGOING;
        let broker = &self.gateway.broker;
        tokio::select! {
            Some(answer) = self.asking.next() => Came::Answer(answer),
            Some(found) = self.finding.next() => Came::Found(found),
            read = self.readers.next() => Came::Read(read),
            permit = self.line.answers.reserve(), if !self.outgoing.is_empty() => match permit {
                Ok(permit) => {
                    if let Some(frame) = self.outgoing.pop_front() {
                        permit.send(Ok(frame));
                    }
                    Came::Room
                }
                Err(_) => Came::Deaf,
            },
            () = self.line.answers.closed(), if self.hears => Came::Deaf,
            said = self.line.requests.message(), if listens => Came::Said(said),
            () = broker.image_changed(seen) => Came::Tick,
            () = self.gateway.shutdown.cancelled(), if !self.stopping => Came::Stopping,
            () = tokio::time::sleep(sleep) => Came::Tick,
        }
    }

    /// What has come, as events for the member.
    fn events(&mut self, came: Came) -> Vec<Event> {
        match came {
            Came::Answer(answer) => vec![Event::Answered(answer)],
            Came::Found((partition, generation, offset)) => vec![Event::Found { partition, generation, offset }],
            Came::Read(pass) => pass
                .into_iter()
                .map(|(reading, records)| {
                    let (partition, generation) = (reading.partition, reading.generation);
                    Event::Read { partition, generation, records }
                })
                .collect(),
            Came::Room => Vec::new(),
            Came::Tick => vec![Event::Tick],
            Came::Stopping => {
                self.stopping = true;
                vec![Event::Gone { stopping: true }]
            }
            Came::Deaf => {
                self.outgoing.clear();
                self.gone()
            }
            Came::Said(Ok(Some(request))) => {
                self.line.share.give_back(request.encoded_len());
                if let Some(kind) = request.kind {
                    return vec![Event::Said(kind)];
                }
                let error = invalid("a message of the stream says nothing that this broker understands");
                self.failure = Some(to_status(&self.gateway.broker.image(), error));
                self.gone()
            }
            Came::Said(Ok(None)) => self.gone(),
            Came::Said(Err(status)) => {
                self.failure = Some(unreadable(status));
                self.gone()
            }
        }
    }

    /// The client is not listened to any more.
    fn gone(&mut self) -> Vec<Event> {
        self.hears = false;
        vec![Event::Gone { stopping: false }]
    }

    /// Does what the member says. Gives what the stream ends with, if it ends.
    fn apply(&mut self, effects: Vec<Effect>) -> Option<Result<(), v1::Error>> {
        for effect in effects {
            match effect {
                Effect::Ask(request) => self.asking.push(Box::pin(ask(self.gateway.clone(), request))),
                Effect::Find { partition, generation, place } => {
                    self.finding.push(Box::pin(find(self.gateway.clone(), partition, generation, place)));
                }
                Effect::Tell(kind) => match Frame::whole(&v1::SubscribeResponse { kind: Some(kind) }) {
                    Some(frame) => self.outgoing.push_back(frame),
                    None => {
                        let text = "the records are larger than a message can be; ask for less at a time";
                        return Some(Err(status::error(ErrorCode::MessageTooLarge, text)));
                    }
                },
                Effect::End(result) => return Some(result),
            }
        }
        None
    }

    /// Sends what is left, and the end.
    async fn end(self, result: Result<(), v1::Error>) {
        let failure = self.failure.or_else(|| result.err().map(|error| status::status_with(&error)));
        let last_words = self.outgoing.into_iter().map(Ok).chain(failure.map(Err));
        let answers = self.line.answers;
        let sending = async {
            for word in last_words {
                if answers.send(word).await.is_err() {
                    return;
                }
            }
        };
        // Whoever does not take it has gone, or sleeps.
        let _ = tokio::time::timeout(LAST_WORDS_TIMEOUT, sending).await;
    }
}

/// Asks the coordinator.
async fn ask(gateway: Arc<Gateway>, request: Request) -> Result<Response, Refusal> {
    let answer = gateway.broker.groups().handle(request, ANSWER_TIMEOUT).await;
    answer.map_err(|error| Refusal { code: error.code(), message: error.to_string() })
}

/// Finds the offset of a place, at the partition's leader.
async fn find(gateway: Arc<Gateway>, partition: TopicIdPartition, generation: u64, place: StartPlace) -> Found {
    let at = match place {
        StartPlace::Earliest | StartPlace::Latest => Place::Ends,
        StartPlace::AtTime(time) => Place::AtTime(time),
    };
    let image = gateway.broker.image();
    let answers = gateway.lags.describe(&image, &[ReaderPlace { partition, place: at }], FIND_TIMEOUT).await;
    let lag = answers.into_iter().next().unwrap_or(Err(ErrorCode::UnknownServerError));
    let offset = lag.map(|lag| match place {
        StartPlace::Earliest => lag.log_start_offset,
        StartPlace::Latest => lag.high_watermark,
        // Nothing is that young: the end.
        StartPlace::AtTime(_) => lag.offset_at_time.unwrap_or(lag.high_watermark),
    });
    (partition, generation, offset)
}
