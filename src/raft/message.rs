//! What servers and clients send each other.
//!
//! The file of each handler says what its message means and when it is well-formed. This file joins the
//! messages to one type.

use super::append_entries::{AppendEntries, AppendEntriesResponse};
use super::client_request::{ClientRequest, ClientResponse};
use super::install_snapshot::{InstallSnapshot, InstallSnapshotResponse};
use super::position::Term;
use super::pre_vote::{PreVote, PreVoteResponse};
use super::request_vote::{RequestVote, RequestVoteResponse};
use super::transfer::TimeoutNow;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Every message that servers and clients send. Fields are named as in Figure 2. The envelope names the
/// sender, so `candidateId` and `leaderId` are not repeated inside the message.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Message {
    /// "Invoked by candidates to gather votes (§5.2)."
    RequestVote(RequestVote),
    /// The results of RequestVote, from a voter to the candidate.
    RequestVoteResponse(RequestVoteResponse),
    /// "Invoked by leader to replicate log entries (§5.3); also used as heartbeat (§5.2)."
    AppendEntries(AppendEntries),
    /// The results of AppendEntries, from a follower to the leader.
    AppendEntriesResponse(AppendEntriesResponse),
    /// A request of a client to a server.
    ClientRequest(ClientRequest),
    /// The response of a server to a client.
    ClientResponse(ClientResponse),
    /// "Invoked by leader to send chunks of a snapshot to a follower" (section 7).
    InstallSnapshot(InstallSnapshot),
    /// The results of InstallSnapshot, from a follower to the leader.
    InstallSnapshotResponse(InstallSnapshotResponse),
    /// The question of a server that would like to stand for election (thesis 9.6).
    PreVote(PreVote),
    /// The answer to a pre-vote.
    PreVoteResponse(PreVoteResponse),
    /// A leader's request to stand for election at once (thesis 3.10).
    TimeoutNow(TimeoutNow),
}

impl Message {
    /// The term of the sender, which every server adopts if it is later than its own. Messages from and to
    /// clients carry no term. The sender of a PreVote has not begun the term in it.
    pub fn term(&self) -> Option<Term> {
        match self {
            Message::RequestVote(args) => Some(args.term),
            Message::RequestVoteResponse(args) => Some(args.term),
            Message::AppendEntries(args) => Some(args.term),
            Message::AppendEntriesResponse(args) => Some(args.term),
            Message::InstallSnapshot(args) => Some(args.term),
            Message::InstallSnapshotResponse(args) => Some(args.term),
            Message::PreVoteResponse(args) => Some(args.term),
            Message::TimeoutNow(args) => Some(args.term),
            Message::PreVote(_) | Message::ClientRequest(_) | Message::ClientResponse(_) => None,
        }
    }
}

/// Shows only the arguments inside, because their type name already says which message it is.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Message::RequestVote(args) => args.fmt(f),
            Message::RequestVoteResponse(args) => args.fmt(f),
            Message::AppendEntries(args) => args.fmt(f),
            Message::AppendEntriesResponse(args) => args.fmt(f),
            Message::ClientRequest(args) => args.fmt(f),
            Message::ClientResponse(args) => args.fmt(f),
            Message::InstallSnapshot(args) => args.fmt(f),
            Message::InstallSnapshotResponse(args) => args.fmt(f),
            Message::PreVote(args) => args.fmt(f),
            Message::PreVoteResponse(args) => args.fmt(f),
            Message::TimeoutNow(args) => args.fmt(f),
        }
    }
}
