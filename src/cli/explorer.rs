//! A proxy in front of stateright's Explorer. It serves stateright's page, and says itself what there is to
//! say of each state.
//!
//! That page takes "no discovery on this path" for "holds". So it would say that Election Safety holds
//! beside two leaders of one term. Therefore stateright serves at an address of this machine that nobody is
//! told, and every request passes through [`Explorer`]. For each state that is shown, it replaces
//! stateright's list of properties by the model's verdicts on that very state. It writes a verdict in the
//! form that the page knows: the path of a state where something was found stands beside the property. That
//! is a violation or, for a `sometimes` property, an example.
//!
//! [`Explorer`] also puts steps and states into the words of `raft check`, with the names of the processes,
//! and draws the [picture](super::picture) of the cluster.

use super::picture::Walk;
use checked_raft::models::text::Text;
use checked_raft::models::{Cluster, ClusterAction, ClusterState};
use serde_json::{Value, json};
use stateright::{Expectation, Model};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

/// The path at which the page asks for states; a path of numbers follows.
const STATES: &str = "/.states";

/// A running Explorer of stateright, and the model that judges the states.
pub(super) struct Explorer {
    model: Cluster,
    /// The steps of the script that the model starts from, if there is one.
    script: Vec<Taken>,
    inner: SocketAddr,
}

/// A step that was taken, with the state that it led to.
type Taken = (ClusterAction, ClusterState);

/// An answer: a status code and a body.
pub(super) type Answer = (u16, Vec<u8>);

impl Explorer {
    /// Starts stateright's Explorer and waits until it listens. `serve` runs it and never returns.
    pub(super) fn start(
        model: Cluster,
        script: Vec<Taken>,
        serve: impl FnOnce(SocketAddr) + Send + 'static,
    ) -> io::Result<Self> {
        let inner = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let serving: JoinHandle<()> = thread::spawn(move || serve(inner));
        while TcpStream::connect(inner).is_err() {
            if serving.is_finished() {
                return Err(io::Error::other("stateright's Explorer has ended"));
            }
            thread::yield_now();
        }
        Ok(Self { model, script, inner })
    }

    /// The answer to a request: a status code and a body.
    pub(super) fn answer(&self, method: &str, url: &str) -> io::Result<Answer> {
        let (status, body) = self.ask(&format!("{method} {url}"))?;
        let steps = serde_json::from_slice::<Vec<Value>>(&body);
        match (url.strip_prefix(STATES), steps) {
            (Some(path), Ok(mut steps)) => {
                self.judge(path.trim_matches('/'), &mut steps);
                Ok((status, serde_json::to_vec(&steps)?))
            }
            _ => Ok((status, body)),
        }
    }

    /// Passes a request to stateright's Explorer. HTTP 1.0 has no chunks, and the connection ends with the
    /// answer.
    fn ask(&self, line: &str) -> io::Result<Answer> {
        let mut stream = TcpStream::connect(self.inner)?;
        write!(stream, "{line} HTTP/1.0\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        let head = String::from_utf8_lossy(&answer[..end.unwrap_or(0)]);
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        match (end, status) {
            (Some(end), Some(status)) => Ok((status, answer.split_off(end + 4))),
            _ => Err(io::Error::other("its answer is not one of HTTP")),
        }
    }

    /// Says of each step that follows the state at `path` what it is, and of the state that it leads to
    /// what the model's verdicts are.
    fn judge(&self, path: &str, steps: &mut [Value]) {
        let numbers = path.split('/').filter(|number| !number.is_empty());
        let Some(numbers) = numbers.map(|number| number.parse().ok()).collect::<Option<Vec<_>>>()
        else {
            return;
        };
        let started = self.model.started();
        let Some((taken, next)) = self.walk(&numbers) else { return };
        for step in steps {
            let number =
                step["actionIndex"].as_u64().and_then(|number| usize::try_from(number).ok());
            step["properties"] = json!([]);
            let (Some(number), Some((action, state))) = (number, number.and_then(|n| next.get(n)))
            else {
                continue;
            };
            let mut steps = taken.clone();
            if let Some(action) = action {
                step["action"] = Text::of(&self.model).event(action).into();
                let Some(state) = state else { continue };
                let before = steps.last().map_or_else(|| self.first(), |(_, state)| state.clone());
                let words = Text::of(&self.model).step(&self.model, &before, action, state);
                step["outcome"] = words.join("\n").into();
                steps.push((action.clone(), state.clone()));
            }
            let Some(state) = state else { continue };
            let here = numbers.iter().chain([&number]).map(ToString::to_string);
            step["properties"] = self.verdicts(state, &here.collect::<Vec<_>>().join("/"));
            step["state"] = self.named(&format!("{state:?}")).into();
            let walk = Walk { first: &started, script: &self.script, steps: &steps };
            step["svg"] = walk.picture(&self.model).into();
        }
    }

    /// The state that the model starts from.
    fn first(&self) -> ClusterState {
        self.model.init_states().remove(0)
    }

    /// The steps to the state at a path, and what can follow there: an action, or none at the beginning,
    /// and the state that it leads to, or none if the action is ignored.
    #[expect(clippy::type_complexity, reason = "one caller takes it apart")]
    fn walk(
        &self,
        path: &[usize],
    ) -> Option<(Vec<Taken>, Vec<(Option<ClusterAction>, Option<ClusterState>)>)> {
        let first = self.model.init_states().into_iter();
        let mut next: Vec<_> = first.map(|state| (None, Some(state))).collect();
        let mut taken = Vec::new();
        for number in path {
            let (action, state) = next.get(*number)?.clone();
            let state = state?;
            let mut actions = Vec::new();
            self.model.actions(&state, &mut actions);
            let follows = |action: ClusterAction| {
                let next = self.model.next_state(&state, action.clone());
                (Some(action), next)
            };
            next = actions.into_iter().map(follows).collect();
            taken.extend(action.map(|action| (action, state)));
        }
        Some((taken, next))
    }

    /// The text of a state, with the names of the processes in place of their numbers.
    fn named(&self, state: &str) -> String {
        let name = |number: &str| {
            let number = number.parse().ok()?;
            self.model.names.get::<usize>(number)
        };
        let line = |line: &str| {
            let (head, rest) = line.split_once(": ")?;
            if let Some((from, to)) = head.trim_start().split_once('→') {
                return Some(format!("  {} → {}: {rest}", name(from)?, name(to)?));
            }
            Some(format!("{}: {rest}", name(head)?))
        };
        let lines = state.lines().map(|it| line(it).unwrap_or_else(|| it.to_owned()));
        lines.map(|line| line + "\n").collect()
    }

    /// Every property, with the path to this state if the property finds something in it.
    fn verdicts(&self, state: &ClusterState, path: &str) -> Value {
        let verdict = |property: stateright::Property<Cluster>| {
            let holds = (property.condition)(&self.model, state);
            let found = holds == matches!(property.expectation, Expectation::Sometimes);
            json!([property.expectation, property.name, found.then_some(path)])
        };
        self.model.properties().into_iter().map(verdict).collect()
    }
}
