//! A gateway of the demo's own, with the settings, contracts and publications of this installation.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::ambient::{Secret, SecretReference, Tasks};
use crate::api::Scope;
use crate::cli::{Client, Failure};
use crate::config::Config;
use crate::egress::EgressConfig;
use crate::event::CallerId;
use crate::gateway::{Machine, RunError, build};
use crate::keys::VerifyingKeys;
use crate::source::AccessKey;

/// The access key that the demo's producers sign with.
pub const ACCESS_KEY: &str = "AKIASEALWAYDEMO00001";
/// The services that publish, which are the sources of that key.
const PRODUCERS: [&str; 2] = ["order-service", "payment-service"];
/// How long a consumer may take to prove itself.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running gateway and the keys to speak with it.
pub struct Stage {
    directory: PathBuf,
    issuer: String,
    access_secret: Secret,
    admin_key: Secret,
    admin: Client,
    tasks: Tasks,
    gateway: JoinHandle<Result<(), RunError>>,
}

impl Stage {
    /// Starts a gateway on a fresh data directory below the installation's own.
    pub async fn build(mut config: Config) -> anyhow::Result<Self> {
        let directory = fresh(&config.data_dir.join("demo"))?;
        let machine = Machine::default();
        let mut random = [0; 24];
        machine.entropy.fill(&mut random);
        let access_secret = Secret::new(base64_simd::URL_SAFE_NO_PAD.encode_to_string(random));
        let secret_file = directory.join("access-key.secret");
        write_private(&secret_file, access_secret.expose())?;
        // A free port, so that the demo and a gateway can run side by side.
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let issuer = format!("http://127.0.0.1:{port}");
        config.listen = ([127, 0, 0, 1], port).into();
        config.issuer = issuer.parse()?;
        config.data_dir = directory.join("data");
        config.keys.directory = directory.join("keys");
        config.keys.passphrase = None;
        // The demo's services listen on this machine.
        config.delivery.egress = EgressConfig::loopback();
        let sources = PRODUCERS.map(str::parse).into_iter().collect::<Result<_, _>>()?;
        config.source.access_keys = vec![AccessKey {
            id: ACCESS_KEY.to_owned(),
            secret: SecretReference::File(std::path::absolute(&secret_file)?),
            sources: Some(sources),
        }];
        let tasks = machine.tasks.clone();
        let entropy = std::sync::Arc::clone(&machine.entropy);
        let gateway = Box::pin(build(config, machine)).await?;
        let id: CallerId = "demo".parse()?;
        let callers = std::sync::Arc::clone(&gateway.services().callers);
        let admin_key = callers.add(&id, vec![Scope::Admin], &*entropy).await?;
        let admin = Client::new(&issuer, Some(&admin_key), None).map_err(reason)?;
        let stop = tasks.stopping().clone().cancelled_owned();
        let gateway = Tasks::new().spawn(gateway.run(stop));
        Ok(Self { directory, issuer, access_secret, admin_key, admin, tasks, gateway })
    }

    /// The gateway's name and address.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Where the demo keeps its files.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The secret access key of the producers.
    pub const fn access_secret(&self) -> &Secret {
        &self.access_secret
    }

    /// The key of a caller that may do everything.
    pub const fn admin_key(&self) -> &Secret {
        &self.admin_key
    }

    /// Where the demo's servers run.
    pub const fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Writes a file that only its owner can read.
    pub fn write(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.directory.join(name);
        write_private(&path, text)?;
        Ok(path)
    }

    /// Fetches the gateway's public keys, as every consumer does.
    pub async fn fetch_issuer_keys(&self) -> anyhow::Result<VerifyingKeys> {
        let jwks = self.admin.get("/.well-known/jwks.json").await.map_err(reason)?;
        Ok(VerifyingKeys::from_json(jwks.to_string().as_bytes())?)
    }

    /// Subscribes and waits until the sink has proved itself.
    pub async fn subscribe(&self, document: &Value) -> anyhow::Result<()> {
        let id = self.create(document).await?;
        self.active(&id).await
    }

    /// Subscribes with a sink that cannot answer, and answers with the nonce that arrives there.
    pub async fn subscribe_and_answer(
        &self,
        document: &Value,
        nonce: impl Future<Output = String>,
    ) -> anyhow::Result<()> {
        let id = self.create(document).await?;
        let nonce = tokio::time::timeout(PATIENCE, nonce).await;
        let nonce = nonce.map_err(|_| anyhow!("no challenge arrived in {PATIENCE:?}"))?;
        let (path, answer) = (format!("/subscriptions/{id}/verify"), json!({ "challenge": nonce }));
        self.admin.call(Method::POST, &path, Some(&answer)).await.map_err(reason)?;
        self.active(&id).await
    }

    /// What the gateway says where it refuses a subscription; nothing if it takes it.
    pub async fn refusal_of(&self, document: &Value) -> Option<String> {
        let created = self.admin.call(Method::POST, "/subscriptions", Some(document)).await;
        created.err().map(|refused| refused.to_string())
    }

    /// Lets a consumer hear what the demo's domains publish, as their owners would.
    async fn grant(&self, document: &Value) {
        for domain in ["orders", "payments"] {
            let consumer = &document["consumer"];
            let name = consumer.as_str().unwrap_or_default();
            let grant = json!({
                "id": format!("{name}-{domain}"), "consumer": consumer,
                "publication": format!("{domain}/*"), "history": "all", "reason": "the demo",
            });
            // It may have it, and this installation may publish other things.
            let _ = self.admin.call(Method::POST, "/grants", Some(&grant)).await;
        }
    }

    async fn create(&self, document: &Value) -> anyhow::Result<String> {
        self.grant(document).await;
        let created = self.admin.call(Method::POST, "/subscriptions", Some(document)).await;
        let created = created.map_err(reason)?;
        let id = created.get("id").and_then(Value::as_str).context("a subscription has an id")?;
        Ok(id.to_owned())
    }

    async fn active(&self, id: &str) -> anyhow::Result<()> {
        let path = format!("/subscriptions/{id}");
        let proved = async {
            loop {
                let shown = self.admin.get(&path).await.map_err(reason)?;
                match shown.get("state").and_then(Value::as_str) {
                    Some("active") => return Ok(()),
                    Some("pending") if shown.get("reason").is_some() => {
                        bail!("subscription {id} did not become active: {shown}")
                    }
                    _ => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        };
        tokio::time::timeout(PATIENCE, proved)
            .await
            .map_err(|_| anyhow!("subscription {id} did not become active in {PATIENCE:?}"))?
    }

    /// Replays a range to a subscription and waits until it is complete.
    pub async fn replay(&self, id: &str, from: &str, to: &str) -> anyhow::Result<Value> {
        let path = format!("/subscriptions/{id}/replays");
        let range = json!({ "from": from, "to": to });
        let begun = self.admin.call(Method::POST, &path, Some(&range)).await.map_err(reason)?;
        let replay = begun.get("id").and_then(Value::as_str).context("a replay has an id")?;
        let path = format!("/replays/{replay}");
        let completed = async {
            loop {
                let shown = self.admin.get(&path).await.map_err(reason)?;
                if shown.get("state").and_then(Value::as_str) != Some("running") {
                    return Ok(shown);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, completed)
            .await
            .map_err(|_| anyhow!("replay {replay} did not complete in {PATIENCE:?}"))?
    }

    /// Stops the gateway and everything that listens.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.tasks.stopping().cancel();
        Ok(self.gateway.await??)
    }
}

fn reason(failure: Failure) -> anyhow::Error {
    failure.into_error()
}

/// Empties the demo's directory, which nothing else uses, and gives the shortest path to it, since
/// people are shown commands with it.
fn fresh(directory: &Path) -> anyhow::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt as _;
    if directory.exists() {
        std::fs::remove_dir_all(directory)
            .with_context(|| format!("cannot empty {}", directory.display()))?;
    }
    // It may be the first to make the data directory, which its owner alone may read.
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    let made = builder.create(directory).and_then(|()| directory.canonicalize());
    let whole = made.with_context(|| format!("cannot make {}", directory.display()))?;
    let here = std::path::absolute(".").and_then(|here| here.canonicalize());
    let below = here.ok().and_then(|here| whole.strip_prefix(here).ok().map(Path::to_owned));
    Ok(below.unwrap_or(whole))
}

fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file =
        options.open(path).with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}
