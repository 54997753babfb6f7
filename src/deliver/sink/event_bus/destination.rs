//! Speaks to event buses.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use url::Url;

use crate::ambient::Tasks;
use crate::aws::{AwsClients, AwsRole};
use crate::deliver::sink::event_bus::client::BusClient;
use crate::deliver::sink::event_bus::collector::Collector;
use crate::deliver::sink::event_bus::entry::BusEntry;
use crate::deliver::sink::{
    AnswerKind, AttemptFailure, ChallengeAnswer, ChallengeError, ChallengeRefusal, Destination,
    EventBusPermissions, ExternalIds, Parcel, SinkAnswer, SinkTarget,
};
use crate::event::EventBusArn;
use crate::subscriptions::Challenge;
use crate::telemetry::error_chain;

/// Puts events on buses.
pub struct EventBusDestination {
    parts: EventBusParts,
    /// One for each bus and identity: consumers that share both share its calls.
    collectors: Mutex<HashMap<BusIdentity, Arc<Collector>>>,
}

/// A bus, and the role in which the gateway comes there.
type BusIdentity = (EventBusArn, Option<AwsRole>);

/// The parts of a destination.
pub struct EventBusParts {
    /// Who may have events put where.
    pub permissions: Arc<EventBusPermissions>,
    /// What their roles ask for.
    pub external_ids: Arc<ExternalIds>,
    /// Speak to AWS.
    pub aws: Arc<AwsClients>,
    /// The gateway's own address, below which subscriptions are named.
    pub issuer: Url,
    /// How long an attempt may take.
    pub timeout: Duration,
    /// Where calls are made.
    pub tasks: Tasks,
}

impl EventBusDestination {
    /// Calls nobody yet.
    pub fn new(parts: EventBusParts) -> Self {
        Self { parts, collectors: Mutex::default() }
    }

    /// Puts one event, within the time that a sink has.
    async fn put(&self, target: &SinkTarget, parcel: Parcel) -> SinkAnswer {
        let put = async {
            let collector = self.collector_for(target).await?;
            let issuer = self.parts.issuer.as_str().trim_end_matches('/');
            let resource = format!("{issuer}/subscriptions/{}", target.subscription);
            Ok(collector.put(BusEntry::new(parcel, resource)?).await)
        };
        match tokio::time::timeout(target.timeout, put).await {
            Ok(Ok(answer) | Err(answer)) => answer,
            Err(_) => SinkAnswer::failed(AttemptFailure::Timeout, ""),
        }
    }

    /// Who calls for a target, if its consumer may have events put there.
    async fn collector_for(&self, target: &SinkTarget) -> Result<Arc<Collector>, SinkAnswer> {
        let refused = |problem: String| SinkAnswer::failed(AttemptFailure::Refused, &problem);
        let bus: EventBusArn =
            target.sink.as_str().parse().map_err(|error| refused(format!("{error}")))?;
        // The operator may have changed the list since the subscription was made.
        let permission = self.parts.permissions.permission(&target.consumer, &bus);
        let permission = permission.map_err(|refusal| refused(refusal.to_string()))?;
        let role = match &permission.role {
            None => None,
            Some(arn) => {
                let id = self.parts.external_ids.of(&target.consumer).await;
                let id = id.map_err(|error| {
                    let problem = error_chain(&error).to_string();
                    SinkAnswer::failed(AttemptFailure::Authorization, &problem)
                })?;
                Some(AwsRole { arn: arn.clone(), external_id: Some(id.to_string()) })
            }
        };
        Ok(self.collector(&(bus, role)))
    }

    fn collector(&self, key: &BusIdentity) -> Arc<Collector> {
        let mut collectors = self.collectors.lock().unwrap_or_else(PoisonError::into_inner);
        let start = || {
            let EventBusParts { aws, timeout, tasks, .. } = &self.parts;
            let client = BusClient::new(Arc::clone(aws), key.clone(), *timeout);
            Arc::new(Collector::start(Arc::new(client), tasks))
        };
        Arc::clone(collectors.entry(key.clone()).or_insert_with(start))
    }
}

#[async_trait]
impl Destination for EventBusDestination {
    async fn deliver(&self, target: &Arc<SinkTarget>, parcel: Parcel) -> SinkAnswer {
        self.put(target, parcel).await
    }

    /// A bus cannot answer: it takes the challenge, and the consumer that finds it there tells the
    /// gateway its nonce.
    async fn prove(
        &self,
        target: &Arc<SinkTarget>,
        parcel: Parcel,
        _: &Challenge,
    ) -> Result<ChallengeAnswer, ChallengeError> {
        let SinkAnswer { kind, status, detail, retry_after, .. } = self.put(target, parcel).await;
        match (kind, status) {
            (AnswerKind::Delivered, _) => Ok(ChallengeAnswer::Delivered),
            (AnswerKind::NoAnswer(_), _) => Err(ChallengeError::NoAnswer(detail)),
            (_, status) => {
                let status = status.map(|status| format!("status {status}, ")).unwrap_or_default();
                let words = format!("{status}{detail}");
                let refusal = ChallengeRefusal { words, retry_after, ..Default::default() };
                Err(ChallengeError::Refused(refusal))
            }
        }
    }
}
