//! The bare primitives, each in a process of its own: what the gateway is measured against.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::routing::{get, post};
use rusqlite::{Connection, params};
use sealway::ambient::{Clock as _, Entropy as _, SystemClock, SystemEntropy};
use sealway::egress::{Egress, EgressConfig, GuardedClients, GuardedRequest};
use sealway::event::{ChainValue, EventId, SubscriptionId, Timestamp};
use sealway::keys::{OpeningKey, OpeningKeyKind, SealingKey, SigningAlgorithm, SigningKey};
use sealway::seal::{Claims, Options, PlaceClaims, cloudevent_type, seal};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::whole::Usage;

/// Requests at a time, as many as a subscription may have.
const AT_ONCE: usize = 64;
/// How many sealed events each of them sends.
const EACH: u32 = 250;
const ISSUER: &str = "https://events.example.com";

/// Runs one of them, by the arguments behind `--bare`.
pub fn run(arguments: &[String]) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    if arguments[0] == "ingest" {
        runtime.block_on(ingest(&arguments[1], &arguments[2]));
    } else {
        let sink: url::Url = arguments[1].parse().unwrap();
        println!("{}", runtime.block_on(post_sealed(&sink)));
    }
}

/// A body, and whom to tell that it is durable.
type Waiting = (Bytes, oneshot::Sender<()>);

/// Parses bodies and answers once they are durable.
async fn ingest(address: &str, path: &str) {
    let (sender, mut waiting) = mpsc::channel::<Waiting>(1024);
    let path = path.to_owned();
    std::thread::spawn(move || {
        let mut connection = Connection::open(path).unwrap();
        connection
            .execute_batch(
                "PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
                 CREATE TABLE events (position INTEGER PRIMARY KEY, data BLOB);",
            )
            .unwrap();
        let mut batch = Vec::new();
        while waiting.blocking_recv_many(&mut batch, 1024) > 0 {
            let transaction = connection.transaction().unwrap();
            for (body, _) in &batch {
                let insert = "INSERT INTO events (data) VALUES (?)";
                let mut insert = transaction.prepare_cached(insert).unwrap();
                insert.execute(params![&body[..]]).unwrap();
            }
            transaction.commit().unwrap();
            for (_, told) in batch.drain(..) {
                let _ = told.send(());
            }
        }
    });
    let take = async |State(sender): State<mpsc::Sender<Waiting>>, body: Bytes| {
        let Ok(event) = serde_json::from_slice::<Value>(&body) else {
            return StatusCode::BAD_REQUEST;
        };
        let (told, durable) = oneshot::channel();
        sender.send((body, told)).await.unwrap();
        durable.await.unwrap();
        if event.is_object() { StatusCode::ACCEPTED } else { StatusCode::BAD_REQUEST }
    };
    let routes = Router::new()
        .route("/events", post(take))
        .route("/health/ready", get(async || StatusCode::OK))
        .with_state(sender);
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    axum::serve(listener, routes).await.unwrap();
}

/// Seals events and posts them with the gateway's client; gives microseconds of CPU for each.
async fn post_sealed(sink: &url::Url) -> f64 {
    let egress = Arc::new(Egress::new(EgressConfig::loopback()));
    let clients = GuardedClients::new(&egress).unwrap();
    let keys = {
        let opening = OpeningKey::generate(OpeningKeyKind::X25519).unwrap();
        let sealing = SealingKey::from_jwk(opening.public_jwk().unwrap()).unwrap();
        Arc::new((SigningKey::generate(SigningAlgorithm::ES256).unwrap(), sealing))
    };
    let send = async |times: u32| {
        for _ in 0..times {
            let client = clients.client_for(sink).unwrap();
            let request = GuardedRequest {
                method: Method::POST,
                url: sink,
                headers: HeaderMap::from_iter([(
                    header::CONTENT_TYPE,
                    HeaderValue::from_static("application/secevent+jwt"),
                )]),
                body: token(&keys).into(),
                body_limit: 1024,
                patience: Duration::from_secs(30),
            };
            assert!(client.exchange(request).await.unwrap().status().is_success());
        }
    };
    futures_util::future::join_all((0..AT_ONCE).map(|_| send(5))).await;
    let before = Usage::of(std::process::id());
    futures_util::future::join_all((0..AT_ONCE).map(|_| send(EACH))).await;
    let used = Usage::of(std::process::id()).since(&before);
    used.cpu.as_secs_f64() * 1e6 / (AT_ONCE as f64 * f64::from(EACH))
}

fn token(keys: &(SigningKey, SealingKey)) -> String {
    let subscription: SubscriptionId = "s-bench".parse().unwrap();
    let now = SystemClock.now();
    let event = format!(
        r#"{{"specversion":"1.0","id":"{}","source":"/orders","type":"Order.Placed","time":"{}","data":{{"text":"{}"}}}}"#,
        EventId::from_parts(1, SystemEntropy.next_u128()),
        Timestamp::EPOCH,
        "x".repeat(500)
    );
    let claims = Claims {
        issuer: ISSUER,
        audience: "partner",
        issued_at: now,
        expires_at: now,
        id: EventId::from_parts(1, 1),
        transaction: None,
        occurred_at: Some(1),
        subscription: &subscription,
        place: Some(PlaceClaims { sequence: 1, previous: ChainValue::from_bytes([7; 32]) }),
        replay: None,
        salted: None,
        incarnation: 1,
        event_type: &cloudevent_type(ISSUER),
        event: &event,
    };
    seal(&claims, &keys.0, &keys.1, &Options::default()).unwrap().token().to_owned()
}
