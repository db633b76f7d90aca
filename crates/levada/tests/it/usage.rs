//! What is wrong is said in one line, and told apart by the exit code.

use std::net::TcpListener;

use crate::program::{Serving, outcome};

#[test]
fn what_was_said_wrongly_ends_with_2() {
    let cases: [(&[&str], &str); 6] = [
        (&["dev", "--set", "log.retenton.ms=1"], "did you mean \"log.retention.ms\"?"),
        (&["dev", "--set", "num.network.threads=many"], "num.network.threads"),
        (&["dev", "--set", "log.dirs"], "--set name=value"),
        (&["dev", "--config", "/nonexistent.toml"], "/nonexistent.toml"),
        (&["broker", "--set", "node.id=1", "--set", "log.dirs=/tmp"], "internal.listener"),
        (&["serve"], "serve"),
    ];
    for (arguments, said) in cases {
        let (code, stderr) = outcome(arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(said), "{arguments:?}: {stderr}");
    }
}

#[test]
fn an_address_in_use_ends_with_1_and_touches_no_data() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("data");
    let any = "127.0.0.1:0";
    for (kafka, grpc, http) in [(taken.as_str(), any, any), (any, taken.as_str(), any), (any, any, taken.as_str())] {
        let dir = dir.to_str().unwrap();
        let (code, stderr) =
            outcome(&["dev", "--data-dir", dir, "--kafka-addr", kafka, "--grpc-addr", grpc, "--http-addr", http]);
        assert_eq!(code, Some(1), "{stderr}");
        assert!(stderr.contains(&taken), "{stderr}");
    }
    assert!(!dir.exists());
}

#[test]
fn a_data_directory_serves_one_process_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let _first = Serving::dev(dir.path());
    let any = "127.0.0.1:0";
    let path = dir.path().to_str().unwrap();
    let (code, stderr) =
        outcome(&["dev", "--data-dir", path, "--kafka-addr", any, "--grpc-addr", any, "--http-addr", any]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains(path), "{stderr}");
}
