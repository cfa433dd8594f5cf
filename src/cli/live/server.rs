//! Serves the live page: one page, one stream of events, orders and commands.
//!
//! A thread takes connections and gives each a thread of its own, as long as there are not too many. A
//! connection has one request. A stream lasts until its reader is gone or too slow.

use super::super::children::Stopper;
use super::super::prompt::{ORDERS, Order};
use super::board::Board;
use super::command::{Desk, PageCommand, start_load};
use super::guard::Guard;
use super::http::{self, Refusal, Request, Response};
use super::{Listener, page, spawn};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The most connections at a time.
const MOST_CONNECTIONS: usize = 64;
/// How long an order may take. `transfer` takes the longest.
const ORDER_PATIENCE: Duration = Duration::from_secs(10);

/// Everything that a connection needs.
struct Counter {
    guard: Guard,
    stopper: Stopper,
    desk: Arc<Desk>,
    board: Arc<Board>,
    connections: AtomicUsize,
}

/// A connection that counts against the limit until it is dropped.
struct Place(Arc<Counter>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Serves in threads of its own for as long as the process runs.
pub(super) fn start(
    listener: Listener,
    stopper: Stopper,
    desk: Arc<Desk>,
    board: Arc<Board>,
) -> io::Result<()> {
    start_load(&desk)?;
    let guard = Guard::new(listener.address());
    let connections = AtomicUsize::new(0);
    let counter = Arc::new(Counter { guard, stopper, desk, board, connections });
    spawn("web", move || {
        // A connection that broke before it was taken is no reason to stop.
        for stream in listener.socket.incoming().filter_map(Result::ok) {
            counter.connections.fetch_add(1, Ordering::AcqRel);
            let place = Place(Arc::clone(&counter));
            if counter.connections.load(Ordering::Acquire) > MOST_CONNECTIONS {
                // The connection ends unread, since an answer would take time from all others.
                continue;
            }
            if let Err(error) = spawn("page", move || place.0.serve(&stream)) {
                tracing::warn!("cannot serve a connection of the live page: {error}");
            }
        }
    })
}

impl Counter {
    /// Serves the request of a connection.
    fn serve(&self, stream: &TcpStream) {
        let result = match http::read(stream) {
            Ok(None) => return,
            Ok(Some(request)) => self.answer(&request, stream),
            Err(refusal) => Err(refusal),
        };
        let response = match result {
            Ok(None) => return,
            Ok(Some(response)) => response,
            Err(refusal) => refused(&refusal),
        };
        // Who asked may have gone.
        let _ = response.send(stream);
    }

    /// The answer to a request; `None` if it was a stream, which has ended.
    fn answer(&self, request: &Request, stream: &TcpStream) -> Result<Option<Response>, Refusal> {
        self.guard.admit(request)?;
        match (&request.method[..], &request.path[..]) {
            ("GET", "/") => Ok(Some(page::page()?)),
            ("GET", "/events") => self.stream(stream).map(|()| None),
            ("POST", "/order") => {
                Guard::admit_json(request)?;
                self.order(&member(&request.body, "order")?).map(|told| Some(done(&told)))
            }
            ("POST", "/command") => {
                Guard::admit_json(request)?;
                let command = PageCommand::read(&member(&request.body, "command")?);
                let command = command.map_err(|error| Refusal::new(400, error))?;
                self.desk.execute(command).map(|told| Some(done(&told)))
            }
            (_, "/" | "/events") => Err(Refusal::new(405, "This path is for GET.")),
            (_, "/order" | "/command") => Err(Refusal::new(405, "This path is for POST.")),
            _ => Err(Refusal::new(404, "There are only /, /events, /order and /command.")),
        }
    }

    /// Writes each overview as an event until the reader is gone or too slow.
    fn stream(&self, mut stream: &TcpStream) -> Result<(), Refusal> {
        let mut overviews = self.board.stream().map_err(|error| Refusal::new(503, error))?;
        let mut write = || -> io::Result<()> {
            http::begin_stream(stream)?;
            stream.write_all(b"retry: 1000\n\n")?;
            loop {
                let overview = overviews.next();
                stream.write_all(format!("data: {overview}\n\n").as_bytes())?;
            }
        };
        if let Err(error) = write() {
            tracing::debug!("a stream of the live page has ended: {error}");
        }
        Ok(())
    }

    /// Gives an order to the thread that obeys the prompt, and waits for its answer.
    fn order(&self, order: &Value) -> Result<String, Refusal> {
        let text = order
            .as_str()
            .ok_or_else(|| Refusal::new(400, format!("An order is a text: {ORDERS}.")))?;
        let order: Order = text.parse().map_err(|error: String| Refusal::new(400, error))?;
        if let Order::Wait(_) = order {
            return Err(Refusal::new(400, "`wait` is for scripts on the standard input."));
        }
        match self.stopper.ask(order).recv_timeout(ORDER_PATIENCE) {
            Ok(told) => told.map_err(|error| Refusal::new(409, error)),
            Err(_) => Err(Refusal::new(503, "The cluster is stopping, or it takes too long.")),
        }
    }
}

/// A member of the JSON object in a body.
fn member(body: &[u8], name: &str) -> Result<Value, Refusal> {
    let wrong = |why: String| {
        Refusal::new(400, format!("The body is no JSON object with the one key {name:?}: {why}."))
    };
    let value: Value = serde_json::from_slice(body).map_err(|error| wrong(error.to_string()))?;
    match value {
        Value::Object(mut members) if members.len() == 1 => {
            members.remove(name).ok_or_else(|| wrong("it has another key".to_owned()))
        }
        Value::Object(_) => Err(wrong("it has none or several".to_owned())),
        _ => Err(wrong("it is no object".to_owned())),
    }
}

fn done(told: &str) -> Response {
    json_response(200, &json!({ "told": told }))
}

fn refused(refusal: &Refusal) -> Response {
    json_response(refusal.status, &json!({ "error": refusal.sentence }))
}

fn json_response(status: u16, value: &Value) -> Response {
    Response::new(status, "application/json", value.to_string())
}
