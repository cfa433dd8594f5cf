//! A page of a server's log, for people.

use super::status::{number, role};
use crate::raft::{Entry, Index, Payload, Server};
use crate::state_machine::StateMachine;
use bytes::Bytes;
use serde_json::{Value, json};
use stateright::actor::Id;

/// The most entries of a page.
const ENTRIES: usize = 100;

/// The most bytes of entries that a server puts into words for one page. A longer entry has a page of its
/// own.
const READ: usize = 64 * 1024;

/// The most characters of a command in words.
const WORDS: usize = 200;

/// The most bytes of JSON of the entries of a page. A page so long travels in a few dozen fragments, and
/// the status of a large cluster is no shorter.
const BYTES: usize = 16 * 1024;

/// A page of the log of server `id`, from the index `from` on, in the form that the client library
/// reads. The page has at least one entry if there is one.
pub(super) fn log_page<S: StateMachine>(id: u64, server: &Server<S>, from: u64) -> Value {
    let log = &server.persistent.log;
    let first = Index(from).max(log.start().next());
    let (mut entries, mut bytes) = (Vec::new(), 0);
    // In this order no index is counted behind the last entry, whatever index was asked for.
    for (entry, index) in log.entries_from(first, ENTRIES, READ).into_iter().zip(first.0..) {
        let entry = told::<S>(index, &entry);
        bytes += entry.to_string().len();
        if bytes > BYTES && !entries.is_empty() {
            break;
        }
        entries.push(entry);
    }
    let next = first.0.saturating_add(entries.len() as u64);
    let has_more = next <= log.last_index().0;
    json!({
        "id": id,
        "role": role(server),
        "term": server.persistent.current_term.0,
        "log_start": log.start().0,
        "last_log_index": log.last_index().0,
        "commit_index": server.commit_index.0,
        "last_applied": server.last_applied.0,
        "entries": entries,
        "next": has_more.then_some(next),
    })
}

fn told<S: StateMachine>(index: u64, entry: &Entry) -> Value {
    let client = |client: &Id| Some(number(*client));
    let (kind, client, session, sequence, command) = match &entry.payload {
        Payload::Noop => ("noop", None, None, None, None),
        Payload::Register { client: who, sequence, .. } => {
            ("register", client(who), None, Some(*sequence), None)
        }
        Payload::Command { client: who, session, sequence, command } => {
            ("command", client(who), Some(session.0), Some(*sequence), Some(command))
        }
    };
    let words = command.map(|command| S::describe(command));
    let end = words.as_ref().and_then(|words| Some(words.char_indices().nth(WORDS)?.0));
    json!({
        "index": index,
        "term": entry.term.0,
        "kind": kind,
        "client": client,
        "session": session,
        "sequence": sequence,
        "command": words.as_ref().map(|words| &words[..end.unwrap_or(words.len())]),
        "bytes": command.map(Bytes::len),
        "is_cut": end.is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::{Command, Kv};
    use crate::raft::{Parameters, Raft, Term};
    use crate::runtime::wire::MAX_PAYLOAD;
    use stateright::actor::{Actor, Out};

    /// A server whose log has these commands.
    fn server(commands: &[Bytes]) -> Server<Kv> {
        let raft = Raft::<Kv>::new([Id::from(1)], Parameters::default()).expect("sound");
        let mut server = raft.on_start(Id::from(1), &None, &mut Out::new());
        for command in commands {
            let (client, session, command) = (Id::from(7), Index(1), command.clone());
            let payload = Payload::Command { client, session, sequence: 2, command };
            server.persistent.log.append(Entry { term: Term(3), payload });
        }
        server
    }

    fn put(value: &[u8]) -> Bytes {
        Command::Put("k".into(), Bytes::copy_from_slice(value)).encode()
    }

    /// Every index of the log, as the pages show them one after the other.
    fn shown(server: &Server<Kv>) -> Vec<u64> {
        let (mut from, mut shown) = (Some(0), Vec::new());
        while let Some(index) = from {
            let page = log_page(1, server, index);
            assert!(page.to_string().len() + 8 <= MAX_PAYLOAD, "it fits a datagram");
            let entries = page["entries"].as_array().expect("a list");
            assert!(!entries.is_empty());
            shown.extend(entries.iter().map(|entry| entry["index"].as_u64().expect("a number")));
            from = page["next"].as_u64();
        }
        shown
    }

    #[test]
    fn pages_of_any_commands_fit_and_show_each_entry_once() {
        for value in ["short".to_owned(), "\0".repeat(40_000), "é\u{1}".repeat(5000)] {
            let server = server(&vec![put(value.as_bytes()); 250]);
            assert_eq!(shown(&server), (1..=250).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_long_command_is_cut_and_its_length_said() {
        let put = put(&[b'v'; 1000]);
        let page = log_page(1, &server(std::slice::from_ref(&put)), 1);
        let entry = &page["entries"][0];
        assert_eq!((&entry["is_cut"], &entry["bytes"]), (&json!(true), &json!(put.len())));
        let words = entry["command"].as_str().expect("words");
        assert!(words.starts_with("put k vv") && words.len() == WORDS, "{words}");
    }

    #[test]
    fn beyond_the_end_a_page_is_empty() {
        for from in [3, u64::MAX] {
            let page = log_page(1, &server(&vec![put(b"x"); 2]), from);
            assert_eq!((&page["entries"], &page["next"]), (&json!([]), &Value::Null));
            assert_eq!(page["last_log_index"], 2);
        }
    }
}
