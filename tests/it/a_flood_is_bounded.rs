//! Strangers cannot fill the memory with bodies, and what a flood took is given back.

use std::fs;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use sealway::ambient::{Clock as _, Size, SystemClock};
use sealway::source::Signatures;

use crate::harness::{ACCESS_KEY, Process, TestGateway, eventually, order_created};

const MIB: usize = 1024 * 1024;
/// The bodies of the flood, and how many of them have room together: an eighth of 256 MiB.
const BODIES: usize = 40;
const WITH_ROOM: usize = 4;

/// The head of a `PutEvents` that names a known access key and whose signature is nobody's.
fn head(length: usize) -> String {
    let format = time::macros::format_description!("[year][month][day]T[hour][minute][second]Z");
    let now = SystemClock.now().unix_seconds();
    let now = time::OffsetDateTime::from_unix_timestamp(now).unwrap().format(format).unwrap();
    let (day, _) = now.split_once('T').unwrap();
    format!(
        "POST / HTTP/1.1\r\nhost: x\r\nx-amz-date: {now}\r\nx-amz-target: AWSEvents.PutEvents\r\n\
         authorization: AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{day}/us-east-1/events/\
         aws4_request, SignedHeaders=host;x-amz-date;x-amz-target, Signature=00\r\n\
         content-length: {length}\r\n\r\n"
    )
}

/// Sends all of a body but its last ten bytes; the answer that came, or the connection that waits.
async fn withhold(address: String) -> Result<String, TcpStream> {
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(head(8 * MIB).as_bytes()).await.unwrap();
    let _ = connection.write_all(&vec![b' '; 8 * MIB - 10]).await;
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(Duration::from_secs(8), connection.read(&mut answer)).await;
    match read {
        Ok(read) => Ok(String::from_utf8_lossy(&answer[..read.unwrap()]).into_owned()),
        Err(_) => Err(connection),
    }
}

/// The memory of a process that is there, in bytes.
fn resident(process: u32) -> usize {
    let pages = fs::read_to_string(format!("/proc/{process}/statm")).unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_without_a_signature_take_an_eighth_of_the_room_and_give_it_back() {
    let mut process = Process::prepare().with_settings(&format!(
        "source: {{ access-keys: [{{ id: {ACCESS_KEY}, secret: {{ file: access-key.secret }} }}] }}"
    ));
    process.serve().await;
    let address = process.issuer().trim_start_matches("http://").to_owned();
    let before = resident(process.id());

    let mut flood = tokio::task::JoinSet::new();
    for _ in 0..BODIES {
        flood.spawn(withhold(address.clone()));
    }
    let outcomes = flood.join_all().await;
    let during = resident(process.id());
    let (answered, waiting): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);

    assert!(waiting.len() <= WITH_ROOM, "{} wait", waiting.len());
    for answer in answered.into_iter().flatten() {
        assert!(
            answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: 1"),
            "{answer}"
        );
        assert!(answer.contains("ServiceUnavailableException"), "{answer}");
    }
    let grown = during.saturating_sub(before);
    assert!(grown < 128 * MIB, "{} MiB", grown / MIB);

    drop(waiting);
    let unsigned = async || {
        let mut connection = TcpStream::connect(&address).await.unwrap();
        connection.write_all(format!("{}[]", head(2)).as_bytes()).await.unwrap();
        let mut answer = vec![0; 4096];
        let read = connection.read(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer[..read]).starts_with("HTTP/1.1 403 ").then_some(())
    };
    eventually("there is room again", unsigned).await;
    let left = resident(process.id()).saturating_sub(before);
    assert!(left < 64 * MIB, "{} MiB stay", left / MIB);
}

#[tokio::test]
async fn a_body_of_a_caller_waits_for_room_with_503_and_a_compressed_one_is_counted_as_it_becomes()
{
    let gateway = TestGateway::with(None, |config| {
        config.api.body_memory = Size(64 * 1024);
        config.source.signatures = Signatures::Off;
    })
    .await;
    let key = gateway.add_caller("producer", &["publish:*"]).await;
    let post = async |body: Vec<u8>, coding: &str| {
        let request = gateway.request(Method::POST, "/events").bearer_auth(&key).body(body);
        let request = request.header("content-type", "application/cloudevents+json");
        request.header("content-encoding", coding).send().await.unwrap()
    };
    let mut event = order_created("o-1", 1);
    event["data"]["filler"] = json!("x".repeat(100_000));
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut packed, event.to_string().as_bytes()).unwrap();
    let packed = packed.finish().unwrap();

    for (body, coding) in [(vec![b' '; 70_000], "identity"), (packed, "gzip")] {
        let refused = post(body, coding).await;
        assert_eq!(refused.status(), 503, "{coding}");
        assert_eq!(refused.headers()["retry-after"], "1");
        let problem: serde_json::Value = refused.json().await.unwrap();
        assert_eq!(problem["type"], "/problems/busy", "{problem}");
    }
    let small = order_created("o-2", 2).to_string().into_bytes();
    assert_eq!(post(small, "identity").await.status(), 202);
    let large = json!({ "filler": "x".repeat(70_000) });
    let refused = gateway.call(Method::POST, "/subscriptions", Some(&large)).await;
    assert_eq!((refused.status, refused.code()), (503, "busy"));
}
