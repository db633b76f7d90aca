//! The foreign clients by toolchain: what each needs, how it is installed, and how its program is started.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{
    bench::kafka_jars,
    conformance::examples,
    failure::{Failure, Outcome},
    program::{self, Program},
    workspace::Workspace,
};

const ALL: &[&str] = &["none", "gzip", "snappy", "lz4", "zstd"];

/// One client program, ready to run.
#[derive(Serialize)]
pub(super) struct Client {
    /// The client library.
    pub(super) name: String,
    /// What to start; the phase and its options follow.
    argv: Vec<String>,
    /// Variables of its environment.
    env: BTreeMap<String, String>,
    /// What is done with it.
    subject: Subject,
    /// What it can compress with.
    compressions: &'static [&'static str],
    /// Whether it can consume without a group.
    consumes: bool,
    /// Whether it speaks gRPC, not the Kafka protocol.
    grpc: bool,
    /// How it can be a member of a group: assignors of the classic protocol, and `consumer` for the next-generation one.
    group_protocols: &'static [&'static str],
    /// With which of these its members can be static ones that come back.
    static_protocols: &'static [&'static str],
}

/// What is done with a client.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum Subject {
    /// The round trip of the corpus, in phases.
    RoundTrip,
    /// Consumer groups: members that join, leave, crash and come back.
    Groups,
    /// The administration of a cluster, in phases.
    Cluster,
    /// A data directory of a real Kafka, whose jars the environment names.
    KafkaDirectory,
    /// A script of its own that gets the addresses of a node.
    Script,
}

/// A language with the clients that are tested in it.
pub(super) struct Toolchain {
    /// The clients, by name.
    pub(super) clients: &'static [&'static str],
    /// Programs that must be there.
    needs: &'static [&'static str],
    install: fn(&Workspace, &Path) -> Outcome<Vec<Client>>,
}

/// What came of an installation.
pub(super) enum Installation {
    /// The clients can run.
    Ready(Vec<Client>),
    /// A program of the toolchain is not on this machine.
    Missing(String),
}

/// Every toolchain.
pub(super) const TOOLCHAINS: [Toolchain; 12] = [
    Toolchain {
        clients: &[
            "confluent-kafka",
            "confluent-kafka-groups",
            "kafka-python",
            "kafka-python-groups",
            "aiokafka",
            "aiokafka-groups",
            "grpcio",
            "grpc-example-python",
        ],
        needs: &["python3"],
        install: python,
    },
    Toolchain {
        clients: &["kafka-clients", "kafka-clients-groups", "kafka-clients-admin"],
        needs: &["java", "mvn"],
        install: java,
    },
    Toolchain { clients: &["grpc-example-java"], needs: &["java", "mvn"], install: examples::java },
    Toolchain { clients: &["grpc-example-go"], needs: &["go", "python3"], install: examples::go },
    Toolchain { clients: &["grpc-example-node"], needs: &["node", "npm"], install: examples::node },
    Toolchain { clients: &["kafkajs", "kafkajs-groups"], needs: &["node", "npm"], install: node },
    Toolchain {
        clients: &["franz-go", "franz-go-groups", "sarama", "sarama-groups", "sarama-2024"],
        needs: &["go"],
        install: go,
    },
    Toolchain { clients: &["kcat"], needs: &["kcat"], install: kcat },
    Toolchain { clients: &["grpcurl"], needs: &["go"], install: grpcurl },
    Toolchain {
        clients: &["kafka-tools", "kafka-consumer-groups"],
        needs: &["java", "mvn", "python3"],
        install: kafka_tools,
    },
    Toolchain { clients: &["burrow"], needs: &["Burrow", "java", "mvn", "python3"], install: burrow },
    Toolchain { clients: &["kafka-directory"], needs: &["java", "mvn"], install: kafka_directory },
];

impl Toolchain {
    /// Installs the clients below `directory`.
    pub(super) fn install(&self, workspace: &Workspace, directory: &Path) -> Outcome<Installation> {
        match self.needs.iter().find(|name| program::find(name).is_none()) {
            Some(name) => Ok(Installation::Missing(format!("`{name}` is not on this machine"))),
            None => (self.install)(workspace, directory).map(Installation::Ready),
        }
    }
}

impl Client {
    pub(super) fn new(name: &str, argv: &[&dyn AsRef<Path>]) -> Self {
        Self {
            name: name.to_owned(),
            argv: argv.iter().map(|part| part.as_ref().display().to_string()).collect(),
            env: BTreeMap::new(),
            subject: Subject::RoundTrip,
            compressions: ALL,
            consumes: true,
            grpc: false,
            group_protocols: &[],
            static_protocols: &[],
        }
    }

    /// A script of its own.
    pub(super) fn script(name: &str, argv: &[&dyn AsRef<Path>]) -> Self {
        Self { subject: Subject::Script, compressions: &[], ..Self::new(name, argv) }
    }

    /// The same program as a member of groups, under the name `NAME-groups`.
    fn groups(&self, protocols: &'static [&'static str]) -> Self {
        Self {
            name: format!("{}-groups", self.name),
            argv: self.argv.clone(),
            env: self.env.clone(),
            subject: Subject::Groups,
            compressions: &[],
            consumes: self.consumes,
            grpc: self.grpc,
            group_protocols: protocols,
            static_protocols: protocols,
        }
    }
}

/// A Python that has what the clients need, and the compiler of `.proto` files.
pub(super) fn python_with_libraries(workspace: &Workspace, directory: &Path) -> Outcome<PathBuf> {
    let venv = directory.join("python");
    let python = venv.join("bin/python");
    if !python.is_file() {
        Program::new("python3").args(["-m", "venv"]).args([&venv]).run()?;
    }
    let requirements = workspace.root().join("tests/conformance/python/requirements.txt");
    Program::new(&python).args(["-m", "pip", "install", "--quiet", "--requirement"]).args([&requirements]).run()?;
    Ok(python)
}

/// A run of the compiler of `.proto` files over the public ones, with these options.
pub(super) fn protoc(workspace: &Workspace, python: &Path, options: &[String]) -> Outcome<Program> {
    let proto = workspace.root().join("proto");
    let protos = files(&proto.join("levada/v1"), "proto")?;
    Ok(Program::new(python)
        .args(["-m", "grpc_tools.protoc"])
        .args([format!("--proto_path={}", proto.display())])
        .args(options)
        .args(protos))
}

fn python(workspace: &Workspace, directory: &Path) -> Outcome<Vec<Client>> {
    let sources = workspace.root().join("tests/conformance/python");
    let python = python_with_libraries(workspace, directory)?;

    // The gRPC clients get nothing but what any user gets from the `.proto` files.
    let stubs = directory.join("python-stubs");
    fs::create_dir_all(&stubs).map_err(Failure::io(stubs.display()))?;
    let options = [format!("--python_out={}", stubs.display()), format!("--grpc_python_out={}", stubs.display())];
    protoc(workspace, &python, &options)?.run()?;
    let path = BTreeMap::from([("PYTHONPATH".to_owned(), stubs.display().to_string())]);

    let client = |name: &str, file: &str| Client::new(name, &[&python, &sources.join(file)]);
    let confluent_kafka = client("confluent-kafka", "confluent_kafka_client.py");
    let kafka_python = client("kafka-python", "kafka_python_client.py");
    let aiokafka = client("aiokafka", "aiokafka_client.py");
    Ok(vec![
        confluent_kafka.groups(&["range", "cooperative-sticky", "consumer"]),
        kafka_python.groups(&["range", "cooperative-sticky"]),
        aiokafka.groups(&["range", "sticky"]),
        confluent_kafka,
        kafka_python,
        aiokafka,
        Client {
            env: path.clone(),
            ..examples::client(workspace, "python", &[&python, &workspace.root().join("docs/examples/consumer.py")])
        },
        Client { env: path, grpc: true, ..client("grpcio", "grpc_client.py") },
    ])
}

fn java(workspace: &Workspace, directory: &Path) -> Outcome<Vec<Client>> {
    let pom = workspace.root().join("tests/conformance/java/pom.xml");
    let built = directory.join("java");
    Program::new("mvn")
        .args(["--quiet", "--batch-mode", "--file"])
        .args([&pom])
        .args([format!("-Dlevada.build={}", built.display())])
        .args(["package"])
        .run()?;
    let classpath = format!("{0}/classes:{0}/lib/*", built.display());
    let client = |name: &str, class: &str| Client::new(name, &[&"java", &"-cp", &classpath, &class]);
    let kafka_clients = client("kafka-clients", "levada.conformance.Client");
    Ok(vec![
        kafka_clients.groups(&["range", "cooperative-sticky", "consumer"]),
        kafka_clients,
        Client { subject: Subject::Cluster, ..client("kafka-clients-admin", "levada.conformance.Cluster") },
    ])
}

fn node(workspace: &Workspace, directory: &Path) -> Outcome<Vec<Client>> {
    let sources = workspace.root().join("tests/conformance/node");
    let built = directory.join("node");
    fs::create_dir_all(&built).map_err(Failure::io(built.display()))?;
    for file in ["package.json", "client.js", "member.js"] {
        fs::copy(sources.join(file), built.join(file)).map_err(Failure::io(file))?;
    }
    Program::new("npm").directory(&built).args(["install", "--silent", "--no-audit", "--no-fund"]).run()?;
    // Its other codecs are plugins with native code that must be compiled for each version of Node.
    let compressions = &["none", "gzip", "snappy"];
    let kafkajs =
        Client { consumes: false, compressions, ..Client::new("kafkajs", &[&"node", &built.join("client.js")]) };
    // It has one assignor, and no static members.
    Ok(vec![Client { static_protocols: &[], ..kafkajs.groups(&["round-robin"]) }, kafkajs])
}

fn go(workspace: &Workspace, directory: &Path) -> Outcome<Vec<Client>> {
    let sources = workspace.root().join("tests/conformance");
    let build = |name: &str, sources: &Path, modules: &str| {
        let program = directory.join("go").join(name);
        Program::new("go")
            .directory(sources)
            .args(["build", "-modfile", modules, "-o"])
            .args([&program])
            .args(["."])
            .run()
            .map(|()| program)
    };
    let franz_go = Client::new("franz-go", &[&build("client", &sources.join("go"), "go.mod")?]);
    let directory_of_sarama = sources.join("sarama");
    let sarama = Client::new("sarama", &[&build("sarama", &directory_of_sarama, "go.mod")?]);
    Ok(vec![
        // A static member of the next-generation protocol does not say that it goes, and the one that comes back is refused.
        Client {
            static_protocols: &["range", "cooperative-sticky"],
            ..franz_go.groups(&["range", "cooperative-sticky", "consumer"])
        },
        franz_go,
        sarama.groups(&["range", "sticky"]),
        sarama,
        // Until 2025 its batches left their greatest timestamp out.
        Client::new("sarama-2024", &[&build("sarama-2024", &directory_of_sarama, "2024.mod")?]),
    ])
}

fn kcat(workspace: &Workspace, _directory: &Path) -> Outcome<Vec<Client>> {
    let script = workspace.root().join("tests/conformance/shell/kcat.sh");
    Ok(vec![Client::script("kcat", &[&"bash", &script])])
}

fn grpcurl(workspace: &Workspace, _directory: &Path) -> Outcome<Vec<Client>> {
    let program = match program::find("grpcurl") {
        Some(program) => program,
        None => install_grpcurl(&workspace.target().join("tools"))?,
    };
    let script = workspace.root().join("tests/conformance/shell/grpcurl.sh");
    let directories = program.parent().map(Path::to_path_buf).into_iter();
    let path = env::join_paths(directories.chain(env::split_paths(&env::var_os("PATH").unwrap_or_default())))
        .map_err(|error| Failure::new(format!("PATH: {error}")))?;
    Ok(vec![Client {
        env: BTreeMap::from([("PATH".into(), path.to_string_lossy().into_owned())]),
        ..Client::script("grpcurl", &[&"bash", &script])
    }])
}

fn install_grpcurl(tools: &Path) -> Outcome<PathBuf> {
    let program = tools.join("grpcurl");
    if !program.is_file() {
        Program::new("go")
            .env("GOBIN", tools)
            .args(["install", "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3"])
            .run()?;
    }
    Ok(program)
}

fn kafka_tools(workspace: &Workspace, directory: &Path) -> Outcome<Vec<Client>> {
    let sources = workspace.root().join("tests/conformance");
    let built = directory.join("kafka-tools");
    Program::new("mvn")
        .args(["--quiet", "--batch-mode", "--file"])
        .args([&sources.join("kafka-tools/pom.xml")])
        .args([format!("-Dlevada.build={}", built.display())])
        .args(["package"])
        .run()?;
    let env = BTreeMap::from([("KAFKA_TOOLS".into(), built.join("lib").display().to_string())]);
    Ok(vec![
        Client {
            env: env.clone(),
            subject: Subject::Cluster,
            ..Client::new("kafka-tools", &[&"bash", &sources.join("shell/kafka-tools.sh")])
        },
        Client { env, ..Client::script("kafka-consumer-groups", &[&"bash", &sources.join("shell/lag.sh"), &"kafka"]) },
    ])
}

fn burrow(workspace: &Workspace, directory: &Path) -> Outcome<Vec<Client>> {
    let sources = workspace.root().join("tests/conformance");
    let built = directory.join("zookeeper");
    Program::new("mvn")
        .args(["--quiet", "--batch-mode", "--file"])
        .args([&sources.join("zookeeper/pom.xml")])
        .args([format!("-Dlevada.build={}", built.display())])
        .args(["package"])
        .run()?;
    Ok(vec![Client {
        env: BTreeMap::from([("ZOOKEEPER".into(), built.join("lib").display().to_string())]),
        ..Client::script("burrow", &[&"bash", &sources.join("shell/lag.sh"), &"burrow"])
    }])
}

fn kafka_directory(workspace: &Workspace, _directory: &Path) -> Outcome<Vec<Client>> {
    let jars = kafka_jars(workspace)?;
    Ok(vec![Client {
        env: BTreeMap::from([("LEVADA_KAFKA_JARS".into(), jars.display().to_string())]),
        subject: Subject::KafkaDirectory,
        ..Client::new("kafka-directory", &[])
    }])
}

/// The files of `directory` with the given extension, in order.
fn files(directory: &Path, extension: &str) -> Outcome<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(Failure::io(directory.display()))? {
        let path = entry.map_err(Failure::io(directory.display()))?.path();
        if path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
