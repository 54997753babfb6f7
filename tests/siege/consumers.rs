//! Loads of consumers and their sinks: who reads slowly, goes away, hangs, or answers without end.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::ground::{Ground, parcel};
use crate::harness::{Receiver, Reply};
use crate::report::{Bounds, Report};
use crate::usage::{cpu, resident};
use crate::watch::Watch;
use sealway::ambient::SystemClock;

/// Four readers of a stream who take 2,000 bytes a second, of a subscription that is then removed.
pub async fn slow_streams() -> Report {
    let ground = Ground::take().await;
    let wish = ground.pulled("slow", "slow", json!({}));
    ground.must(Method::POST, "/subscriptions", Some(&wish)).await;
    let text = "x".repeat(40_000);
    let events: Vec<_> =
        (0..300).map(|n| parcel(&format!("slow-{n}"), &json!({ "n": n, "text": text }))).collect();
    ground.publish_all(&events).await;
    let watch = Watch::over(&ground);
    let mut reading = JoinSet::new();
    for _ in 0..4 {
        let (address, key) = (ground.address(), ground.caller().key().to_owned());
        reading.spawn(async move { read_slowly(&address, &key).await });
    }
    sleep(Duration::from_secs(5)).await;
    let caller = ground.caller();
    let asked = Instant::now();
    let creating = async {
        sleep(Duration::from_millis(200)).await;
        let wish = ground.pulled("other", "other", json!({}));
        let asked = Instant::now();
        let (status, _) = caller.call(Method::POST, "/subscriptions", Some(&wish)).await;
        (status, asked.elapsed())
    };
    let removing = async {
        let (status, _) = ground.caller().call(Method::DELETE, "/subscriptions/slow", None).await;
        (status, asked.elapsed())
    };
    let (removed, created) = tokio::join!(removing, creating);
    let mut report = Report::default();
    report.must(removed.0 == 204, format!("the subscription is removed ({})", removed.0));
    report.at_most("which took", removed.1.as_millis(), 2000, "ms");
    report.must(created.0 == 201, format!("another is made meanwhile ({})", created.0));
    report.at_most("which took", created.1.as_millis(), 2000, "ms");
    report.watched(&watch.end().await, Bounds::memory(250));
    reading.shutdown().await;
    report
}

/// Reads a stream at 2,000 bytes a second until it ends.
async fn read_slowly(address: &str, key: &str) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut connection = socket.connect(address.parse().unwrap()).await.unwrap();
    let ask = format!(
        "GET /subscriptions/slow/stream HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n\
         last-event-id: 00000000000000000000000000\r\nauthorization: Bearer {key}\r\n\r\n"
    );
    connection.write_all(ask.as_bytes()).await.unwrap();
    let mut bytes = [0; 200];
    while connection.read(&mut bytes).await.is_ok_and(|read| read > 0) {
        sleep(Duration::from_millis(100)).await;
    }
}

/// Polls that wait, whose clients go away; then one that stays.
pub async fn abandoned_polls() -> Report {
    let ground = Ground::take().await;
    let wish = ground.pulled("polled", "polled", json!({ "types": ["Never.Happens"] }));
    ground.must(Method::POST, "/subscriptions", Some(&wish)).await;
    let watch = Watch::over(&ground);
    let body = r#"{"maxEvents":10,"returnImmediately":false}"#;
    let head = format!(
        "POST /subscriptions/polled/poll HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        ground.caller().key(),
        body.len()
    );
    let mut waiting = Vec::new();
    for _ in 0..16 {
        let mut connection = TcpStream::connect(ground.address()).await.unwrap();
        connection.write_all(head.as_bytes()).await.unwrap();
        waiting.push(connection);
    }
    sleep(Duration::from_secs(1)).await;
    drop(waiting);
    let (caller, gone) = (ground.caller(), Instant::now());
    let wish = json!({ "maxEvents": 10, "returnImmediately": true });
    let mut report = Report::default();
    let mut statuses = Vec::new();
    while statuses.last() != Some(&200) && gone.elapsed() < Duration::from_secs(40) {
        let (status, _) =
            caller.call(Method::POST, "/subscriptions/polled/poll", Some(&wish)).await;
        statuses.push(status);
        sleep(Duration::from_millis(100)).await;
    }
    report.note(format!("polls afterwards are answered {:?}", statuses.first()));
    report.at_most("served again after", gone.elapsed().as_millis(), 1000, "ms");
    report.watched(&watch.end().await, Bounds::memory(150));
    report
}

/// Eight sinks that answer every request with `100 Continue` without end. What their own system holds back
/// for them is little, so that what they have sent was taken by the gateway or by the system for it.
pub async fn endless_continue() -> Report {
    let ground = Ground::take().await;
    let (sent, attempts) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let watch = Watch::over(&ground);
    let mut sinks = JoinSet::new();
    for number in 0..8 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(4096).unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let listener = socket.listen(64).unwrap();
        let sink = format!("http://{}/", listener.local_addr().unwrap());
        let (sent, attempts) = (Arc::clone(&sent), Arc::clone(&attempts));
        sinks.spawn(async move {
            let mut answering = JoinSet::new();
            while let Ok((connection, _)) = listener.accept().await {
                attempts.fetch_add(1, Ordering::Relaxed);
                answering.spawn(answer_without_end(connection, Arc::clone(&sent)));
            }
        });
        let id = format!("endless-{number}");
        let wish = json!({ "protocol": "HTTP", "sink": sink });
        ground.must(Method::POST, "/subscriptions", Some(&ground.pulled(&id, &id, wish))).await;
    }
    sleep(Duration::from_secs(20)).await;
    let watched = watch.end().await;
    sinks.shutdown().await;
    let mut report = Report::default();
    let (sent, attempts) = (sent.load(Ordering::Relaxed) / 1024, attempts.load(Ordering::Relaxed));
    report.note(format!("{attempts} connections were made to 8 sinks"));
    report.at_most("taken on each before any response head", sent / attempts.max(1), 256, "KiB");
    report.at_most("taken on all of them", sent, 8 * 1024, "KiB");
    report.at_most("processor in 20 s", watched.cpu.as_millis(), 5000, "ms");
    report.watched(&watched, Bounds::memory(150));
    report
}

async fn answer_without_end(mut connection: TcpStream, sent: Arc<AtomicU64>) {
    const WORDS: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut asked = [0; 4096];
    if !connection.read(&mut asked).await.is_ok_and(|read| read > 0) {
        return;
    }
    let piece = WORDS.repeat(100);
    while let Ok(Ok(())) = timeout(Duration::from_secs(10), connection.write_all(&piece)).await {
        sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
    }
}

/// A sink at which one post in 1,024 hangs for 15 seconds.
pub async fn hanging_posts() -> Report {
    const EVENTS: u64 = 4096;
    const HANG: usize = 1024;
    let ground = Ground::take().await;
    let issuer = ground.gateway.issuer();
    let receiver = Receiver::listening("hanging", issuer, Arc::new(SystemClock)).await;
    let wish = receiver.document(json!({ "types": ["depot.Parcel.Moved", "Parcel.Moved"] }));
    ground.must(Method::POST, "/subscriptions", Some(&wish)).await;
    ground.active("hanging").await;
    let replies = 0..2 * usize::try_from(EVENTS).unwrap();
    receiver
        .answer_next(replies.map(|n| if n % HANG == 5 { Reply::Hang } else { Reply::Status(204) }));
    let watch = Watch::over(&ground);
    let begun = Instant::now();
    let events: Vec<_> =
        (0..EVENTS).map(|n| parcel(&format!("hang-{n}"), &json!({ "n": n }))).collect();
    ground.publish_all(&events).await;
    let hanging = usize::try_from(EVENTS).unwrap() / HANG;
    let others = usize::try_from(EVENTS).unwrap() - 2 * hanging;
    let arrived = |receiver: &Receiver| receiver.arrivals().len();
    while arrived(&receiver) < others && begun.elapsed() < Duration::from_secs(15) {
        sleep(Duration::from_millis(100)).await;
    }
    let (delivered, took) = (arrived(&receiver), begun.elapsed());
    receiver.answer(Reply::Status(204));
    let mut report = Report::default();
    report.must(
        delivered >= others,
        format!("{delivered} of {EVENTS} arrived before the hanging ended"),
    );
    report.note(format!("in {} ms; {hanging} or more hang", took.as_millis()));
    report.watched(&watch.end().await, Bounds::memory(200));
    report
}

/// Fifty events that each go to a thousand subscriptions at once: what is kept of them afterwards.
pub async fn fan_out() -> Report {
    const EVENTS: usize = 50;
    let subscriptions = usize::try_from(crate::number("SUBSCRIPTIONS", 1_000)).unwrap();
    let ground = Ground::take().await;
    let process = ground.gateway.id();
    let issuer = ground.gateway.issuer();
    let receiver = Receiver::listening("fan-out", issuer, Arc::new(SystemClock)).await;
    let types = json!(["depot.Parcel.Moved", "Parcel.Moved"]);
    for number in 0..subscriptions {
        let wish = receiver.document(json!({ "id": format!("fan-{number:04}"), "types": types }));
        ground.must(Method::POST, "/subscriptions", Some(&wish)).await;
    }
    for number in 0..subscriptions {
        ground.active(&format!("fan-{number:04}")).await;
    }
    sleep(Duration::from_secs(5)).await;
    let before = resident(process);
    let watch = Watch::over(&ground);
    let begun = Instant::now();
    let events: Vec<_> =
        (0..EVENTS).map(|n| parcel(&format!("fan-{n}"), &json!({ "n": n }))).collect();
    ground.publish_all(&events).await;
    let arrived = || receiver.arrivals().len();
    while arrived() < EVENTS * subscriptions && begun.elapsed() < Duration::from_mins(3) {
        sleep(Duration::from_millis(500)).await;
    }
    let mut report = Report::default();
    let (delivered, took) = (arrived(), begun.elapsed().as_secs());
    report.must(
        delivered >= EVENTS * subscriptions,
        format!("{delivered} deliveries of {EVENTS} events in {took} s"),
    );
    report.watched(&watch.end().await, Bounds::memory(600));
    let at_once = resident(process);
    // Connections wait for a minute.
    sleep(Duration::from_secs(90)).await;
    let (used, resting) = (cpu(process), Duration::from_secs(40));
    sleep(resting).await;
    let used = cpu(process).saturating_sub(used) / u32::try_from(resting.as_secs()).unwrap();
    let later = resident(process);
    report.note(format!(
        "{before} MiB before, {at_once} MiB at the end, {later} MiB two minutes later"
    ));
    report.at_most("processor per second at rest", used.as_micros(), 5000, "us");
    report.at_most("kept in the end", later.saturating_sub(before), 150, "MiB");
    report
}
