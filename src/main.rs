//! The `raft` command.

fn main() {}
