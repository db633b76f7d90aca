//! What clients are told of a broker that has just gone.

use std::collections::BTreeSet;

use levada_end_to_end::{Metadata, Outcome};
use levada_harness::{Sandbox, SandboxOptions};
use serde_json::{Value, json};

use crate::{
    operator::{levada, written},
    patience::{LIMIT, until, wait_until},
};

const BROKERS: [&str; 4] = ["cluster", "brokers", "--output", "json"];

#[test]
fn the_first_client_that_asks_after_a_kill_is_told_of_that_broker_too_and_later_ones_are_not() -> Outcome {
    let mut sandbox = Sandbox::start(&SandboxOptions::new(1, 2))?;
    let server = sandbox.broker(2)?.grpc()?.to_string();
    sandbox.broker(1)?.kill()?;
    // Over gRPC: nobody has asked the Kafka face of broker 2 for anything yet.
    wait_until("broker 1 is fenced", || {
        let listed: Value = serde_json::from_slice(&written(&BROKERS, levada(&server, &BROKERS)?)?)?;
        Ok(listed[0]["fenced"] == json!(true))
    })?;
    let kafka = sandbox.broker(2)?.kafka()?;
    let told = || Ok(Metadata::told_by(kafka, LIMIT)?.brokers);
    assert_eq!(told()?, BTreeSet::from([1, 2]));
    until(told, |brokers| *brokers == BTreeSet::from([2]))?;
    Ok(())
}
