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
/// How long the next answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

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

/// Sends all of a body but its last ten bytes; the answer, or nothing if it was lost with the bytes that the
/// gateway did not read.
async fn withhold(address: String) -> Option<String> {
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(head(8 * MIB).as_bytes()).await.unwrap();
    let _ = connection.write_all(&vec![b' '; 8 * MIB - 10]).await;
    let mut answer = vec![0; 4096];
    let read = connection.read(&mut answer).await.unwrap_or_default();
    (read > 0).then(|| String::from_utf8_lossy(&answer[..read]).into_owned())
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
    let mut answers = 0;
    for _ in WITH_ROOM..BODIES {
        let next = tokio::time::timeout(PATIENCE, flood.join_next()).await;
        let Some(answer) = next.expect("only those with room wait").unwrap().unwrap() else {
            continue;
        };
        assert!(
            answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: 1"),
            "{answer}"
        );
        assert!(answer.contains("ServiceUnavailableException"), "{answer}");
        answers += 1;
    }
    assert!(answers > 0, "no answer arrived");
    let during = resident(process.id());
    let grown = during.saturating_sub(before);
    assert!(grown < 128 * MIB, "{} MiB", grown / MIB);

    // Those that wait go away.
    drop(flood);
    let unsigned = async || {
        let mut connection = TcpStream::connect(&address).await.unwrap();
        connection.write_all(format!("{}[]", head(2)).as_bytes()).await.unwrap();
        let mut answer = vec![0; 4096];
        let read = connection.read(&mut answer).await.unwrap_or_default();
        String::from_utf8_lossy(&answer[..read]).starts_with("HTTP/1.1 403 ").then_some(())
    };
    eventually("there is room again", unsigned).await;
    let is_given_back = async || {
        let left = resident(process.id()).saturating_sub(before);
        (left < 64 * MIB).then_some(())
    };
    eventually("the memory is given back", is_given_back).await;
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

#[tokio::test]
async fn a_caller_whose_bodies_never_end_leaves_room_to_others() {
    const ROOM: usize = 64 * 1024;
    const BODY: usize = 15 * 1024;
    let gateway =
        TestGateway::with(None, |config| config.api.body_memory = Size(ROOM as u64)).await;
    let greedy = gateway.add_caller("greedy", &["consume:greedy"]).await;
    let address = gateway.issuer().trim_start_matches("http://").to_owned();
    // More than all of the room, and no body comes to its end.
    let mut open = Vec::new();
    for _ in 0..8 {
        let mut connection = TcpStream::connect(&address).await.unwrap();
        let head = format!(
            "POST /access-requests HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {greedy}\r\n\
             content-type: application/json\r\ncontent-length: {BODY}\r\n\r\n"
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        connection.write_all(&vec![b' '; BODY - 1]).await.unwrap();
        open.push(connection);
    }
    let small = json!({ "consumer": "greedy", "publication": "orders/Order.Created" });
    eventually("the caller has all that it may have", async || {
        let asked =
            gateway.call_as(&greedy, (Method::POST, "/access-requests"), Some(&small)).await;
        let large = json!({ "consumer": "greedy", "reason": "x".repeat(4000) });
        let more = gateway.call_as(&greedy, (Method::POST, "/access-requests"), Some(&large)).await;
        (asked.status != 503 && more.status == 503).then_some(())
    })
    .await;

    let mut order = order_created("o-1", 1);
    order["data"]["filler"] = json!("x".repeat(BODY));

    assert_eq!(gateway.publish(&order).await.len(), 1, "others are taken");
    drop(open);
}
