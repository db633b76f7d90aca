//! The consumers of `docs/examples`, made ready as `docs/grpc-groups.md` says, and what is asked of them.

use std::{fs, path::Path};

use super::clients::{Client, protoc, python_with_libraries};
use crate::{
    failure::{Failure, Outcome},
    program::Program,
    workspace::Workspace,
};

/// The plugin of protoc that writes Go's messages.
const PROTOC_GEN_GO: &str = "google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.10";
/// The one that writes Go's services.
const PROTOC_GEN_GO_GRPC: &str = "google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.5.1";

/// The consumer of a language, which `consumer` starts.
pub(super) fn client(workspace: &Workspace, language: &str, consumer: &[&dyn AsRef<Path>]) -> Client {
    let script = workspace.root().join("tests/conformance/shell/grpc-example.sh");
    let mut argv: Vec<&dyn AsRef<Path>> = vec![&"bash", &script];
    argv.extend(consumer);
    Client::script(&format!("grpc-example-{language}"), &argv)
}

/// The consumer in Java, whose project generates the stubs with Maven.
pub(super) fn java(workspace: &Workspace, directory: &Path) -> Outcome<Vec<Client>> {
    let built = directory.join("example-java");
    Program::new("mvn")
        .args(["--quiet", "--batch-mode", "--file"])
        .args([workspace.root().join("docs/examples/java/pom.xml")])
        .args([format!("-Dlevada.build={}", built.display())])
        .args(["package"])
        .run()?;
    let classpath = format!("{0}/classes:{0}/lib/*", built.display());
    Ok(vec![client(workspace, "java", &[&"java", &"-cp", &classpath, &"GroupConsumer"])])
}

/// The consumer in Go, in a module of its own with the stubs that protoc's plugins have written.
pub(super) fn go(workspace: &Workspace, directory: &Path) -> Outcome<Vec<Client>> {
    let python = python_with_libraries(workspace, directory)?;
    let tools = workspace.target().join("tools");
    for plugin in [PROTOC_GEN_GO, PROTOC_GEN_GO_GRPC] {
        Program::new("go").env("GOBIN", &tools).args(["install", plugin]).run()?;
    }
    let module = directory.join("example-go");
    copy(&workspace.root().join("docs/examples/consumer.go"), &module)?;
    let options = ["go", "go-grpc"].map(|plugin| {
        let program = tools.join(format!("protoc-gen-{plugin}"));
        [
            format!("--plugin={}", program.display()),
            format!("--{plugin}_out={}", module.display()),
            format!("--{plugin}_opt=module=levada"),
        ]
    });
    protoc(workspace, &python, &options.concat())?.run()?;
    if !module.join("go.mod").is_file() {
        Program::new("go").directory(&module).args(["mod", "init", "levada"]).run()?;
    }
    Program::new("go").directory(&module).args(["mod", "tidy"]).run()?;
    Program::new("go").directory(&module).args(["build", "-o", "consumer", "."]).run()?;
    Ok(vec![client(workspace, "go", &[&module.join("consumer")])])
}

/// The consumer in Node, which reads the `.proto` files when it starts.
pub(super) fn node(workspace: &Workspace, directory: &Path) -> Outcome<Vec<Client>> {
    let module = directory.join("example-node");
    copy(&workspace.root().join("docs/examples/consumer.mjs"), &module)?;
    Program::new("npm")
        .directory(&module)
        .args(["install", "--silent", "--no-audit", "--no-fund", "@grpc/grpc-js", "@grpc/proto-loader"])
        .run()?;
    Ok(vec![client(workspace, "node", &[&"node", &module.join("consumer.mjs")])])
}

/// Copies a file into a directory, which is made where there is none.
fn copy(file: &Path, directory: &Path) -> Outcome {
    fs::create_dir_all(directory).map_err(Failure::io(directory.display()))?;
    let name = file.file_name().unwrap_or_default();
    fs::copy(file, directory.join(name)).map_err(Failure::io(file.display()))?;
    Ok(())
}
