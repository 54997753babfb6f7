//! What stands outside of the gateway: queues and buses of AWS, and an HTTP sink, as lean as they can
//! be, on threads of their own, whose time is not the gateway's.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

/// The names of its threads begin like this.
pub const THREADS: &str = "outside";
/// How long a poll of an empty queue takes.
const EMPTY_POLL: Duration = Duration::from_millis(200);

/// Servers on one port.
pub struct Outside {
    runtime: Runtime,
    address: SocketAddr,
    counts: Arc<Counts>,
    challenges: mpsc::UnboundedReceiver<String>,
}

struct Counts {
    /// Messages that are still to be handed out.
    waiting: AtomicUsize,
    /// Messages that were handed out: each has an id of its own.
    handed_out: AtomicUsize,
    deleted: watch::Sender<usize>,
    arrived: watch::Sender<usize>,
    challenges: mpsc::UnboundedSender<String>,
}

impl Outside {
    /// Listens on a free port.
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name(THREADS)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let (sender, challenges) = mpsc::unbounded_channel();
        let counts = Arc::new(Counts {
            waiting: AtomicUsize::new(0),
            handed_out: AtomicUsize::new(0),
            deleted: watch::Sender::new(0),
            arrived: watch::Sender::new(0),
            challenges: sender,
        });
        let address = listener.local_addr().unwrap();
        let routes = Router::new()
            .route("/sink", axum::routing::any(sink))
            .fallback(aws)
            .layer(DefaultBodyLimit::max(16 * 1024 * 1024))
            .with_state(Arc::clone(&counts));
        runtime.spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { runtime, address, counts, challenges }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Runs something that is not the gateway's work.
    pub fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Puts messages into the queue.
    pub fn fill(&self, messages: usize) {
        self.counts.waiting.fetch_add(messages, Ordering::SeqCst);
    }

    /// Waits until so many messages were deleted.
    pub fn wait_for_deleted(&self, count: usize) {
        let mut watched = self.counts.deleted.subscribe();
        self.run(watched.wait_for(|deleted| *deleted >= count)).unwrap();
    }

    /// Waits until so many events have arrived, on the bus or at the sink.
    pub fn wait_for_arrived(&self, count: usize) {
        let mut watched = self.counts.arrived.subscribe();
        self.run(watched.wait_for(|arrived| *arrived >= count)).unwrap();
    }

    /// How many have arrived.
    pub fn arrived(&self) -> usize {
        *self.counts.arrived.borrow()
    }

    /// How many were deleted.
    pub fn deleted(&self) -> usize {
        *self.counts.deleted.borrow()
    }

    /// The token of the next challenge.
    pub fn challenge(&mut self) -> String {
        self.runtime.block_on(self.challenges.recv()).unwrap()
    }
}

/// Tells challenges from events by what travels in the clear.
fn is_challenge(kind: Option<&str>) -> bool {
    kind == Some(sealway::subscriptions::CHALLENGE_TYPE)
}

async fn sink(State(counts): State<Arc<Counts>>, headers: HeaderMap, body: Bytes) -> Response {
    let kind = headers.get("ce-type").and_then(|value| value.to_str().ok());
    if is_challenge(kind) {
        counts.challenges.send(String::from_utf8(body.to_vec()).unwrap()).unwrap();
    } else if kind.is_some() {
        counts.arrived.send_modify(|arrived| *arrived += 1);
    }
    StatusCode::OK.into_response()
}

async fn aws(State(counts): State<Arc<Counts>>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok());
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let answer = match target.and_then(|target| target.split('.').next_back()) {
        Some("ReceiveMessage") => receive(&counts).await,
        Some("DeleteMessageBatch") => {
            let entries = asked["Entries"].as_array().unwrap();
            counts.deleted.send_modify(|deleted| *deleted += entries.len());
            let done: Vec<_> = entries.iter().map(|one| json!({ "Id": one["Id"] })).collect();
            json!({ "Successful": done, "Failed": [] })
        }
        Some("GetQueueUrl") => json!({ "QueueUrl": "http://127.0.0.1/111122223333/in" }),
        Some("PutEvents") => put_events(&counts, &asked),
        _ => json!({}),
    };
    let media_type = match target {
        Some(target) if target.starts_with("AmazonSQS") => "application/x-amz-json-1.0",
        _ => "application/x-amz-json-1.1",
    };
    ([(header::CONTENT_TYPE, media_type)], answer.to_string()).into_response()
}

async fn receive(counts: &Counts) -> Value {
    let take = |waiting: usize| Some(waiting - waiting.min(10));
    let before = counts.waiting.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).unwrap();
    if before == 0 {
        tokio::time::sleep(EMPTY_POLL).await;
        return json!({});
    }
    let count = before.min(10);
    let first = counts.handed_out.fetch_add(count, Ordering::SeqCst);
    let message = |at: usize| {
        let number = first + at;
        json!({
            "MessageId": format!("m-{number}"),
            "ReceiptHandle": format!("r-{number}"),
            "Body": crate::envelope(&format!("queue-{number}")).to_string(),
            "Attributes": { "SentTimestamp": "1795282900000", "ApproximateReceiveCount": "1" },
        })
    };
    json!({ "Messages": (0..count).map(message).collect::<Vec<_>>() })
}

fn put_events(counts: &Counts, asked: &Value) -> Value {
    let entries = asked["Entries"].as_array().unwrap();
    let mut events = 0;
    for entry in entries {
        if is_challenge(entry["DetailType"].as_str()) {
            let detail: Value = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
            counts.challenges.send(detail["data"].as_str().unwrap().to_owned()).unwrap();
        } else {
            events += 1;
        }
    }
    counts.arrived.send_modify(|arrived| *arrived += events);
    let ids: Vec<_> = entries.iter().map(|_| json!({ "EventId": "e" })).collect();
    json!({ "FailedEntryCount": 0, "Entries": ids })
}
