//! A token endpoint of OAuth client credentials, and the proof that its newest token was shown.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use serde_json::{Value, json};

use crate::harness::{Posted, Said, Sink, TlsServer};

/// Gives `token-1`, `token-2` and so on, each good for ten minutes.
pub struct TokenEndpoint {
    pub sink: Sink,
    status: Arc<AtomicU16>,
    given: Arc<AtomicUsize>,
}

impl TokenEndpoint {
    /// Starts one that gives tokens to whoever asks.
    pub async fn start(tls: Option<&TlsServer>) -> Self {
        let (status, given) = (Arc::new(AtomicU16::new(200)), Arc::new(AtomicUsize::new(0)));
        let (says, count) = (Arc::clone(&status), Arc::clone(&given));
        let behavior = move |_: &Posted| match says.load(Ordering::SeqCst) {
            200 => token(count.fetch_add(1, Ordering::SeqCst) + 1),
            status => (status, None, json!({ "error": "invalid_client" }).to_string()),
        };
        let sink = match tls {
            Some(tls) => Sink::start_tls(tls, behavior).await,
            None => Sink::start(behavior).await,
        };
        Self { sink, status, given }
    }

    /// Requests that have arrived.
    pub fn asked(&self) -> usize {
        self.sink.arrived().len()
    }

    /// Answers with this status from now on; only 200 gives a token.
    pub fn answers(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// Has every sink refuse the token that was given last.
    pub fn forget_newest(&self) {
        self.given.fetch_add(1, Ordering::SeqCst);
    }

    /// Tells whether a request shows the newest token.
    pub fn shows_newest(&self) -> impl Fn(&HeaderMap) -> bool + Send + Sync + use<> {
        let given = Arc::clone(&self.given);
        move |headers| {
            let newest = format!("Bearer token-{}", given.load(Ordering::SeqCst));
            headers.get(AUTHORIZATION).is_some_and(|shown| shown.as_bytes() == newest.as_bytes())
        }
    }

    /// Lets in who shows the newest token.
    pub fn newest(&self) -> impl Fn(&Posted) -> u16 + Send + Sync + use<> {
        let shows = self.shows_newest();
        move |posted| if shows(&posted.headers) { 200 } else { 401 }
    }

    /// The credential of a subscription that asks here, with changes.
    pub fn credential(&self, change: &Value) -> Value {
        let mut oauth = json!({
            "endpoint": self.sink.at("/token"), "clientId": "shop", "clientSecret": "open sesame",
        });
        oauth.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        json!({ "credentialtype": "OAUTH_CLIENT_CREDENTIALS", "oauth": oauth })
    }
}

fn token(number: usize) -> Said {
    let header = ("content-type", "application/json; charset=utf-8".to_owned());
    let token = json!({
        "access_token": format!("token-{number}"), "token_type": "Bearer", "expires_in": 600,
    });
    (200, Some(header), token.to_string())
}
