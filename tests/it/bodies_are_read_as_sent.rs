//! A body is read as its producer sent it: compressed, with a byte order mark, or not before asked for.

use std::fs;
use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use sealway::ambient::Size;
use sealway::source::Signatures;

use crate::harness::{Receiver, TestGateway, order_created};

/// The longest body of these gateways, in bytes.
const LIMIT: usize = 16 * 1024;
const CLOUDEVENT: &str = "application/cloudevents+json";

async fn small() -> TestGateway {
    TestGateway::with(None, |config| {
        config.source.max_body = Size(LIMIT as u64);
        config.source.signatures = Signatures::Off;
    })
    .await
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// Posts a body in a content coding: gives the status, the header Accept-Encoding and the answer.
async fn post(
    (gateway, key): (&TestGateway, &str),
    coding: &str,
    body: Vec<u8>,
) -> (u16, Option<String>, Value) {
    let request = gateway.request(Method::POST, "/events").bearer_auth(key);
    let request = request.header("content-type", CLOUDEVENT).header("content-encoding", coding);
    let response = request.body(body).send().await.unwrap();
    let accepted = response.headers().get("accept-encoding").cloned();
    let accepted = accepted.map(|value| value.to_str().unwrap().to_owned());
    (response.status().as_u16(), accepted, response.json().await.unwrap())
}

/// Sends bytes and gives all that is answered until the other side ends the connection.
async fn exchange(gateway: &TestGateway, request: &str) -> String {
    let mut connection = connect(gateway).await;
    connection.write_all(request.as_bytes()).await.unwrap();
    rest(&mut connection).await
}

async fn connect(gateway: &TestGateway) -> TcpStream {
    TcpStream::connect(gateway.issuer().trim_start_matches("http://")).await.unwrap()
}

async fn rest(connection: &mut TcpStream) -> String {
    let mut answer = String::new();
    let whole = connection.read_to_string(&mut answer);
    tokio::time::timeout(Duration::from_secs(10), whole).await.expect("it ends").unwrap();
    answer
}

/// The beginning of a request that waits for `100 Continue`.
fn waiting(path: &str, key: &str, headers: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {key}\r\n\
         content-type: {CLOUDEVENT}\r\nexpect: 100-continue\r\n{headers}\r\n"
    )
}

#[tokio::test]
async fn a_gzip_body_is_read_within_the_limit() {
    let gateway = small().await;
    let key = gateway.add_caller("compressor", &["publish:*"]).await;
    let by = (&gateway, key.as_str());
    let event = |id: &str| order_created(id, 1).to_string().into_bytes();
    let (first, second) = (event("split"), event("split").split_off(20));
    let members = [gzip(&first[..20]), gzip(&second)].concat();
    for (coding, body) in [
        ("gzip", gzip(&event("a"))),
        ("X-GZip", gzip(&event("b"))),
        ("identity, gzip", gzip(&event("c"))),
        ("identity", event("d")),
        ("gzip", members),
    ] {
        let (status, _, answer) = post(by, coding, body).await;
        assert_eq!(status, 202, "{coding}: {answer}");
        assert_eq!(answer["events"][0]["eventIds"].as_array().unwrap().len(), 1, "{answer}");
    }

    let bomb = gzip(&vec![b' '; 10_000_000]);
    assert!(bomb.len() < LIMIT);
    let (status, _, answer) = post(by, "gzip", bomb).await;
    assert_eq!((status, &answer["type"]), (413, &json!("/problems/too-large")), "{answer}");

    let garbage = [gzip(&event("e")), b"more".to_vec()].concat();
    for body in [event("e"), garbage, gzip(&event("e"))[..50].to_vec()] {
        let (status, _, answer) = post(by, "gzip", body).await;
        assert_eq!((status, &answer["type"]), (400, &json!("/problems/invalid-event")), "{answer}");
        assert!(answer["detail"].as_str().unwrap().contains("Content-Encoding"), "{answer}");
    }
    for coding in ["br", "zstd", "deflate", "gzip, gzip"] {
        let (status, accepted, answer) = post(by, coding, event("f")).await;
        assert_eq!((status, accepted.as_deref()), (415, Some("gzip")), "{answer}");
        assert!(answer["detail"].as_str().unwrap().contains("gzip"), "{answer}");
    }
    let media_type = gateway.send_text("/events", "text/plain", "{}").await;
    assert_eq!(media_type.status, 415);
}

#[tokio::test]
async fn a_byte_order_mark_is_read_over() {
    let gateway = small().await;
    let body = format!("\u{feff}{}", order_created("marked", 1));
    let answer = gateway.send_text("/events", CLOUDEVENT, body).await;
    assert_eq!(answer.status, 202, "{}", answer.body);

    let detail = json!({"id": 2, "amount": 100}).to_string();
    let entry = json!({"Source": "order-service", "DetailType": "OrderCreated", "Detail": detail});
    let request = gateway.request(Method::POST, "/").header("x-amz-target", "AWSEvents.PutEvents");
    let body = format!("\u{feff}{}", json!({"Entries": [entry]}));
    let response = request.body(body).send().await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    let answer: Value = response.json().await.unwrap();
    assert_eq!(answer["FailedEntryCount"], 0, "{answer}");
    let events = gateway.get("/events").await["events"].as_array().unwrap().clone();
    let numbers: Vec<_> = events.iter().map(|event| event["data"]["orderId"].clone()).collect();
    assert_eq!(numbers, [1, 2]);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_it_is_sent() {
    let gateway = small().await;
    let key = gateway.add_caller("patient", &["publish:*"]).await;
    let too_long = format!("content-length: {}\r\n", LIMIT + 1);
    let other = "content-length: 10\r\ncontent-encoding: br\r\n";
    let target = format!("{too_long}x-amz-target: AWSEvents.PutEvents\r\n");
    for (path, key, headers, status) in [
        ("/events", key.as_str(), too_long.as_str(), "413"),
        ("/events", "nobody", too_long.as_str(), "401"),
        ("/events", "nobody", "content-length: 10\r\n", "401"),
        ("/events", key.as_str(), other, "415"),
        ("/", key.as_str(), target.as_str(), "413"),
    ] {
        let answer = exchange(&gateway, &waiting(path, key, headers)).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
        assert!(answer.to_lowercase().contains("connection: close\r\n"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn a_body_that_fits_is_asked_for_and_taken() {
    let gateway = small().await;
    let key = gateway.add_caller("patient", &["publish:*"]).await;
    let event = order_created("asked", 1).to_string();
    let chunked = format!("{:x}\r\n{event}\r\n0\r\n\r\n", event.len());
    for (headers, body) in [
        (format!("content-length: {}\r\n", event.len()), event.clone()),
        ("transfer-encoding: chunked\r\n".to_owned(), chunked),
    ] {
        let headers = format!("{headers}connection: close\r\n");
        let mut connection = connect(&gateway).await;
        connection.write_all(waiting("/events", &key, &headers).as_bytes()).await.unwrap();
        let mut word = [0; 25];
        connection.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"HTTP/1.1 100 Continue\r\n\r\n");
        connection.write_all(body.as_bytes()).await.unwrap();
        let answer = rest(&mut connection).await;
        assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    }
}

#[tokio::test]
async fn a_chunked_body_is_taken_up_to_the_limit_and_not_beyond() {
    let gateway = small().await;
    let key = gateway.add_caller("streamer", &["publish:*"]).await;
    let event = order_created("chunked", 1).to_string();
    for (length, status) in [(LIMIT, "202"), (LIMIT + 1, "413")] {
        let body = format!("{event}{}", " ".repeat(length - event.len()));
        let (first, second) = body.split_at(1000);
        let request = format!(
            "POST /events HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {key}\r\n\
             content-type: {CLOUDEVENT}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n\
             {:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n",
            first.len(),
            second.len()
        );
        let answer = exchange(&gateway, &request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{length}: {answer}");
    }
    // A client that did not ask first comes to read why its body was not taken.
    let body = " ".repeat(LIMIT + 1);
    let answer = gateway.send_text("/events", CLOUDEVENT, body).await;
    assert_eq!((answer.status, answer.code()), (413, "too-large"));
    // The connection of one that breaks off ends, whatever it still hears.
    let request = format!(
        "POST /events HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {key}\r\n\
         content-type: {CLOUDEVENT}\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"
    );
    let answer = exchange(&gateway, &request).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

#[tokio::test]
async fn odd_cloudevents_cross_where_nothing_of_them_is_odd() {
    let gateway = TestGateway::with(None, |config| {
        let file = config.publications.join("orders.yaml");
        let text = fs::read_to_string(&file).unwrap();
        let list = text.replacen("from: /detail/id,", "from: /detail/0,", 1).replacen(
            "from: /detail/amount,",
            "from: /detail/1/amount,",
            1,
        );
        fs::write(file, list).unwrap();
    })
    .await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    let event = json!({
        "specversion": "1.0", "id": "odd", "source": "order-service", "type": "OrderCreated",
        "subject": "x".repeat(5000), "dataschema": "relative", "my_Ext": {"a": [1.5]},
        "data": [7, {"amount": 100}, "confidential"],
    });

    let answer = gateway.send(&event).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    let rules: Vec<_> = answer.body["warnings"].as_array().unwrap().iter().collect();
    let rules: Vec<_> = rules.iter().map(|warning| warning["rule"].as_str().unwrap()).collect();
    assert_eq!(rules, ["dataschema", "attribute-name"]);
    let delivered = receiver.wait_for_delivered(1).await;
    assert_eq!(delivered[0].data(), &json!({"orderId": 7, "amount": 100}));

    for data in [json!([7]), json!("text"), json!(null), json!(7)] {
        let mut event = event.clone();
        event["id"] = json!(format!("odd-{data}"));
        event["data"] = data;
        let answer = gateway.send(&event).await;
        assert_eq!((answer.status, answer.code()), (422, "patch-failed"), "{}", answer.body);
    }
    let mut wrong = event.clone();
    wrong["dataContentType"] = json!("application/json");
    let answer = gateway.send(&wrong).await;
    assert_eq!((answer.status, answer.code()), (400, "invalid-event"));
    assert!(answer.body["detail"].as_str().unwrap().starts_with("`datacontenttype`"));
}
