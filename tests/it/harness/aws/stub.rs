//! The stub as a test sees it: queues, buses and roles that it sets up, faults, and what was called.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::{Credentials, SharedCredentialsProvider};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use tokio::net::TcpListener;
use tokio::time::Instant;

use sealway::ambient::{Clock as _, SystemClock, Tasks};

use crate::harness::aws::bus::StubEntry;
use crate::harness::aws::call::{AwsCall, AwsRequest};
use crate::harness::aws::fault::AwsFault;
use crate::harness::aws::message::StubMessage;
use crate::harness::aws::queue::{Queue, QueueCounts};
use crate::harness::aws::server::{Server, answer};
use crate::harness::aws::state::State;
use crate::harness::eventually;

/// SQS, EventBridge and STS on a port of this machine, until it is dropped.
pub struct AwsStub {
    url: String,
    server: Arc<Server>,
    tasks: Tasks,
}

/// A queue of the stub, which lets every account in.
#[derive(Clone)]
pub struct StubQueue {
    arn: String,
    server: Arc<Server>,
}

/// A bus of the stub.
#[derive(Clone)]
pub struct StubBus {
    arn: String,
    server: Arc<Server>,
}

/// A role of the stub.
#[derive(Clone)]
pub struct StubRole {
    arn: String,
    server: Arc<Server>,
}

impl Drop for AwsStub {
    fn drop(&mut self) {
        self.tasks.stopping().cancel();
    }
}

impl AwsStub {
    /// Starts a stub without queues, buses or roles.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Arc::new(Server {
            state: Mutex::new(State { url: url.clone(), ..State::default() }),
            behavior: Mutex::new(Box::new(|_| None)),
        });
        let routes = Router::new()
            .fallback(answer)
            .layer(DefaultBodyLimit::max(16 * 1024 * 1024))
            .with_state(Arc::clone(&server));
        let tasks = Tasks::new();
        let stop = tasks.stopping().clone().cancelled_owned();
        tasks.spawn(async move {
            axum::serve(listener, routes).with_graceful_shutdown(stop).await.unwrap();
        });
        Self { url, server, tasks }
    }

    /// The address for `endpoint-url`, of all three services.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Settings of clients that call the stub with a static access key, and repeat nothing.
    pub fn sdk_config(&self, region: &str, access_key: &str) -> SdkConfig {
        let credentials = Credentials::new(access_key, "a secret", None, None, "test");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&self.url)
            .region(Region::new(region.to_owned()))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .retry_config(RetryConfig::disabled())
            .build()
    }

    /// The queue with this ARN, made as AWS makes queues by default if it is new; a FIFO queue if
    /// its name ends in `.fifo`.
    pub fn queue(&self, arn: &str) -> StubQueue {
        let queues = &mut self.state().queues;
        queues.entry(arn.to_owned()).or_insert_with(|| Queue::new(arn));
        StubQueue { arn: arn.to_owned(), server: Arc::clone(&self.server) }
    }

    /// The bus with this ARN, made if it is new: its own account may put events there.
    pub fn bus(&self, arn: &str) -> StubBus {
        self.state().buses.entry(arn.to_owned()).or_default();
        StubBus { arn: arn.to_owned(), server: Arc::clone(&self.server) }
    }

    /// The role with this ARN, made if it is new: everybody may take it, for an hour.
    pub fn role(&self, arn: &str) -> StubRole {
        self.state().roles.entry(arn.to_owned()).or_default();
        StubRole { arn: arn.to_owned(), server: Arc::clone(&self.server) }
    }

    /// Says whose an access key is. Others belong to users of the account 111122223333 that are named
    /// as their keys.
    pub fn user(&self, access_key: &str, arn: &str) {
        self.state().users.insert(access_key.to_owned(), arn.to_owned());
    }

    /// Has the next calls of an operation fail, one after the other; after those of before.
    pub fn fail(&self, operation: &str, faults: impl IntoIterator<Item = AwsFault>) {
        let scripts = &mut self.state().scripts;
        let script: &mut VecDeque<_> = scripts.entry(operation.to_owned()).or_default();
        script.extend(faults);
    }

    /// Is asked about every request before it is done, from now on: what shall go wrong, if anything.
    ///
    /// It may also just look, for example whether what is to be deleted is in a log: it runs without
    /// the stub's lock. It should keep what it finds and leave the verdict to the test: a panic there
    /// only ends the request.
    pub fn behave(
        &self,
        behavior: impl Fn(&AwsRequest) -> Option<AwsFault> + Send + Sync + 'static,
    ) {
        *self.server.behavior.lock().unwrap() = Box::new(behavior);
    }

    /// Every call so far, in the order in which they took effect.
    pub fn calls(&self) -> Vec<Arc<AwsCall>> {
        self.state().calls.clone()
    }

    /// The calls of one operation so far.
    pub fn calls_of(&self, operation: &str) -> Vec<Arc<AwsCall>> {
        let calls = self.calls().into_iter();
        calls.filter(|call| call.asked.operation == operation).collect()
    }

    /// Waits until an operation was called so often.
    pub async fn wait_for_calls(&self, operation: &str, count: usize) -> Vec<Arc<AwsCall>> {
        let enough = async || Some(self.calls_of(operation)).filter(|all| all.len() >= count);
        eventually(format!("{count} calls of {operation}"), enough).await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.server.state.lock().unwrap()
    }
}

impl StubQueue {
    /// Sets how long what was received stays invisible, if the receiver does not say.
    pub fn with_visibility(self, visibility: Duration) -> Self {
        self.look(|queue| queue.visibility = visibility);
        self
    }

    /// Moves what was received this often to another queue when it is received once more.
    pub fn with_redrive(self, dead: &Self, receives: u32) -> Self {
        self.look(|queue| queue.redrive = Some((dead.arn.clone(), receives)));
        self
    }

    /// The address that SQS calls it by.
    pub fn url(&self) -> String {
        let state = self.server.state.lock().unwrap();
        let mut parts = self.arn.rsplit(':');
        let (name, account) = (parts.next().unwrap(), parts.next().unwrap());
        format!("{}/{account}/{name}", state.url)
    }

    /// Puts a message in and gives its id.
    pub fn send(&self, message: impl Into<StubMessage>) -> String {
        let message = message.into();
        let sent = self.look(|queue| queue.send(message, Duration::ZERO, Instant::now()));
        self.server.state.lock().unwrap().changes.send_replace(());
        sent.message.id.clone()
    }

    /// What was not deleted, in the order in which it was sent.
    pub fn messages(&self) -> Vec<Arc<StubMessage>> {
        self.look(|queue| queue.messages())
    }

    /// How many messages it has, by what they wait for.
    pub fn counts(&self) -> QueueCounts {
        self.look(|queue| queue.counts(Instant::now()))
    }

    /// Waits until everything was deleted, or has gone to the dead-letter queue.
    pub async fn wait_until_empty(&self) {
        let empty = async || (self.counts() == QueueCounts::default()).then_some(());
        eventually(format!("{} is empty", self.arn), empty).await;
    }

    fn look<T>(&self, look: impl FnOnce(&mut Queue) -> T) -> T {
        let mut state = self.server.state.lock().unwrap();
        look(state.queues.get_mut(&self.arn).unwrap())
    }
}

impl StubBus {
    /// Lets a user or a role of another account put events, as a policy of the bus does.
    pub fn allowing(self, principal: &str) -> Self {
        let mut state = self.server.state.lock().unwrap();
        state.buses.get_mut(&self.arn).unwrap().allowed.push(principal.to_owned());
        drop(state);
        self
    }

    /// What was put so far.
    pub fn entries(&self) -> Vec<StubEntry> {
        self.server.state.lock().unwrap().buses[&self.arn].entries.clone()
    }

    /// Waits until so many events were put.
    pub async fn wait_for(&self, count: usize) -> Vec<StubEntry> {
        let enough = async || Some(self.entries()).filter(|all| all.len() >= count);
        eventually(format!("{count} events on {}", self.arn), enough).await
    }
}

impl StubRole {
    /// Only who shows this external id may take it.
    pub fn with_external_id(self, id: &str) -> Self {
        self.look(|state, arn| state.roles.get_mut(arn).unwrap().external_id = Some(id.to_owned()));
        self
    }

    /// Only this user or role may take it, beside those that were named before.
    pub fn trusting(self, principal: &str) -> Self {
        self.look(|state, arn| {
            let trusted = &mut state.roles.get_mut(arn).unwrap().trusted;
            trusted.get_or_insert_default().push(principal.to_owned());
        });
        self
    }

    /// Its sessions last this long, or as long as is asked if that is less.
    pub fn with_session(self, lasts: Duration) -> Self {
        self.look(|state, arn| state.roles.get_mut(arn).unwrap().session = lasts);
        self
    }

    /// Ends every session that was given so far.
    pub fn expire_sessions(&self) {
        self.look(|state, arn| {
            let sessions = state.sessions.values_mut().filter(|session| session.role == arn);
            sessions.for_each(|session| session.expires = SystemClock.now());
        });
    }

    fn look(&self, look: impl FnOnce(&mut State, &str)) {
        look(&mut self.server.state.lock().unwrap(), &self.arn);
    }
}
