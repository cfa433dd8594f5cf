//! The server of the live page, over HTTP.
//!
//! It answers only what the page asks, and serves no files. It listens on this machine unless somebody says
//! otherwise. A page of another origin, open in the same browser, may send requests here; so the server
//! refuses every request whose `Origin` or `Host` is not its own. A name that leads here is not its own,
//! because somebody else may have made it lead here.
//!
//! Whatever it does not know, it passes on to stateright's Explorer, whose page is at `/stateright/`.

use super::api::{Api, choices};
use crate::cli::explorer::Explorer;
use serde_json::{Value, json};
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::thread;
use tiny_http::{Header, Method, Request, Response, Server};

/// The most bytes of a script.
const MOST_BYTES: usize = 256 * 1024;
/// How many requests are answered at a time.
const WORKERS: usize = 4;

/// The server of the live page.
pub(in crate::cli) struct PageServer {
    api: Api,
    explorer: Explorer,
    /// The page, with the script that it begins with.
    page: String,
    address: SocketAddr,
}

/// An answer: a status code, the type of the content, and the content.
struct Answer(u16, &'static str, Vec<u8>);

impl PageServer {
    /// A server whose page begins with this script. The header names what the Explorer explores.
    pub(in crate::cli) fn new(
        script: &str,
        (header, explorer): (&str, Explorer),
        address: SocketAddr,
    ) -> Self {
        let page = super::live(&choices(script, header));
        Self { api: Api::default(), explorer, page, address }
    }

    /// Answers all requests, for ever.
    pub(in crate::cli) fn serve(&self, server: &Server) {
        thread::scope(|scope| {
            for _ in 0..WORKERS {
                scope.spawn(|| {
                    for request in server.incoming_requests() {
                        self.handle(request);
                    }
                });
            }
        });
    }

    fn handle(&self, mut request: Request) {
        let Answer(status, content, body) = match self.refusal(&request) {
            Some(sentence) => refused(403, sentence),
            None => self.answer(&mut request),
        };
        let header = |text: &str| Header::from_str(text).expect("a header line");
        let response = Response::from_data(body)
            .with_status_code(status)
            .with_header(header(&format!("Content-Type: {content}")))
            .with_header(header("X-Content-Type-Options: nosniff"))
            .with_header(header("Cache-Control: no-store"));
        // The client may have gone.
        let _ = request.respond(response);
    }

    /// Why a request is not for this server, if it is not.
    fn refusal(&self, request: &Request) -> Option<&'static str> {
        let value = |name: &'static str| {
            let header = request.headers().iter().find(|header| header.field.equiv(name));
            header.map(|header| header.value.as_str())
        };
        let host = value("Host");
        if host.is_some_and(|host| !self.is_own(host)) {
            return Some("This server answers only requests that name it by its own address.");
        }
        let origin = value("Origin").map(|origin| origin.strip_prefix("http://"));
        let is_own = |origin: Option<&str>| origin.is_some() && origin == host;
        if origin.is_some_and(|origin| !is_own(origin)) {
            return Some("This server answers no page of another origin.");
        }
        None
    }

    /// Whether a `Host` names this server: by an address, or as `localhost` where it listens on this machine.
    fn is_own(&self, host: &str) -> bool {
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, port),
            _ => (host, "80"),
        };
        let ip = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let own = self.address.ip();
        let is_own_ip = ip.is_ok_and(|ip| {
            ip == own || own.is_unspecified() || own.is_loopback() && ip.is_loopback()
        });
        let is_local = name == "localhost" && (own.is_loopback() || own.is_unspecified());
        port == self.address.port().to_string() && (is_own_ip || is_local)
    }

    fn answer(&self, request: &mut Request) -> Answer {
        let url = request.url().to_owned();
        let path = url.split(['?', '#']).next().unwrap_or_default();
        let is_post = *request.method() == Method::Post;
        if let Some(question) = path.strip_prefix("/api/") {
            if !is_post {
                return refused(405, "A question is a POST whose body is a script.");
            }
            return match body(request) {
                Ok(script) => self.ask(question, &script),
                Err(answer) => answer,
            };
        }
        match (request.method(), path) {
            (Method::Get, "/" | "/index.html") => {
                Answer(200, "text/html; charset=utf-8", self.page.clone().into_bytes())
            }
            (Method::Get, "/favicon.ico") => Answer(204, "image/x-icon", Vec::new()),
            _ => self.pass_on(request.method(), &url),
        }
    }

    fn ask(&self, question: &str, script: &str) -> Answer {
        let answered = match question {
            "scene" => self.api.scene(script),
            "way" => self.api.way(script),
            "counterexample" => self.api.counterexample(script),
            "exhaustion" => self.api.exhaustion(script, false),
            "exhaust" => self.api.exhaustion(script, true),
            "stop" => self.api.stop(script),
            _ => return refused(404, "There is no such question."),
        };
        match answered {
            Ok(value) => json_answer(200, &value),
            Err(sentence) => json_answer(422, &json!({ "error": sentence })),
        }
    }

    /// Lets stateright's Explorer answer. Its page names its parts by relative and absolute paths.
    fn pass_on(&self, method: &Method, url: &str) -> Answer {
        let inner = url.strip_prefix("/stateright").unwrap_or(url);
        let inner = if inner.is_empty() { "/" } else { inner };
        match self.explorer.answer(method.as_str(), inner) {
            Ok((status, body)) => Answer(status, content_of(inner), body),
            Err(error) => {
                let text = format!("stateright's Explorer does not answer: {error}");
                Answer(502, "text/plain; charset=utf-8", text.into_bytes())
            }
        }
    }
}

/// The body of a request, if it is a text of bearable length.
fn body(request: &mut Request) -> Result<String, Answer> {
    let too_large = || refused(413, "The script is too long: at most 256 KiB are read.");
    if request.body_length().is_some_and(|length| length > MOST_BYTES) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    let read = request.as_reader().take(MOST_BYTES as u64 + 1).read_to_end(&mut bytes);
    if read.is_err() {
        return Err(refused(400, "The request ended before its body did."));
    }
    if bytes.len() > MOST_BYTES {
        return Err(too_large());
    }
    String::from_utf8(bytes).map_err(|_| refused(400, "The script is no text: use UTF-8."))
}

fn refused(status: u16, sentence: &str) -> Answer {
    json_answer(status, &json!({ "error": sentence }))
}

fn json_answer(status: u16, value: &Value) -> Answer {
    Answer(status, "application/json", value.to_string().into_bytes())
}

/// The type of what stateright's Explorer has at a path.
fn content_of(path: &str) -> &'static str {
    match path.split('?').next().and_then(|path| path.rsplit_once('.')).map(|(_, ending)| ending) {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("htm" | "html") | None => "text/html; charset=utf-8",
        Some(_) => "application/json",
    }
}
