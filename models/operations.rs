//! The operations that clients of the models ask for, all on one key.

use crate::kv::Command;
use crate::raft::Operation;

/// Sets the key.
pub(super) fn put(value: &'static str) -> Operation {
    Operation::Command(Command::Put("x".into(), value.into()).encode())
}

/// Sets the key if it has no value. Unlike a put, this command answers differently when it is applied twice.
pub(super) fn create() -> Operation {
    Operation::Command(Command::Cas { key: "x".into(), old: None, new: "1".into() }.encode())
}

/// Changes the value that a put has set. So a late copy of that put would show.
pub(super) fn advance() -> Operation {
    let (old, new) = (Some("1".into()), "2".into());
    Operation::Command(Command::Cas { key: "x".into(), old, new }.encode())
}

/// Removes the key.
pub(super) fn delete() -> Operation {
    Operation::Command(Command::Delete("x".into()).encode())
}

/// Reads the key by an entry of the log.
pub(super) fn get() -> Operation {
    Operation::Command(Command::Get("x".into()).encode())
}

/// Reads the key without an entry.
pub(super) fn read() -> Operation {
    Operation::Query(Command::Get("x".into()).encode())
}
