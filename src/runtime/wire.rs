//! The datagrams that nodes and clients put on the wire. [`encode`] turns a [`Datagram`] into bytes, and
//! [`decode`] turns bytes into a [`Datagram`] or a [`Reject`].
//!
//! | bytes | field | meaning |
//! |---|---|---|
//! | 3 | magic | `UDN` |
//! | 1 | version | [`VERSION`] |
//! | 1 | kind | [`Kind`] |
//! | 8 | cluster | [`peer_cluster`] between servers, [`client_cluster`] otherwise |
//! | 8 | sender | a server's number, or a client's ([`CLIENTS`] and above) |
//! | 16 | directory | the sender's directory id; 0 from a client |
//! | 8 | start | how often the sender has started from that directory; 0 from a client |
//! | 8 | random | the random part that this start has drawn; 0 from a client |
//! | 8 | saves | how many saves the sender has made; 0 from a client |
//! | 8 | addressee | as the sender; [`ANYBODY`] to inspect whoever has the address |
//! | .. | payload | [`Body`]: a message, hello or refusal in postcard's format, an inspection, a report, a question for a page, or a page |
//! | 4 | checksum | CRC-32 of all bytes before it |
//!
//! Integers are little-endian. The checksum detects damage, not forgery. Nothing here authenticates a
//! sender, so a cluster belongs on a network whose hosts are trusted. An untrusted host cannot crash a
//! node: any bytes decode to a datagram or to a [`Reject`].
//!
//! A message type must meet two demands, so that decoding costs no more than the datagram is long. It
//! has no recursion, and no sequences of elements that encode to zero bytes.

use super::hello::{Hello, Refusal};
use super::store::{Life, Start};
use serde::{Serialize, de::DeserializeOwned};
use siphasher::sip::SipHasher24;
use std::collections::BTreeSet;
use std::hash::Hasher;

/// The largest datagram sent or accepted, in bytes. It is the largest UDP payload over IPv4 (65,535 less
/// 20 for IP and 8 for UDP). IPv6 would carry 20 more; one limit for both keeps a cluster's behaviour
/// independent of its addresses.
pub const MAX_DATAGRAM: usize = 65_507;

/// Bytes of a datagram around its payload.
pub const OVERHEAD: usize = HEADER + CHECKSUM;

/// The largest payload, in bytes: a message whose postcard encoding is longer cannot be sent.
pub const MAX_PAYLOAD: usize = MAX_DATAGRAM - OVERHEAD;

/// The version of this format. A node drops datagrams of every other version.
pub const VERSION: u8 = 4;

/// The first number of a client. Numbers below it are servers'. A client process draws its number at
/// random, so that it does not take a late reply to another process for its own.
pub const CLIENTS: u64 = 1 << 32;

/// The addressee of an inspection by a client that knows an address and not yet whose it is. A datagram
/// of any other kind with this addressee is dropped.
pub const ANYBODY: u64 = 0;

const MAGIC: [u8; 3] = *b"UDN";
const HEADER: usize = 3 + 1 + 1 + 8 + 8 + 16 + 8 + 8 + 8 + 8;
const CHECKSUM: usize = 4;

/// The cluster as it stands in datagrams from and to clients: a hash of the cluster's name.
pub fn client_cluster(name: &str) -> u64 {
    name_hasher(name).finish()
}

/// The cluster as it stands in datagrams between servers: a hash of the cluster's name and its members.
/// So servers configured with different members do not talk.
pub fn peer_cluster(name: &str, members: &BTreeSet<u64>) -> u64 {
    let mut hasher = name_hasher(name);
    hasher.write(&(members.len() as u64).to_le_bytes());
    for member in members {
        hasher.write(&member.to_le_bytes());
    }
    hasher.finish()
}

/// `SipHash` with a fixed key gives equal hashes on every machine and in every release, unlike the
/// standard library's default hasher. Every field has its length in front of it or is of fixed length.
fn name_hasher(name: &str) -> SipHasher24 {
    let mut hasher = SipHasher24::new();
    hasher.write(&(name.len() as u64).to_le_bytes());
    hasher.write(name.as_bytes());
    hasher
}

/// The kind of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A message from server to server.
    Peer = 0,
    /// A message from client to server.
    Request = 1,
    /// A message from server to client.
    Reply = 2,
    /// A client's question to a server for its status.
    Inspect = 3,
    /// A server's answer to `Inspect`.
    Report = 4,
    /// A server tells another who it is and whom it knows.
    Hello = 5,
    /// A server tells another why it drops that server's datagrams.
    Refused = 6,
    /// A client's question to a server for a page of what its actor keeps.
    Browse = 7,
    /// A server's answer to `Browse` or to `Peek`.
    Page = 8,
    /// A client's query to the state of one server, which may be old.
    Peek = 9,
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
            Self::Browse,
            Self::Page,
            Self::Peek,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == byte)
    }
}

/// The fields of a datagram before its payload: sender, addressee and kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The kind of the datagram.
    pub kind: Kind,
    /// The cluster, by [`peer_cluster`] or [`client_cluster`].
    pub cluster: u64,
    /// The sender's number.
    pub sender: u64,
    /// The life that the sender is in; the default from a client.
    pub life: Life,
    /// How many saves the sender has made; 0 from a client.
    pub saves: u64,
    /// The addressee's number, or [`ANYBODY`].
    pub addressee: u64,
}

/// The payload of a datagram. The variants are those of [`Kind`].
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
        /// A number that comes back in the report and so tells the client what the report answers.
        nonce: u64,
    },
    /// The status of a server.
    Report {
        /// The nonce of the inspection that this answers.
        nonce: u64,
        /// The status in JSON.
        status: Vec<u8>,
    },
    /// The greeting of a server.
    Hello(Hello),
    /// Why a server's datagrams are dropped.
    Refused(Refusal),
    /// A question for a page of what the server's actor keeps, as [`Observer::page`] tells it.
    ///
    /// [`Observer::page`]: super::Observer::page
    Browse {
        /// A number that comes back with the page and so tells the client what the page answers.
        nonce: u64,
        /// The first index that the page is to show.
        from: u64,
    },
    /// A page of what a server's actor keeps, or the answer to a query.
    Page {
        /// The nonce of the question that this answers.
        nonce: u64,
        /// The page in JSON; `null` if the server has no pages. Or the answer of [`Observer::peek`].
        ///
        /// [`Observer::peek`]: super::Observer::peek
        page: Vec<u8>,
    },
    /// A query to the state of the server's actor, which [`Observer::peek`] answers.
    ///
    /// [`Observer::peek`]: super::Observer::peek
    Peek {
        /// A number that comes back with the answer.
        nonce: u64,
        /// The query, as the actor's state understands it.
        query: Vec<u8>,
    },
}

impl<M> Body<M> {
    /// The kind of datagram that carries this payload.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Peer(_) => Kind::Peer,
            Self::Request(_) => Kind::Request,
            Self::Reply(_) => Kind::Reply,
            Self::Inspect { .. } => Kind::Inspect,
            Self::Report { .. } => Kind::Report,
            Self::Hello(_) => Kind::Hello,
            Self::Refused(_) => Kind::Refused,
            Self::Browse { .. } => Kind::Browse,
            Self::Page { .. } => Kind::Page,
            Self::Peek { .. } => Kind::Peek,
        }
    }
}

/// A datagram, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram<M> {
    /// The cluster, by [`peer_cluster`] or [`client_cluster`].
    pub cluster: u64,
    /// The sender's number.
    pub sender: u64,
    /// The life that the sender is in; the default from a client.
    pub life: Life,
    /// How many saves the sender has made; 0 from a client.
    pub saves: u64,
    /// The addressee's number, or [`ANYBODY`].
    pub addressee: u64,
    /// The payload.
    pub body: Body<M>,
}

/// Why a datagram was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Reject {
    /// The datagram is shorter than one with an empty payload.
    #[error("shorter than a header")]
    TooShort,
    /// The datagram is longer than [`MAX_DATAGRAM`].
    #[error("longer than {MAX_DATAGRAM} bytes")]
    Oversized,
    /// The bytes do not begin with this protocol's magic.
    #[error("not a datagram of this protocol")]
    Magic,
    /// The datagram is of another version of the format.
    #[error("of another version of the wire format")]
    Version,
    /// The datagram was damaged on its way.
    #[error("damaged: its checksum does not match")]
    Checksum,
    /// The datagram is of a kind that this version does not know.
    #[error("of an unknown kind")]
    Kind,
    /// The datagram is of a kind that is not for the receiver, such as a reply sent to a server.
    #[error("of a kind that is not for this receiver")]
    UnexpectedKind,
    /// The datagram is of a cluster of another name, or between servers of another set of members.
    #[error("of another cluster, or of a server configured with other members")]
    ForeignCluster,
    /// The datagram is for somebody else, such as the server that had this address before.
    #[error("for another addressee")]
    WrongAddressee,
    /// The sender is a server that is not configured as a peer.
    #[error("from an unknown server")]
    UnknownPeer,
    /// The datagram is of a kind that clients send, under a number that is no client's.
    #[error("from a client under a server's number")]
    NotAClient,
    /// The sender's data directory is not the one first heard of. So the server lost its memory, and
    /// with it the votes and entries that the others count on.
    #[error("from a server with another data directory than it had")]
    OtherDirectory,
    /// The sender runs from an older copy of its data directory, or sent the datagram before its
    /// restart.
    #[error("of an earlier start of a server than is known")]
    EarlierStart,
    /// The sender runs from a copy of its data directory: a start that is known of the server is none of
    /// the sender's own.
    #[error("from a copy of a server's data directory")]
    OtherStart,
    /// The sender has made fewer saves than an earlier start of it had.
    #[error("from an older copy of a server's data directory")]
    LostSaves,
    /// The sender is a second process of a server, while the first is heard at another address.
    #[error("from a second process of a server")]
    SecondProcess,
    /// The sender is a start of a server that has not said hello yet.
    #[error("from a server that has started anew and not said hello yet")]
    Unmet,
    /// The payload cannot be decoded.
    #[error("malformed: its payload is not a message")]
    Malformed,
    /// The payload is a message and more bytes behind it.
    #[error("malformed: bytes follow its message")]
    TrailingBytes,
}

impl Reject {
    /// All reasons for a drop with their names in a node's status, in the order of the enum.
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

/// Why a datagram cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The datagram is longer than [`MAX_DATAGRAM`].
    #[error("a datagram of {bytes} bytes, but at most {MAX_DATAGRAM} can be sent")]
    TooLarge {
        /// The datagram's length.
        bytes: usize,
    },
    /// Postcard cannot encode the message.
    #[error("a message that postcard cannot encode: {0}")]
    Unencodable(String),
}

/// Encodes a datagram into bytes.
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
        Body::Browse { nonce, from } => {
            bytes.extend(nonce.to_le_bytes());
            bytes.extend(from.to_le_bytes());
        }
        Body::Report { nonce, status: text }
        | Body::Page { nonce, page: text }
        | Body::Peek { nonce, query: text } => {
            bytes.extend(nonce.to_le_bytes());
            bytes.extend(text);
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

/// Decodes `bytes` into a datagram. `admit` judges the header before the payload is looked at, because a
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
            let (nonce, rest) = number(payload)?;
            nothing(rest)?;
            Body::Inspect { nonce }
        }
        Kind::Browse => {
            let (nonce, rest) = number(payload)?;
            let (from, rest) = number(rest)?;
            nothing(rest)?;
            Body::Browse { nonce, from }
        }
        Kind::Report => {
            let (nonce, status) = number(payload)?;
            Body::Report { nonce, status: status.to_vec() }
        }
        Kind::Page => {
            let (nonce, page) = number(payload)?;
            Body::Page { nonce, page: page.to_vec() }
        }
        Kind::Peek => {
            let (nonce, query) = number(payload)?;
            Body::Peek { nonce, query: query.to_vec() }
        }
    };
    Ok(Datagram { cluster, sender, life, saves, addressee, body })
}

/// Splits an undamaged datagram into its header and its payload.
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
    nothing(rest).map(|()| message)
}

/// The number at the front of a payload, and what follows it.
fn number(mut payload: &[u8]) -> Result<(u64, &[u8]), Reject> {
    let number = take(&mut payload).map_err(|_| Reject::Malformed)?;
    Ok((u64::from_le_bytes(number), payload))
}

fn nothing(rest: &[u8]) -> Result<(), Reject> {
    if rest.is_empty() { Ok(()) } else { Err(Reject::TrailingBytes) }
}
