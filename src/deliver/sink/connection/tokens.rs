//! Tokens of sinks: got when needed, again before they run out, and once for all who wait.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;

use crate::ambient::{Clock, Entropy};
use crate::deliver::sink::connection::identities::Identities;
use crate::deliver::sink::connection::identities::NoClient;
use crate::deliver::sink::connection::request::{Token, TokenError, TokenRequest};
use crate::event::Timestamp;
use crate::telemetry::{Metric, Metrics};

/// Credentials whose tokens are remembered at a time.
const MOST: u64 = 10_000;
/// How long an entry is kept after its last use.
const IDLE: Duration = Duration::from_hours(25);
/// A token is replaced before its end: by a fifth of its time, at most this long, and by up to as
/// much again at random, so that many do not end together.
const MARGIN: Duration = Duration::from_mins(1);
/// How long a failure is remembered; jitter spreads the next tries out.
const FAILURE_SECONDS: std::ops::RangeInclusive<u64> = 5..=15;
/// How often a token may be replaced because a sink refused it: a sink that refuses every token
/// must not make a request of each attempt.
const BETWEEN_RENEWALS: Duration = Duration::from_secs(30);

/// The tokens of all credentials.
pub struct Tokens {
    entries: Cache<Arc<str>, TokenEntry>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    metrics: Arc<Metrics>,
}

/// What is known about one credential.
#[derive(Clone)]
struct TokenEntry {
    fresh_until: Timestamp,
    /// The newest token, and its end.
    token: Option<(Arc<Token>, Timestamp)>,
    /// Why there is no newer one.
    failure: Option<Arc<TokenError>>,
    /// When a token was last replaced because a sink refused it.
    renewed: Option<Timestamp>,
}

impl TokenEntry {
    fn answer(&self, now: Timestamp) -> Result<Arc<Token>, Arc<TokenError>> {
        match (&self.token, &self.failure) {
            (Some((token, end)), Some(_)) if now < *end => Ok(Arc::clone(token)),
            (_, Some(failure)) => Err(Arc::clone(failure)),
            (Some((token, _)), None) => Ok(Arc::clone(token)),
            (None, None) => Err(Arc::new(TokenError::Late)),
        }
    }

    fn holds(&self, token: &Arc<Token>) -> bool {
        self.token.as_ref().is_some_and(|(held, _)| Arc::ptr_eq(held, token))
    }
}

/// Who asks for a token, and how.
#[derive(Clone, Copy)]
pub struct Asking<'a> {
    /// The credential, under which tokens are remembered: no two have the same text.
    pub credential: &'a Arc<str>,
    /// What is sent.
    pub request: &'a TokenRequest,
    /// The clients to send it with.
    pub clients: &'a Identities,
    /// How long the endpoint may take.
    pub patience: Duration,
}

impl Tokens {
    /// Starts with none.
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>, metrics: Arc<Metrics>) -> Self {
        let entries = Cache::builder().max_capacity(MOST).time_to_idle(IDLE).build();
        Self { entries, clock, entropy, metrics }
    }

    /// The token of a credential, from the cache while it is fresh.
    ///
    /// However many ask at once, one request is sent. Cancel safe: who waits takes over a request
    /// that is dropped.
    ///
    /// # Errors
    ///
    /// Later: the endpoint gives none, and the last one has run out.
    pub async fn get(&self, asking: Asking<'_>) -> Result<Arc<Token>, Arc<TokenError>> {
        self.ask(asking, None, |entry, now| entry.fresh_until <= now).await
    }

    /// Another token than this one, which a sink has refused; nothing if there is none for now.
    pub async fn renew(&self, asking: Asking<'_>, refused: &Arc<Token>) -> Option<Arc<Token>> {
        let now = self.clock.now();
        let is_over = |entry: &TokenEntry, now: Timestamp| {
            let may = entry.renewed.is_none_or(|last| last.after(BETWEEN_RENEWALS) <= now);
            entry.holds(refused) && may
        };
        let other = self.ask(asking, Some(now), is_over).await.ok()?;
        (!Arc::ptr_eq(&other, refused)).then_some(other)
    }

    async fn ask(
        &self,
        asking: Asking<'_>,
        renewed: Option<Timestamp>,
        is_over: impl Fn(&TokenEntry, Timestamp) -> bool + Send + Sync,
    ) -> Result<Arc<Token>, Arc<TokenError>> {
        let before = self.entries.get(asking.credential).await;
        if let Some(entry) = before.as_ref().filter(|entry| !is_over(entry, self.clock.now())) {
            return entry.answer(self.clock.now());
        }
        let learn = async {
            let mut entry = self.learn(asking, before).await;
            entry.renewed = renewed.or(entry.renewed);
            entry
        };
        let entry = self
            .entries
            .entry_by_ref(asking.credential)
            .or_insert_with_if(learn, |entry| is_over(entry, self.clock.now()))
            .await;
        entry.value().answer(self.clock.now())
    }

    async fn learn(&self, asking: Asking<'_>, before: Option<TokenEntry>) -> TokenEntry {
        let outcome = fetch(asking).await;
        let word = if outcome.is_ok() { "token" } else { "failure" };
        self.metrics.counter(Metric::TokenRequests, &[word]).increment();
        let tried = self.clock.now();
        let renewed = before.as_ref().and_then(|entry| entry.renewed);
        match outcome {
            Ok((token, lifetime)) => {
                let margin = (lifetime / 5).min(MARGIN);
                let early = margin + self.random(margin);
                TokenEntry {
                    fresh_until: tried.after(lifetime.saturating_sub(early)),
                    token: Some((Arc::new(token), tried.after(lifetime))),
                    failure: None,
                    renewed,
                }
            }
            Err(error) => {
                let (shortest, longest) = FAILURE_SECONDS.into_inner();
                let pause = Duration::from_secs(shortest);
                let more = self.random(Duration::from_secs(longest - shortest));
                TokenEntry {
                    fresh_until: tried.after(pause + more),
                    token: before.and_then(|entry| entry.token),
                    failure: Some(Arc::new(error)),
                    renewed,
                }
            }
        }
    }

    /// A duration from nothing to this one.
    fn random(&self, most: Duration) -> Duration {
        let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.entropy.next_u64() % most.saturating_add(1).max(1))
    }
}

/// Shows how many there are.
impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({} credentials)", self.entries.entry_count())
    }
}

async fn fetch(asking: Asking<'_>) -> Result<(Token, Duration), TokenError> {
    let Asking { request, clients, patience, .. } = asking;
    let client = clients.client_for(request.endpoint(), request.tls()).await;
    let client = client.map_err(|error| match error {
        NoClient::Refused(refused) => TokenError::Refused(refused),
        other @ NoClient::Identity => TokenError::Identity(other),
    })?;
    request.send(&client, patience).await
}
