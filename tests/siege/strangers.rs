//! Loads of strangers: work and memory before any trust, and connections that ask for nothing.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::ground::Ground;
use crate::harness::ACCESS_KEY;
use crate::report::{Bounds, Report};
use crate::usage::{cpu, resident};
use crate::watch::Watch;
use sealway::ambient::{Clock as _, SystemClock};

const MIB: usize = 1024 * 1024;

/// The head of a `PutEvents` by a known access key, with a signature of nobody.
fn head(signed: &str, more: &str, length: usize) -> String {
    let format = time::macros::format_description!("[year][month][day]T[hour][minute][second]Z");
    let now = SystemClock.now().unix_seconds();
    let now = time::OffsetDateTime::from_unix_timestamp(now).unwrap().format(format).unwrap();
    let (day, _) = now.split_once('T').unwrap();
    format!(
        "POST / HTTP/1.1\r\nhost: x\r\nx-amz-date: {now}\r\nx-amz-target: AWSEvents.PutEvents\r\n\
         authorization: AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{day}/us-east-1/events/\
         aws4_request, SignedHeaders=host;x-amz-date;x-amz-target{signed}, Signature={}\r\n{more}\
         content-length: {length}\r\n\r\n",
        "0".repeat(64)
    )
}

/// Connects as another peer of the loopback network, so that honest callers are not of it.
async fn connect(address: &str) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().ok()?;
    socket.bind((Ipv4Addr::new(127, 0, 0, 2), 0).into()).ok()?;
    socket.connect(address.parse().ok()?).await.ok()
}

/// The first line that comes back, or what came instead.
async fn first_line(connection: &mut TcpStream) -> String {
    let mut answer = [0; 64];
    match timeout(Duration::from_secs(20), connection.read(&mut answer)).await {
        Err(_) => "nothing".to_owned(),
        Ok(Err(_)) => "broken off".to_owned(),
        Ok(Ok(0)) => "closed".to_owned(),
        Ok(Ok(read)) => {
            let text = String::from_utf8_lossy(&answer[..read]).into_owned();
            text.split(' ').nth(1).unwrap_or_default().to_owned()
        }
    }
}

fn counted(answers: impl IntoIterator<Item = String>) -> String {
    let mut counts = BTreeMap::<String, usize>::new();
    for answer in answers {
        *counts.entry(answer).or_default() += 1;
    }
    format!("{counts:?}")
}

/// 40 heads of 60 KB whose signature covers one header of 30 kB 15,000 times.
pub async fn signed_headers() -> Report {
    const REQUESTS: u32 = 40;
    let ground = Ground::take().await;
    let (watch, before) = (Watch::over(&ground), cpu(ground.gateway.id()));
    let head = head(&";a".repeat(15_000), &format!("a: {}\r\n", "x".repeat(30_000)), 2);
    let mut sent = JoinSet::new();
    for number in 0..REQUESTS {
        let (address, head) = (ground.address(), head.clone());
        sent.spawn(async move {
            sleep(Duration::from_millis(20 * u64::from(number))).await;
            let Some(mut connection) = connect(&address).await else {
                return "no connection".into();
            };
            let _ = connection.write_all(format!("{head}{{}}").as_bytes()).await;
            first_line(&mut connection).await
        });
    }
    let answers = sent.join_all().await;
    let used = cpu(ground.gateway.id()).saturating_sub(before) / REQUESTS;
    let mut report = Report::default();
    let refused = answers.iter().all(|answer| answer.starts_with('4'));
    report.must(refused, format!("all are refused {}", counted(answers)));
    report.at_most("processor for each", used.as_millis(), 25, "ms");
    report.watched(&watch.end().await, Bounds::memory(150));
    report
}

/// 150 connections, each with a body of 8 MiB without its last ten bytes.
pub async fn bodies() -> Report {
    let ground = Ground::take().await;
    let watch = Watch::over(&ground);
    let before = resident(ground.gateway.id());
    let mut sent = JoinSet::new();
    for _ in 0..150 {
        let address = ground.address();
        sent.spawn(async move {
            let Some(mut connection) = connect(&address).await else {
                return "no connection".into();
            };
            let body = vec![b' '; 8 * MIB - 10];
            let _ = connection.write_all(head("", "", 8 * MIB).as_bytes()).await;
            let _ = timeout(Duration::from_secs(15), connection.write_all(&body)).await;
            timeout(Duration::from_secs(8), first_line(&mut connection))
                .await
                .unwrap_or_else(|_| "waits".to_owned())
        });
    }
    let answers = sent.join_all().await;
    sleep(Duration::from_secs(5)).await;
    let after = resident(ground.gateway.id());
    let mut report = Report::default();
    report.note(format!("answered {}", counted(answers)));
    report.watched(&watch.end().await, Bounds::memory(400));
    report.at_most("memory kept after it", after.saturating_sub(before), 100, "MiB");
    report
}

/// 4,000 connections that say nothing, or half a head a byte at a time.
pub async fn connections() -> Report {
    const CONNECTIONS: usize = 4000;
    let ground = Ground::take().await;
    let watch = Watch::over(&ground);
    let (mut open, address) = (Vec::new(), ground.address());
    for number in 0..CONNECTIONS {
        let connecting = timeout(Duration::from_secs(2), connect(&address));
        let Ok(Some(mut connection)) = connecting.await else { continue };
        if number % 2 == 0 {
            let _ = connection.write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\nx-slow: ").await;
        }
        open.push(connection);
    }
    let made = open.len();
    let at_peak = open.iter().filter(|connection| is_open(connection)).count();
    for _ in 0..20 {
        sleep(Duration::from_secs(1)).await;
        for connection in open.iter_mut().step_by(2) {
            let _ = connection.try_write(b"x");
        }
    }
    let left = open.iter().filter(|connection| is_open(connection)).count();
    let mut report = Report::default();
    report.note(format!("{made} of {CONNECTIONS} were accepted by the kernel"));
    report.at_most("open once all have come", at_peak, 2048, "connections");
    report.at_most("open after 20 s", left, 50, "connections");
    report.watched(&watch.end().await, Bounds::memory(250));
    report
}

fn is_open(connection: &TcpStream) -> bool {
    let mut byte = [0; 1];
    match connection.try_read(&mut byte) {
        Ok(read) => read > 0,
        Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
    }
}

/// A publisher whose events break their contract, beside a log of 16 MiB.
pub async fn quarantine() -> Report {
    const GOOD: u64 = 200;
    let ground = Ground::take_with(|process| process.keeping("size: 16 MiB")).await;
    let good: Vec<_> = (1..=GOOD).map(crate::ground::order).collect();
    ground.publish_all(&good).await;
    let listed = ground.must(reqwest::Method::GET, "/events?limit=1", None).await;
    let first = listed["events"][0]["id"].as_str().unwrap_or_default().to_owned();
    let (watch, caller) = (Watch::over(&ground), ground.caller());
    let mut answers = Vec::new();
    let text = "x".repeat(40_000);
    for number in 0..1500 {
        let mut event = crate::ground::order(5_000_000 + number);
        event["data"]["amount"] = format!("{number}{text}").into();
        answers.push(caller.publish_to_quarantine(&event).await.to_string());
    }
    let counts = ground.must(reqwest::Method::GET, "/quarantine/counts", None).await;
    let kept = caller.status(&format!("/events/{first}")).await;
    let mut report = Report::default();
    report.note(format!("60 MB of broken events are answered {}", counted(answers)));
    report.note(format!("quarantine {}", counts.to_string().chars().take(200).collect::<String>()));
    report.must(kept == 200, format!("the oldest good event is still in the log ({kept})"));
    report.watched(&watch.end().await, Bounds::memory(200));
    report
}
