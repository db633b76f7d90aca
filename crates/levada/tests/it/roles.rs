//! Roles that serve, all in one process or one each, and how they end.

use std::net::TcpStream;

use nix::sys::signal::Signal;

use crate::program::Serving;

#[test]
fn dev_says_once_where_it_serves_and_ends_well_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let dev = Serving::dev(dir.path());
        let addresses = ["kafka", "grpc", "http"].map(|name| dev.address(name).to_owned());
        let [kafka, grpc, http] = &addresses;
        assert_eq!(dev.ready(), format!("ready kafka={kafka} grpc={grpc} http={http}"));
        for address in &addresses {
            TcpStream::connect(address).unwrap();
        }
        assert_eq!(dev.stop(signal), (Some(0), String::new()));
        for address in &addresses {
            assert!(TcpStream::connect(address).is_err(), "{address}");
        }
    }
}

#[test]
fn a_controller_and_a_broker_serve_from_processes_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let below = |name: &str, option: &str| format!("{option}={}", dir.path().join(name).display());
    let (metadata, logs) = (below("metadata", "metadata.log.dir"), below("logs", "log.dirs"));
    let (internal, http) = ("internal.listener=127.0.0.1:0", "http.listener=127.0.0.1:0");
    let listeners = "listeners=PLAINTEXT://127.0.0.1:0,GRPC://127.0.0.1:0";

    let controller =
        Serving::start(&["controller", "--set", "node.id=1", "--set", internal, "--set", http, "--set", &metadata]);
    let bootstrap = format!("controller.quorum.bootstrap.servers={}", controller.address("internal"));
    let broker = Serving::start(&[
        "broker",
        "--set",
        "node.id=7",
        "--set",
        internal,
        "--set",
        http,
        "--set",
        &logs,
        "--set",
        listeners,
        "--set",
        &bootstrap,
    ]);
    TcpStream::connect(broker.address("kafka")).unwrap();
    TcpStream::connect(broker.address("grpc")).unwrap();
    assert_eq!(broker.stop(Signal::SIGTERM), (Some(0), String::new()));
    assert_eq!(controller.stop(Signal::SIGTERM), (Some(0), String::new()));
}

#[test]
fn a_broker_that_waits_for_a_controller_can_be_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let logs = format!("log.dirs={}", dir.path().display());
    let mut broker = crate::program::levada(&["broker", "--set", "node.id=7", "--set", &logs]);
    broker.args(["--set", "internal.listener=127.0.0.1:0", "--set", "http.listener=127.0.0.1:0"]);
    broker.args(["--set", "listeners=PLAINTEXT://127.0.0.1:0,GRPC://127.0.0.1:0"]);
    // Nothing listens there: the port was free a moment ago and belongs to nobody.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    broker.arg("--set").arg(format!("controller.quorum.bootstrap.servers={free}"));
    let mut child = broker.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut stderr = std::io::BufReader::new(child.stderr.take().unwrap());
    // The directory's identity is written when the logs are open, and after that it can only wait.
    while !dir.path().join("meta.properties").exists() {
        std::thread::yield_now();
    }
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let mut said = String::new();
    std::io::Read::read_to_string(&mut stderr, &mut said).unwrap();
    assert!(said.contains("SIGTERM"), "{said}");
}
