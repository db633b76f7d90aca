//! The operator's commands against three controllers and three brokers, each a process of its own.

use std::{fs, net::TcpStream, process::Output};

use levada_end_to_end::{Outcome, fail};
use levada_harness::{Sandbox, SandboxOptions};
use serde_json::{Value, json};

use crate::{
    operator::{levada, written},
    patience::{until, wait_until},
};

/// What becomes of a command if the controllers of a busy machine miss each other and elect anew: the same command is good
/// again a moment later.
const PASSING: [&str; 3] = ["REQUEST_TIMED_OUT", "NOT_CONTROLLER", "BROKER_NOT_AVAILABLE"];

/// Runs `levada` until it meets no trouble that passes. So the command must be harmless to repeat.
fn settled(servers: &str, arguments: &[&str]) -> Outcome<Output> {
    let passes = |output: &Output| {
        let said = String::from_utf8_lossy(&output.stderr);
        !output.status.success() && PASSING.iter().any(|name| said.contains(name))
    };
    until(|| levada(servers, arguments), |output| !passes(output))
}

/// Runs `levada`, which must succeed, and returns what it wrote to stdout.
fn succeed(servers: &str, arguments: &[&str]) -> Outcome<String> {
    Ok(String::from_utf8(written(arguments, settled(servers, arguments)?)?)?)
}

/// Runs `levada`, which must fail with exit code 1, and returns what it wrote.
fn refused(servers: &str, arguments: &[&str]) -> Outcome<String> {
    let output = settled(servers, arguments)?;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() == Some(1) { Ok(said) } else { fail(format!("{arguments:?}: {} {said}", output.status)) }
}

/// What a listing says as JSON.
fn listing(servers: &str, arguments: &[&str]) -> Outcome<Value> {
    Ok(serde_json::from_str(&succeed(servers, &[arguments, &["--output", "json"]].concat())?)?)
}

/// The first partition of a topic.
fn partition(servers: &str, topic: &str) -> Outcome<Value> {
    Ok(listing(servers, &["topic", "describe", topic])?[0]["partitions"][0].clone())
}

#[test]
fn an_operator_moves_elects_empties_and_goes_on_without_the_broker_that_was_asked_first() -> Outcome {
    let mut sandbox = Sandbox::start(&SandboxOptions::new(3, 3))?;
    let mut servers = Vec::new();
    for id in 1..=3 {
        servers.push(sandbox.broker(id)?.grpc()?.to_string());
    }
    let first = servers[0].as_str();
    let everybody = servers.join(",");
    move_and_elect(first)?;
    empty_a_broker(first)?;
    change_the_voters(first)?;

    // The broker that was asked so far goes, with what it led.
    sandbox.broker(1)?.kill()?;
    // The main thread of a process is gone a moment before its sockets are.
    wait_until("nobody listens there", || Ok(TcpStream::connect(first).is_err()))?;
    let gone = refused(first, &["cluster", "brokers"])?;
    assert!(gone.contains("is it running?"), "{gone}");
    wait_until("broker 1 is fenced", || {
        let brokers = listing(&everybody, &["cluster", "brokers"])?;
        Ok(brokers[0]["fenced"] == json!(true))
    })?;
    let unhealthy = listing(&everybody, &["topic", "describe", "--unhealthy"])?;
    let topics: Vec<&str> =
        unhealthy.as_array().into_iter().flatten().filter_map(|topic| topic["name"].as_str()).collect();
    // And perhaps the one that was moved off broker 3, to broker 1 or 2.
    assert!(topics.contains(&"orders") && topics.contains(&"wide"), "{topics:?}");
    wait_until("broker 2 leads instead", || Ok(partition(&everybody, "orders")?["leader"] == json!(2)))?;
    assert_eq!(partition(&everybody, "orders")?["offline"], json!([1]));
    assert!(succeed(&everybody, &["topic", "describe", "orders"])?.contains("under-replicated"));
    assert_eq!(succeed(&everybody, &["consume", "orders", "--exit-at-end"])?, "two pears\n");
    let forgotten = succeed(&everybody, &["cluster", "unregister", "1"])?;
    assert!(forgotten.contains("replicas are still assigned to it"), "{forgotten}");
    Ok(())
}

/// A topic of explicit replicas moves by a file of Kafka's form, and its first replica leads it.
fn move_and_elect(server: &str) -> Outcome {
    let home = tempfile::tempdir()?;
    let (record, plan) = (home.path().join("record"), home.path().join("plan.json"));
    fs::write(&record, "two pears\n")?;
    let (record, plan_path) = (record.display().to_string(), plan.display().to_string());

    succeed(server, &["topic", "create", "--if-not-exists", "orders", "--replica-assignment", "2:3"])?;
    let produced = succeed(server, &["produce", "orders", "--file", &record])?;
    assert!(produced.starts_with("1 record, 9 B, to orders"), "{produced}");
    fs::write(&plan, r#"{"version":1,"partitions":[{"topic":"orders","partition":0,"replicas":[1,2]}]}"#)?;
    let moved = ["cluster", "reassign", "--file", &plan_path, "--throttle", "50MB", "--wait"];
    assert!(succeed(server, &moved)?.contains("moved"));
    assert_eq!(partition(server, "orders")?["replicas"], json!([1, 2]));
    // It is in sync, or a broker was silent for too long just now.
    wait_until("both replicas are in sync", || Ok(partition(server, "orders")?["under_replicated"] == json!(false)))?;
    assert_eq!(listing(server, &["cluster", "reassign", "--list"])?, json!([]));
    let limits = listing(server, &["config", "get", "--all-brokers"])?;
    assert_eq!(limits, json!([]), "the throttle goes with the move");
    assert_eq!(succeed(server, &["consume", "orders", "--exit-at-end"])?, "two pears\n");

    // It may lead already, by the move or by the automatic balance.
    let elect = ["cluster", "elect-leaders", "--topic", "orders", "--output", "json"];
    wait_until("the first replica leads, and needs no election", || {
        let elected: Value = serde_json::from_slice(&settled(server, &elect)?.stdout).unwrap_or_default();
        let leader = &partition(server, "orders")?["leader"];
        Ok(*leader == json!(1) && elected[0]["outcome"] == json!("not needed"))
    })?;

    let nobody = ["cluster", "reassign", "--topic", "orders", "--partition", "0", "--replicas", "1,9"];
    assert!(refused(server, &nobody)?.contains("broker 9, which is not registered"));
    let idle = ["cluster", "reassign", "--cancel", "--topic", "orders", "--partition", "0"];
    assert!(refused(server, &idle)?.contains("NO_REASSIGNMENT_IN_PROGRESS"));
    assert_eq!(levada(server, &["cluster", "reassign"])?.status.code(), Some(2), "it does not say what");
    fs::write(&plan, r#"{"version":1}"#)?;
    let no_plan = levada(server, &["cluster", "reassign", "--file", &plan_path])?;
    assert_eq!(no_plan.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&no_plan.stderr).contains("it must be like"));
    Ok(())
}

/// A broker whose replicas have nowhere to go stays, and says why; one whose replicas can go is emptied.
fn empty_a_broker(server: &str) -> Outcome {
    succeed(server, &["topic", "create", "--if-not-exists", "wide", "--replica-assignment", "1:2:3"])?;
    succeed(server, &["topic", "create", "--if-not-exists", "narrow", "--replica-assignment", "3"])?;
    succeed(server, &["cluster", "decommission", "3"])?;
    wait_until("only what has nowhere to go is left", || {
        let stands = &listing(server, &["cluster", "decommission", "3", "--show"])?[0];
        Ok(stands["replicas"] == json!(1) && stands["stuck_count"] == json!(1))
    })?;
    assert!(succeed(server, &["cluster", "decommission"])?.contains("start another broker"));
    let brokers = listing(server, &["cluster", "brokers"])?;
    assert_eq!(brokers[2]["draining"], json!(true));
    assert!(refused(server, &["cluster", "unregister", "3"])?.contains("stop it first"));

    let fewer = ["cluster", "reassign", "--topic", "wide", "--partition", "0", "--replicas", "1,2", "--wait"];
    succeed(server, &fewer)?;
    assert!(succeed(server, &["cluster", "decommission", "3", "--wait"])?.contains("broker 3 is empty"));
    succeed(server, &["cluster", "decommission", "3", "--cancel"])?;
    assert_eq!(succeed(server, &["cluster", "decommission"])?.trim(), "no broker is being emptied");
    Ok(())
}

/// A controller that is not active loses its vote and gets it back.
fn change_the_voters(server: &str) -> Outcome {
    let voters = || -> Outcome<Vec<Value>> {
        let quorum = listing(server, &["cluster", "controllers"])?;
        Ok(quorum["controllers"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|c| c["voter"] == json!(true))
            .cloned()
            .collect())
    };
    let all = voters()?;
    assert_eq!(all.len(), 3);
    let other = all.iter().find(|voter| voter["active"] == json!(false)).ok_or("every controller is active")?;
    let other = other["id"].to_string();
    wait_until("it has no vote", || {
        levada(server, &["cluster", "controllers", "remove", &other])?;
        Ok(voters()?.len() == 2)
    })?;
    assert!(refused(server, &["cluster", "controllers", "remove", &other])?.contains("VOTER_NOT_FOUND"));
    wait_until("it has its vote again", || {
        levada(server, &["cluster", "controllers", "add", &other])?;
        Ok(voters()?.len() == 3)
    })?;
    let features = listing(server, &["cluster", "features"])?;
    assert_eq!(features[0]["name"], json!("metadata.level"));
    Ok(())
}
