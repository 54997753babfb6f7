//! Who goes away or reads slowly takes no place from others, keeps nothing waiting, and loses no word.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::harness::{Receiver, TestGateway, eventually, order_created};

/// Far less than a poll waits, and a request may take.
const SOON: Duration = Duration::from_secs(10);

/// How a client goes away.
#[derive(Clone, Copy, Debug)]
enum Leaving {
    /// It closes its connection (FIN).
    Closing,
    /// Its connection is reset (RST).
    Resetting,
    /// It says that it sends no more, and waits.
    HalfClosing,
}

async fn pulled(gateway: &TestGateway, name: &str) -> Receiver {
    let consumer = Receiver::start(gateway, name).await;
    gateway.subscribe(&consumer, json!({ "sink": null, "protocol": "PULL" })).await;
    consumer
}

/// A connection on which one request was answered already.
async fn connection(gateway: &TestGateway) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    let address = gateway.issuer().replace("http://", "").parse().unwrap();
    let mut connection = socket.connect(address).await.unwrap();
    connection.write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    while !answer.windows(4).any(|four| four == b"\r\n\r\n") {
        answer.push(connection.read_u8().await.unwrap());
    }
    let head = String::from_utf8(answer).unwrap().to_lowercase();
    let length =
        head.split("content-length: ").nth(1).map_or("0", |rest| rest.lines().next().unwrap());
    let mut body = vec![0; length.parse().unwrap()];
    connection.read_exact(&mut body).await.unwrap();
    connection
}

/// Sends a poll and does not wait for its answer.
async fn poll(connection: &mut TcpStream, (of, key): (&str, &str), body: &Value) {
    let body = body.to_string();
    let head = format!(
        "POST /subscriptions/{of}/poll HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    connection.write_all(head.as_bytes()).await.unwrap();
}

/// Asks for a page that waits, and does not wait for its answer.
async fn page(connection: &mut TcpStream, (of, key): (&str, &str)) {
    let head = format!(
        "GET /subscriptions/{of}/events?wait=25 HTTP/1.1\r\nhost: x\r\n\
         authorization: Bearer {key}\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).await.unwrap();
}

async fn leave(mut connection: TcpStream, how: Leaving) -> Option<TcpStream> {
    match how {
        Leaving::Closing => drop(connection),
        Leaving::Resetting => {
            connection.set_zero_linger().unwrap();
            drop(connection);
        }
        Leaving::HalfClosing => {
            connection.shutdown().await.unwrap();
            return Some(connection);
        }
    }
    None
}

/// Waits until so many readers have a place.
async fn readers(gateway: &TestGateway, count: usize) {
    eventually(format!("{count} readers"), async || {
        let metrics = gateway.get("/metrics").await;
        let shown = format!("sealway_waiting_readers {count}\n");
        metrics.as_str().unwrap().contains(&shown).then_some(())
    })
    .await;
}

#[tokio::test]
async fn polls_that_were_left_take_no_place_from_the_one_that_stays() {
    let gateway = TestGateway::start().await;
    let consumer = pulled(&gateway, "polled").await;
    let key = gateway.add_caller("polled", &["consume:polled"]).await;
    let of = (consumer.name(), &*key);
    for how in [Leaving::Closing, Leaving::Resetting, Leaving::HalfClosing] {
        let mut waiting = Vec::new();
        for number in 0..16 {
            let mut connection = connection(&gateway).await;
            if number % 2 == 0 {
                poll(&mut connection, of, &json!({})).await;
            } else {
                page(&mut connection, of).await;
            }
            waiting.push(connection);
        }
        readers(&gateway, 16).await;
        let full = gateway.call(Method::POST, "/subscriptions/polled/poll", Some(&json!({}))).await;
        assert_eq!(full.code(), "too-many", "all places are taken");

        let left = Instant::now();
        let mut open = Vec::new();
        for connection in waiting {
            open.extend(leave(connection, how).await);
        }
        readers(&gateway, 0).await;

        assert!(left.elapsed() < SOON, "{how:?}: {:?}", left.elapsed());
        let wish = json!({ "returnImmediately": true });
        let served = gateway.call(Method::POST, "/subscriptions/polled/poll", Some(&wish)).await;
        assert_eq!(served.status, 200, "{}", served.body);
    }
}

#[tokio::test]
async fn what_a_poll_has_acknowledged_is_settled_also_if_its_client_has_left() {
    let mut gateway = TestGateway::start().await;
    let consumer = pulled(&gateway, "polled").await;
    let key = gateway.add_caller("polled", &["consume:polled"]).await;
    let events = gateway.orders(1..=3).await;
    eventually("all are numbered", async || {
        let shown = gateway.get("/subscriptions/polled").await;
        (shown["progress"]["underWay"] == 3).then_some(())
    })
    .await;
    let mut connection = connection(&gateway).await;
    let word = json!({
        "ack": [events[0], events[1]],
        "setErrs": { events[2].as_str(): { "err": "invalid_request" } },
    });
    poll(&mut connection, (consumer.name(), &key), &word).await;
    // It has settled all of it and waits for more.
    eventually("nothing is under way", async || {
        let shown = gateway.get("/subscriptions/polled").await;
        (shown["progress"]["underWay"] == 0).then_some(())
    })
    .await;
    readers(&gateway, 1).await;
    leave(connection, Leaving::Resetting).await;
    readers(&gateway, 0).await;

    gateway.restart().await;

    let shown = gateway.get("/subscriptions/polled").await;
    assert_eq!(shown["progress"]["underWay"], 0, "{shown}");
    let letters = gateway.get("/subscriptions/polled/dead-letters").await;
    assert_eq!(letters["deadLetters"][0]["event"], events[2], "{letters}");
}

/// How many events readers were given, of all subscriptions.
async fn handed_out(gateway: &TestGateway) -> u64 {
    let metrics = gateway.get("/metrics").await;
    let counts = metrics.as_str().unwrap().lines().filter_map(|line| {
        let count = line.strip_prefix("sealway_fetched_total{")?.split_once("} ")?.1;
        count.parse::<u64>().ok()
    });
    counts.sum()
}

/// Publishes until a reader that does not read is given no more; says how many events there are.
async fn fill(gateway: &TestGateway) -> u64 {
    let (mut published, mut before) = (0, None);
    eventually("a stream waits for its reader", async || {
        let numbers = published + 1..=published + 100;
        let batch: Vec<_> =
            numbers.map(|number| order_created(&format!("order-{number}"), number)).collect();
        published += 100;
        let media_type = "application/cloudevents-batch+json";
        let sent = gateway.send_text("/events", media_type, json!(batch).to_string()).await;
        assert_eq!(sent.status, 202, "{}", sent.body);
        let now = handed_out(gateway).await;
        let waits = before.replace(now) == Some(now) && now + 200 <= published;
        waits.then_some(published)
    })
    .await
}

#[tokio::test]
async fn a_subscription_whose_stream_is_not_read_is_removed_at_once() {
    let gateway = TestGateway::start().await;
    let consumer = pulled(&gateway, "slow").await;
    let key = gateway.add_caller("slow", &["consume:slow"]).await;
    let mut stream = connection(&gateway).await;
    let path = format!("/subscriptions/{}/stream", consumer.name());
    let ask = format!(
        "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {key}\r\n\r\n"
    );
    stream.write_all(ask.as_bytes()).await.unwrap();
    let published = fill(&gateway).await;
    let asked = Instant::now();

    let removed = gateway.call(Method::DELETE, "/subscriptions/slow", None).await;

    assert_eq!(removed.status, 204, "{}", removed.body);
    assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
    let again = Receiver::start(&gateway, "slow").await;
    gateway.subscribe(&again, json!({ "sink": null, "protocol": "PULL" })).await;
    // What the connection has taken is all that comes.
    let mut rest = String::new();
    let whole = stream.read_to_string(&mut rest);
    tokio::time::timeout(Duration::from_mins(1), whole).await.expect("the stream ends").unwrap();
    let told = rest.matches("\nid: ").count() as u64;
    assert!(0 < told && told < published, "{told} of {published}");
}

/// Reads 2,000 bytes per second, for as long as there is anything.
async fn read_slowly(mut stream: TcpStream) {
    let mut some = [0; 100];
    while stream.read(&mut some).await.is_ok_and(|read| read > 0) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_readers_hold_up_no_change_of_their_subscription_and_nothing_of_others() {
    let gateway = TestGateway::start().await;
    let consumer = pulled(&gateway, "slow").await;
    let key = gateway.add_caller("slow", &["consume:slow"]).await;
    let ask = format!(
        "GET /subscriptions/slow/stream HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\r\n"
    );
    let (mut reading, mut open) = (JoinSet::new(), Vec::new());
    for number in 0..12 {
        let mut stream = connection(&gateway).await;
        stream.write_all(ask.as_bytes()).await.unwrap();
        // Some read slowly, and some not at all.
        if number % 3 > 0 {
            reading.spawn(read_slowly(stream));
        } else {
            open.push(stream);
        }
    }
    for hundred in 0..6 {
        gateway.orders(hundred * 100 + 1..=hundred * 100 + 100).await;
    }
    let mut wish = consumer.document(json!({ "sink": null, "protocol": "PULL" }));
    wish["config"]["audience"] = json!("shop");
    let other = Receiver::start(&gateway, "other").await;

    let asked = Instant::now();
    for step in ["pause", "resume"] {
        let path = format!("/subscriptions/slow/{step}");
        let answered = gateway.call(Method::POST, &path, Some(&json!({}))).await;
        assert_eq!(answered.status, 200, "{step}: {}", answered.body);
    }
    let (put, _) = tokio::join!(
        gateway.put("/subscriptions/slow", &wish),
        gateway.subscribe(&other, json!({ "sink": null, "protocol": "PULL" })),
    );
    assert_eq!(put.status, 200, "{}", put.body);
    let removed = gateway.call(Method::DELETE, "/subscriptions/slow", None).await;
    assert_eq!(removed.status, 204, "{}", removed.body);

    assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
    reading.shutdown().await;
}
