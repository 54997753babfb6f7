//! A service of the other account: it takes envelopes from its queue and opens the tokens in them.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use axum::http::HeaderMap;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::ambient::{Clock as _, SystemClock};
use crate::cli::demo::aws::accounts::{DemoAccount, PARTNER, PARTNER_BUS, bus_arn};
use crate::cli::demo::aws::poller::{OnMessage, poll};
use crate::cli::demo::services::{number, text};
use crate::cli::demo::{DeliveredToken, Narrator, Stage};
use crate::keys::{OpeningKey, OpeningKeyKind, OpeningKeys, VerifyingKeys};
use crate::seal::{OpenError, Opened, Opening, open};
use crate::subscriptions::CHALLENGE_TYPE;

/// A service with a key pair of its own.
pub struct BusReceiver {
    name: &'static str,
    keys: OpeningKeys,
    issuer: String,
    issuer_keys: VerifyingKeys,
    narrator: Narrator,
    taken: Mutex<TakenEvents>,
    count: watch::Sender<usize>,
    nonce: watch::Sender<Option<String>>,
}

/// What has arrived.
#[derive(Clone, Default)]
pub struct TakenEvents {
    /// The envelopes, which anyone who reads the queue sees.
    pub envelopes: Vec<Value>,
    /// What was in their tokens.
    pub tokens: Vec<DeliveredToken>,
}

impl BusReceiver {
    /// Makes a key pair, polls its queue, subscribes with the bus as the sink, and answers the
    /// challenge that arrives there.
    pub async fn start(
        name: &'static str,
        wish: &Value,
        (stage, partner): (&Stage, &DemoAccount),
        narrator: &Narrator,
    ) -> anyhow::Result<Arc<Self>> {
        let key = OpeningKey::generate(OpeningKeyKind::X25519)?;
        let private = key.private_jwk().expose().to_owned();
        stage.write(&format!("{name}.jwk"), &private)?;
        let receiver = Arc::new(Self {
            name,
            keys: OpeningKeys::from_json(private.as_bytes())?,
            issuer: stage.issuer().to_owned(),
            issuer_keys: stage.fetch_issuer_keys().await?,
            narrator: narrator.clone(),
            taken: Mutex::default(),
            count: watch::Sender::new(0),
            nonce: watch::Sender::new(None),
        });
        let this = Arc::clone(&receiver);
        let on_message: OnMessage = Arc::new(move |envelope| {
            this.take(envelope);
            Box::pin(std::future::ready(()))
        });
        poll(stage.tasks(), partner.sqs.clone(), partner.queue_url(name).await?, on_message);
        let public = key.public_jwk().context("an X25519 key has a public part")?;
        let document = json!({
            "id": name,
            "consumer": name,
            "types": wish,
            "protocol": "EVENTBRIDGE",
            "sink": bus_arn(PARTNER, PARTNER_BUS),
            "config": { "keys": { "jwks": { "keys": [public] } } },
        });
        stage.subscribe_and_answer(&document, receiver.nonce()).await?;
        Ok(receiver)
    }

    /// Waits for the nonce of the challenge.
    async fn nonce(&self) -> String {
        let mut nonce = self.nonce.subscribe();
        // The sender lives in `self`.
        let found = nonce.wait_for(Option::is_some).await;
        found.ok().and_then(|found| found.clone()).unwrap_or_default()
    }

    /// Opens what is in an envelope.
    fn take(&self, envelope: Value) {
        let token = text(&envelope, "/detail/data");
        let Ok(opened) = self.open(&token) else {
            return self.narrator.hop(self.name, "cannot open what arrived");
        };
        let event = opened.event();
        if event.get("type").and_then(Value::as_str) == Some(CHALLENGE_TYPE) {
            self.nonce.send_replace(Some(text(event, "/data/challenge")));
            return;
        }
        if opened.replay().is_none() {
            let (kind, order) = (text(event, "/type"), number(event, "/data/orderId"));
            self.narrator.hop(self.name, &format!("opened {kind} for order {order}"));
        }
        let delivered = DeliveredToken { headers: HeaderMap::new(), token, opened };
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.envelopes.push(envelope);
        taken.tokens.push(delivered);
        self.count.send_replace(taken.tokens.len());
    }

    /// The service's name, which is that of its subscription, too.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Opens a token with this service's key.
    pub fn open(&self, token: &str) -> Result<Opened, OpenError> {
        let now = SystemClock.now();
        open(token, &Opening::new(&self.keys, &self.issuer_keys, &self.issuer, self.name, now))
    }

    /// Everything that has arrived so far.
    pub fn taken(&self) -> TakenEvents {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until so many events have arrived.
    pub async fn wait_for(&self, count: usize) {
        // The sender lives in `self`, so the wait ends with the condition only.
        let _ = self.count.subscribe().wait_for(|arrived| *arrived >= count).await;
    }
}
