//! The lanes of development: lint, test, conformance, bench and the rest.

fn main() {}
