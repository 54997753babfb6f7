//! Consumers' key sets behind a URL, for sealing or for receipts: fetched when needed, kept as long
//! as they may be, never longer.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use moka::Expiry;
use moka::future::Cache;
use url::Url;

use crate::ambient::{Clock, Entropy};
use crate::egress::{ExchangeError, GuardedAnswer, GuardedClient, GuardedRequest, NetworkFailure};
use crate::event::{Blame, Fault, Timestamp};
use crate::keys::{KeyError, KeySet, VerifyingKeys};
use crate::telemetry::error_chain;

/// Key sets that are remembered at a time.
const MOST_SETS: u64 = 10_000;
/// Time for the whole exchange.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bounds on what `max-age` may say, and what holds when it says nothing.
const SHORTEST: Duration = Duration::from_mins(1);
const LONGEST: Duration = Duration::from_hours(24);
const USUAL: Duration = Duration::from_mins(5);
/// How long a set is used after its time while its owner does not answer. It is an encryption key:
/// a stale one may be a stolen one.
const STALE: Duration = Duration::from_hours(1);
/// How long a failure is remembered; jitter spreads the next tries out.
const FAILURE_SECONDS: std::ops::RangeInclusive<u64> = 10..=30;
/// How often a set may be fetched before its time because a key is not in it.
const BETWEEN_REFRESHES: Duration = Duration::from_secs(30);

/// Gives the client that may fetch from an address, or says why none may: the egress guard.
pub type ClientFor =
    Box<dyn Fn(&Url) -> Result<GuardedClient, Box<dyn Error + Send + Sync>> + Send + Sync>;

/// A set of public keys that can be fetched.
pub trait PublicKeys: Clone + Send + Sync + Sized + 'static {
    /// Reads the set from a JWK Set.
    ///
    /// # Errors
    ///
    /// The caller's turn: the text is no set, or holds no key that can be used.
    fn read(bytes: &[u8]) -> Result<Self, KeyError>;
}

impl PublicKeys for KeySet {
    fn read(bytes: &[u8]) -> Result<Self, KeyError> {
        Self::read(bytes)
    }
}

impl PublicKeys for VerifyingKeys {
    fn read(bytes: &[u8]) -> Result<Self, KeyError> {
        Self::from_json(bytes)
    }
}

/// Fetches and caches consumers' key sets.
pub struct RemoteKeys<S: PublicKeys = KeySet> {
    client_for: ClientFor,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    sets: Cache<Url, RemoteEntry<S>>,
}

/// Why a consumer's key set could not be had.
#[derive(Debug, thiserror::Error)]
pub enum RemoteKeysError {
    /// An address that the egress guard refuses.
    #[error("the key set's address is not allowed")]
    Refused(#[source] Box<dyn Error + Send + Sync>),
    /// The exchange failed.
    #[error("the key set cannot be fetched{}", NetworkFailure::after_colon(*.0))]
    Fetch(Option<NetworkFailure>),
    /// An answer other than 200; redirects are not followed.
    #[error("the key set's server answered {0} instead of 200")]
    Status(u16),
    /// A long answer.
    #[error("the key set is longer than {} bytes", KeySet::LONGEST)]
    TooLong,
    /// An answer that is not a key set that can be used.
    #[error("the key set's server answered something that is no usable key set")]
    Content(#[source] KeyError),
}

impl Blame for RemoteKeysError {
    fn fault(&self) -> Fault {
        match self {
            Self::Refused(_) => Fault::Caller,
            // All of these are the consumer's to mend, and delivery goes on when they are.
            Self::Fetch(_) | Self::Status(_) | Self::TooLong | Self::Content(_) => Fault::Later,
        }
    }
}

/// What is known about one address.
#[derive(Clone)]
struct RemoteEntry<S> {
    tried: Timestamp,
    fresh_until: Timestamp,
    usable_until: Timestamp,
    last: Result<Arc<S>, Arc<RemoteKeysError>>,
    /// The set from before the failure that `last` holds.
    previous: Option<Arc<S>>,
}

impl<S> RemoteEntry<S> {
    fn answer(&self, now: Timestamp) -> Result<Arc<S>, Arc<RemoteKeysError>> {
        match (&self.last, &self.previous) {
            (Err(_), Some(previous)) if now < self.usable_until => Ok(Arc::clone(previous)),
            (last, _) => last.clone(),
        }
    }

    fn set(&self) -> Option<&Arc<S>> {
        self.last.as_ref().ok().or(self.previous.as_ref())
    }
}

/// Forgets an entry when nothing of it can be used any more.
struct Lapse;

impl<S> Expiry<Url, RemoteEntry<S>> for Lapse {
    fn expire_after_create(
        &self,
        _: &Url,
        entry: &RemoteEntry<S>,
        _: std::time::Instant,
    ) -> Option<Duration> {
        Some(entry.usable_until.max(entry.fresh_until).since(entry.tried))
    }

    fn expire_after_update(
        &self,
        url: &Url,
        entry: &RemoteEntry<S>,
        updated: std::time::Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.expire_after_create(url, entry, updated)
    }
}

impl<S: PublicKeys> RemoteKeys<S> {
    /// Starts with an empty cache.
    pub fn new(client_for: ClientFor, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        let sets = Cache::builder().max_capacity(MOST_SETS).expire_after(Lapse).build();
        Self { client_for, clock, entropy, sets }
    }

    /// The key set at an address, from the cache while it is fresh.
    ///
    /// However many ask at once, one request is sent. Cancel safe: who waits takes over a fetch
    /// that is dropped.
    ///
    /// # Errors
    ///
    /// The caller's turn: the address is not allowed. Later: its owner does not give a usable set,
    /// and the last one is over an hour past its time.
    pub async fn get(&self, url: &Url) -> Result<Arc<S>, Arc<RemoteKeysError>> {
        self.ask(url, |entry, now| entry.fresh_until <= now).await
    }

    /// The key set at an address, fetched again because a consumer said that it knows another key,
    /// at most every 30 seconds.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get).
    pub async fn refresh(&self, url: &Url) -> Result<Arc<S>, Arc<RemoteKeysError>> {
        self.ask(url, |entry, now| entry.tried.after(BETWEEN_REFRESHES) <= now).await
    }

    async fn ask(
        &self,
        url: &Url,
        is_over: impl Fn(&RemoteEntry<S>, Timestamp) -> bool + Send + Sync,
    ) -> Result<Arc<S>, Arc<RemoteKeysError>> {
        let client = (self.client_for)(url);
        let client = client.map_err(|refused| Arc::new(RemoteKeysError::Refused(refused)))?;
        let before = self.sets.get(url).await;
        if let Some(entry) = before.as_ref().filter(|entry| !is_over(entry, self.clock.now())) {
            return entry.answer(self.clock.now());
        }
        let entry = self
            .sets
            .entry_by_ref(url)
            .or_insert_with_if(self.learn((&client, url), before), |entry| {
                is_over(entry, self.clock.now())
            })
            .await;
        entry.value().answer(self.clock.now())
    }

    async fn learn(
        &self,
        (client, url): (&GuardedClient, &Url),
        before: Option<RemoteEntry<S>>,
    ) -> RemoteEntry<S> {
        let outcome = fetch(client, url).await;
        let tried = self.clock.now();
        match outcome {
            Ok((set, lifetime)) => RemoteEntry {
                tried,
                fresh_until: tried.after(lifetime),
                usable_until: tried.after(lifetime).after(STALE),
                last: Ok(Arc::new(set)),
                previous: None,
            },
            Err(error) => {
                let (shortest, longest) = FAILURE_SECONDS.into_inner();
                let random = self.entropy.next_u64() % (longest - shortest + 1);
                let pause = Duration::from_secs(shortest + random);
                RemoteEntry {
                    tried,
                    fresh_until: tried.after(pause),
                    usable_until: before.as_ref().map_or(tried, |entry| entry.usable_until),
                    last: Err(Arc::new(error)),
                    previous: before.as_ref().and_then(RemoteEntry::set).cloned(),
                }
            }
        }
    }
}

/// What a consumer is told of an error; the log has the rest of it.
fn failed(url: &Url, error: &ExchangeError) -> RemoteKeysError {
    if let ExchangeError::Refused(refused) = error {
        return RemoteKeysError::Refused((*refused).into());
    }
    let host = url.host_str().unwrap_or_default();
    tracing::info!(host, error = %error_chain(error), "The key set at {host} cannot be fetched");
    RemoteKeysError::Fetch(error.network())
}

async fn fetch<S: PublicKeys>(
    client: &GuardedClient,
    url: &Url,
) -> Result<(S, Duration), RemoteKeysError> {
    let kinds = HeaderValue::from_static("application/jwk-set+json, application/json");
    let request = GuardedRequest {
        method: Method::GET,
        url,
        headers: HeaderMap::from_iter([(ACCEPT, kinds)]),
        body: Bytes::new(),
        // One byte more tells that there are too many.
        body_limit: KeySet::LONGEST + 1,
        patience: PATIENCE,
    };
    let answer = client.answer(request, |_| PATIENCE).await.map_err(|error| failed(url, &error))?;
    let GuardedAnswer { head, body, cut } = answer;
    if head.status != StatusCode::OK {
        return Err(RemoteKeysError::Status(head.status.as_u16()));
    }
    if let Some(cut) = cut {
        return Err(failed(url, &cut));
    }
    let policy = head.headers.get(CACHE_CONTROL).and_then(|value| value.to_str().ok());
    let lifetime = lifetime(policy.unwrap_or_default());
    if body.len() > KeySet::LONGEST {
        return Err(RemoteKeysError::TooLong);
    }
    let set = S::read(&body).map_err(RemoteKeysError::Content)?;
    Ok((set, lifetime))
}

/// How long an answer with this `Cache-Control` is fresh (RFC 9111, section 5.2.2), within bounds.
fn lifetime(policy: &str) -> Duration {
    let mut age = None;
    for directive in policy.split(',') {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        let name = name.trim();
        if name.eq_ignore_ascii_case("no-store") || name.eq_ignore_ascii_case("no-cache") {
            return SHORTEST;
        }
        if name.eq_ignore_ascii_case("max-age") && age.is_none() {
            let seconds = value.trim().trim_matches('"');
            // More digits than fit mean a long time.
            let is_number = !seconds.is_empty() && seconds.bytes().all(|b| b.is_ascii_digit());
            age = is_number.then(|| seconds.parse().unwrap_or(u64::MAX));
        }
    }
    age.map_or(USUAL, Duration::from_secs).clamp(SHORTEST, LONGEST)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::response::{IntoResponse as _, Response};
    use axum::routing::get;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::ambient::{ManualClock, SeededEntropy, Tasks};
    use crate::egress::{Egress, EgressConfig, GuardedClients};

    /// A consumer's key server that answers what it was last told to.
    struct Server {
        address: SocketAddr,
        asked: Arc<AtomicUsize>,
        answer: Arc<Mutex<Answer>>,
        /// Stops the server when dropped.
        _tasks: Tasks,
    }

    #[derive(Clone)]
    struct Answer {
        status: u16,
        headers: Vec<(&'static str, &'static str)>,
        body: String,
    }

    impl Server {
        async fn start() -> Self {
            let asked = Arc::new(AtomicUsize::new(0));
            let answer = Arc::new(Mutex::new(Answer::keys("a", "max-age=600")));
            let (count, told) = (Arc::clone(&asked), Arc::clone(&answer));
            let handler = move || {
                count.fetch_add(1, Ordering::SeqCst);
                let answer = told.lock().unwrap().clone();
                async move { answer.respond() }
            };
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let tasks = Tasks::new();
            let app = Router::new().route("/jwks.json", get(handler));
            tasks.spawn(async move { axum::serve(listener, app).await.unwrap() });
            Self { address, asked, answer, _tasks: tasks }
        }

        fn url(&self) -> Url {
            format!("http://{}/jwks.json", self.address).parse().unwrap()
        }

        fn now_answers(&self, answer: Answer) {
            *self.answer.lock().unwrap() = answer;
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }
    }

    impl Answer {
        fn keys(kid: &str, policy: &'static str) -> Self {
            let x = "3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08";
            let body = json!({ "keys": [{ "kty": "OKP", "crv": "X25519", "x": x, "kid": kid }] });
            Self { status: 200, headers: vec![("cache-control", policy)], body: body.to_string() }
        }

        fn status(status: u16) -> Self {
            Self { status, headers: vec![("location", "/jwks.json")], body: String::new() }
        }

        fn respond(self) -> Response {
            let mut response = self.body.into_response();
            *response.status_mut() = self.status.try_into().unwrap();
            for (name, value) in self.headers {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            response
        }
    }

    fn clients() -> GuardedClients {
        let egress = Arc::new(Egress::new(EgressConfig::loopback()));
        GuardedClients::new(&egress).unwrap()
    }

    fn remote(clock: &ManualClock) -> RemoteKeys {
        let entropy = Arc::new(SeededEntropy::new(1));
        let clients = clients();
        let client_for = move |url: &Url| Ok(clients.client_for(url)?.clone());
        RemoteKeys::new(Box::new(client_for), Arc::new(clock.clone()), entropy)
    }

    fn clock() -> ManualClock {
        ManualClock::at("2026-11-21T20:17:00Z".parse().unwrap())
    }

    fn kid(answer: Result<Arc<KeySet>, Arc<RemoteKeysError>>) -> String {
        answer.unwrap().current().kid().to_owned()
    }

    #[tokio::test]
    async fn a_set_is_fetched_once_until_its_max_age_is_over() {
        let (server, clock) = (Server::start().await, clock());
        let remote = remote(&clock);

        assert_eq!(kid(remote.get(&server.url()).await), "a");
        server.now_answers(Answer::keys("b", "max-age=600"));
        clock.advance(Duration::from_secs(599));
        assert_eq!(kid(remote.get(&server.url()).await), "a");
        assert_eq!(server.asked(), 1);
        clock.advance(Duration::from_secs(1));
        assert_eq!(kid(remote.get(&server.url()).await), "b");
        assert_eq!(server.asked(), 2);
    }

    #[tokio::test]
    async fn many_who_ask_at_once_make_one_request() {
        let server = Server::start().await;
        let remote = remote(&clock());

        let url = server.url();
        let answers = futures_util::future::join_all((0..100).map(|_| remote.get(&url))).await;

        assert!(answers.into_iter().all(|answer| kid(answer) == "a"));
        assert_eq!(server.asked(), 1);
    }

    #[tokio::test]
    async fn an_unknown_key_fetches_again_at_most_every_thirty_seconds() {
        let (server, clock) = (Server::start().await, clock());
        let remote = remote(&clock);
        remote.get(&server.url()).await.unwrap();
        server.now_answers(Answer::keys("b", "max-age=600"));

        assert_eq!(kid(remote.refresh(&server.url()).await), "a");
        clock.advance(Duration::from_secs(30));
        assert_eq!(kid(remote.refresh(&server.url()).await), "b");
        assert_eq!(kid(remote.refresh(&server.url()).await), "b");
        assert_eq!(server.asked(), 2);
    }

    #[tokio::test]
    async fn a_failure_is_remembered_for_ten_to_thirty_seconds() {
        let (server, clock) = (Server::start().await, clock());
        let remote = remote(&clock);
        server.now_answers(Answer::status(503));

        assert!(matches!(
            *remote.get(&server.url()).await.unwrap_err(),
            RemoteKeysError::Status(503)
        ));
        clock.advance(Duration::from_secs(9));
        assert!(remote.get(&server.url()).await.is_err());
        assert_eq!(server.asked(), 1);
        server.now_answers(Answer::keys("a", ""));
        clock.advance(Duration::from_secs(22));
        assert_eq!(kid(remote.get(&server.url()).await), "a");
    }

    #[tokio::test]
    async fn a_stale_set_serves_for_an_hour_of_failures_and_no_longer() {
        let (server, clock) = (Server::start().await, clock());
        let remote = remote(&clock);
        remote.get(&server.url()).await.unwrap();
        server.now_answers(Answer::status(500));

        for _ in 0..3 {
            clock.advance(Duration::from_mins(20));
            assert_eq!(kid(remote.get(&server.url()).await), "a");
        }
        clock.advance(Duration::from_mins(10));
        assert!(remote.get(&server.url()).await.is_err());
    }

    #[tokio::test]
    async fn redirects_long_answers_and_other_content_are_refused() {
        let (server, clock) = (Server::start().await, clock());
        let remote = remote(&clock);
        let long = Answer { body: " ".repeat(KeySet::LONGEST + 1), ..Answer::keys("a", "") };
        let html = Answer { body: "<html>".to_owned(), ..Answer::keys("a", "") };

        for (answer, expected) in [
            (Answer::status(302), "answered 302"),
            (long, "longer than 65536 bytes"),
            (html, "no usable key set"),
        ] {
            server.now_answers(answer);
            let error = remote.get(&server.url()).await.unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            clock.advance(Duration::from_secs(31));
        }
        assert_eq!(server.asked(), 3, "nobody followed the redirect");
    }

    #[tokio::test]
    async fn an_address_that_the_guard_refuses_is_not_asked_even_if_its_set_is_known() {
        let server = Server::start().await;
        let is_open = Arc::new(AtomicUsize::new(1));
        let clients = clients();
        let guard = Arc::clone(&is_open);
        let client_for = move |url: &Url| match guard.load(Ordering::SeqCst) {
            0 => Err("not there".into()),
            _ => Ok(clients.client_for(url)?.clone()),
        };
        let entropy = Arc::new(SeededEntropy::new(1));
        let remote = RemoteKeys::new(Box::new(client_for), Arc::new(clock()), entropy);

        assert_eq!(kid(remote.get(&server.url()).await), "a");
        is_open.store(0, Ordering::SeqCst);
        let refused = remote.get(&server.url()).await.unwrap_err();

        assert!(matches!(&*refused, RemoteKeysError::Refused(_)), "{refused}");
        assert_eq!(refused.source().unwrap().to_string(), "not there");
        assert_eq!(server.asked(), 1);
    }

    #[test]
    fn max_age_holds_within_bounds() {
        for (policy, seconds) in [
            ("", 300),
            ("public", 300),
            ("public, max-age=600", 600),
            ("MAX-AGE=\"600\"", 600),
            ("max-age=0", 60),
            ("max-age=99999999999999999999999", 86_400),
            ("max-age=-5", 300),
            ("max-age=soon", 300),
            ("max-age=600, no-store", 60),
        ] {
            assert_eq!(lifetime(policy), Duration::from_secs(seconds), "{policy}");
        }
    }

    proptest! {
        #[test]
        fn any_cache_control_gives_a_lifetime_within_bounds(policy in ".{0,60}") {
            prop_assert!((SHORTEST..=LONGEST).contains(&lifetime(&policy)));
        }
    }
}
