//! The client's side of a session: a retry keeps its number, an answer counts for the request in flight
//! only, and an outcome that nobody can know is said to be unknown.

use checked_raft::raft::{ClientRequest, ClientResponse, Index, Invocation, Operation, Session};
use stateright::actor::Id;

fn servers() -> Vec<Id> {
    (0..3).map(Id::from).collect()
}

/// A client with this command in flight, registered as session 5 by request number 1.
fn invoking(command: &'static str) -> Session {
    let mut session = Session::new(servers());
    session.invoke(Operation::Command(command.into()));
    assert_eq!(session.on_response(registered(1, 5)), None);
    session
}

fn register_of(server: usize, sequence: u64) -> (Id, ClientRequest) {
    (Id::from(server), ClientRequest::Register { sequence })
}

fn command_of(server: usize, sequence: u64, command: &'static str) -> (Id, ClientRequest) {
    let (session, command) = (Index(5), command.into());
    (Id::from(server), ClientRequest::Command { session, sequence, command })
}

fn registered(sequence: u64, session: u64) -> ClientResponse {
    ClientResponse::Registered { sequence, session: Index(session) }
}

fn applied(sequence: u64, response: &'static str) -> ClientResponse {
    ClientResponse::Applied { sequence, response: response.into() }
}

fn not_leader(sequence: u64, leader: Option<usize>) -> ClientResponse {
    ClientResponse::NotLeader { sequence, leader: leader.map(Id::from) }
}

/// One response of each kind that ends an invocation, with this number.
fn endings(sequence: u64) -> [ClientResponse; 3] {
    [
        applied(sequence, "r"),
        ClientResponse::SessionExpired { sequence },
        ClientResponse::TooLarge { sequence, limit: 7 },
    ]
}

/// The response neither ends anything nor changes what is asked.
#[track_caller]
fn assert_ignored(session: &Session, response: ClientResponse) {
    let mut after = session.clone();
    assert_eq!(after.on_response(response.clone()), None, "{response:?}");
    assert_eq!(after, *session, "{response:?}");
}

#[test]
fn nothing_is_sent_when_nothing_is_in_flight() {
    let session = Session::new(servers());
    assert_eq!((session.request(), session.operation(), session.sequence()), (None, None, 0));
    for response in endings(0).into_iter().chain([registered(0, 5), not_leader(0, Some(2))]) {
        assert_ignored(&session, response);
    }
}

#[test]
fn the_first_command_registers_the_session_first() {
    let mut session = Session::new(servers());
    session.invoke(Operation::Command("a".into()));
    assert_eq!(session.request(), Some(register_of(0, 1)));
    assert_eq!(session.on_response(registered(1, 5)), None);
    assert_eq!(session.request(), Some(command_of(0, 2, "a")));
    assert_eq!(session.on_response(applied(2, "r")), Some(Invocation::Applied("r".into())));
    assert_eq!((session.request(), session.operation()), (None, None));
    session.invoke(Operation::Command("b".into()));
    assert_eq!(session.request(), Some(command_of(0, 3, "b")));
}

#[test]
fn a_retry_keeps_the_number_and_goes_to_the_next_server() {
    let mut session = Session::new(servers());
    session.invoke(Operation::Command("a".into()));
    session.on_timeout();
    assert_eq!(session.request(), Some(register_of(1, 1)));
    session.on_response(registered(1, 5));
    for server in [1, 2, 0, 1] {
        assert_eq!(session.request(), Some(command_of(server, 2, "a")));
        assert_eq!(session.request(), Some(command_of(server, 2, "a")));
        session.on_timeout();
    }
}

#[test]
fn the_hint_of_a_server_that_does_not_lead_is_followed_with_the_same_number() {
    let mut session = Session::new(servers());
    session.invoke(Operation::Command("a".into()));
    assert_eq!(session.on_response(not_leader(1, Some(2))), None);
    assert_eq!(session.request(), Some(register_of(2, 1)));
    session.on_response(registered(1, 5));
    assert_eq!(session.on_response(not_leader(2, Some(1))), None);
    assert_eq!(session.request(), Some(command_of(1, 2, "a")));
    assert_eq!(session.operation(), Some(&Operation::Command("a".into())));
}

#[test]
fn a_hint_that_is_missing_unknown_or_old_is_not_followed() {
    let session = invoking("a");
    assert_ignored(&session, not_leader(2, None));
    assert_ignored(&session, not_leader(2, Some(9)));
    assert_ignored(&session, not_leader(1, Some(2)));
}

#[test]
fn a_response_to_another_request_is_ignored() {
    let session = invoking("a");
    assert_eq!(session.request(), Some(command_of(0, 2, "a")));
    for response in endings(1).into_iter().chain(endings(3)) {
        assert_ignored(&session, response);
    }
    // The registration, answered again or by another copy of it.
    assert_ignored(&session, registered(1, 5));
    assert_ignored(&session, registered(1, 6));
    assert_ignored(&session, registered(2, 6));
    // The answer, a second time.
    let mut session = session;
    assert_eq!(session.on_response(applied(2, "r")), Some(Invocation::Applied("r".into())));
    assert_ignored(&session, applied(2, "r"));
    session.invoke(Operation::Command("b".into()));
    assert_ignored(&session, applied(2, "r"));
}

#[test]
fn an_answer_to_a_command_cannot_answer_a_registration() {
    let mut session = Session::new(servers());
    session.invoke(Operation::Command("a".into()));
    for response in endings(1) {
        assert_ignored(&session, response);
    }
    assert_ignored(&session, registered(0, 5));
    assert_ignored(&session, registered(2, 5));
}

#[test]
fn an_expired_session_leaves_the_outcome_unknown_and_the_next_command_registers_afresh() {
    let mut session = invoking("a");
    let expired = ClientResponse::SessionExpired { sequence: 2 };
    assert_eq!(session.on_response(expired), Some(Invocation::Unknown));
    assert_eq!(session.request(), None, "the command is not repeated under another session");
    session.invoke(Operation::Command("b".into()));
    assert_eq!(session.request(), Some(register_of(0, 3)));
    assert_ignored(&session, registered(1, 5)); // the old session, once more
    session.on_response(registered(3, 8));
    let command = ClientRequest::Command { session: Index(8), sequence: 4, command: "b".into() };
    assert_eq!(session.request(), Some((Id::from(0), command)));
}

#[test]
fn a_command_that_is_too_large_is_not_applied_and_the_session_stays() {
    let mut session = invoking("a");
    let refused = ClientResponse::TooLarge { sequence: 2, limit: 7 };
    assert_eq!(session.on_response(refused), Some(Invocation::TooLarge(7)));
    session.invoke(Operation::Command("b".into()));
    assert_eq!(session.request(), Some(command_of(0, 3, "b")));
}

#[test]
fn an_abandoned_command_is_not_repeated_and_its_late_answer_is_ignored() {
    let mut session = invoking("a");
    session.abandon();
    assert_eq!((session.request(), session.operation()), (None, None));
    for response in endings(2) {
        assert_ignored(&session, response);
    }
    // The session stays good, and the abandoned number is not used again.
    session.invoke(Operation::Command("b".into()));
    assert_eq!(session.request(), Some(command_of(0, 3, "b")));
    for response in endings(2) {
        assert_ignored(&session, response);
    }
    assert_eq!(session.on_response(applied(3, "r")), Some(Invocation::Applied("r".into())));
}

#[test]
fn a_registration_abandoned_is_made_anew() {
    let mut session = Session::new(servers());
    session.invoke(Operation::Command("a".into()));
    session.abandon();
    assert_ignored(&session, registered(1, 5));
    session.invoke(Operation::Command("b".into()));
    assert_eq!(session.request(), Some(register_of(0, 2)));
    assert_ignored(&session, registered(1, 5));
    session.on_response(registered(2, 5));
    assert_eq!(session.request(), Some(command_of(0, 3, "b")));
}

#[test]
#[should_panic(expected = "one operation at a time is in flight")]
fn a_second_operation_in_flight_is_a_mistake_of_the_caller() {
    invoking("a").invoke(Operation::Command("b".into()));
}

#[test]
#[should_panic(expected = "a client needs a server to ask")]
fn a_client_without_servers_is_a_mistake_of_the_caller() {
    Session::new(Vec::new());
}
