//! A sink that counts what arrives and allocates nothing for it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::time::Instant;

use super::producer::content_length;

/// How long anything may take to arrive.
const PATIENCE: Duration = Duration::from_mins(1);

/// Listens on a port of this machine.
pub struct CountingSink {
    address: SocketAddr,
    arrivals: Arc<Arrivals>,
}

#[derive(Default)]
struct Arrivals {
    seen: Mutex<Seen>,
    changed: Condvar,
}

#[derive(Default)]
struct Seen {
    events: u64,
    challenges: Vec<String>,
    /// When events arrived, as many as there is room for.
    times: Vec<Instant>,
}

impl CountingSink {
    /// Listens on a free port.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let arrivals = Arc::new(Arrivals::default());
        let of_all = Arc::clone(&arrivals);
        thread::spawn(move || {
            for connection in listener.incoming() {
                let (connection, arrivals) = (connection.unwrap(), Arc::clone(&of_all));
                thread::spawn(move || arrivals.serve(connection));
            }
        });
        Self { address, arrivals }
    }

    /// Where events are to be sent.
    pub fn url(&self) -> String {
        format!("http://{}/sink", self.address)
    }

    /// How many events have arrived.
    pub fn arrived(&self) -> u64 {
        self.arrivals.seen.lock().unwrap_or_else(PoisonError::into_inner).events
    }

    /// Notes when so many of the next events arrive.
    pub fn time(&self, events: usize) {
        let mut seen = self.arrivals.seen.lock().unwrap();
        seen.times = Vec::with_capacity(events);
    }

    /// When they arrived.
    pub fn times(&self) -> Vec<Instant> {
        self.arrivals.seen.lock().unwrap().times.clone()
    }

    /// Waits until so many events have arrived.
    pub fn wait_for(&self, events: u64) {
        let _seen = self.arrivals.wait_while(|seen| seen.events < events);
    }

    /// The token of the next challenge.
    pub fn challenge(&self) -> String {
        self.arrivals.wait_while(|seen| seen.challenges.is_empty()).challenges.remove(0)
    }
}

impl Arrivals {
    fn wait_while(&self, is_early: impl Fn(&Seen) -> bool) -> std::sync::MutexGuard<'_, Seen> {
        let seen = self.seen.lock().unwrap();
        let (seen, waited) =
            self.changed.wait_timeout_while(seen, PATIENCE, |seen| is_early(seen)).unwrap();
        assert!(!waited.timed_out(), "nothing arrives: {} events until now", seen.events);
        seen
    }

    /// Answers the requests of one connection.
    fn serve(&self, mut connection: TcpStream) {
        connection.set_nodelay(true).unwrap();
        let (mut buffer, mut length) = (vec![0; 32 * 1024], 0);
        loop {
            let head = buffer[..length].windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(head) = head {
                let end = head + 4 + content_length(&buffer[..head]);
                if length >= end {
                    self.note(&buffer[..head], &buffer[head + 4..end]);
                    connection.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
                    buffer.copy_within(end..length, 0);
                    length -= end;
                    continue;
                }
            }
            match connection.read(&mut buffer[length..]) {
                Ok(read @ 1..) => length += read,
                // The gateway lets a connection go that it needs no more.
                _ => return,
            }
        }
    }

    /// Tells challenges from events by what travels in the clear.
    fn note(&self, head: &[u8], body: &[u8]) {
        let challenge = sealway::subscriptions::CHALLENGE_TYPE.as_bytes();
        let is_challenge = head.windows(challenge.len()).any(|window| window == challenge);
        let mut seen = self.seen.lock().unwrap();
        if is_challenge {
            seen.challenges.push(String::from_utf8(body.to_vec()).unwrap());
        } else {
            seen.events += 1;
            if seen.times.len() < seen.times.capacity() {
                seen.times.push(Instant::now());
            }
        }
        self.changed.notify_all();
    }
}
