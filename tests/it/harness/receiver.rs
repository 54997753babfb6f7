//! A consumer: an HTTP server with a key pair of its own that opens everything it is sent.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;

use sealway::ambient::{Clock, Tasks};
use sealway::event::ChainValue;
use sealway::keys::{OpeningKey, OpeningKeyKind, OpeningKeys, VerifyingKeys};
use sealway::seal::{CheckpointReader, Opened, Opening, open};
use sealway::subscriptions::CHALLENGE_TYPE;

use crate::consumer_in_rust::chain_after;
use crate::harness::connections::{Connection, Connections, CountingListener};
use crate::harness::{TestGateway, eventually};

/// How a receiver answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// With this status.
    Status(u16),
    /// With 429 and a `Retry-After` of so many seconds.
    Later(u32),
    /// With 204, after so long.
    After(Duration),
    /// With 204, and each so many-th time with 503.
    Mostly(usize),
    /// Not before it is told another reply.
    Hang,
}

/// One event as it arrived, in the order in which answers were decided.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Which one it is, from 0.
    number: usize,
    /// What anyone on the way could read.
    pub headers: HeaderMap,
    /// The token.
    pub token: String,
    /// What was in it.
    pub opened: Opened,
    /// When it arrived.
    pub at: Instant,
    /// The status that it was answered with; nothing if it still hangs.
    pub status: Option<u16>,
    /// When it was answered.
    pub answered: Option<Instant>,
}

impl Arrival {
    /// The event's id.
    pub fn id(&self) -> &str {
        self.opened.id()
    }

    /// Its sequence number; nothing in a replay.
    pub fn sequence(&self) -> Option<u64> {
        self.opened.place().map(|place| place.sequence)
    }

    /// The event's data.
    pub fn data(&self) -> &Value {
        &self.opened.event()["data"]
    }

    /// The text of a header, or nothing.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// Writes the body of an answer.
type Words = Box<dyn Fn(&Arrival) -> String + Send + Sync>;
/// Says by the headers whether a request is let in.
type Admission = Box<dyn Fn(&HeaderMap) -> bool + Send + Sync>;

/// A consumer that listens until it is dropped.
pub struct Receiver {
    state: Arc<Inner>,
    connections: Connections,
    tasks: Tasks,
}

struct Inner {
    name: String,
    address: String,
    public: Value,
    private: String,
    keys: OpeningKeys,
    issuer: String,
    issuer_keys: Mutex<VerifyingKeys>,
    /// Every public key that the gateway has ever published to this consumer.
    seen_keys: Mutex<Vec<Value>>,
    clock: Arc<dyn Clock>,
    arrivals: Mutex<Vec<Arrival>>,
    /// Signed checkpoints that were posted to it.
    statements: Mutex<Vec<String>>,
    /// How many have arrived.
    count: AtomicUsize,
    /// Replies for the next arrivals; then the standing one.
    script: Mutex<VecDeque<Reply>>,
    standing: watch::Sender<Reply>,
    words: Mutex<Words>,
    admission: Mutex<Admission>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.tasks.stopping().cancel();
    }
}

impl Receiver {
    /// Starts a consumer of this name, which says yes to everything.
    pub async fn start(gateway: &TestGateway, name: &str) -> Self {
        Self::listening(name, &gateway.issuer(), gateway.clock()).await
    }

    /// Starts a consumer of this name and subscribes it to everything.
    pub async fn subscribed(gateway: &TestGateway, name: &str) -> Self {
        let receiver = Self::start(gateway, name).await;
        gateway.subscribe(&receiver, json!({})).await;
        receiver
    }

    /// Starts a consumer of the gateway at an address.
    pub async fn listening(name: &str, issuer: &str, clock: Arc<dyn Clock>) -> Self {
        let key = OpeningKey::generate(OpeningKeyKind::X25519).unwrap();
        let private = key.private_jwk().expose().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/events", listener.local_addr().unwrap());
        let listener = CountingListener::new(listener);
        let state = Arc::new(Inner {
            name: name.to_owned(),
            address,
            public: key.public_jwk().unwrap().clone(),
            keys: OpeningKeys::from_json(private.as_bytes()).unwrap(),
            private,
            issuer: issuer.to_owned(),
            issuer_keys: Mutex::default(),
            seen_keys: Mutex::default(),
            clock,
            arrivals: Mutex::default(),
            statements: Mutex::default(),
            count: AtomicUsize::new(0),
            script: Mutex::default(),
            standing: watch::Sender::new(Reply::Status(204)),
            words: Mutex::new(Box::new(|_| "as the test says".to_owned())),
            admission: Mutex::new(Box::new(|_| true)),
        });
        state.fetch_keys().await;
        let (tasks, connections) = (Tasks::new(), listener.connections());
        let routes = Router::new().route("/events", post(receive)).with_state(Arc::clone(&state));
        let routes = routes.into_make_service_with_connect_info::<Connection>();
        let stop = tasks.stopping().clone().cancelled_owned();
        tasks.spawn(async move {
            axum::serve(listener, routes).with_graceful_shutdown(stop).await.unwrap();
        });
        Self { state, connections, tasks }
    }

    /// Waits until everything is read that a gateway had sent before it died.
    pub async fn hear_out(&self) {
        // Connections are accepted in their order: after this one, every older one is.
        reqwest::get(self.address()).await.unwrap();
        self.connections.ended().await;
    }

    /// The consumer's name, which is the subscription's, too.
    pub fn name(&self) -> &str {
        &self.state.name
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.state.address
    }

    /// Its private key, as the command line reads it from a file.
    pub fn private_key(&self) -> &str {
        &self.state.private
    }

    /// The subscription that it asks for.
    pub fn document(&self, wish: Value) -> Value {
        let mut document = json!({
            "id": self.name(),
            "consumer": self.name(),
            "sink": self.address(),
            "config": { "keys": { "jwks": { "keys": [self.state.public] } } },
        });
        let Value::Object(wish) = wish else { panic!("a wish is an object") };
        for (name, value) in wish {
            match (&mut document[&name], value) {
                (Value::Object(own), Value::Object(more)) => own.extend(more),
                (own, value) => *own = value,
            }
        }
        document
    }

    /// Answers like this from now on; whatever hangs is answered like this.
    pub fn answer(&self, reply: Reply) {
        self.state.standing.send_replace(reply);
    }

    /// Answers the next arrivals like this, one by one.
    pub fn answer_next(&self, replies: impl IntoIterator<Item = Reply>) {
        self.state.script.lock().unwrap().extend(replies);
    }

    /// Writes this into its answers from now on.
    pub fn say(&self, words: impl Fn(&Arrival) -> String + Send + Sync + 'static) {
        *self.state.words.lock().unwrap() = Box::new(words);
    }

    /// Answers 401 to whoever is not let in, and takes nothing from it.
    pub fn admit(&self, admission: impl Fn(&HeaderMap) -> bool + Send + Sync + 'static) {
        *self.state.admission.lock().unwrap() = Box::new(admission);
    }

    /// Everything that has arrived, whatever the answer was.
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.state.arrivals.lock().unwrap().clone()
    }

    /// The signed checkpoints that were posted to it.
    pub fn statements(&self) -> Vec<String> {
        self.state.statements.lock().unwrap().clone()
    }

    /// Takes away what is answered; what has arrived for long needs no memory then.
    pub fn take_arrivals(&self) -> Vec<Arrival> {
        let mut arrivals = self.state.arrivals.lock().unwrap();
        arrivals.extract_if(.., |arrival| arrival.status.is_some()).collect()
    }

    /// What it said yes to.
    pub fn delivered(&self) -> Vec<Arrival> {
        let yes = |arrival: &Arrival| arrival.status.is_some_and(|status| status < 300);
        self.arrivals().into_iter().filter(yes).collect()
    }

    /// The ids of what it said yes to, in order.
    pub fn delivered_ids(&self) -> Vec<String> {
        self.delivered().iter().map(|arrival| arrival.id().to_owned()).collect()
    }

    /// Waits until so much has arrived, whatever the answer was.
    #[track_caller]
    pub fn wait_for_arrivals(&self, count: usize) -> impl Future<Output = Vec<Arrival>> {
        let what = format!("{count} arrivals at {}", self.name());
        eventually(what, async move || Some(self.arrivals()).filter(|all| all.len() >= count))
    }

    /// Waits until it has said yes to so many.
    #[track_caller]
    pub fn wait_for_delivered(&self, count: usize) -> impl Future<Output = Vec<Arrival>> {
        let what = format!("{count} deliveries at {}", self.name());
        eventually(what, async move || Some(self.delivered()).filter(|all| all.len() >= count))
    }

    /// Opens a token with today's public keys of the gateway.
    pub async fn open(&self, token: &str) -> Option<Opened> {
        self.state.open(token).await
    }

    /// The name of the published key that a token was signed with, whether it is still good or not.
    pub fn signed_with(&self, token: &str) -> String {
        let seen = self.state.seen_keys.lock().unwrap();
        let signs = |jwk: &&Value| {
            let alone = json!({ "keys": [jwk] }).to_string();
            let alone = VerifyingKeys::from_json(alone.as_bytes()).unwrap();
            self.state.open_with(token, &alone).is_some()
        };
        seen.iter().find(signs).unwrap()["kid"].as_str().unwrap().to_owned()
    }

    /// Verifies a checkpoint.
    pub fn read_checkpoint(&self, token: &str) -> Option<sealway::seal::Checkpoint> {
        let issuer_keys = self.state.issuer_keys.lock().unwrap();
        let reader = CheckpointReader {
            issuer_keys: &issuer_keys,
            issuer: &self.state.issuer,
            audience: &self.state.name,
            now: self.state.clock.now(),
            leeway: Duration::from_mins(1),
        };
        reader.read(token).ok()
    }

    /// Recomputes the chain from what was received, whatever the answers were; fails the test
    /// where a sequence number or a link is missing. Gives the last number and the chain after it.
    pub fn chain(&self) -> (u64, ChainValue) {
        let mut by_number: Vec<Arrival> =
            self.arrivals().into_iter().filter(|arrival| arrival.sequence().is_some()).collect();
        by_number.sort_by_key(Arrival::sequence);
        by_number.dedup_by_key(|arrival| (arrival.sequence(), arrival.id().to_owned()));
        let mut chain = ChainValue::start(&self.name().parse().unwrap());
        for (expected, arrival) in (1..).zip(&by_number) {
            let place = arrival.opened.place().unwrap();
            assert_eq!(place.sequence, expected, "a sequence number is missing or given twice");
            assert_eq!(place.previous, chain, "the chain breaks before number {expected}");
            chain = chain_after(&arrival.opened).unwrap();
        }
        (by_number.len() as u64, chain)
    }
}

impl Inner {
    /// Tries the keys that are known, then fetches them again, as every consumer does.
    async fn open(&self, token: &str) -> Option<Opened> {
        if let Some(opened) = self.open_with_known(token) {
            return Some(opened);
        }
        self.fetch_keys().await;
        self.open_with_known(token)
    }

    fn open_with_known(&self, token: &str) -> Option<Opened> {
        self.open_with(token, &self.issuer_keys.lock().unwrap())
    }

    fn open_with(&self, token: &str, issuer_keys: &VerifyingKeys) -> Option<Opened> {
        let now = self.clock.now();
        open(token, &Opening::new(&self.keys, issuer_keys, &self.issuer, &self.name, now)).ok()
    }

    async fn fetch_keys(&self) {
        let address = format!("{}/.well-known/jwks.json", self.issuer);
        let Ok(response) = reqwest::get(address).await else { return };
        let text = response.bytes().await.unwrap();
        *self.issuer_keys.lock().unwrap() = VerifyingKeys::from_json(&text).unwrap();
        let jwks: Value = serde_json::from_slice(&text).unwrap();
        self.seen_keys.lock().unwrap().extend(jwks["keys"].as_array().unwrap().clone());
    }

    async fn reply(&self, number: usize) -> (u16, u32) {
        let scripted = self.script.lock().unwrap().pop_front();
        let reply = match scripted {
            Some(reply) if reply != Reply::Hang => reply,
            hanging => {
                let mut standing = self.standing.subscribe();
                // A scripted hang waits for the next word, a standing one for another word.
                if hanging.is_some() {
                    standing.changed().await.unwrap();
                }
                *standing.wait_for(|reply| *reply != Reply::Hang).await.unwrap()
            }
        };
        match reply {
            Reply::Status(status) => (status, 0),
            Reply::Later(seconds) => (429, seconds),
            Reply::After(span) => {
                tokio::time::sleep(span).await;
                (204, 0)
            }
            Reply::Mostly(times) => (if number.is_multiple_of(times) { 503 } else { 204 }, 0),
            Reply::Hang => unreachable!("it was waited for another reply"),
        }
    }
}

/// Opens what was posted, answers a challenge with its nonce, and everything else as it is told.
async fn receive(State(inner): State<Arc<Inner>>, headers: HeaderMap, token: String) -> Response {
    if !inner.admission.lock().unwrap()(&headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    if headers.get("content-type").is_some_and(|kind| kind == "application/checkpoint+jwt") {
        inner.statements.lock().unwrap().push(token);
        return StatusCode::NO_CONTENT.into_response();
    }
    let Some(opened) = inner.open(&token).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let event = opened.event();
    if event["type"] == CHALLENGE_TYPE {
        let nonce = event["data"]["challenge"].clone();
        return axum::Json(json!({ "challenge": nonce })).into_response();
    }
    let number = {
        let mut arrivals = inner.arrivals.lock().unwrap();
        let (number, at) = (inner.count.fetch_add(1, Ordering::Relaxed), Instant::now());
        arrivals.push(Arrival { number, headers, token, opened, at, status: None, answered: None });
        number
    };
    let (status, seconds) = inner.reply(number).await;
    let arrival = {
        let mut arrivals = inner.arrivals.lock().unwrap();
        let place = arrivals.binary_search_by_key(&number, |arrival| arrival.number).unwrap();
        let arrival = &mut arrivals[place];
        (arrival.status, arrival.answered) = (Some(status), Some(Instant::now()));
        arrival.clone()
    };
    let words = inner.words.lock().unwrap()(&arrival);
    let mut response = (StatusCode::from_u16(status).unwrap(), words).into_response();
    if seconds > 0 {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}
