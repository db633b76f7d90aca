//! The round trip of the corpus through one client: fresh, after a clean restart, after SIGKILL while producing.

use std::{collections::BTreeMap, net::SocketAddr};

use levada_end_to_end::{
    Acknowledged, Admin, Outcome, Reader, check_corpus, check_seek_by_offset, check_seek_by_time, fail,
};
use levada_harness::{Corpus, Node};

use crate::{
    plan::Client,
    program::{CorpusList, Phase},
};

/// How many acknowledgements the client must have printed before the node is killed.
const ACKNOWLEDGED_BEFORE_THE_KILL: usize = 500;

/// Runs everything for one client.
pub(crate) fn run(client: &Client, corpus: &Corpus, list: &CorpusList) -> Outcome {
    let mut node = Node::start()?;
    for compression in &client.compressions {
        phase("produce", client, &node, &topic(client, compression), compression, list)?;
    }
    verify(client, &node, corpus, list).map_err(|error| format!("after producing: {error}"))?;

    let status = node.terminate()?;
    if !status.success() {
        return fail(format!("SIGTERM ended the node with {status}"));
    }
    node.start_again()?;
    verify(client, &node, corpus, list).map_err(|error| format!("after a clean restart: {error}"))?;

    kill_while_producing(client, &mut node, corpus, list).map_err(|error| format!("after SIGKILL: {error}"))?;
    Ok(verify(client, &node, corpus, list).map_err(|error| format!("after SIGKILL: {error}"))?)
}

fn topic(client: &Client, compression: &str) -> String {
    format!("{}.{compression}", client.name)
}

fn bootstrap(client: &Client, node: &Node) -> Outcome<SocketAddr> {
    Ok(if client.grpc { node.grpc()? } else { node.kafka()? })
}

fn phase(
    name: &'static str,
    client: &Client,
    node: &Node,
    topic: &str,
    compression: &str,
    corpus: &CorpusList,
) -> Outcome {
    Phase { name, bootstrap: bootstrap(client, node)?, topic, compression, corpus }.run(client)
}

/// Every topic of the client holds the corpus, as librdkafka sees it and as the client itself sees it.
fn verify(client: &Client, node: &Node, corpus: &Corpus, list: &CorpusList) -> Outcome {
    for compression in &client.compressions {
        let topic = topic(client, compression);
        let reader = Reader::connect(node.kafka()?, &topic)?;
        check_corpus(&reader, corpus).map_err(|error| format!("{topic}, read by librdkafka: {error}"))?;
        check_seek_by_offset(&reader).map_err(|error| format!("{topic}, read by librdkafka: {error}"))?;
        check_seek_by_time(&reader).map_err(|error| format!("{topic}, read by librdkafka: {error}"))?;
        if client.consumes {
            phase("verify", client, node, &topic, compression, list)?;
        }
    }
    Ok(())
}

fn kill_while_producing(client: &Client, node: &mut Node, corpus: &Corpus, list: &CorpusList) -> Outcome {
    let topic = format!("{}.killed", client.name);
    Admin::connect(node.kafka()?)?.create_topic(&topic, 3, &[])?;
    let compression = client.compressions.last().ok_or("a client without compression types, not even `none`")?;
    let mut running = Phase {
        name: "produce-endlessly",
        bootstrap: bootstrap(client, node)?,
        topic: &topic,
        compression,
        corpus: list,
    }
    .start(client)?;

    let mut acknowledged = BTreeMap::new();
    while acknowledged.len() < ACKNOWLEDGED_BEFORE_THE_KILL {
        let Some(line) = running.line()? else { return fail("the client ended before the node was killed") };
        note(&line, &mut acknowledged)?;
    }
    node.kill()?;
    for line in running.stop()? {
        note(&line, &mut acknowledged)?;
    }
    node.start_again()?;
    check_places(&Reader::connect(node.kafka()?, &topic)?, acknowledged, corpus)
}

/// A line `PARTITION OFFSET INDEX` of a client; a line cut short by the client's end says nothing.
fn note(line: &str, acknowledged: &mut BTreeMap<Acknowledged, usize>) -> Outcome {
    let mut words = line.split_whitespace();
    if let (Some(partition), Some(offset), Some(index), Some(".")) =
        (words.next(), words.next(), words.next(), words.next())
    {
        let place = Acknowledged { partition: partition.parse()?, offset: offset.parse()? };
        if acknowledged.insert(place, index.parse()?).is_some() {
            return fail(format!("two records were acknowledged at {place:?}"));
        }
    }
    Ok(())
}

/// Every acknowledged record stands where the client was told, and everything else is a whole file of the corpus.
fn check_places(reader: &Reader, mut acknowledged: BTreeMap<Acknowledged, usize>, corpus: &Corpus) -> Outcome {
    reader.read_all(|seen| {
        let place = Acknowledged { partition: seen.partition, offset: seen.offset };
        if corpus.get(&seen.key).is_none_or(|file| file.text != seen.value) {
            return fail(format!("{place:?}: `{}` came back with other bytes", seen.key));
        }
        match acknowledged.remove(&place) {
            Some(index) if corpus.files().get(index).is_none_or(|file| file.key != seen.key) => {
                fail(format!("{place:?}: `{}` stands where record {index} was acknowledged", seen.key))
            }
            _ => Ok(()),
        }
    })?;
    match acknowledged.first_key_value() {
        None => Ok(()),
        Some((place, index)) => {
            fail(format!("record {index}, acknowledged at {place:?}, is gone, with {} in all", acknowledged.len()))
        }
    }
}
