//! As much of HTTP/1.1 as the live page needs: [`read`] reads one request of a connection, and [`Response`]
//! answers it and ends the connection.
//!
//! Everything is bounded, because a browser lets any page of any site send requests to this machine. A
//! head, a body and the time for both have limits, and no more than so many connections are open at a time.
//! A library with these limits would need a layer of its own around it: `tiny_http` reads heads of any
//! length, waits for ever, and hides the socket that a stream of events needs.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use checked_raft::runtime::endpoint::Deadline;

/// The most bytes of the request line and the headers.
const MOST_HEAD: usize = 16 * 1024;
/// The most bytes of a body.
pub(super) const MOST_BODY: usize = 4 * 1024;
/// How long a request may take to arrive.
const READ_PATIENCE: Duration = Duration::from_secs(5);
/// How long a reader may take to make room for more of an answer.
pub(super) const WRITE_PATIENCE: Duration = Duration::from_secs(3);
/// How long and how far to read on behind a refused request, so that its sender gets to read the answer.
const LINGER: (Duration, usize) = (Duration::from_millis(500), 256 * 1024);

/// A request with its body.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: String,
    /// The path without what stands behind a question mark.
    pub(super) path: String,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// A request that is not served: the status of the answer, and a sentence that says why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) sentence: String,
}

/// An answer.
pub(super) struct Response {
    status: u16,
    kind: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Refusal {
    pub(super) fn new(status: u16, sentence: impl Into<String>) -> Self {
        Self { status, sentence: sentence.into() }
    }
}

impl Request {
    /// The value of a header, if the request has it once. A header that stands there twice counts as `Err`.
    pub(super) fn header(&self, name: &str) -> Result<Option<&str>, Refusal> {
        let mut found = self.headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        let first = found.next().map(|(_, value)| value.as_str());
        match found.next() {
            None => Ok(first),
            Some(_) => Err(Refusal::new(400, format!("The request has the header {name} twice."))),
        }
    }
}

/// Reads the request of a connection; `None` if the connection ends before one begins.
pub(super) fn read(stream: &TcpStream) -> Result<Option<Request>, Refusal> {
    let deadline = Deadline::after(READ_PATIENCE);
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = end_of_head(&bytes) {
            break end;
        }
        if bytes.len() > MOST_HEAD {
            let sentence = format!("The head of the request has more than {MOST_HEAD} bytes.");
            return Err(Refusal::new(431, sentence));
        }
        if more(stream, deadline, &mut bytes)? == 0 {
            return match bytes[..] {
                [] => Ok(None),
                _ => Err(Refusal::new(400, "The request ends within its head.")),
            };
        }
    };
    let mut request = head(&bytes[..end])?;
    request.body = body(stream, deadline, &request, bytes.split_off(end + 4))?;
    Ok(Some(request))
}

/// The place of the empty line behind the head.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n")
}

/// Reads the request line and the headers.
fn head(bytes: &[u8]) -> Result<Request, Refusal> {
    let wrong = || Refusal::new(400, "The request is none of HTTP/1.1.");
    let text = std::str::from_utf8(bytes).map_err(|_| wrong())?;
    let mut lines = text.split("\r\n");
    let words: Vec<_> = lines.next().unwrap_or_default().split(' ').collect();
    let [method, path, "HTTP/1.1" | "HTTP/1.0"] = words[..] else { return Err(wrong()) };
    let mut headers = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(wrong)?;
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(wrong());
        }
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let path = path.split('?').next().unwrap_or_default().to_owned();
    Ok(Request { method: method.to_owned(), path, headers, body: Vec::new() })
}

/// Reads the body, of which `bytes` have come with the head.
fn body(
    stream: &TcpStream,
    deadline: Deadline,
    request: &Request,
    mut bytes: Vec<u8>,
) -> Result<Vec<u8>, Refusal> {
    if request.header("Transfer-Encoding")?.is_some() {
        return Err(Refusal::new(411, "A body needs a Content-Length and comes in one piece."));
    }
    let length = match request.header("Content-Length")? {
        None => 0,
        Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            // A number that is too long to be read is too large as well.
            text.parse().unwrap_or(usize::MAX)
        }
        Some(_) => return Err(Refusal::new(400, "The Content-Length is no number.")),
    };
    if length > MOST_BODY {
        let sentence = format!("The body has {length} bytes, and at most {MOST_BODY} are taken.");
        return Err(Refusal::new(413, sentence));
    }
    while bytes.len() < length {
        if more(stream, deadline, &mut bytes)? == 0 {
            return Err(Refusal::new(400, "The request ends within its body."));
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}

/// Reads some more bytes; 0 at the end.
fn more(mut stream: &TcpStream, deadline: Deadline, bytes: &mut Vec<u8>) -> Result<usize, Refusal> {
    let late = || {
        let seconds = READ_PATIENCE.as_secs();
        Refusal::new(408, format!("The request took longer than {seconds} s to arrive."))
    };
    if deadline.has_passed() {
        return Err(late());
    }
    let wait = deadline.remaining().max(Duration::from_millis(1));
    let mut buffer = [0; 4096];
    let result = stream.set_read_timeout(Some(wait)).and_then(|()| stream.read(&mut buffer));
    let length = result.map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => late(),
        _ => Refusal::new(400, format!("The request cannot be read: {error}.")),
    })?;
    bytes.extend_from_slice(&buffer[..length]);
    Ok(length)
}

impl Response {
    pub(super) fn new(status: u16, kind: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, kind, headers: Vec::new(), body: body.into() }
    }

    pub(super) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Writes the answer and ends the connection.
    pub(super) fn send(self, mut stream: &TcpStream) -> io::Result<()> {
        stream.set_write_timeout(Some(WRITE_PATIENCE))?;
        let length = [("Content-Length", self.body.len().to_string())];
        let headers = self.headers.into_iter().chain(length);
        let mut bytes = first_part(self.status, self.kind, headers).into_bytes();
        bytes.extend_from_slice(&self.body);
        stream.write_all(&bytes)?;
        stream.shutdown(Shutdown::Write)?;
        // A socket that is closed with unread bytes would make the system take back the answer.
        let (deadline, mut left) = (Deadline::after(LINGER.0), LINGER.1);
        let mut buffer = [0; 4096];
        while left > 0 && !deadline.has_passed() {
            stream.set_read_timeout(Some(deadline.remaining().max(Duration::from_millis(1))))?;
            match stream.read(&mut buffer) {
                Ok(0) | Err(_) => break,
                Ok(length) => left = left.saturating_sub(length),
            }
        }
        Ok(())
    }
}

/// Begins an answer that has no end: a stream of events.
pub(super) fn begin_stream(mut stream: &TcpStream) -> io::Result<()> {
    stream.set_write_timeout(Some(WRITE_PATIENCE))?;
    stream.write_all(first_part(200, "text/event-stream", []).as_bytes())
}

/// The status line and the headers. No answer may be kept, framed, or taken for another kind of content.
fn first_part(
    status: u16,
    kind: &str,
    headers: impl IntoIterator<Item = (&'static str, String)>,
) -> String {
    let reason = if status < 400 { "OK" } else { "Refused" };
    let common = [
        ("Content-Type", kind.to_owned()),
        ("Cache-Control", "no-store".to_owned()),
        ("X-Content-Type-Options", "nosniff".to_owned()),
        ("X-Frame-Options", "DENY".to_owned()),
        ("Referrer-Policy", "no-referrer".to_owned()),
        ("Cross-Origin-Resource-Policy", "same-origin".to_owned()),
        ("Connection", "close".to_owned()),
    ];
    let lines = common.into_iter().chain(headers);
    let lines: Vec<_> = lines.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("HTTP/1.1 {status} {reason}\r\n{}\r\n", lines.concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener};

    /// What the reader makes of bytes that come in these pieces.
    fn reads(pieces: &[&[u8]]) -> Result<Option<Request>, Refusal> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let mut sender = TcpStream::connect(listener.local_addr().expect("bound")).expect("there");
        sender.set_nodelay(true).expect("a socket");
        let (stream, _) = listener.accept().expect("it comes");
        for piece in pieces {
            sender.write_all(piece).expect("it is read");
        }
        sender.shutdown(Shutdown::Write).expect("open");
        read(&stream)
    }

    fn status(pieces: &[&[u8]]) -> u16 {
        reads(pieces).expect_err("refused").status
    }

    #[test]
    fn a_request_is_read_in_whatever_pieces_it_comes() {
        let text = b"POST /order?x HTTP/1.1\r\nHost: a:1\r\nContent-Length: 4\r\n\r\nbody";
        for cut in 0..text.len() {
            let (a, b) = text.split_at(cut);
            let request = reads(&[a, b]).expect("sound").expect("there");
            assert_eq!((&request.method[..], &request.path[..]), ("POST", "/order"));
            assert_eq!(request.header("host"), Ok(Some("a:1")));
            assert_eq!(request.header("origin"), Ok(None));
            assert_eq!(request.body, b"body");
        }
        assert!(reads(&[]).expect("nothing came").is_none());
    }

    #[test]
    fn what_is_no_request_or_too_large_is_refused() {
        assert_eq!(status(&[b"GET / HTTP/1.1\r\nHost"]), 400);
        assert_eq!(status(&[b"GET /\r\n\r\n"]), 400);
        assert_eq!(status(&[b"GET / HTTP/2\r\n\r\n"]), 400);
        assert_eq!(status(&[b"GET / HTTP/1.1\r\nno colon\r\n\r\n"]), 400);
        assert_eq!(status(&[b"GET / HTTP/1.1\r\na b: c\r\n\r\n"]), 400);
        assert_eq!(status(&[b"GET /\xff HTTP/1.1\r\n\r\n"]), 400);
        assert_eq!(status(&[b"P / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"]), 400);
        assert_eq!(status(&[b"P / HTTP/1.1\r\nContent-Length: 2\r\n\r\nx"]), 400);
        assert_eq!(status(&[b"P / HTTP/1.1\r\nContent-Length: 5000\r\n\r\n"]), 413);
        let huge = format!("P / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", "9".repeat(99));
        assert_eq!(status(&[huge.as_bytes()]), 413);
        assert_eq!(status(&[b"P / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"]), 411);
        let twice = b"P / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx";
        assert_eq!(status(&[twice]), 400);
        let long = "x".repeat(2 * MOST_HEAD);
        assert_eq!(status(&[long.as_bytes()]), 431);
    }
}
