//! Calls PutEvents for one bus, as one identity.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::config::Builder;
use aws_sdk_eventbridge::config::retry::RetryConfig;
use aws_sdk_eventbridge::config::timeout::TimeoutConfig;
use aws_sdk_eventbridge::operation::put_events::PutEventsOutput;

use crate::aws::{AwsClients, AwsFailure, AwsRole, ClientConfig};
use crate::deliver::sink::SinkAnswer;
use crate::deliver::sink::event_bus::answer::{answers_of, blames_an_entry, of_failure};
use crate::deliver::sink::event_bus::entry::BusEntry;
use crate::event::EventBusArn;

/// Speaks to the region of one bus as the gateway itself, or as a role.
pub(super) struct BusClient {
    aws: Arc<AwsClients>,
    bus: EventBusArn,
    role: Option<AwsRole>,
    timeout: Duration,
    current: Mutex<Option<CurrentClient>>,
}

/// A client, and which credentials it has.
#[derive(Clone)]
struct CurrentClient {
    generation: u64,
    client: Client,
}

impl BusClient {
    /// Calls nobody yet. A call may take as long as this.
    pub(super) fn new(
        aws: Arc<AwsClients>,
        (bus, role): (EventBusArn, Option<AwsRole>),
        timeout: Duration,
    ) -> Self {
        Self { aws, bus, role, timeout, current: Mutex::default() }
    }

    /// Puts entries that fit into one call, and gives an answer for each, in order.
    ///
    /// Where a call is refused for one of its entries, each is put alone: AWS does not say which one
    /// it means, and the others are not to suffer for it.
    ///
    /// Cancel safe in that nothing is kept; the bus may have entries all the same.
    pub(super) async fn put(&self, entries: &[BusEntry]) -> Vec<SinkAnswer> {
        let failure = match self.call(entries).await {
            Ok(answers) => return answers,
            Err(failure) => failure,
        };
        if entries.len() < 2 || !blames_an_entry(&failure) {
            return vec![self.answer(&failure); entries.len()];
        }
        let mut answers = Vec::with_capacity(entries.len());
        for entry in entries {
            match self.call(std::slice::from_ref(entry)).await {
                Ok(answer) => answers.extend(answer),
                Err(failure) => answers.push(self.answer(&failure)),
            }
        }
        answers
    }

    /// The consumer of the bus is told less than the log: what lies between here and AWS is the
    /// operator's.
    fn answer(&self, failure: &AwsFailure) -> SinkAnswer {
        if let Some(details) = failure.details() {
            tracing::info!(bus = %self.bus, error = details, "Nothing reaches the bus {}", self.bus);
        }
        of_failure(failure, self.role.as_ref().map(|role| &role.arn))
    }

    /// Calls once, and again with other credentials if these have ended; a third time if then the role
    /// is not given because those with which it is asked for have ended, too.
    async fn call(&self, entries: &[BusEntry]) -> Result<Vec<SinkAnswer>, AwsFailure> {
        let mut current = self.client().await;
        let mut answer = self.call_with(&current, entries).await;
        for is_again in [false, true] {
            let ended = |failure: &AwsFailure| {
                let may_help = !is_again || matches!(failure, AwsFailure::Role(_));
                may_help && failure.wants_other_credentials()
            };
            if !answer.as_ref().is_err_and(ended) {
                break;
            }
            current = self.renewed(&current).await;
            answer = self.call_with(&current, entries).await;
        }
        answer.map(|output| answers_of(&output, entries.len()))
    }

    async fn call_with(
        &self,
        CurrentClient { client, .. }: &CurrentClient,
        entries: &[BusEntry],
    ) -> Result<PutEventsOutput, AwsFailure> {
        let entries = entries.iter().map(|entry| entry.for_bus(&self.bus)).collect();
        let call = client.put_events().set_entries(Some(entries));
        call.send().await.map_err(|error| AwsFailure::of(&error))
    }

    async fn client(&self) -> CurrentClient {
        let current = self.current().clone();
        if let Some(client) = current {
            return client;
        }
        let (region, role) = (self.bus.region(), self.role.as_ref());
        self.keep(&self.aws.client_config(region, role).await)
    }

    /// A client with newer credentials than those that this one was refused with.
    async fn renewed(&self, refused: &CurrentClient) -> CurrentClient {
        let (region, role) = (self.bus.region(), self.role.as_ref());
        self.keep(&self.aws.renewed(region, role, refused.generation).await)
    }

    /// Keeps a client with these settings, unless there is a newer one.
    fn keep(&self, config: &ClientConfig) -> CurrentClient {
        let generation = config.generation;
        let mut current = self.current();
        match &*current {
            Some(newer) if newer.generation >= generation => newer.clone(),
            _ => {
                let client = self.client_of(&config.sdk);
                current.insert(CurrentClient { generation, client }).clone()
            }
        }
    }

    fn current(&self) -> MutexGuard<'_, Option<CurrentClient>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The backoff is the schedule's, so the SDK repeats nothing by itself.
    fn client_of(&self, config: &aws_config::SdkConfig) -> Client {
        let timeout = TimeoutConfig::builder().operation_timeout(self.timeout).build();
        let config = Builder::from(config).retry_config(RetryConfig::disabled());
        Client::from_conf(config.timeout_config(timeout).build())
    }
}
