//! Mutants of leadership transfer.

use super::scenes;
use super::{Fault, MutantSpec};
use crate::raft::{
    ClientRequest, ClientResponse, Entry, Message, Payload, TimeoutNow, Timer, TransferOutcome,
};
use stateright::actor::Command;

pub(super) fn list() -> Vec<MutantSpec> {
    vec![
        transfer_without_catching_up(),
        timeout_now_of_an_earlier_term(),
        transfer_never_given_up(),
        requests_during_a_transfer(),
        transfer_stopped_by_stickiness(),
        every_election_is_wanted(),
        transfer_said_to_be_done(),
    ]
}

fn transfer_without_catching_up() -> MutantSpec {
    MutantSpec {
        name: "transfer-without-catching-up",
        breaks: "TR-2",
        caught_by: "Leadership moves by rule",
        seen_in: "ongardie/dissertation, section 3.10",
        about: "A leader sends TimeoutNow before the other server has its log.",
        story: "S0 has just been elected, and S1 lacks its no-op. A client wants S1 to lead, and S0 tells it at once. S1 \
                cannot win.",
        difference: "TimeoutNow is sent when the client asks",
        spec: scenes::find_model("transfer"),
        fault: Fault {
            after: |handled| {
                let Some((_, Message::ClientRequest(ClientRequest::Transfer { to, .. }))) =
                    handled.event
                else {
                    return;
                };
                let sent =
                    |command: &_| matches!(command, Command::Send(_, Message::TimeoutNow(_)));
                let begins = handled.server.leader().is_some_and(|it| it.transfer.is_some());
                if begins && !handled.commands.iter().any(sent) {
                    let (last_log_term, last_log_index) = handled.server.persistent.log.last();
                    let term = handled.server.persistent.current_term;
                    let args = TimeoutNow { term, last_log_index, last_log_term };
                    handled.commands.push(Command::Send(*to, Message::TimeoutNow(args)));
                }
            },
            ..Fault::NONE
        },
    }
}

fn timeout_now_of_an_earlier_term() -> MutantSpec {
    MutantSpec {
        name: "timeout-now-of-an-earlier-term",
        breaks: "TR-4",
        caught_by: "Leadership moves by rule",
        seen_in: "ongardie/dissertation, section 3.10",
        about: "A TimeoutNow of an earlier term makes a server stand for election.",
        story: "S0 has told S1 to stand, in term 1. S2 leads term 2 by now, and S1 follows it. The old message comes, and \
                S1 deposes S2.",
        difference: "the terms are not compared",
        spec: scenes::late_timeout_now(),
        fault: Fault {
            before: |arriving| {
                let (term, last) = (
                    arriving.server.persistent.current_term,
                    arriving.server.persistent.log.last(),
                );
                if let Message::TimeoutNow(args) = &mut arriving.msg
                    && args.term < term
                    && last.0 == term
                {
                    (args.term, args.last_log_term, args.last_log_index) = (term, last.0, last.1);
                }
            },
            ..Fault::NONE
        },
    }
}

fn transfer_never_given_up() -> MutantSpec {
    MutantSpec {
        name: "transfer-never-given-up",
        breaks: "TR-3",
        caught_by: "Timers suit the role",
        seen_in: "databendlabs/openraft#1747",
        about: "A leader hands over to a server that is dead, and takes no requests any more.",
        story: "A client wants S1 to lead, which does not answer. S0 waits for it, and nothing makes S0 take requests \
                again.",
        difference: "no timer ends a transfer",
        spec: scenes::find_model("transfer"),
        fault: Fault {
            after: |handled| {
                handled
                    .commands
                    .retain(|command| !matches!(command, Command::SetTimer(Timer::Transfer, _)));
            },
            ..Fault::NONE
        },
    }
}

fn requests_during_a_transfer() -> MutantSpec {
    MutantSpec {
        name: "requests-during-a-transfer",
        breaks: "TR-1",
        caught_by: "Requests are appended or refused",
        seen_in: "ongardie/dissertation, section 3.10",
        about: "A leader that hands over goes on taking commands.",
        story: "S0 hands over to S1. It takes a registration of C3, and S1 lacks that entry once more. Under load this \
                never ends.",
        difference: "a registration is appended during a transfer",
        spec: scenes::find_model("transfer-command"),
        fault: Fault {
            after: |handled| {
                let hands_over = handled.before.leader().is_some_and(|it| it.transfer.is_some());
                let max_sessions = handled.parameters.max_sessions;
                if let Some((client, Message::ClientRequest(ClientRequest::Register { sequence }))) =
                    handled.event
                    && hands_over
                {
                    let payload = Payload::Register { client, sequence: *sequence, max_sessions };
                    let term = handled.server.persistent.current_term;
                    handled.server.persistent.log.append(Entry { term, payload });
                    handled.commands.clear();
                }
            },
            ..Fault::NONE
        },
    }
}

fn transfer_stopped_by_stickiness() -> MutantSpec {
    MutantSpec {
        name: "transfer-stopped-by-stickiness",
        breaks: "STICK-1",
        caught_by: "Leaders in touch stay",
        seen_in: "canonical/raft#203",
        about: "Stickiness also stops the election that the leader wants.",
        story: "S0 hands over to S1, and S1 stands for election. S0 and S2 ignore the request, because they hear S0. The \
                transfer never succeeds.",
        difference: "`leadership_transfer` is not looked at",
        spec: scenes::find_model("transfer-undisturbed-three"),
        fault: Fault {
            before: |arriving| {
                if let Message::RequestVote(args) = &mut arriving.msg {
                    args.leadership_transfer = false;
                }
            },
            ..Fault::NONE
        },
    }
}

fn every_election_is_wanted() -> MutantSpec {
    MutantSpec {
        name: "every-election-is-wanted",
        breaks: "TR-4",
        caught_by: "Leadership moves by rule",
        seen_in: "ongardie/dissertation, section 4.2.3",
        about: "A candidate says that the leader wants its election, though its own timer has fired.",
        story: "S1 has lost its connection and returns. Its request for votes passes stickiness, and S0 is deposed.",
        difference: "`leadership_transfer` is always set",
        spec: scenes::find_model("transfer"),
        fault: Fault {
            after: |handled| {
                for command in handled.commands.iter_mut() {
                    if let Command::Send(_, Message::RequestVote(args)) = command {
                        args.leadership_transfer = true;
                    }
                }
            },
            ..Fault::NONE
        },
    }
}

fn transfer_said_to_be_done() -> MutantSpec {
    MutantSpec {
        name: "transfer-said-to-be-done",
        breaks: "TR-1",
        caught_by: "Leadership moves by rule",
        seen_in: "ongardie/dissertation, section 3.10",
        about: "A leader says at once that the other server leads.",
        story: "A client wants S1 to lead. S0 has only begun to hand over, and answers that it is done. The client \
                stops S0, and S1 has not been elected.",
        difference: "the answer is sent when the transfer begins",
        spec: scenes::find_model("transfer"),
        fault: Fault {
            after: |handled| {
                let Some((
                    client,
                    Message::ClientRequest(ClientRequest::Transfer { sequence, .. }),
                )) = handled.event
                else {
                    return;
                };
                if handled.server.leader().is_some_and(|leader| leader.transfer.is_some()) {
                    let outcome = TransferOutcome::Leads;
                    let response = ClientResponse::Transfer { sequence: *sequence, outcome };
                    let answer = Command::Send(client, Message::ClientResponse(response));
                    handled.commands.push(answer);
                }
            },
            ..Fault::NONE
        },
    }
}
