//! A producer that goes on whatever happens to brokers: it asks for the leaders anew and tries again until every record is
//! acknowledged. What a client's own retries are made of, without its batching and its backoff.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::thread;
use std::time::Instant;

use bytes::Bytes;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{MetadataRequest, ProduceRequest};
use levada_types::ErrorCode;

use super::connection::{Connection, check};
use super::produce::{ACK_TIMEOUT_MS, PRODUCE};
use super::topics::{METADATA, known_leaders, name};
use crate::CliError;
use crate::bench::failover::{Event, FailoverPlan, Gaps};

/// Sends rounds until the plan's time is over and tells of every gap.
///
/// # Errors
/// If there is no such topic, or if something is not acknowledged when the time is over.
pub(in crate::bench) fn watch(
    plan: &FailoverPlan,
    mut gaps: Gaps,
    mut tell: impl FnMut(&Event) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let begun = Instant::now();
    let is_over = || begun.elapsed() >= plan.duration;
    let batch = plan.workload.batches(0).next_batch()?;
    let mut cluster = Cluster::discover(plan)?;
    let partitions: BTreeSet<i32> = cluster.leaders.keys().copied().collect();
    let mut has_begun = false;
    while !is_over() {
        let due = Instant::now() + plan.interval;
        let mut missing = partitions.clone();
        loop {
            cluster.send_round(plan, &batch, &mut missing, &mut gaps);
            if missing.is_empty() || is_over() {
                break;
            }
            thread::sleep(plan.retry);
            cluster.refresh(&plan.topic);
        }
        if !missing.is_empty() {
            break;
        }
        let now = Instant::now();
        if !has_begun {
            has_begun = true;
            tell(&gaps.begin(now, partitions.len()))?;
        } else if let Some(gap) = gaps.round_ended(now) {
            tell(&Event::Gap(gap))?;
        }
        if let Some(early) = due.checked_duration_since(Instant::now()) {
            thread::sleep(early);
        }
    }
    tell(&gaps.end(Instant::now())?)
}

/// What is known of the cluster.
#[derive(Debug)]
struct Cluster {
    /// Brokers that were ever told of, the one given first.
    addresses: Vec<String>,
    leaders: BTreeMap<i32, String>,
    connections: HashMap<String, Connection>,
}

impl Cluster {
    /// Learns the leaders and every broker.
    fn discover(plan: &FailoverPlan) -> Result<Self, CliError> {
        let leaders = known_leaders(&plan.address, &plan.topic)?;
        let leaders = leaders.into_iter().map(|leader| (leader.partition, leader.address)).collect();
        let mut cluster = Self { addresses: vec![plan.address.clone()], leaders, connections: HashMap::new() };
        cluster.refresh(&plan.topic);
        Ok(cluster)
    }

    /// Asks one broker after the other until one tells of the leaders. What nobody tells of stays as it was.
    fn refresh(&mut self, topic: &str) {
        for address in self.addresses.clone() {
            match self.ask(&address, topic) {
                Ok(()) => return,
                Err(_) => drop(self.connections.remove(&address)),
            }
        }
    }

    fn ask(&mut self, address: &str, topic: &str) -> Result<(), CliError> {
        let request = MetadataRequest::default()
            .with_topics(Some(vec![MetadataRequestTopic::default().with_name(Some(name(topic)))]))
            .with_allow_auto_topic_creation(false);
        let answer = connection(&mut self.connections, address)?.call(METADATA, &request)?;
        let brokers: HashMap<_, _> =
            answer.brokers.iter().map(|broker| (broker.node_id, format!("{}:{}", broker.host, broker.port))).collect();
        for address in brokers.values().filter(|address| !address.is_empty()) {
            if !self.addresses.contains(address) {
                self.addresses.push(address.clone());
            }
        }
        for topic in &answer.topics {
            check("metadata", topic.error_code)?;
            for partition in &topic.partitions {
                if let Some(address) = brokers.get(&partition.leader_id) {
                    self.leaders.insert(partition.partition_index, address.clone());
                }
            }
        }
        Ok(())
    }

    /// Sends a record to each of `missing`, waits for all answers, and takes out what was acknowledged.
    fn send_round(&mut self, plan: &FailoverPlan, batch: &Bytes, missing: &mut BTreeSet<i32>, gaps: &mut Gaps) {
        let mut by_leader: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        for partition in missing.iter() {
            if let Some(address) = self.leaders.get(partition) {
                by_leader.entry(address).or_default().push(*partition);
            }
        }
        // All requests are sent before the first answer is waited for.
        let mut sent = Vec::new();
        for (address, partitions) in by_leader {
            match send(&mut self.connections, address, &request(plan, batch, &partitions)) {
                Ok((version, correlation_id)) => sent.push((address.to_owned(), partitions, version, correlation_id)),
                Err(error) => {
                    self.connections.remove(address);
                    partitions.iter().for_each(|partition| gaps.failed(*partition, &reason(&error)));
                }
            }
        }
        for (address, partitions, version, correlation_id) in sent {
            let Some(connection) = self.connections.get_mut(&address) else { continue };
            match connection.receiver.receive::<ProduceRequest>(version, correlation_id) {
                Ok(answer) => {
                    let now = Instant::now();
                    for answer in answer.responses.iter().flat_map(|topic| &topic.partition_responses) {
                        match ErrorCode::from_code(answer.error_code) {
                            Some(ErrorCode::None) => {
                                missing.remove(&answer.index);
                                gaps.acknowledged(answer.index, now);
                            }
                            Some(code) => gaps.failed(answer.index, &code.to_string()),
                            None => gaps.failed(answer.index, "an unknown error code"),
                        }
                    }
                }
                Err(error) => {
                    self.connections.remove(&address);
                    partitions.iter().for_each(|partition| gaps.failed(*partition, &reason(&error)));
                }
            }
        }
    }
}

fn send(
    connections: &mut HashMap<String, Connection>,
    address: &str,
    request: &ProduceRequest,
) -> Result<(i16, i32), CliError> {
    let sender = &mut connection(connections, address)?.sender;
    let version = sender.version::<ProduceRequest>(PRODUCE)?;
    Ok((version, sender.send(version, request)?))
}

fn request(plan: &FailoverPlan, batch: &Bytes, partitions: &[i32]) -> ProduceRequest {
    let data = partitions
        .iter()
        .map(|partition| PartitionProduceData::default().with_index(*partition).with_records(Some(batch.clone())))
        .collect();
    let topic = TopicProduceData::default().with_name(name(&plan.topic)).with_partition_data(data);
    ProduceRequest::default().with_acks(plan.acks).with_timeout_ms(ACK_TIMEOUT_MS).with_topic_data(vec![topic])
}

/// The connection to a broker, a new one if there is none.
fn connection<'a>(
    connections: &'a mut HashMap<String, Connection>,
    address: &str,
) -> Result<&'a mut Connection, CliError> {
    if !connections.contains_key(address) {
        connections.insert(address.to_owned(), Connection::open(address)?);
    }
    connections.get_mut(address).ok_or_else(|| CliError::Failed(format!("no connection to {address}")))
}

/// What went wrong, without the address, so that equal reasons are counted together.
fn reason(error: &CliError) -> String {
    match error {
        CliError::Io { source, .. } => source.kind().to_string(),
        CliError::Kafka { code, .. } => code.to_string(),
        other => other.to_string(),
    }
}
