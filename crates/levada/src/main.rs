//! The `levada` binary: composes roles, faces and commands.

fn main() {}
