//! A client of custom event buses (EventBridgeV2), which speaks CBOR, is told in CBOR that the embedded
//! bus speaks the classic protocol only.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::TestGateway;
use crate::harness::aws::installed;
use crate::other_ecosystems::said;

/// Where such a client sends its events.
const OPERATION: &str = "/service/AWSEventsV2/operation/PutEvents";

/// Sends a request and reads the error in its answer.
async fn refused(request: RequestBuilder) -> BTreeMap<String, String> {
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 400);
    let headers = response.headers().clone();
    assert_eq!(headers["smithy-protocol"], "rpc-v2-cbor");
    assert_eq!(headers["content-type"], "application/cbor");
    assert_eq!(headers["x-amzn-requestid"].len(), 36);
    ciborium::from_reader(&*response.bytes().await.unwrap()).unwrap()
}

fn assert_told(error: &BTreeMap<String, String>) {
    assert_eq!(error["__type"], "UnknownOperationException");
    assert!(error["message"].contains("classic protocol only"), "{error:?}");
    assert_eq!(error.len(), 2, "{error:?}");
}

#[tokio::test]
async fn the_path_and_each_header_show_the_protocol_and_the_answer_is_in_it() {
    let gateway = TestGateway::start().await;
    // {"Entries": []}
    let body: &[u8] = b"\xa1\x67Entries\x80";
    let post = |path| gateway.request(Method::POST, path).body(body);

    assert_told(&refused(post(OPERATION)).await);
    assert_told(&refused(post("/service/Other/operation/Any")).await);
    assert_told(&refused(post("/").header("smithy-protocol", "rpc-v2-cbor")).await);
    assert_told(&refused(post("/").header("content-type", "application/cbor")).await);

    let classic = post("/").header("content-type", "application/x-amz-json-1.1");
    let classic = classic.send().await.unwrap();
    assert_eq!(classic.headers()["content-type"], "application/x-amz-json-1.1");
}

// The client blocks, so the gateway has threads of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boto3_shows_the_words() {
    let gateway = TestGateway::start().await;
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/aws/custom_bus_client.py");
    let mut python = Command::new(installed().join("moto/bin/python"));
    python.env("PYTHONDONTWRITEBYTECODE", "1").arg(program).arg(gateway.issuer());

    let error: Value = serde_json::from_str(&said(&mut python)).unwrap();

    assert_eq!(
        (&error["status"], &error["code"]),
        (&400.into(), &"UnknownOperationException".into())
    );
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("classic protocol only") && message.contains("`events`"), "{message}");
}

#[tokio::test]
async fn the_body_of_a_stranger_is_not_waited_for() {
    let gateway = TestGateway::start().await;
    let address = gateway.issuer().trim_start_matches("http://").to_owned();
    for path in [OPERATION, "/"] {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: gateway\r\nSmithy-Protocol: rpc-v2-cbor\r\n\
             Content-Length: 1000000\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();

        // Not a byte of the body was sent.
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();

        assert!(answer.starts_with(b"HTTP/1.1 400 "), "{}", String::from_utf8_lossy(&answer));
        let words = b"classic protocol only";
        assert!(answer.windows(words.len()).any(|part| part == words));
    }
}
