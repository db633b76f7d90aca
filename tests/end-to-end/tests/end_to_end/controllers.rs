//! Three controllers, each a process of its own: the cluster goes on while there is a majority of them, and what was
//! decided is never lost.

use levada_end_to_end::{Admin, Outcome, Reader, fail};
use levada_harness::{Role, Sandbox, SandboxOptions};

use crate::{
    metrics::metric_at,
    patience::{until, wait_until},
    records,
};

/// The numbers of the controllers.
fn controllers(sandbox: &Sandbox) -> Vec<u32> {
    sandbox.processes().iter().filter(|process| process.role == Role::Controller).map(|process| process.id).collect()
}

/// The controller that says of itself that it is the active one, among those that answer.
fn active(sandbox: &mut Sandbox, except: &[u32]) -> Outcome<u32> {
    let asked: Vec<u32> = controllers(sandbox).into_iter().filter(|id| !except.contains(id)).collect();
    let find = || -> Outcome<Option<u32>> {
        for id in &asked {
            let http = sandbox.controller(*id)?.http;
            if metric_at(http, "levada_controller_active").is_ok_and(|active| active == 1) {
                return Ok(Some(*id));
            }
        }
        Ok(None)
    };
    let found =
        until(find, Option::is_some).map_err(|error| format!("no controller is active: {error}\n{}", sandbox.log()))?;
    found.ok_or_else(|| "no controller is active".into())
}

/// Waits until the controller has applied as much as `offset`.
fn caught_up(sandbox: &mut Sandbox, id: u32, offset: u64) -> Outcome {
    let http = sandbox.controller(id)?.http;
    let has_come = || Ok(metric_at(http, "levada_controller_metadata_offset")? >= offset);
    wait_until(&format!("controller {id} has caught up"), has_come)
        .map_err(|error| format!("{error}\n{}", sandbox.log()).into())
}

/// Creates a topic. What was under way when the controller was killed has an unknown outcome, which clients are told as a
/// timeout; they look, or ask again.
fn create(sandbox: &mut Sandbox, topic: &str) -> Outcome {
    let admin = Admin::connect(sandbox.broker(1)?.kafka()?)?;
    let is_there = || match admin.create_topic(topic, 1, &[]) {
        Ok(()) => Ok(true),
        Err(error) if error.to_string().contains("already exists") => Ok(true),
        Err(error) if error.to_string().contains("timed out") => Ok(false),
        Err(error) => Err(error),
    };
    wait_until(&format!("{topic} is created"), is_there).map_err(|error| format!("{error}\n{}", sandbox.log()).into())
}

/// Sends so many records, and waits until each is acknowledged.
fn produce(sandbox: &mut Sandbox, topic: &str, count: usize) -> Outcome {
    records::produce(sandbox.broker(1)?.kafka()?, topic, "all", vec!["value"; count])
}

fn topics(sandbox: &mut Sandbox, names: &[&str]) -> Outcome {
    for name in names {
        let ranges = Reader::connect(sandbox.broker(1)?.kafka()?, name)?.ranges()?;
        if ranges.len() != 1 {
            return fail(format!("{name} has {} partitions", ranges.len()));
        }
    }
    Ok(())
}

#[test]
fn the_cluster_goes_on_when_its_active_controller_is_killed_and_waits_when_two_are() -> Outcome {
    let mut sandbox = Sandbox::start(&SandboxOptions::new(3, 1))?;
    create(&mut sandbox, "before")?;
    produce(&mut sandbox, "before", 50)?;

    // The active one is killed twice, so that one that was down for a while has been active too or not, as it comes.
    for name in ["after-one", "after-another"] {
        let killed = active(&mut sandbox, &[])?;
        sandbox.controller(killed)?.kill()?;
        create(&mut sandbox, name)?;
        produce(&mut sandbox, name, 50)?;
        let now = active(&mut sandbox, &[killed])?;
        assert_ne!(now, killed);
        let http = sandbox.controller(now)?.http;
        let offset = metric_at(http, "levada_controller_metadata_offset")?;
        sandbox.controller(killed)?.start_again()?;
        caught_up(&mut sandbox, killed, offset)?;
    }

    // Without a majority nothing is decided, and what is there is served.
    let first = active(&mut sandbox, &[])?;
    let all = controllers(&sandbox);
    let second = all.iter().copied().find(|id| *id != first).ok_or("there is one controller only")?;
    sandbox.controller(first)?.kill()?;
    sandbox.controller(second)?.kill()?;
    produce(&mut sandbox, "before", 50)?;
    topics(&mut sandbox, &["before", "after-one", "after-another"])?;
    sandbox.controller(second)?.start_again()?;
    create(&mut sandbox, "with-two-of-three")?;
    produce(&mut sandbox, "with-two-of-three", 50)?;

    // All of them at once.
    sandbox.controller(first)?.start_again()?;
    for id in &all {
        sandbox.controller(*id)?.kill()?;
    }
    produce(&mut sandbox, "before", 50)?;
    for id in &all {
        sandbox.controller(*id)?.start_again()?;
    }
    topics(&mut sandbox, &["before", "after-one", "after-another", "with-two-of-three"])?;
    create(&mut sandbox, "at-last")?;
    produce(&mut sandbox, "at-last", 50)
}

#[test]
fn brokers_change_to_the_new_active_controller_while_the_old_one_hangs_and_none_is_fenced() -> Outcome {
    let mut sandbox = Sandbox::start(&SandboxOptions::new(3, 3))?;
    let frozen = active(&mut sandbox, &[])?;
    sandbox.controller(frozen)?.freeze()?;
    let now = active(&mut sandbox, &[frozen])?;
    let (address, http) = (sandbox.controller(now)?.internal.to_string(), sandbox.controller(now)?.http);
    let is_there = |line: &str| line.contains("registered") && line.contains(&address);
    for broker in 1..=3 {
        let has_come = || Ok(sandbox.broker(broker)?.log().lines().any(is_there));
        wait_until(&format!("broker {broker} comes to {address}"), has_come)
            .map_err(|error| format!("{error}\n{}", sandbox.log()))?;
    }
    assert_eq!(metric_at(http, "levada_controller_sessions_expired_total")?, 0);
    create(&mut sandbox, "while-it-hangs")?;
    produce(&mut sandbox, "while-it-hangs", 50)?;

    // When it goes on, it finds that it is not active any more, and fences nobody either.
    sandbox.controller(frozen)?.thaw()?;
    let offset = metric_at(http, "levada_controller_metadata_offset")?;
    caught_up(&mut sandbox, frozen, offset)?;
    create(&mut sandbox, "after")?;
    produce(&mut sandbox, "after", 50)?;
    assert_eq!(metric_at(http, "levada_controller_sessions_expired_total")?, 0);
    Ok(())
}
