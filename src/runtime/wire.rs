//! The datagrams: what a node and its clients put on the wire.
//!
//! | bytes | field | |
//! |---|---|---|
//! | 3 | magic | `UDN` |
//! | 1 | version | [`VERSION`] |
//! | 1 | kind | [`Kind`] |
//! | 8 | cluster | [`peer_cluster`] between servers, [`client_cluster`] otherwise |
//! | 8 | sender | a server's number, or a client's ([`CLIENTS`] and above) |
//! | 16 | directory | the sender's directory id; 0 from a client |
//! | 8 | start | how often the sender has started from that directory; 0 from a client |
//! | 8 | random | what this start has drawn; 0 from a client |
//! | 8 | saves | how many saves the sender has made; 0 from a client |
//! | 8 | addressee | as the sender; [`ANYBODY`] to inspect whoever has the address |
//! | .. | payload | [`Body`]: a message, a hello or a refusal in postcard's format, or an inspection |
//! | 4 | checksum | CRC-32 of all bytes before it |
//!
//! Integers are little-endian. The checksum detects damage, not forgery: nothing here
//! authenticates, so a cluster belongs on a network whose hosts are trusted. What an untrusted host
//! cannot do is crash a node: any bytes decode to a datagram or to a [`Reject`].
//!
//! Two demands on a message type, so that decoding costs no more than the datagram is long: no
//! recursion, and no sequences of elements that encode to zero bytes.

use super::hello::{Hello, Refusal};
use super::store::{Life, Start};
use serde::{Serialize, de::DeserializeOwned};
use siphasher::sip::SipHasher24;
use std::collections::BTreeSet;
use std::hash::Hasher;

/// The largest datagram sent or accepted, in bytes: the largest UDP payload over IPv4 (65,535 less
/// 20 for IP and 8 for UDP). IPv6 would carry 20 more; one limit for both keeps a cluster's
/// behaviour independent of its addresses.
pub const MAX_DATAGRAM: usize = 65_507;

/// Bytes of a datagram around its payload.
pub const OVERHEAD: usize = HEADER + CHECKSUM;

/// The largest payload, in bytes: a message whose postcard encoding is longer cannot be sent.
pub const MAX_PAYLOAD: usize = MAX_DATAGRAM - OVERHEAD;

/// The version of this format. A node drops every other.
pub const VERSION: u8 = 2;

/// Senders and addressees from this number on are clients, below it servers. A client process draws
/// its number at random, so that a late reply to another process is not taken for its own.
pub const CLIENTS: u64 = 1 << 32;

/// The addressee of an inspection by a client that knows an address and not yet whose it is. Any
/// other kind of datagram so addressed is dropped.
pub const ANYBODY: u64 = 0;

const MAGIC: [u8; 3] = *b"UDN";
const HEADER: usize = 3 + 1 + 1 + 8 + 8 + 16 + 8 + 8 + 8 + 8;
const CHECKSUM: usize = 4;

/// The cluster as it stands in datagrams from and to clients: a hash of its name.
pub fn client_cluster(name: &str) -> u64 {
    name_hasher(name).finish()
}

/// The cluster as it stands in datagrams between servers: a hash of its name and its members, so
/// that servers configured with different members do not talk.
pub fn peer_cluster(name: &str, members: &BTreeSet<u64>) -> u64 {
    let mut hasher = name_hasher(name);
    hasher.write(&(members.len() as u64).to_le_bytes());
    for member in members {
        hasher.write(&member.to_le_bytes());
    }
    hasher.finish()
}

/// `SipHash` with a fixed key: the same on every machine and in every release, unlike the standard
/// library's default hasher. Every field has its length in front of it or is of fixed length.
fn name_hasher(name: &str) -> SipHasher24 {
    let mut hasher = SipHasher24::new();
    hasher.write(&(name.len() as u64).to_le_bytes());
    hasher.write(name.as_bytes());
    hasher
}

/// What a datagram is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// From server to server.
    Peer = 0,
    /// From client to server.
    Request = 1,
    /// From server to client.
    Reply = 2,
    /// From client to server: how are you?
    Inspect = 3,
    /// From server to client: the answer to `Inspect`.
    Report = 4,
    /// From server to server: who I am and whom I know.
    Hello = 5,
    /// From server to server: why what you say is dropped.
    Refused = 6,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        [
            Self::Peer,
            Self::Request,
            Self::Reply,
            Self::Inspect,
            Self::Report,
            Self::Hello,
            Self::Refused,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == byte)
    }
}

/// Who says a datagram is for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What it is for.
    pub kind: Kind,
    /// See [`peer_cluster`] and [`client_cluster`].
    pub cluster: u64,
    /// The sender's number.
    pub sender: u64,
    /// Which of its lives the sender is in; the default from a client.
    pub life: Life,
    /// How many saves the sender has made; 0 from a client.
    pub saves: u64,
    /// The addressee's number, or [`ANYBODY`].
    pub addressee: u64,
}

/// What a datagram carries; its variants are those of [`Kind`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body<M> {
    /// A message between servers.
    Peer(M),
    /// A message from a client.
    Request(M),
    /// A message to a client.
    Reply(M),
    /// A question for the status.
    Inspect {
        /// Comes back in the report, which tells the client what it answers.
        nonce: u64,
    },
    /// The status.
    Report {
        /// The question's.
        nonce: u64,
        /// JSON.
        status: Vec<u8>,
    },
    /// The greeting of a server.
    Hello(Hello),
    /// Why a server's datagrams are dropped.
    Refused(Refusal),
}

impl<M> Body<M> {
    /// The kind of datagram that carries it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Peer(_) => Kind::Peer,
            Self::Request(_) => Kind::Request,
            Self::Reply(_) => Kind::Reply,
            Self::Inspect { .. } => Kind::Inspect,
            Self::Report { .. } => Kind::Report,
            Self::Hello(_) => Kind::Hello,
            Self::Refused(_) => Kind::Refused,
        }
    }
}

/// A datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram<M> {
    /// See [`peer_cluster`] and [`client_cluster`].
    pub cluster: u64,
    /// The sender's number.
    pub sender: u64,
    /// Which of its lives the sender is in; the default from a client.
    pub life: Life,
    /// How many saves the sender has made; 0 from a client.
    pub saves: u64,
    /// The addressee's number, or [`ANYBODY`].
    pub addressee: u64,
    /// What it carries.
    pub body: Body<M>,
}

/// Why a datagram was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Reject {
    /// Shorter than an empty payload's datagram.
    #[error("shorter than a header")]
    TooShort,
    /// Longer than [`MAX_DATAGRAM`].
    #[error("longer than {MAX_DATAGRAM} bytes")]
    Oversized,
    /// Not one of these datagrams at all.
    #[error("not a datagram of this protocol")]
    Magic,
    /// Another version of the format.
    #[error("of another version of the wire format")]
    Version,
    /// Damaged on its way.
    #[error("damaged: its checksum does not match")]
    Checksum,
    /// A kind this version does not know.
    #[error("of an unknown kind")]
    Kind,
    /// A kind that is not for the receiver, such as a reply sent to a server.
    #[error("of a kind that is not for this receiver")]
    UnexpectedKind,
    /// Of a cluster of another name, or between servers of another set of members.
    #[error("of another cluster, or of a server configured with other members")]
    ForeignCluster,
    /// For somebody else, such as the server that had this address before.
    #[error("for another addressee")]
    WrongAddressee,
    /// From a server that is not configured as a peer.
    #[error("from an unknown server")]
    UnknownPeer,
    /// A client's datagram under a number that is no client's.
    #[error("from a client under a server's number")]
    NotAClient,
    /// From a server whose data directory is not the one first heard of: it lost its memory, and
    /// with it the votes and entries the others count on.
    #[error("from a server with another data directory than it had")]
    OtherDirectory,
    /// From a server that runs from an older copy of its data directory, or sent before its restart.
    #[error("of an earlier start of a server than is known")]
    EarlierStart,
    /// From a server that runs from a copy of its data directory: a start that is known of it is none
    /// of its own.
    #[error("from a copy of a server's data directory")]
    OtherStart,
    /// From a server that has made fewer saves than an earlier start of it had.
    #[error("from an older copy of a server's data directory")]
    LostSaves,
    /// From a second process of a server, while the first is heard at another address.
    #[error("from a second process of a server")]
    SecondProcess,
    /// Of a start of a server that has not said hello yet.
    #[error("from a server that has started anew and not said hello yet")]
    Unmet,
    /// The payload is no message.
    #[error("malformed: its payload is not a message")]
    Malformed,
    /// The payload is a message and something more.
    #[error("malformed: bytes follow its message")]
    TrailingBytes,
}

impl Reject {
    /// All reasons with their names in a node's status, in the order of the enum.
    pub const ALL: [(Self, &'static str); 19] = [
        (Self::TooShort, "too_short"),
        (Self::Oversized, "oversized"),
        (Self::Magic, "magic"),
        (Self::Version, "version"),
        (Self::Checksum, "checksum"),
        (Self::Kind, "kind"),
        (Self::UnexpectedKind, "unexpected_kind"),
        (Self::ForeignCluster, "foreign_cluster"),
        (Self::WrongAddressee, "wrong_addressee"),
        (Self::UnknownPeer, "unknown_peer"),
        (Self::NotAClient, "not_a_client"),
        (Self::OtherDirectory, "other_directory"),
        (Self::EarlierStart, "earlier_start"),
        (Self::OtherStart, "other_start"),
        (Self::LostSaves, "lost_saves"),
        (Self::SecondProcess, "second_process"),
        (Self::Unmet, "unmet"),
        (Self::Malformed, "malformed"),
        (Self::TrailingBytes, "trailing_bytes"),
    ];
}

/// Why something cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// It is longer than [`MAX_DATAGRAM`].
    #[error("a datagram of {bytes} bytes, but at most {MAX_DATAGRAM} can be sent")]
    TooLarge {
        /// The datagram's length.
        bytes: usize,
    },
    /// Its type cannot be encoded.
    #[error("a message that postcard cannot encode: {0}")]
    Unencodable(String),
}

/// The bytes of a datagram.
pub fn encode<M: Serialize>(datagram: &Datagram<M>) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = Vec::with_capacity(256);
    bytes.extend(MAGIC);
    bytes.extend([VERSION, datagram.body.kind() as u8]);
    bytes.extend(datagram.cluster.to_le_bytes());
    bytes.extend(datagram.sender.to_le_bytes());
    let Life { directory, start } = datagram.life;
    bytes.extend(directory.to_le_bytes());
    bytes.extend(start.counter.to_le_bytes());
    bytes.extend(start.random.to_le_bytes());
    bytes.extend(datagram.saves.to_le_bytes());
    bytes.extend(datagram.addressee.to_le_bytes());
    match &datagram.body {
        Body::Peer(msg) | Body::Request(msg) | Body::Reply(msg) => bytes = extend(bytes, msg)?,
        Body::Hello(hello) => bytes = extend(bytes, hello)?,
        Body::Refused(refusal) => bytes = extend(bytes, refusal)?,
        Body::Inspect { nonce } => bytes.extend(nonce.to_le_bytes()),
        Body::Report { nonce, status } => {
            bytes.extend(nonce.to_le_bytes());
            bytes.extend(status);
        }
    }
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    if bytes.len() > MAX_DATAGRAM {
        return Err(EncodeError::TooLarge { bytes: bytes.len() });
    }
    Ok(bytes)
}

fn extend(bytes: Vec<u8>, payload: &impl Serialize) -> Result<Vec<u8>, EncodeError> {
    postcard::to_extend(payload, bytes).map_err(|error| EncodeError::Unencodable(error.to_string()))
}

/// The datagram that `bytes` are. `admit` judges the header before the payload is looked at: a
/// foreign payload is likely to be of another type.
pub fn decode<M: DeserializeOwned>(
    bytes: &[u8],
    admit: impl FnOnce(&Header) -> Result<(), Reject>,
) -> Result<Datagram<M>, Reject> {
    let (header, payload) = split(bytes)?;
    admit(&header)?;
    let Header { kind, cluster, sender, life, saves, addressee } = header;
    let body = match kind {
        Kind::Peer => Body::Peer(message(payload)?),
        Kind::Request => Body::Request(message(payload)?),
        Kind::Reply => Body::Reply(message(payload)?),
        Kind::Hello => Body::Hello(message(payload)?),
        Kind::Refused => Body::Refused(message(payload)?),
        Kind::Inspect => {
            let (nonce, rest) = nonce(payload)?;
            if !rest.is_empty() {
                return Err(Reject::TrailingBytes);
            }
            Body::Inspect { nonce }
        }
        Kind::Report => {
            let (nonce, status) = nonce(payload)?;
            Body::Report { nonce, status: status.to_vec() }
        }
    };
    Ok(Datagram { cluster, sender, life, saves, addressee, body })
}

/// Header and payload of an undamaged datagram.
fn split(bytes: &[u8]) -> Result<(Header, &[u8]), Reject> {
    if bytes.len() > MAX_DATAGRAM {
        return Err(Reject::Oversized);
    }
    if bytes.len() < OVERHEAD {
        return Err(Reject::TooShort);
    }
    let (content, checksum) = bytes.split_last_chunk().ok_or(Reject::TooShort)?;
    let mut rest = content;
    if take(&mut rest)? != MAGIC {
        return Err(Reject::Magic);
    }
    if take(&mut rest)? != [VERSION] {
        return Err(Reject::Version);
    }
    if crc32fast::hash(content).to_le_bytes() != *checksum {
        return Err(Reject::Checksum);
    }
    let [kind] = take(&mut rest)?;
    let kind = Kind::from_byte(kind).ok_or(Reject::Kind)?;
    let (cluster, sender) = (word(&mut rest)?, word(&mut rest)?);
    let directory = u128::from_le_bytes(take(&mut rest)?);
    let start = Start { counter: word(&mut rest)?, random: word(&mut rest)? };
    let (saves, addressee) = (word(&mut rest)?, word(&mut rest)?);
    let life = Life { directory, start };
    Ok((Header { kind, cluster, sender, life, saves, addressee }, rest))
}

fn word(bytes: &mut &[u8]) -> Result<u64, Reject> {
    Ok(u64::from_le_bytes(take(bytes)?))
}

/// Takes the first `N` bytes off `bytes`.
fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], Reject> {
    let (first, rest) = bytes.split_first_chunk().ok_or(Reject::TooShort)?;
    *bytes = rest;
    Ok(*first)
}

fn message<M: DeserializeOwned>(payload: &[u8]) -> Result<M, Reject> {
    let (message, rest) = postcard::take_from_bytes(payload).map_err(|_| Reject::Malformed)?;
    if rest.is_empty() { Ok(message) } else { Err(Reject::TrailingBytes) }
}

fn nonce(mut payload: &[u8]) -> Result<(u64, &[u8]), Reject> {
    let nonce = take(&mut payload).map_err(|_| Reject::Malformed)?;
    Ok((u64::from_le_bytes(nonce), payload))
}
