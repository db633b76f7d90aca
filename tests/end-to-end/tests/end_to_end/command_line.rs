//! The command line of the README: a file in, the same file out, topics as tables and as JSON, and exit codes.

use std::{fs, path::Path};

use levada_end_to_end::Outcome;
use levada_harness::Node;

use crate::operator::{levada, written};

/// Runs `levada` against the node, which must succeed, and returns what it wrote to stdout.
fn succeed(node: &Node, arguments: &[&str]) -> Outcome<Vec<u8>> {
    written(arguments, levada(&node.grpc()?.to_string(), arguments)?)
}

#[test]
fn a_file_goes_in_and_comes_out_the_same() -> Outcome {
    let mut node = Node::start()?;
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let expected = fs::read(&readme)?;
    succeed(&node, &["produce", "readme", "--file", &readme.display().to_string(), "--compression", "zstd"])?;
    assert_eq!(succeed(&node, &["consume", "readme", "--exit-at-end"])?, expected);

    node.kill()?;
    node.start_again()?;
    assert_eq!(succeed(&node, &["consume", "readme", "--exit-at-end"])?, expected);
    Ok(())
}

#[test]
fn topics_are_told_as_json_and_failures_by_exit_code() -> Outcome {
    let node = Node::start()?;
    succeed(&node, &["topic", "create", "orders", "--partitions", "3", "--config", "retention.ms=86400000"])?;
    let listing: serde_json::Value = serde_json::from_slice(&succeed(&node, &["topic", "list", "--output", "json"])?)?;
    let names: Vec<&str> =
        listing.as_array().into_iter().flatten().filter_map(|topic| topic.get("name")?.as_str()).collect();
    assert_eq!(names, ["orders"]);

    let server = node.grpc()?.to_string();
    assert_eq!(levada(&server, &["topic", "create", "orders"])?.status.code(), Some(1), "it exists already");
    assert_eq!(levada(&server, &["topic", "create"])?.status.code(), Some(2), "a topic without a name");
    Ok(())
}
