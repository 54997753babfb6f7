//! The settings of a whole gateway.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::access;
use crate::ambient::{SecretReference, Size};
use crate::api;
use crate::archive;
use crate::aws;
use crate::deliver::{self, EventBusPermissions};
use crate::eventlog;
use crate::jobs;
use crate::keys;
use crate::route::PatternConfig;
use crate::source;
use crate::subscriptions;
use crate::telemetry;

/// The settings of one gateway.
///
/// Paths are relative to the directory that the file is in.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Config {
    /// The gateway's own name and public address: `iss` of every token, and where consumers find
    /// its keys.
    #[schemars(with = "String")]
    pub issuer: Url,
    /// The issuers that this gateway was before: receipts that consumers have signed to them count.
    #[schemars(with = "Vec<String>")]
    pub issuer_aliases: Vec<Url>,
    /// The address and port of the API.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// Where the log and everything else that must survive is kept.
    pub data_dir: PathBuf,
    /// The folder of publication files.
    pub publications: PathBuf,
    /// The folder of subscription files.
    pub subscriptions: PathBuf,
    /// The folder of grant files.
    pub grants: PathBuf,
    /// The folder of AsyncAPI documents.
    pub contracts: PathBuf,
    /// The largest event that may cross, in bytes of its canonical content.
    #[schemars(extend("x-range" = ["1 KiB", "16 MiB"]))]
    pub largest_event: Size,
    /// How AWS is spoken to, where queues are sources or event buses are sinks.
    pub aws: aws::Config,
    /// The ways in: the embedded bus, its access keys, and their limits.
    pub source: source::Config,
    /// Signing keys, and where consumers' keys are fetched from.
    pub keys: keys::Config,
    /// What consumers may hear.
    pub access: access::Config,
    /// The record of events.
    pub log: eventlog::Config,
    /// How much work patterns may be.
    pub patterns: PatternConfig,
    /// How events are delivered.
    pub delivery: deliver::Config,
    /// How much one consumer may have.
    pub consumers: subscriptions::Config,
    /// How replays are delivered.
    pub replay: jobs::Config,
    /// Bundles of evidence.
    pub evidence: archive::Config,
    /// The HTTP API.
    pub api: api::Config,
    /// The log lines of the process.
    pub logging: telemetry::Config,
    /// The directory that the file is in, which its relative paths start from.
    #[serde(skip)]
    pub directory: PathBuf,
    /// Whether this process delivers nothing: a word of its command line.
    #[serde(skip)]
    pub no_delivery: bool,
    /// Whether this process may begin a log although its keys know of another: a word of its command line.
    #[serde(skip)]
    pub new_log: bool,
    /// The file that this was read from.
    #[serde(skip)]
    pub file: PathBuf,
    /// The settings as their file says them, before paths were made relative to it; null if there is no
    /// file.
    #[serde(skip)]
    pub written: serde_json::Value,
}

impl Default for Config {
    #[expect(clippy::expect_used, reason = "a constant text that tests read as a URL")]
    fn default() -> Self {
        Self {
            issuer: Url::parse("http://127.0.0.1:8080").expect("a URL"),
            issuer_aliases: Vec::new(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            data_dir: "../data".into(),
            publications: "publications".into(),
            subscriptions: "subscriptions".into(),
            grants: "grants".into(),
            contracts: "../asyncapi".into(),
            largest_event: Size(64 * 1024),
            aws: aws::Config::default(),
            source: source::Config::default(),
            keys: keys::Config::default(),
            access: access::Config::default(),
            log: eventlog::Config::default(),
            patterns: PatternConfig::default(),
            delivery: deliver::Config::default(),
            consumers: subscriptions::Config::default(),
            replay: jobs::Config::default(),
            evidence: archive::Config::default(),
            api: api::Config::default(),
            logging: telemetry::Config::default(),
            directory: PathBuf::new(),
            no_delivery: false,
            new_log: false,
            file: PathBuf::new(),
            written: serde_json::Value::Null,
        }
    }
}

/// A bundle of evidence names them all.
const MOST_ALIASES: usize = 16;

/// The JSON Schema (draft 2020-12) of the gateway file.
pub fn schema() -> Schema {
    schemars::schema_for!(Config)
}

/// A setting whose value cannot work: its path in the file, and what is wrong.
pub(super) type Mistake = (Vec<&'static str>, String);

impl Config {
    /// Makes every relative path relative to the directory that the file is in.
    pub(super) fn relative_to(mut self, directory: &Path) -> Self {
        let join = |path: &mut PathBuf| *path = directory.join(&*path);
        join(&mut self.data_dir);
        join(&mut self.publications);
        join(&mut self.subscriptions);
        join(&mut self.grants);
        join(&mut self.contracts);
        join(&mut self.keys.directory);
        if let Some(export) = &mut self.evidence.export {
            export.to.relative_to(directory);
        }
        directory.clone_into(&mut self.directory);
        self
    }

    /// Checks what the types of the settings cannot.
    pub(super) fn mistakes(&self) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        if let Some(problem) = issuer_problem(&self.issuer) {
            mistakes.push((vec!["issuer"], problem.to_owned()));
        }
        mistakes.extend(self.alias_mistakes());
        if let Err(error) = self.keys.check() {
            mistakes.push((vec!["keys", error.setting], error.to_string()));
        }
        if let Err((setting, problem)) = self.patterns.check() {
            mistakes.push((vec!["patterns", setting], problem.to_owned()));
        }
        if let Err(error) = self.delivery.check() {
            let path = std::iter::once("delivery").chain(error.setting.split('.'));
            mistakes.push((path.collect(), error.to_string()));
        }
        let loops = self.event_bus_permissions().problems().into_iter();
        mistakes.extend(loops.map(|problem| (vec!["delivery", "event-buses"], problem)));
        if !eventlog::RetentionConfig::EVERY.contains(&self.log.retention.every.0) {
            let problem = "use 100ms to 1day".to_owned();
            mistakes.push((vec!["log", "retention", "every"], problem));
        }
        if let Some(problem) = eventlog::WitnessConfig::problem(&self.log.witnesses) {
            mistakes.push((vec!["log", "witnesses"], problem));
        }
        if !eventlog::WitnessConfig::EVERY.contains(&self.log.witness_interval.0) {
            let problem = "use 1s to 1day".to_owned();
            mistakes.push((vec!["log", "witness-interval"], problem));
        }
        if let Err(error) = self.replay.check() {
            mistakes.push((vec!["replay", error.setting], error.to_string()));
        }
        let export = self.evidence.export.as_ref();
        if let Some((setting, problem)) = export.and_then(archive::ExportConfig::problem) {
            mistakes.push((vec!["evidence", "export", setting], problem));
        }
        if let Some(problem) = self.aws.problem() {
            mistakes.push((vec!["aws", "endpoint-url"], problem.to_owned()));
        }
        mistakes
            .extend(self.source.problems().into_iter().map(|problem| (vec!["source"], problem)));
        if self.api.max_connections == 0 {
            mistakes.push((vec!["api", "max-connections"], "allow at least one".to_owned()));
        }
        mistakes
    }

    /// The issuer as it stands in tokens, without a `/` at its end.
    pub fn issuer_text(&self) -> &str {
        self.issuer.as_str().trim_end_matches('/')
    }

    /// The issuers that this gateway was before, in the same form.
    pub fn issuer_aliases(&self) -> Vec<String> {
        let aliases = self.issuer_aliases.iter();
        aliases.map(|alias| alias.as_str().trim_end_matches('/').to_owned()).collect()
    }

    fn alias_mistakes(&self) -> Vec<Mistake> {
        let path = || vec!["issuer-aliases"];
        let mut mistakes: Vec<Mistake> = self
            .issuer_aliases
            .iter()
            .filter_map(issuer_problem)
            .map(|problem| (path(), problem.to_owned()))
            .collect();
        if self.issuer_aliases.len() > MOST_ALIASES {
            mistakes.push((path(), format!("name at most {MOST_ALIASES}")));
        }
        if self.issuer_aliases().iter().any(|alias| alias == self.issuer_text()) {
            mistakes.push((path(), "the issuer is no alias of itself".to_owned()));
        }
        mistakes
    }

    /// Which consumer may have events put on which bus: none on a bus that the gateway reads from, since
    /// they would come back.
    pub fn event_bus_permissions(&self) -> EventBusPermissions {
        let read = self.source.queues.iter().flat_map(|queue| queue.buses.clone());
        self.delivery.event_bus_permissions(read.collect())
    }

    /// Every place where a secret is kept.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretReference> {
        let producers = self.source.access_keys.iter().map(|key| &key.secret);
        self.keys.passphrase.iter().chain(producers)
    }
}

/// Consumers compare the issuer as text and put paths behind it, so it has a plain form.
fn issuer_problem(issuer: &Url) -> Option<&'static str> {
    if !matches!(issuer.scheme(), "http" | "https") {
        return Some("the issuer is an http or https address");
    }
    if issuer.query().is_some() || issuer.fragment().is_some() {
        return Some("the issuer has neither a query nor a fragment");
    }
    if !issuer.username().is_empty() || issuer.password().is_some() {
        return Some("the issuer carries no credentials: it stands in every token");
    }
    None
}
