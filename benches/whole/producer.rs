//! A producer on one connection: it posts events of 1 KiB one after another and allocates nothing.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::Ground;

/// The length of an event as it is sent, in bytes.
pub const EVENT_BYTES: usize = 1024;

/// Sends events that differ in their ids and are alike in length.
pub struct Producer {
    connection: TcpStream,
    /// The request, in which the number of the event is written anew each time.
    request: Vec<u8>,
    numbers: Vec<usize>,
    answer: [u8; 4096],
}

/// Stands where the number of an event belongs.
const NUMBER: &str = "1234567890";

impl Producer {
    /// Connects to the gateway on this ground with a caller's key.
    pub fn connect(ground: &Ground, key: &str) -> Self {
        let connection = TcpStream::connect(ground.address()).unwrap();
        connection.set_nodelay(true).unwrap();
        let event = event();
        let request = format!(
            "POST /events HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {key}\r\n\
             content-type: application/cloudevents+json\r\ncontent-length: {}\r\n\r\n{event}",
            ground.address(),
            event.len(),
        );
        let numbers = request.match_indices(NUMBER).map(|(at, _)| at).collect();
        Self { connection, request: request.into_bytes(), numbers, answer: [0; 4096] }
    }

    /// Posts the event of this number, and waits for the answer: its status.
    pub fn post(&mut self, number: u64) -> u16 {
        let number = 1_000_000_000 + number;
        for at in &self.numbers {
            let place = &mut self.request[*at..*at + NUMBER.len()];
            write!(&mut *place, "{number:010}").unwrap();
        }
        self.connection.write_all(&self.request).unwrap();
        self.take_answer()
    }

    fn take_answer(&mut self) -> u16 {
        let mut length = 0;
        loop {
            let read = self.connection.read(&mut self.answer[length..]).unwrap();
            assert!(read > 0, "the gateway has closed the connection");
            length += read;
            let answer = &self.answer[..length];
            let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
                continue;
            };
            if length >= head + 4 + content_length(&answer[..head]) {
                return std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
            }
        }
    }
}

/// What the head of a message says of the length of its body.
pub fn content_length(head: &[u8]) -> usize {
    let text = std::str::from_utf8(head).unwrap();
    let value = text.split("\r\n").filter_map(|line| line.split_once(':'));
    let mut value = value.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    value.next().map_or(0, |(_, length)| length.trim().parse().unwrap())
}

/// An order with some lines, of which a part is internal.
fn event() -> String {
    let line = |n: u32| format!(r#"{{"sku":"SKU-{n:06}","quantity":{n},"price":1999.5}}"#);
    let lines: Vec<String> = (1..=4).map(line).collect();
    let around = |notes: &str| {
        format!(
            r#"{{"specversion":"1.0","id":"7bf73129-1428-4cd3-a780-{NUMBER}","source":"order-service","type":"OrderPlaced","time":"2026-11-21T20:17:00Z","data":{{"id":{NUMBER},"amount":499.95,"currency":"EUR","channel":"Ecom","customer":{{"id":"c-48213","name":"A. Customer","address":{{"street":"Long Street 12","zip":"10115","city":"Berlin","country":"DE"}}}},"lines":[{}],"internal":{{"ledger":"L-2026-11-21-00017","risk":0.0271,"reviewer":"auto","notes":"{notes}","trace":["a1","b2","c3"]}}}}}}"#,
            lines.join(",")
        )
    };
    let rest = EVENT_BYTES - around("").len();
    around(&"n".repeat(rest))
}
