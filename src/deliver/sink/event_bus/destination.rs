//! Speaks to event buses.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use url::Url;

use crate::ambient::{Clock, Tasks};
use crate::aws::{AwsClients, AwsRole};
use crate::deliver::sink::event_bus::batcher::BusBatcher;
use crate::deliver::sink::event_bus::client::BusClient;
use crate::deliver::sink::event_bus::entry::BusEntry;
use crate::deliver::sink::{
    AnswerKind, AttemptFailure, ChallengeAnswer, ChallengeError, ChallengeRefusal, Destination,
    EventBusPermissions, ExternalIds, Health, Parcel, SinkAnswer, SinkTarget,
};
use crate::event::{ConsumerId, EventBusArn};
use crate::subscriptions::Challenge;
use crate::telemetry::error_chain;

/// What a consumer is told if its external id cannot be read.
const UNREAD: &str = "the gateway could not read its own records; it tries again";

/// Puts events on buses.
pub struct EventBusDestination {
    parts: EventBusParts,
    /// One for each consumer, so that the calls of one never hold up those of another.
    batchers: Mutex<HashMap<BatcherKey, Arc<BusBatcher>>>,
}

/// A consumer, and one of its buses.
type BatcherKey = (ConsumerId, EventBusArn);

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
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl EventBusDestination {
    /// Calls nobody yet.
    pub fn new(parts: EventBusParts) -> Self {
        Self { parts, batchers: Mutex::default() }
    }

    /// Puts one event, within the time that a sink has.
    async fn put(&self, target: &SinkTarget, parcel: Parcel) -> SinkAnswer {
        let put = async {
            let batcher = self.batcher_for(target).await?;
            let issuer = self.parts.issuer.as_str().trim_end_matches('/');
            let resource = format!("{issuer}/subscriptions/{}", target.subscription);
            Ok(batcher.put(BusEntry::new(parcel, resource)?).await)
        };
        match tokio::time::timeout(target.timeout, put).await {
            Ok(Ok(answer) | Err(answer)) => answer,
            Err(_) => SinkAnswer::failed(AttemptFailure::Timeout, ""),
        }
    }

    /// Who calls for a target, if its consumer may have events put there.
    async fn batcher_for(&self, target: &SinkTarget) -> Result<Arc<BusBatcher>, SinkAnswer> {
        let refused = |problem: String| SinkAnswer::failed(AttemptFailure::Refused, &problem);
        let bus: EventBusArn =
            target.sink.as_str().parse().map_err(|error| refused(format!("{error}")))?;
        // The operator may have changed the list since the subscription was made.
        let permission = self.parts.permissions.permission(&target.consumer, &bus);
        let permission = permission.map_err(|refusal| refused(refusal.to_string()))?;
        let role = match &permission.role {
            None => None,
            Some(arn) => {
                let id = external_id(&self.parts.external_ids, &target.consumer).await?;
                Some(AwsRole { arn: arn.clone(), external_id: Some(id) })
            }
        };
        Ok(self.batcher((target.consumer.clone(), bus), role))
    }

    /// The one of this key, which comes to the bus in this role.
    fn batcher(&self, key: BatcherKey, role: Option<AwsRole>) -> Arc<BusBatcher> {
        let bus = key.1.clone();
        let mut batchers = self.batchers.lock().unwrap_or_else(PoisonError::into_inner);
        let start = || {
            let EventBusParts { aws, timeout, tasks, clock, .. } = &self.parts;
            let client = BusClient::new(Arc::clone(aws), (bus, role), *timeout);
            Arc::new(BusBatcher::start(Arc::new(client), tasks, Arc::clone(clock)))
        };
        Arc::clone(batchers.entry(key).or_insert_with(start))
    }
}

/// The external id of a consumer. If it cannot be read, the consumer is told that it is our turn and no
/// more: what is wrong with our store is for the operator.
async fn external_id(ids: &ExternalIds, consumer: &ConsumerId) -> Result<String, SinkAnswer> {
    ids.of(consumer).await.map(|id| id.to_string()).map_err(|error| {
        tracing::error!(
            consumer.id = %consumer,
            error = %error_chain(&error),
            "The external id of {consumer} cannot be read, so nothing is put on its buses",
        );
        SinkAnswer { detail: UNREAD.into(), ..SinkAnswer::new(AnswerKind::Later(Health::Unasked)) }
    })
}

#[async_trait]
impl Destination for EventBusDestination {
    async fn deliver(&self, target: &Arc<SinkTarget>, parcel: Parcel) -> SinkAnswer {
        self.put(target, parcel).await
    }

    /// A bus takes events and nothing else, so it comes as one, under a name that no publication has.
    async fn tell(&self, target: &Arc<SinkTarget>, statement: Parcel) -> bool {
        self.put(target, statement).await.kind == AnswerKind::Delivered
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient::SeededEntropy;
    use crate::eventlog::{LogError, Record, RecordKey, Registry, Revision};

    /// A store whose disk has gone.
    struct Gone;

    fn gone() -> LogError {
        let source = Box::new(std::io::Error::other("no such device"));
        LogError::Storage { action: "read", place: "/srv/data/registry".to_owned(), source }
    }

    #[async_trait]
    impl Registry for Gone {
        async fn get(&self, _: &RecordKey) -> Result<Option<Record>, LogError> {
            Err(gone())
        }

        async fn list(&self, _: &'static str) -> Result<Vec<Record>, LogError> {
            Err(gone())
        }

        async fn put(
            &self,
            _: &RecordKey,
            _: Option<Revision>,
            _: String,
        ) -> Result<Revision, LogError> {
            Err(gone())
        }

        async fn remove(&self, _: &RecordKey, _: Revision) -> Result<(), LogError> {
            Err(gone())
        }
    }

    #[tokio::test]
    async fn what_is_wrong_with_our_store_is_not_told_and_not_the_sinks_fault() {
        let ids = ExternalIds::new(Arc::new(Gone), Arc::new(SeededEntropy::new(1)));

        let answer = external_id(&ids, &"ledger".parse().unwrap()).await.unwrap_err();

        assert_eq!((answer.kind, &*answer.detail), (AnswerKind::Later(Health::Unasked), UNREAD));
    }
}
