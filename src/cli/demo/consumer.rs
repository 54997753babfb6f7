//! A consumer: an HTTP server with a key pair of its own that opens what it is sent.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::ambient::{Clock, SystemClock};
use crate::cli::demo::Stage;
use crate::keys::{OpeningKey, OpeningKeyKind, OpeningKeys, VerifyingKeys};
use crate::seal::{OpenError, Opened, Opening, open};
use crate::subscriptions::CHALLENGE_TYPE;

/// What a consumer does with an event that it has opened.
pub type Reaction = Arc<dyn Fn(Value) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// One event as it arrived.
#[derive(Clone)]
pub struct DeliveredToken {
    /// The headers, which anyone on the way can read.
    pub headers: HeaderMap,
    /// The body, which only the consumer can.
    pub token: String,
    /// What was in it.
    pub opened: Opened,
}

/// A consumer that listens.
pub struct Consumer {
    name: &'static str,
    key: OpeningKey,
    keys: OpeningKeys,
    issuer: String,
    issuer_keys: VerifyingKeys,
    reaction: Reaction,
    delivered: Mutex<Vec<DeliveredToken>>,
    count: watch::Sender<usize>,
}

impl Consumer {
    /// Makes a key pair, fetches the gateway's public keys, starts to listen, and subscribes.
    pub async fn start(
        name: &'static str,
        wish: Value,
        stage: &Stage,
        reaction: Reaction,
    ) -> anyhow::Result<Arc<Self>> {
        let key = OpeningKey::generate(OpeningKeyKind::X25519)?;
        let private = key.private_jwk().expose().to_owned();
        stage.write(&format!("{name}.jwk"), &private)?;
        let consumer = Arc::new(Self {
            name,
            keys: OpeningKeys::from_json(private.as_bytes())?,
            key,
            issuer: stage.issuer().to_owned(),
            issuer_keys: stage.fetch_issuer_keys().await?,
            reaction,
            delivered: Mutex::default(),
            count: watch::Sender::new(0),
        });
        let address = Arc::clone(&consumer).listen(stage).await?;
        let public = consumer.key.public_jwk().context("an X25519 key has a public part")?;
        let mut document = json!({
            "id": name,
            "consumer": name,
            "sink": format!("http://{address}/events"),
            "config": { "keys": { "jwks": { "keys": [public] } } },
        });
        if let (Value::Object(document), Value::Object(wish)) = (&mut document, wish) {
            document.extend(wish);
        }
        stage.subscribe(&document).await?;
        Ok(consumer)
    }

    async fn listen(self: Arc<Self>, stage: &Stage) -> anyhow::Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let routes = Router::new().route("/events", post(receive)).with_state(self);
        let stopping = stage.tasks().stopping().clone().cancelled_owned();
        stage.tasks().spawn(async move {
            // The demo ends with its process, and so does whoever is still connected.
            let _ = axum::serve(listener, routes).with_graceful_shutdown(stopping).await;
        });
        Ok(address)
    }

    /// The consumer's name, which is the `aud` of its tokens.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Opens a token with this consumer's key.
    pub fn open(&self, token: &str) -> Result<Opened, OpenError> {
        let now = SystemClock.now();
        open(token, &Opening::new(&self.keys, &self.issuer_keys, &self.issuer, self.name, now))
    }

    /// Everything that has arrived so far.
    pub fn delivered(&self) -> Vec<DeliveredToken> {
        self.delivered.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until so many events have arrived.
    pub async fn wait_for(&self, count: usize) {
        let mut watcher = self.count.subscribe();
        // The sender lives in `self`, so the wait ends with the condition only.
        let _ = watcher.wait_for(|arrived| *arrived >= count).await;
    }

    fn keep(&self, delivered: DeliveredToken) {
        let mut all = self.delivered.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(delivered);
        self.count.send_replace(all.len());
    }
}

/// Opens what was posted; a challenge is answered with its nonce.
async fn receive(
    State(consumer): State<Arc<Consumer>>,
    headers: HeaderMap,
    token: String,
) -> Response {
    let Ok(opened) = consumer.open(&token) else { return StatusCode::BAD_REQUEST.into_response() };
    let event = opened.event().clone();
    if event.get("type").and_then(Value::as_str) == Some(CHALLENGE_TYPE) {
        let nonce = event.pointer("/data/challenge").cloned();
        return axum::Json(json!({ "challenge": nonce })).into_response();
    }
    if opened.replay().is_none() {
        (consumer.reaction)(event).await;
    }
    consumer.keep(DeliveredToken { headers, token, opened });
    StatusCode::NO_CONTENT.into_response()
}
