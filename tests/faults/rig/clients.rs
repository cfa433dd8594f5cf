//! Clients that put one value after the other, and count what they are served.

use super::fleet::{CLUSTER, Fleet};
use super::{now, pass_time};
use bytes::Bytes;
use checked_raft::raft::{ClientRequest, ClientResponse, Message};
use checked_raft::runtime::endpoint::{Deadline, Endpoint, Heard};
use std::fmt;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

/// What clients were served.
#[derive(Debug)]
pub(crate) struct Served {
    /// How many commands were acknowledged.
    pub(crate) commands: usize,
    /// The longest time in which none was.
    pub(crate) longest_pause: Duration,
    /// All times together, each longer than a second, in which none was.
    pub(crate) pauses: Duration,
}

impl fmt::Display for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { commands, longest_pause, pauses } = self;
        let [longest, pauses] = [longest_pause, pauses].map(Duration::as_secs_f64);
        write!(f, "{commands} commands, longest pause {longest:.1} s")?;
        if pauses > 0.0 { write!(f, ", {pauses:.1} s in pauses") } else { Ok(()) }
    }
}

/// So many clients put values of `bytes` for so long.
pub(crate) fn serve(fleet: &Fleet, clients: u64, bytes: usize, time: Duration) -> Served {
    let start = now();
    let acknowledged = Mutex::new(vec![start]);
    thread::scope(|scope| {
        for client in 0..clients {
            let (acknowledged, value) = (&acknowledged, Bytes::from(vec![7; bytes]));
            scope.spawn(move || put_until(fleet, client, &value, start + time, acknowledged));
        }
    });
    let mut moments = acknowledged.into_inner().expect("no client panicked");
    let commands = moments.len() - 1;
    moments.push(start + time);
    moments.sort();
    let pauses: Vec<_> = moments.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let is_long = |pause: &&Duration| **pause > Duration::from_secs(1);
    Served {
        commands,
        longest_pause: pauses.iter().max().copied().unwrap_or_default(),
        pauses: pauses.iter().filter(is_long).sum(),
    }
}

fn put_until(
    fleet: &Fleet,
    client: u64,
    value: &Bytes,
    end: Instant,
    acknowledged: &Mutex<Vec<Instant>>,
) {
    // Whatever goes wrong, a client tries again until the time is over.
    loop {
        let left = end.saturating_duration_since(now());
        if left.is_zero() {
            return;
        }
        let Ok(mut kv) = fleet.try_client(left) else { continue };
        for number in 0.. {
            if kv.put(format!("{client}.{}", number % 100), value.clone()).is_err() {
                break;
            }
            let moment = now();
            if moment >= end {
                return;
            }
            acknowledged.lock().expect("no client panicked").push(moment);
        }
    }
}

/// Puts so many values of `bytes`, by several clients at once: fewer if the values are long. All are
/// acknowledged.
pub(crate) fn fill(fleet: &Fleet, values: usize, bytes: usize) {
    let clients = values.min(if bytes > 1000 { 4 } else { 32 });
    thread::scope(|scope| {
        for client in 0..clients {
            scope.spawn(move || {
                let (mut kv, value) = (fleet.client(), Bytes::from(vec![7; bytes]));
                for number in 0..values / clients {
                    kv.put(format!("fill.{client}.{}", number % 100), value.clone())
                        .expect("a healthy cluster serves");
                }
            });
        }
    });
}

/// Inspects a server so many times a second, for so long. Answers are not waited for.
pub(crate) fn flood(fleet: &Fleet, server: u64, each_second: u32, time: Duration) {
    let endpoint = Endpoint::<Message>::open(CLUSTER, true).expect("a socket");
    let address = fleet.network.address(server);
    let (start, mut sent) = (now(), 0_u64);
    while start.elapsed() < time {
        // What is not sent for want of time is sent later.
        let due = start.elapsed().as_secs_f64() * f64::from(each_second);
        while (sent as f64) < due {
            // One that is not taken is as good as lost.
            let _ = endpoint.inspect(address, sent);
            sent += 1;
        }
        pass_time(Duration::from_millis(1));
    }
}

/// Sends one server a request, once, and returns its answer if one comes in time. A client would ask
/// the other servers, too.
pub(crate) fn ask(
    fleet: &Fleet,
    server: u64,
    request: ClientRequest,
    timeout: Duration,
) -> Option<ClientResponse> {
    let mut endpoint = Endpoint::<Message>::open(CLUSTER, true).expect("a socket");
    let deadline = Deadline::after(timeout);
    let message = Message::ClientRequest(request);
    endpoint.request(server, fleet.network.address(server), message).expect("it is sent");
    match endpoint.receive(deadline).expect("a socket")? {
        Heard::Reply { message: Message::ClientResponse(response), .. } => Some(response),
        other => panic!("a request is answered with {other:?}"),
    }
}
