//! The wire format: what goes in comes out, and whatever comes in is a datagram or a reason.

use checked_raft::runtime::hello::{Hello, Reason, Refusal, Sighting};
use checked_raft::runtime::store::{Life, Start};
use checked_raft::runtime::wire::{
    self, Body, CLIENTS, Datagram, EncodeError, MAX_DATAGRAM, MAX_PAYLOAD, OVERHEAD, Reject,
};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

/// A message with every kind of length that a hostile sender could lie about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Msg {
    Number(u64),
    Text(String),
    Bytes(bytes::Bytes),
    List(Vec<u64>),
    Map(BTreeMap<u64, Vec<u8>>),
    Maybe(Option<Box<[u128; 4]>>),
}

fn messages() -> impl Strategy<Value = Msg> {
    prop_oneof![
        any::<u64>().prop_map(Msg::Number),
        ".{0,20}".prop_map(Msg::Text),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(|bytes| Msg::Bytes(bytes.into())),
        prop::collection::vec(any::<u64>(), 0..30).prop_map(Msg::List),
        prop::collection::btree_map(any::<u64>(), any::<Vec<u8>>(), 0..4).prop_map(Msg::Map),
        any::<Option<[u128; 4]>>().prop_map(|numbers| Msg::Maybe(numbers.map(Box::new))),
    ]
}

fn bodies() -> impl Strategy<Value = Body<Msg>> {
    prop_oneof![
        messages().prop_map(Body::Peer),
        messages().prop_map(Body::Request),
        messages().prop_map(Body::Reply),
        any::<u64>().prop_map(|nonce| Body::Inspect { nonce }),
        any::<(u64, Vec<u8>)>().prop_map(|(nonce, status)| Body::Report { nonce, status }),
        any::<(u64, u64)>().prop_map(|(nonce, from)| Body::Browse { nonce, from }),
        any::<(u64, Vec<u8>)>().prop_map(|(nonce, page)| Body::Page { nonce, page }),
        any::<(u64, Vec<u8>)>().prop_map(|(nonce, query)| Body::Peek { nonce, query }),
        hellos().prop_map(Body::Hello),
        refusals().prop_map(Body::Refused),
    ]
}

prop_compose! {
    fn lives()(directory in any::<u128>(), counter in any::<u64>(), random in any::<u64>()) -> Life {
        Life { directory, start: Start { counter, random } }
    }
}

prop_compose! {
    fn sightings()(
        server in any::<u64>(),
        life in lives(),
        saves in any::<Option<u64>>(),
    ) -> Sighting {
        Sighting { server, life, saves }
    }
}

prop_compose! {
    fn hellos()(
        asks in any::<bool>(),
        starts in prop::collection::btree_map(any::<u64>(), any::<u64>(), 0..70),
        known in prop::collection::vec(sightings(), 0..8),
    ) -> Hello {
        Hello { asks, starts, known }
    }
}

prop_compose! {
    fn refusals()(
        (life, known) in (lives(), lives()),
        address in any::<(IpAddr, u16)>().prop_map(SocketAddr::from),
        reason in prop::sample::select(vec![
            Reason::OtherDirectory,
            Reason::EarlierStart,
            Reason::OtherStart,
            Reason::LostSaves,
            Reason::SecondProcess,
        ]),
    ) -> Refusal {
        Refusal { life, address, reason, known }
    }
}

prop_compose! {
    fn datagrams()(
        cluster in any::<u64>(),
        sender in any::<u64>(),
        life in lives(),
        saves in any::<u64>(),
        addressee in any::<u64>(),
        body in bodies(),
    ) -> Datagram<Msg> {
        Datagram { cluster, sender, life, saves, addressee, body }
    }
}

fn decode(bytes: &[u8]) -> Result<Datagram<Msg>, Reject> {
    wire::decode(bytes, |_| Ok(()))
}

fn encoded(body: Body<Msg>) -> Vec<u8> {
    wire::encode(&datagram(body)).expect("it fits")
}

fn datagram(body: Body<Msg>) -> Datagram<Msg> {
    let life = Life { directory: 3, start: Start { counter: 5, random: 6 } };
    Datagram { cluster: 1, sender: 2, life, saves: 7, addressee: 4, body }
}

/// `bytes` with a checksum that matches again.
fn sealed(mut content: Vec<u8>) -> Vec<u8> {
    content.extend(crc32fast::hash(&content).to_le_bytes());
    content
}

/// A datagram's bytes without its checksum.
fn content(body: Body<Msg>) -> Vec<u8> {
    let mut bytes = encoded(body);
    bytes.truncate(bytes.len() - 4);
    bytes
}

proptest! {
    #[test]
    fn what_goes_in_comes_out(datagram in datagrams()) {
        let bytes = wire::encode(&datagram).expect("it fits");
        prop_assert_eq!(decode(&bytes), Ok(datagram));
    }

    #[test]
    fn any_bytes_are_a_datagram_or_a_reason(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(decode(&bytes).is_err(), "random bytes do not have our magic and checksum");
    }

    /// With magic, version and checksum in order, the hostile bytes reach the payload's decoder.
    #[test]
    fn any_sealed_payload_is_a_datagram_or_a_reason(
        kind in any::<u8>(),
        rest in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut bytes = b"UDN".to_vec();
        bytes.extend([wire::VERSION, kind % 10]);
        bytes.extend(rest);
        match decode(&sealed(bytes)) {
            Ok(datagram) => {
                let again = wire::encode(&datagram).expect("what was decoded fits");
                prop_assert_eq!(decode(&again), Ok(datagram));
            }
            Err(reject) => prop_assert!(matches!(
                reject,
                Reject::TooShort | Reject::Kind | Reject::Malformed | Reject::TrailingBytes
            ), "{}", reject),
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed(datagram in datagrams(), at in any::<prop::sample::Index>()) {
        let mut bytes = wire::encode(&datagram).expect("it fits");
        let bit = at.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        let reject = decode(&bytes).expect_err("a damaged datagram is dropped");
        prop_assert!(matches!(reject, Reject::Magic | Reject::Version | Reject::Checksum));
    }

    #[test]
    fn every_cut_is_noticed(datagram in datagrams(), at in any::<prop::sample::Index>()) {
        let bytes = wire::encode(&datagram).expect("it fits");
        let reject = decode(&bytes[..at.index(bytes.len())]).expect_err("a cut one is dropped");
        prop_assert!(matches!(reject, Reject::TooShort | Reject::Checksum));
    }
}

#[test]
fn each_defect_has_its_own_reason() {
    let good = content(Body::Peer(Msg::Number(7)));
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        sealed(bytes)
    };
    assert_eq!(decode(&[]), Err(Reject::TooShort));
    assert_eq!(decode(&[0; OVERHEAD - 1]), Err(Reject::TooShort));
    assert_eq!(decode(&vec![0; MAX_DATAGRAM + 1]), Err(Reject::Oversized));
    assert_eq!(decode(&with(0, b'X')), Err(Reject::Magic));
    assert_eq!(decode(&with(3, wire::VERSION + 1)), Err(Reject::Version));
    assert_eq!(decode(&with(4, 10)), Err(Reject::Kind));
    assert_eq!(
        decode(&with(OVERHEAD - 4, 99)),
        Err(Reject::Malformed),
        "no such variant of the message"
    );
    let damaged = [good.clone(), vec![0; 4]].concat();
    assert_eq!(decode(&damaged), Err(Reject::Checksum));
    let longer = sealed([good.clone(), vec![0]].concat());
    assert_eq!(decode(&longer), Err(Reject::TrailingBytes));
    let longer = sealed([content(Body::Inspect { nonce: 1 }), vec![0]].concat());
    assert_eq!(decode(&longer), Err(Reject::TrailingBytes));
    let longer = sealed([content(Body::Browse { nonce: 1, from: 2 }), vec![0]].concat());
    assert_eq!(decode(&longer), Err(Reject::TrailingBytes));
    for body in [Body::Inspect { nonce: 1 }, Body::Browse { nonce: 1, from: 2 }] {
        let whole = content(body);
        assert_eq!(decode(&sealed(whole[..whole.len() - 1].to_vec())), Err(Reject::Malformed));
    }
}

#[test]
fn the_header_is_judged_before_the_payload_is_looked_at() {
    let foreign = encoded(Body::Peer(Msg::Text("not a number".to_owned())));
    let judged = wire::decode::<u8>(&foreign, |header| {
        assert_eq!((header.cluster, header.sender), (1, 2));
        assert_eq!((header.life.directory, header.life.start.counter), (3, 5));
        assert_eq!((header.life.start.random, header.saves, header.addressee), (6, 7, 4));
        Err(Reject::ForeignCluster)
    });
    assert_eq!(judged, Err(Reject::ForeignCluster));
}

/// A length of 2^63 elements in a payload of a few bytes. Allocating for it would abort.
#[test]
fn a_length_the_payload_does_not_have_is_refused_without_allocating_for_it() {
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    let header = &content(Body::Peer(Msg::Number(0)))[..OVERHEAD - 4];
    for variant in 1..=4 {
        let bytes = sealed([header, &[variant], &huge, &[1, 2, 3]].concat());
        assert_eq!(decode(&bytes), Err(Reject::Malformed), "variant {variant}");
    }
}

#[test]
fn the_largest_payload_fits_and_one_byte_more_does_not() {
    // The variant takes one byte and the length of that many bytes three.
    let fits = Msg::Bytes(vec![7; MAX_PAYLOAD - 4].into());
    let bytes = encoded(Body::Peer(fits.clone()));
    assert_eq!(bytes.len(), MAX_DATAGRAM);
    assert_eq!(decode(&bytes).expect("it is at the limit").body, Body::Peer(fits));
    let body = Body::Peer(Msg::Bytes(vec![7; MAX_PAYLOAD - 3].into()));
    let bytes = MAX_DATAGRAM + 1;
    assert_eq!(wire::encode(&datagram(body)), Err(EncodeError::TooLarge { bytes }));
}

#[test]
fn clusters_differ_by_name_and_for_peers_by_members() {
    let members = |ids: &[u64]| ids.iter().copied().collect::<BTreeSet<_>>();
    let three = wire::peer_cluster("a", &members(&[1, 2, 3]));
    assert_eq!(three, wire::peer_cluster("a", &members(&[3, 2, 1])));
    assert_ne!(three, wire::peer_cluster("a", &members(&[1, 2, 4])));
    assert_ne!(three, wire::peer_cluster("a", &members(&[1, 2])));
    assert_ne!(three, wire::peer_cluster("b", &members(&[1, 2, 3])));
    assert_ne!(wire::client_cluster("a"), wire::client_cluster("b"));
    assert_ne!(wire::client_cluster("a"), three);
}

/// Pins the format: whoever changes it must raise the version.
#[test]
fn a_datagram_of_this_version_looks_like_this() {
    let body = Body::<Msg>::Inspect { nonce: 0x0102_0304_0506_0708 };
    let (cluster, sender) = (wire::client_cluster("c"), CLIENTS + 1);
    let start = Start { counter: 0x0a, random: 0x0b };
    let life = Life { directory: 0x0c, start };
    let datagram = Datagram { cluster, sender, life, saves: 0x0d, addressee: 3, body };
    let bytes = wire::encode(&datagram).expect("it fits");
    let expected: &[&[u8]] = &[
        b"UDN",
        &[4, 3],
        &[0xf6, 0xeb, 0x38, 0xd8, 0x24, 0x41, 0x8e, 0x5c],
        &[1, 0, 0, 0, 1, 0, 0, 0],
        &[0x0c, 0, 0, 0, 0, 0, 0, 0],
        &[0; 8],
        &[0x0a, 0, 0, 0, 0, 0, 0, 0],
        &[0x0b, 0, 0, 0, 0, 0, 0, 0],
        &[0x0d, 0, 0, 0, 0, 0, 0, 0],
        &[3, 0, 0, 0, 0, 0, 0, 0],
        &[8, 7, 6, 5, 4, 3, 2, 1],
    ];
    let expected = sealed(expected.concat());
    assert_eq!(bytes, expected);
    assert_eq!(bytes[bytes.len() - 4..], [164, 202, 12, 243], "the checksum");
}

/// Pins the payloads of what servers tell each other.
#[test]
fn a_hello_and_a_refusal_of_this_version_look_like_this() {
    let life = Life { directory: 1, start: Start { counter: 2, random: 3 } };
    let known = vec![Sighting { server: 4, life, saves: Some(5) }];
    let hello = Hello { asks: true, starts: [(6, 7)].into(), known };
    let bytes = content(Body::Hello(hello));
    assert_eq!(bytes[4], 5);
    assert_eq!(bytes[OVERHEAD - 4..], [1, 1, 6, 7, 1, 4, 1, 2, 3, 1, 5]);
    let address = ([127, 0, 0, 1], 8).into();
    let refusal = Refusal { life, address, reason: Reason::LostSaves, known: life };
    let bytes = content(Body::Refused(refusal));
    assert_eq!(bytes[4], 6);
    assert_eq!(bytes[OVERHEAD - 4..], [1, 2, 3, 0, 127, 0, 0, 1, 8, 3, 1, 2, 3]);
}

/// Pins the payloads of a question for a page and of its answer.
#[test]
fn a_question_for_a_page_and_a_page_of_this_version_look_like_this() {
    let bytes = content(Body::Browse { nonce: 1, from: 0x0203 });
    assert_eq!(bytes[4], 7);
    assert_eq!(bytes[OVERHEAD - 4..], [1, 0, 0, 0, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 0, 0]);
    let bytes = content(Body::Page { nonce: 1, page: b"{}".to_vec() });
    assert_eq!(bytes[4], 8);
    assert_eq!(bytes[OVERHEAD - 4..], [1, 0, 0, 0, 0, 0, 0, 0, b'{', b'}']);
    let bytes = content(Body::Peek { nonce: 1, query: vec![5] });
    assert_eq!(bytes[4], 9);
    assert_eq!(bytes[OVERHEAD - 4..], [1, 0, 0, 0, 0, 0, 0, 0, 5]);
}
