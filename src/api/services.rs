//! What handlers may ask: the rooms behind the API, put together by `gateway`.

use std::sync::Arc;

use arc_swap::ArcSwap;
use url::Url;

use crate::ambient::{Clock, Entropy, Tasks};
use crate::api::{
    AccessTokens, BodyBudget, Callers, Config, DocumentsInForce, InForce, LogProofs, Rates,
    Readers, Readiness,
};
use crate::archive::Exports;
use crate::deliver::{Handshakes, PullService, SubscriptionService};
use crate::eventlog::{RetentionConfig, Store};
use crate::jobs::JobService;
use crate::keys::{DataKey, KeyRing, RemoteKeys, VerifyingKeys};
use crate::source::aws::Bus;
use crate::source::queue::Queues;
use crate::source::{self, Admit, SignAnswers};
use crate::telemetry::Metrics;

/// The state of every handler.
pub struct Services {
    /// Limits of the API.
    pub config: Config,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Entropy.
    pub entropy: Arc<dyn Entropy>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Whether the gateway takes work.
    pub readiness: Readiness,
    /// Whether events are delivered; a restored copy may be looked at without.
    pub delivers: bool,
    /// Who may call.
    pub callers: Arc<Callers>,
    /// How much each of them may ask.
    pub rates: Rates,
    /// Encrypts what is kept for callers.
    pub data_key: Arc<DataKey>,
    /// Tokens of callers that publish.
    pub access_tokens: AccessTokens,
    /// Room for the bodies of requests.
    pub bodies: Arc<BodyBudget>,
    /// Takes events to the log.
    pub admit: Arc<dyn Admit>,
    /// Limits of the ways in.
    pub source: source::Config,
    /// How long and how much is kept.
    pub retention: RetentionConfig,
    /// Signs answers to producers.
    pub signer: Arc<dyn SignAnswers>,
    /// The embedded bus.
    pub bus: Arc<Bus>,
    /// The queues that are read.
    pub queues: Arc<Queues>,
    /// Everything that is kept.
    pub store: Store,
    /// Work in the background.
    pub tasks: Tasks,
    /// The gateway's own name and public address.
    pub issuer: Url,
    /// What it was called before.
    pub issuer_aliases: Vec<String>,
    /// Our keys.
    pub ring: Arc<KeyRing>,
    /// What proves something of the log to others, and to whom.
    pub log_proofs: LogProofs,
    /// Fetches consumers' keys for receipts.
    pub receipt_keys: Arc<RemoteKeys<VerifyingKeys>>,
    /// The contracts and what crosses the border, until they are replaced.
    pub documents: ArcSwap<DocumentsInForce>,
    /// What this process runs with, for operators.
    pub in_force: ArcSwap<InForce>,
    /// Subscriptions and their deliveries.
    pub subscription_service: Arc<SubscriptionService>,
    /// Has sinks prove themselves.
    pub handshakes: Arc<Handshakes>,
    /// Hands out events to those who fetch them.
    pub pull_service: Arc<PullService>,
    /// Counts who waits for events.
    pub readers: Arc<Readers>,
    /// Replays.
    pub replays: Arc<JobService>,
    /// Bundles of evidence that are written by schedule, if any are.
    pub exports: Option<Arc<Exports>>,
}
