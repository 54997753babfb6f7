//! A whole gateway in this process, on a directory and a port of its own.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::config::{BehaviorVersion, Credentials, Region};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use sealway::ambient::{
    Clock, ManualClock, ManualDisk, SecretReference, SystemClock, SystemEntropy, Tasks,
};
use sealway::api::Services;
use sealway::config::Config;
use sealway::egress::EgressConfig;
use sealway::gateway::{Machine, RunError, build};
use sealway::source::AccessKey;

use crate::harness::{Receiver, eventually};

/// The access key that producers sign with.
pub const ACCESS_KEY: &str = "AKIATESTTESTTESTTEST";
/// Its secret.
pub const ACCESS_SECRET: &str = "a secret of a test, and of nothing else";

/// A gateway and the keys to speak with it.
pub struct TestGateway {
    directory: TempDir,
    config: Config,
    clock: Option<ManualClock>,
    /// Who tells the gateway the time instead.
    other_clock: Option<Arc<dyn Clock>>,
    disk: Option<ManualDisk>,
    admin: String,
    http: reqwest::Client,
    running: Option<Running>,
}

struct Running {
    services: Arc<Services>,
    tasks: Tasks,
    end: JoinHandle<Result<(), RunError>>,
}

/// A status and a body: JSON where it is JSON, `null` where there is none.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Answer {
    /// The stable word of a problem.
    pub fn code(&self) -> &str {
        let problem = self.body["type"].as_str().unwrap_or_default();
        problem.strip_prefix("/problems/").unwrap_or_default()
    }
}

/// Finds a port of this machine that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// An order as its service publishes it on its own bus.
pub fn order_created(id: &str, number: u64) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "order-service", "type": "OrderCreated",
        "data": { "id": number, "amount": 100, "customer": "confidential-customer" },
    })
}

/// Adds the example's publications and contract of operational events.
pub fn let_operational_events_cross(config: &mut Config) {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples/operations");
    let copy = |from: &str, to: &Path| fs::copy(examples.join(from), to).unwrap();
    copy("asyncapi.yaml", &config.contracts.join("operations.yaml"));
    copy("publications.yaml", &config.publications.join("operations.yaml"));
}

/// Copies the contracts and publications of this repository below `directory`, with settings that
/// name them.
pub fn settle_in(directory: &Path) -> Config {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (from, to) in [("asyncapi", "asyncapi"), ("config/publications", "publications")] {
        let to = directory.join(to);
        fs::create_dir_all(&to).unwrap();
        for file in fs::read_dir(root.join(from)).unwrap() {
            let file = file.unwrap();
            // Tests of grants close what they are about themselves.
            let text = fs::read_to_string(file.path()).unwrap();
            let text = text.replace("\naccess: grant\n", "\naccess: public\n");
            fs::write(to.join(file.file_name()), text).unwrap();
        }
    }
    let secret = directory.join("access-key.secret");
    fs::write(&secret, ACCESS_SECRET).unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let port = free_port();
    let mut config = Config {
        issuer: format!("http://127.0.0.1:{port}").parse().unwrap(),
        listen: ([127, 0, 0, 1], port).into(),
        data_dir: directory.join("data"),
        publications: directory.join("publications"),
        contracts: directory.join("asyncapi"),
        grants: directory.join("grants"),
        directory: directory.to_path_buf(),
        ..Config::default()
    };
    config.keys.directory = directory.join("keys");
    // Receivers listen on this machine.
    config.delivery.egress = EgressConfig::loopback();
    // A machine that is busy with other tests slows nobody here.
    config.delivery.slow_producers_after = None;
    config.source.access_keys = vec![AccessKey {
        id: ACCESS_KEY.to_owned(),
        secret: SecretReference::File(secret),
        sources: None,
    }];
    config
}

/// Gives the orders of these publications their number as subject.
pub fn order_by_number(publications: &Path) {
    let file = publications.join("orders.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let text = text.replace("    patch:\n", "    subject: /data/orderId\n    patch:\n");
    fs::write(file, text).unwrap();
}

/// A client that lets go of an idle connection before the gateway does, which might else do so just
/// when the next request goes out.
fn client() -> reqwest::Client {
    reqwest::Client::builder().pool_idle_timeout(Duration::from_secs(5)).build().unwrap()
}

impl TestGateway {
    /// Starts one with the contracts and publications of this repository.
    pub async fn start() -> Self {
        Self::with(None, |_| {}).await
    }

    /// Starts one whose time stands still until the test moves it.
    pub async fn at(clock: &ManualClock) -> Self {
        Self::with(Some(clock.clone()), |_| {}).await
    }

    /// Starts one with settings or files that `change` has changed.
    pub async fn with(clock: Option<ManualClock>, change: impl FnOnce(&mut Config)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut config = settle_in(directory.path());
        change(&mut config);
        let http = client();
        let mut gateway = Self {
            directory,
            config,
            clock,
            other_clock: None,
            disk: None,
            admin: String::new(),
            http,
            running: None,
        };
        gateway.run().await;
        gateway.admin = gateway.add_caller("admin", &["admin"]).await;
        gateway
    }

    /// What the machine gives the next start.
    fn machine(&self) -> Machine {
        let clock = self.other_clock.clone().unwrap_or_else(|| self.clock());
        // How full this machine's disk is, is no concern of a test.
        let disk = Arc::new(self.disk.clone().unwrap_or_else(ManualDisk::empty));
        Machine { clock, disk, ..Machine::default() }
    }

    /// Why it cannot be started on the directory as it is.
    pub async fn refusal(&self) -> String {
        let built = Box::pin(build(self.config.clone(), self.machine())).await;
        built.err().expect("it is refused").to_string()
    }

    /// Builds and runs on the directory as it is.
    async fn run(&mut self) {
        // A connection of another test may have the port for a moment.
        let (gateway, tasks) = eventually("the gateway listens", async || {
            let machine = self.machine();
            let tasks = machine.tasks.clone();
            match Box::pin(build(self.config.clone(), machine)).await {
                Ok(gateway) => Some((gateway, tasks)),
                Err(error) => {
                    let is_taken = error.to_string().contains("another program listens there");
                    assert!(is_taken, "{error}");
                    None
                }
            }
        })
        .await;
        let services = Arc::clone(gateway.services());
        let stop = tasks.stopping().clone().cancelled_owned();
        let end = Tasks::new().spawn(gateway.run(stop));
        self.running = Some(Running { services, tasks, end });
    }

    /// Stops as at the end of the process: drains, and waits until everything is written.
    pub async fn stop(&mut self) {
        let Running { services, tasks, end } = self.running.take().unwrap();
        drop(services);
        tasks.stopping().cancel();
        // Connections that are kept alive would hold the drain up.
        self.http = client();
        end.await.unwrap().unwrap();
    }

    /// Starts again on the same directory.
    pub async fn start_again(&mut self) {
        self.run().await;
    }

    /// Starts again on a disk that is as full as the test says.
    pub async fn restart_on(&mut self, disk: &ManualDisk) {
        self.disk = Some(disk.clone());
        self.restart().await;
    }

    /// Starts again with a clock of the test's own.
    pub async fn restart_told_by(&mut self, clock: Arc<dyn Clock>) {
        self.other_clock = Some(clock);
        self.restart().await;
    }

    /// Stops and starts again.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.start_again().await;
    }

    /// Stops and starts again with other settings.
    pub async fn restart_with(&mut self, change: impl FnOnce(&mut Config)) {
        self.stop().await;
        change(&mut self.config);
        self.start_again().await;
    }

    /// A file below the gateway's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The gateway's name and address.
    pub fn issuer(&self) -> String {
        self.config.issuer.as_str().trim_end_matches('/').to_owned()
    }

    /// What consumers of this gateway take for the present.
    pub fn clock(&self) -> Arc<dyn Clock> {
        match &self.clock {
            Some(clock) => Arc::new(clock.clone()),
            None => Arc::new(SystemClock),
        }
    }

    /// Changes the settings for the next start.
    pub fn change(&mut self, change: impl FnOnce(&mut Config)) {
        change(&mut self.config);
    }

    /// Adds a caller and gives its key.
    pub async fn add_caller(&self, name: &str, scopes: &[&str]) -> String {
        let scopes = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
        let callers = &self.running.as_ref().unwrap().services.callers;
        let key = callers.add(&name.parse().unwrap(), scopes, &SystemEntropy).await.unwrap();
        key.expose().to_owned()
    }

    /// The administrator's key.
    pub fn admin(&self) -> &str {
        &self.admin
    }

    /// What its API is served by.
    pub fn services(&self) -> &Arc<Services> {
        &self.running.as_ref().unwrap().services
    }

    /// The routes, to be asked without a socket: what is not read from an answer is not written.
    pub fn routes(&self) -> axum::Router {
        sealway::api::router(Arc::clone(&self.running.as_ref().unwrap().services))
    }

    /// Has the log refuse everything from now on, as one that has failed does.
    pub async fn break_log(&self) {
        self.running.as_ref().unwrap().services.store.log.close().await.unwrap();
    }

    /// Removes a caller.
    pub async fn remove_caller(&self, name: &str) {
        let callers = &self.running.as_ref().unwrap().services.callers;
        callers.remove(&name.parse().unwrap()).await.unwrap();
    }

    /// Begins a request without a caller's key.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.issuer()))
    }

    /// Calls as someone, with a JSON body or none.
    pub async fn call_as(
        &self,
        key: &str,
        (method, path): (Method, &str),
        body: Option<&Value>,
    ) -> Answer {
        answer_to(self.request(method, path).bearer_auth(key), body).await
    }

    /// Calls as an administrator.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        self.call_as(&self.admin, (method, path), body).await
    }

    /// Reads as an administrator what is there.
    #[track_caller]
    pub fn get(&self, path: &str) -> impl Future<Output = Value> {
        let place = std::panic::Location::caller();
        async move {
            let answer = self.call(Method::GET, path, None).await;
            assert_eq!(answer.status, 200, "{place}: GET {path}: {}", answer.body);
            answer.body
        }
    }

    /// Posts as an administrator and expects success.
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> impl Future<Output = Value> {
        let place = std::panic::Location::caller();
        async move {
            let answer = self.call(Method::POST, path, Some(body)).await;
            assert!(answer.status < 300, "{place}: POST {path}: {answer:?}");
            answer.body
        }
    }

    /// Replaces as an administrator, whatever is there.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        let request = self.request(Method::PUT, path).bearer_auth(&self.admin);
        answer(request.header("if-match", "*").json(body)).await
    }

    /// Posts a CloudEvent.
    pub async fn send(&self, event: &Value) -> Answer {
        self.send_text("/events", "application/cloudevents+json", event.to_string()).await
    }

    /// Posts any bytes as an administrator.
    pub async fn send_text(
        &self,
        path: &str,
        media_type: &str,
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        let request = self.request(Method::POST, path).bearer_auth(&self.admin);
        answer(request.header("content-type", media_type).body(body)).await
    }

    /// Publishes a CloudEvent that must be taken; gives the ids of what it has become.
    pub async fn publish(&self, event: &Value) -> Vec<String> {
        let answer = self.send(event).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
        let ids = answer.body["events"][0]["eventIds"].as_array().unwrap();
        ids.iter().map(|id| id.as_str().unwrap().to_owned()).collect()
    }

    /// Publishes an order; gives the id of its event.
    pub async fn order(&self, number: u64) -> String {
        let id = format!("order-{number}");
        self.publish(&order_created(&id, number)).await.remove(0)
    }

    /// Publishes orders with these numbers, in order.
    pub async fn orders(&self, numbers: impl IntoIterator<Item = u64>) -> Vec<String> {
        let mut ids = Vec::new();
        for number in numbers {
            ids.push(self.order(number).await);
        }
        ids
    }

    /// The newest attempts of a subscription, once there are so many.
    pub async fn attempts(&self, clock: &ManualClock, of: &str, count: usize) -> Vec<Value> {
        eventually(format!("{count} attempts"), async || {
            // Outcomes are written a few times a second.
            clock.advance(Duration::from_millis(100));
            let answer = self.get(&format!("/subscriptions/{of}/attempts?limit=1000")).await;
            let attempts = answer["attempts"].as_array().unwrap().clone();
            (attempts.len() >= count).then_some(attempts)
        })
        .await
    }

    /// Lets half a day pass in which one more order fails at the sink of the subscription `shop`.
    pub async fn fail_for_half_a_day(
        &self,
        (clock, receiver): (&ManualClock, &Receiver),
        order: u64,
    ) {
        let before = receiver.arrivals().len();
        self.order(order).await;
        // The sink is left alone between single attempts.
        eventually("another attempt fails", async || {
            clock.advance(Duration::from_secs(10));
            (receiver.arrivals().len() > before).then_some(())
        })
        .await;
        eventually("the failure is noted", async || {
            let shown = self.get("/subscriptions/shop").await;
            shown["progress"]["failingSince"].is_string().then_some(())
        })
        .await;
        clock.advance(Duration::from_hours(12));
    }

    /// Lets time pass until the subscription `shop` is paused, and gives what is shown of it then.
    pub async fn wait_for_pause(&self, clock: &ManualClock) -> Value {
        eventually("it is paused", async || {
            clock.advance(Duration::from_mins(10));
            let shown = self.get("/subscriptions/shop").await;
            (shown["state"] == "paused").then_some(shown)
        })
        .await
    }

    /// Subscribes a receiver under its own name and waits until it has proved itself; `wish` adds
    /// to the document.
    pub async fn subscribe(&self, receiver: &Receiver, wish: Value) -> Value {
        let document = receiver.document(wish);
        let created = self.post("/subscriptions", &document).await;
        let path = format!("/subscriptions/{}", created["id"].as_str().unwrap());
        eventually("the subscription becomes active", async || {
            let shown = self.get(&path).await;
            assert!(shown.get("reason").is_none(), "{shown}");
            (shown["state"] == "active").then_some(shown)
        })
        .await
    }

    /// An unmodified AWS SDK client with an endpoint and a secret.
    pub fn sdk_through(address: &str, secret: &str) -> Client {
        let credentials = Credentials::new(ACCESS_KEY, secret, None, None, "test");
        let config = aws_sdk_eventbridge::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(address)
            .region(Region::new("us-east-1"))
            .credentials_provider(credentials)
            .build();
        Client::from_conf(config)
    }
}

/// Sends a request with a JSON body or none and reads its answer.
pub async fn answer_to(request: reqwest::RequestBuilder, body: Option<&Value>) -> Answer {
    answer(match body {
        Some(body) => request.json(body),
        None => request,
    })
    .await
}

/// Sends a request and reads its answer.
pub async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text)
        .unwrap_or_else(|_| if text.is_empty() { Value::Null } else { Value::String(text) });
    Answer { status, body }
}
