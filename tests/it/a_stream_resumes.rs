//! A stream goes on where its reader was, and ends when it should.

use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use sealway::ambient::{HumanDuration, ManualClock, Tasks};
use sealway::event::{ChainValue, Timestamp};

use crate::consumer_in_rust::chain_after;
use crate::harness::{Receiver, TestGateway, eventually, order_created};

/// A reader of server-sent events.
struct Reader {
    response: std::pin::Pin<Box<dyn futures_util::Stream<Item = reqwest::Result<Vec<u8>>> + Send>>,
    text: String,
}

impl Reader {
    async fn open(gateway: &TestGateway, of: &Receiver, key: &str, last: Option<&str>) -> Self {
        let path = format!("/subscriptions/{}/stream", of.name());
        let mut request = gateway.request(Method::GET, &path).bearer_auth(key);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        let response = response.bytes_stream().map(|chunk| chunk.map(|bytes| bytes.to_vec()));
        Self { response: Box::pin(response), text: String::new() }
    }

    /// The next event's id and token; nothing at the end of the stream.
    async fn next(&mut self) -> Option<(String, String)> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned)
                };
                let event = field("id: ").zip(field("data: "));
                let read = self.text.len() - rest.len();
                self.text.drain(..read);
                if event.is_some() {
                    return event;
                }
            }
            let chunk = tokio::time::timeout(Duration::from_secs(30), self.response.next());
            let chunk = chunk.await.expect("a stream goes on or ends")?.unwrap();
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    async fn take(&mut self, count: usize) -> Vec<(String, String)> {
        let mut taken = Vec::new();
        while taken.len() < count {
            taken.push(self.next().await.expect("another event"));
        }
        taken
    }
}

#[tokio::test]
async fn a_reader_that_comes_back_misses_nothing_and_gets_nothing_twice() {
    let mut gateway = TestGateway::start().await;
    let consumer = Receiver::start(&gateway, "reader").await;
    let key = gateway.add_caller("reader", &["consume:reader"]).await;
    let wish = json!({ "sink": null, "protocol": "PULL" });
    gateway.subscribe(&consumer, wish).await;
    let mut wanted = gateway.orders(1..=3).await;

    let mut reader = Reader::open(&gateway, &consumer, &key, None).await;
    let mut got = reader.take(3).await;
    wanted.push(gateway.order(4).await);
    got.extend(reader.take(1).await);
    drop(reader);
    wanted.extend(gateway.orders(5..=30).await);
    let mut reader = Reader::open(&gateway, &consumer, &key, Some(&got[3].0)).await;
    got.extend(reader.take(20).await);
    // A gateway that stops ends its streams, after whole events.
    let (rest, ()) = tokio::join!(
        async {
            let mut rest = Vec::new();
            while let Some(event) = reader.next().await {
                rest.push(event);
            }
            rest
        },
        gateway.restart(),
    );
    got.extend(rest);
    let last = got.last().unwrap().0.clone();
    let mut reader = Reader::open(&gateway, &consumer, &key, Some(&last)).await;
    wanted.extend(gateway.orders(31..=33).await);
    got.extend(reader.take(wanted.len() - got.len()).await);

    assert_eq!(got.iter().map(|(id, _)| id).collect::<Vec<_>>(), wanted.iter().collect::<Vec<_>>());
    let (mut sequence, mut chain) = (0, ChainValue::start(&"reader".parse().unwrap()));
    for (_, token) in &got {
        let opened = consumer.open(token).await.unwrap();
        let place = opened.place().unwrap();
        assert_eq!((place.sequence, place.previous), (sequence + 1, chain));
        (sequence, chain) = (place.sequence, chain_after(&opened).unwrap());
    }
    // Reading acknowledges nothing.
    let shown = gateway.get("/subscriptions/reader").await;
    assert_eq!(shown["progress"]["underWay"], 33);
}

#[tokio::test]
async fn a_stream_goes_on_with_other_keys_and_ends_with_its_subscription_or_its_caller() {
    let clock = ManualClock::at(Timestamp::from_unix_seconds(1_795_282_931));
    let gateway = TestGateway::at(&clock).await;
    let consumer = Receiver::start(&gateway, "reader").await;
    let key = gateway.add_caller("reader", &["consume:reader"]).await;
    let wish = json!({ "sink": null, "protocol": "PULL" });
    gateway.subscribe(&consumer, wish.clone()).await;
    let mut first = Reader::open(&gateway, &consumer, &key, None).await;
    gateway.order(1).await;
    let (_, token) = first.take(1).await.remove(0);
    assert!(consumer.open(&token).await.is_some());

    let other = Receiver::start(&gateway, "reader").await;
    let put = gateway.request(Method::PUT, "/subscriptions/reader").header("if-match", "*");
    let put = put.bearer_auth(&key).json(&other.document(wish)).send().await.unwrap();
    assert_eq!(put.status(), 200);
    let second = gateway.order(2).await;
    let (id, token) = first.take(1).await.remove(0);
    assert_eq!(id, second);
    assert!(other.open(&token).await.is_some() && consumer.open(&token).await.is_none());

    // A caller that is removed loses its stream at the next sign of life.
    let operator = gateway.add_caller("operator", &["operate"]).await;
    let mut watching = Reader::open(&gateway, &consumer, &operator, None).await;
    gateway.remove_caller("reader").await;
    let ended = Tasks::new().spawn(async move { first.next().await });
    eventually("the stream ends", async || {
        clock.advance(Duration::from_secs(16));
        ended.is_finished().then_some(())
    })
    .await;
    assert_eq!(ended.await.unwrap(), None);

    assert_eq!(watching.take(2).await.len(), 2);
    let removed = gateway.call(Method::DELETE, "/subscriptions/reader", None).await;
    assert_eq!(removed.status, 204);
    assert_eq!(watching.next().await, None);
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_let_go_and_costs_nobody_else() {
    let change = |config: &mut sealway::config::Config| {
        config.api.write_timeout = HumanDuration(Duration::from_secs(2));
        config.api.subscription_readers = 1;
    };
    let gateway = TestGateway::with(None, change).await;
    let consumer = Receiver::start(&gateway, "slow").await;
    let other = Receiver::start(&gateway, "other").await;
    let key = gateway.add_caller("slow", &["consume:slow"]).await;
    gateway.subscribe(&consumer, json!({ "sink": null, "protocol": "PULL" })).await;
    gateway.subscribe(&other, json!({ "sink": null, "protocol": "PULL" })).await;

    // Small buffers on both sides, and nobody who empties them.
    let address = gateway.issuer().replace("http://", "");
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream: TcpStream = socket.connect(address.parse().unwrap()).await.unwrap();
    let request = format!(
        "GET /subscriptions/slow/stream HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");

    let mut published: u64 = 0;
    eventually("the reader is let go", async || {
        let batch: Vec<_> = (published + 1..=published + 100)
            .map(|number| order_created(&format!("order-{number}"), number))
            .collect();
        published += 100;
        let media_type = "application/cloudevents-batch+json";
        let sent = gateway.send_text("/events", media_type, json!(batch).to_string()).await;
        assert_eq!(sent.status, 202, "{}", sent.body);
        let metrics = gateway.get("/metrics").await;
        let is_gone = metrics.as_str().unwrap().contains("sealway_waiting_readers 0");
        is_gone.then_some(())
    })
    .await;
    eventually("the other has come as far", async || {
        let shown = gateway.get("/subscriptions/other").await;
        (shown["progress"]["sequence"] == published).then_some(())
    })
    .await;
}
