//! A proxy in front of stateright's Explorer. It serves stateright's page, with the model's own verdict on
//! every state that is shown.
//!
//! That page takes "no discovery on this path" for "holds". So it would say that Election Safety holds
//! beside two leaders of one term. Therefore stateright serves at an address of this machine that nobody is
//! told, and every request passes through [`Explorer`]. For each state that is shown, it replaces
//! stateright's list of properties by the model's verdicts on that very state. It writes a verdict in the
//! form that the page knows: the path of a state where something was found stands beside the property. That
//! is a violation or, for a `sometimes` property, an example.

use serde_json::{Value, json};
use stateright::{Expectation, Model};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use tiny_http::{Request, Response, Server};

/// The path at which the page asks for states; a path of numbers follows.
const STATES: &str = "/.states";

/// A running Explorer of stateright, and the model that judges the states.
pub(super) struct Explorer<M> {
    model: M,
    inner: SocketAddr,
}

/// An answer: a status code and a body.
type Answer = (u16, Vec<u8>);

impl<M: Model<State: PartialEq>> Explorer<M> {
    /// Starts stateright's Explorer and waits until it listens. `serve` runs it and never returns.
    pub(super) fn start(
        model: M,
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
        Ok(Self { model, inner })
    }

    /// Answers all requests.
    pub(super) fn serve(&self, server: &Server) {
        for request in server.incoming_requests() {
            let (status, body) = self.answer(&request).unwrap_or_else(|error| {
                (502, format!("stateright's Explorer does not answer: {error}").into_bytes())
            });
            // The client may have gone.
            let _ = request.respond(Response::from_data(body).with_status_code(status));
        }
    }

    fn answer(&self, request: &Request) -> io::Result<Answer> {
        let (status, body) = self.ask(&format!("{} {}", request.method(), request.url()))?;
        let steps = serde_json::from_slice::<Vec<Value>>(&body);
        match (request.url().strip_prefix(STATES), steps) {
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

    /// Writes the model's verdicts into each step that follows the state at `path`: those on the state that
    /// the step leads to.
    fn judge(&self, path: &str, steps: &mut [Value]) {
        let numbers = path.split('/').filter(|number| !number.is_empty());
        let Some(numbers) = numbers.map(|number| number.parse().ok()).collect::<Option<Vec<_>>>()
        else {
            return;
        };
        let next = self.next(&numbers);
        for step in steps {
            let number =
                step["actionIndex"].as_u64().and_then(|number| usize::try_from(number).ok());
            let state = number.and_then(|number| next.get(number)?.as_ref());
            let here = || {
                let numbers = numbers.iter().chain(&number).map(ToString::to_string);
                numbers.collect::<Vec<_>>().join("/")
            };
            step["properties"] = state.map_or(json!([]), |state| self.verdicts(state, &here()));
        }
    }

    /// The states that follow the one at a path; `None` where an action is ignored.
    fn next(&self, path: &[usize]) -> Vec<Option<M::State>> {
        let mut states: Vec<_> = self.model.init_states().into_iter().map(Some).collect();
        for number in path {
            let Some(state) = states.get_mut(*number).and_then(Option::take) else {
                return Vec::new();
            };
            let mut actions = Vec::new();
            self.model.actions(&state, &mut actions);
            let next = actions.into_iter().map(|action| self.model.next_state(&state, action));
            states = next.collect();
        }
        states
    }

    /// Every property, with the path to this state if the property finds something in it.
    fn verdicts(&self, state: &M::State, path: &str) -> Value {
        let verdict = |property: stateright::Property<M>| {
            let holds = (property.condition)(&self.model, state);
            let found = holds == matches!(property.expectation, Expectation::Sometimes);
            json!([property.expectation, property.name, found.then_some(path)])
        };
        self.model.properties().into_iter().map(verdict).collect()
    }
}
