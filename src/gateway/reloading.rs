//! Takes contracts, publications, grants, access keys and certificates anew while the gateway runs: all
//! of them, or none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Mutex;

use crate::access::AccessError;
use crate::api::{DocumentsInForce, InForce, InForceCounts, InForceDigests, ReloadTold, Services};
use crate::config::{self, Config, GrantFiles, LoadError};
use crate::deliver::SubscriptionServiceError;
use crate::egress::{Egress, ReadTrust, TlsError, TrustChanges};
use crate::event::{Diagnostic, Timestamp};
use crate::gateway::CrossingRules;
use crate::gateway::build_error::BuildError;
use crate::gateway::file_grants::GrantPlan;
use crate::gateway::granting::{grant_to_hearers, of_files, warn_of_silent_domains};
use crate::gateway::inward::{access_keys, keep, rules, warn_of_documents};
use crate::gateway::reading_documents::{
    DocumentDigests, NamedChanges, ReadDocuments, read_documents,
};
use crate::source::aws::AccessKeys;
use crate::subscriptions::Subscriptions;
use crate::telemetry::{Metric, error_chain};

/// What came of a reload, in the words of the API and the metrics.
const APPLIED: &str = "applied";
const REFUSED: &str = "refused";
/// Mistakes that are told of one reload.
const MOST_MISTAKES: usize = 50;

/// Why nothing was taken anew; everything is as it was, but for grants that were given already.
#[derive(Debug, thiserror::Error)]
enum ReloadError {
    #[error(transparent)]
    Settings(#[from] LoadError),
    #[error(transparent)]
    Documents(#[from] BuildError),
    #[error("grants have mistakes")]
    Grants(Vec<Diagnostic>),
    #[error("whom the system trusts cannot be read")]
    Trust(#[from] TlsError),
    #[error("grants cannot be given")]
    Giving(#[from] AccessError),
    #[error("what subscriptions may hear cannot be recorded")]
    Entitling(#[from] SubscriptionServiceError),
    #[error("reading it failed inside")]
    Inside(#[source] tokio::task::JoinError),
}

impl ReloadError {
    /// Each mistake in a line, with its file and line where it has one.
    fn mistakes(&self) -> Vec<String> {
        let found = match self {
            Self::Settings(LoadError::Mistakes(found))
            | Self::Documents(BuildError::Documents(found))
            | Self::Grants(found) => found,
            other => return vec![error_chain(other).to_string()],
        };
        found.iter().filter(|one| one.is_error()).take(MOST_MISTAKES).map(in_a_line).collect()
    }
}

fn in_a_line(found: &Diagnostic) -> String {
    let place = found.place.map_or_else(String::new, |(line, at)| format!(":{line}:{at}"));
    let help = if found.help.is_empty() { String::new() } else { format!("; {}", found.help) };
    format!("{}{place}: {}{help}", found.file, found.problem)
}

/// What a reload puts in place.
pub(super) struct ReloaderParts {
    pub(super) services: Arc<Services>,
    pub(super) egress: Arc<Egress>,
    pub(super) rules: Arc<ArcSwap<CrossingRules>>,
    pub(super) keys: Arc<AccessKeys>,
}

/// Takes files anew, one reload after the other.
pub struct Reloader {
    parts: ReloaderParts,
    running: Mutex<Running>,
}

/// The settings that are in force, and the documents.
type Running = (Config, DocumentDigests);

/// What was read and would work.
struct Candidate {
    config: Config,
    documents: ReadDocuments,
    keys: AccessKeys,
    grants: GrantFiles,
    trust: ReadTrust,
    /// Settings that the file says otherwise and that need a restart.
    need_restart: Vec<String>,
}

/// What was put in place.
struct Applied {
    config: Config,
    digests: DocumentDigests,
    changes: Vec<String>,
    need_restart: Vec<String>,
}

impl Candidate {
    /// Reads everything; takes its time and changes nothing.
    fn read(path: &Path, running: &Config, egress: &Egress) -> Result<Self, ReloadError> {
        let said = config::load(path)?;
        let config = running.reloaded_from(&said);
        let documents = read_documents(&config)?;
        let keys = access_keys(&config)?;
        let grants = config::grant_folder(&config.grants).map_err(ReloadError::Grants)?;
        let trust = egress.read_trust()?;
        let differences = config::differing(&config.as_written(), &said.as_written());
        let need_restart = differences.into_iter().map(|one| one.setting).collect();
        Ok(Self { config, documents, keys, grants, trust, need_restart })
    }
}

impl Reloader {
    /// Begins with what was read at the start.
    pub(super) fn new(parts: ReloaderParts, running: Running) -> Self {
        show_digest(&parts.services, &parts.services.in_force.load());
        Self { parts, running: Mutex::new(running) }
    }

    /// Reads the gateway file and all that it names, and puts it in place if there is no mistake in it.
    /// The log and `GET /settings` tell what has changed, or why nothing was. Says whether it was applied.
    ///
    /// # Cancel safety
    ///
    /// A reload that is dropped has been applied or not; grants may have been given, and the next
    /// reload does not give them twice.
    pub async fn reload(&self, path: &Path) -> bool {
        let mut running = self.running.lock().await;
        let outcome = self.apply(path.to_owned(), &running).await;
        let is_applied = outcome.is_ok();
        match outcome {
            Ok(applied) => {
                tell(&applied);
                let Applied { config, digests, changes, need_restart } = applied;
                *running = (config, digests);
                self.put_in_force(&running, need_restart, changes);
            }
            Err(error) => self.refuse(&error),
        }
        let outcome = if is_applied { APPLIED } else { REFUSED };
        self.parts.services.metrics.counter(Metric::Reloads, &[outcome]).increment();
        is_applied
    }

    fn refuse(&self, error: &ReloadError) {
        let mistakes = error.mistakes();
        for mistake in &mistakes {
            tracing::error!("Reload is refused, and everything stays as it was: {mistake}");
        }
        let services = &self.parts.services;
        let at = services.clock.now();
        let told = ReloadTold { at, outcome: REFUSED, changes: Vec::new(), mistakes };
        let before = InForce::clone(&services.in_force.load());
        services.in_force.store(Arc::new(InForce { last_reload: Some(told), ..before }));
    }

    async fn apply(&self, path: PathBuf, running: &Running) -> Result<Applied, ReloadError> {
        let (config, egress) = (running.0.clone(), Arc::clone(&self.parts.egress));
        let read = tokio::task::spawn_blocking(move || Candidate::read(&path, &config, &egress));
        let candidate = read.await.map_err(ReloadError::Inside)??;
        let Candidate { config, documents, keys, grants, trust, need_restart } = candidate;
        let ReadDocuments { catalog, publications, gate, digests } = documents;
        warn_of_documents(&config, &gate, (&catalog, &publications));
        warn_of_silent_domains(&publications);
        let new_rules = rules(&config, &publications, gate);
        let plan = self.plan(grants)?;
        keep(&new_rules, &self.parts.services.store).await?;
        let mut changes = running.1.changes_to(&digests);
        changes.extend(key_changes(&running.0, &config));
        changes.extend(self.open_access_to(&new_rules, plan).await?);
        // From here on nothing fails. Who may hear is known already, so nothing crosses that nobody guards.
        changes.extend(trust_changes(&trust.put_in_place()));
        self.parts.keys.replace(keys);
        let source = config.source.clone();
        self.parts.services.documents.store(Arc::new(DocumentsInForce {
            catalog,
            publications,
            source,
        }));
        self.parts.rules.store(Arc::new(new_rules));
        Ok(Applied { config, digests, changes, need_restart })
    }

    fn plan(&self, grants: GrantFiles) -> Result<GrantPlan, ReloadError> {
        if !self.parts.services.delivers {
            return Ok(GrantPlan::default());
        }
        let access = self.parts.services.subscription_service.access();
        let plan = GrantPlan::of(grants, access, self.parts.services.clock.now());
        let plan = plan.map_err(ReloadError::Grants)?;
        for warning in plan.warnings() {
            tracing::warn!("{}: {}", warning.file, warning.problem);
        }
        Ok(plan)
    }

    /// Has grants given and everybody know who may hear what is published from now on. Whoever hears a
    /// publication that closes keeps hearing it by a grant, as after a start.
    async fn open_access_to(
        &self,
        rules: &CrossingRules,
        plan: GrantPlan,
    ) -> Result<Vec<String>, ReloadError> {
        let service = &self.parts.services.subscription_service;
        let (access, coming) = (service.access(), of_files(&rules.publications));
        if !self.parts.services.delivers {
            access.replace_publications(&coming);
            return Ok(Vec::new());
        }
        let told = plan.carry_out(access).await?;
        let registry = Arc::clone(&self.parts.services.store.registry);
        let subscriptions = Subscriptions::new(registry, Arc::clone(&self.parts.services.clock));
        grant_to_hearers(access, &subscriptions, &access.closed_by(&coming)).await?;
        let before = of_files(&self.parts.rules.load().publications);
        access.replace_publications(&coming);
        // Subscriptions record it before the first event of what is new: their numbers follow from it.
        let recorded = match service.entitle_all().await {
            Ok(_) => access.keep_closed().await.map_err(ReloadError::from),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = recorded {
            access.replace_publications(&before);
            return Err(error);
        }
        Ok(told)
    }

    fn put_in_force(&self, running: &Running, need_restart: Vec<String>, changes: Vec<String>) {
        let services = &self.parts.services;
        let at = services.clock.now();
        let told = ReloadTold { at, outcome: APPLIED, changes, mistakes: Vec::new() };
        let in_force = InForce {
            need_restart,
            last_reload: Some(told),
            ..in_force(running, (&services.documents.load(), at))
        };
        show_digest(services, &in_force);
        services.in_force.store(Arc::new(in_force));
    }
}

/// What is shown of what runs.
pub(super) fn in_force(
    (config, digests): &Running,
    (documents, since): (&DocumentsInForce, Timestamp),
) -> InForce {
    let settings = config.as_written();
    InForce {
        since,
        digests: InForceDigests {
            settings: config::digest_of(&settings),
            contracts: digests.contracts.clone(),
            publications: digests.publications.clone(),
        },
        counts: InForceCounts {
            contracts: documents.catalog.documents().count(),
            publications: documents.publications.iter().count(),
        },
        command_line: command_line(config),
        settings,
        need_restart: Vec::new(),
        last_reload: None,
    }
}

/// What the command line or a variable says in place of a setting.
fn command_line(config: &Config) -> serde_json::Value {
    let (written, mut said) = (config.as_written(), serde_json::Map::new());
    let listen = config.listen.to_string();
    if written.get("listen").and_then(serde_json::Value::as_str) != Some(&listen) {
        said.insert("listen".to_owned(), listen.into());
    }
    let data_dir = written.get("data-dir").and_then(serde_json::Value::as_str).unwrap_or_default();
    if config.directory.join(data_dir) != config.data_dir {
        said.insert("data-dir".to_owned(), config.data_dir.display().to_string().into());
    }
    if config.no_delivery {
        said.insert("no-delivery".to_owned(), true.into());
    }
    said.into()
}

/// Has the metrics show the digest of the settings in force, and no other.
fn show_digest(services: &Services, in_force: &InForce) {
    services.metrics.leave_out(Metric::SettingsInfo);
    services.metrics.gauge(Metric::SettingsInfo, &[&in_force.digests.settings]).set_count(1);
}

fn tell(applied: &Applied) {
    if applied.changes.is_empty() {
        tracing::info!("Reload is applied: nothing has changed");
    }
    for change in &applied.changes {
        tracing::info!("Reload is applied: {change}");
    }
    if !applied.need_restart.is_empty() {
        let named = applied.need_restart.join(", ");
        tracing::warn!("These settings differ from the file and need a restart: {named}");
    }
}

/// Access keys that came, went, or may publish something else; of secrets nothing is told.
fn key_changes(before: &Config, after: &Config) -> Vec<String> {
    let of = |config: &Config| -> BTreeMap<String, _> {
        config.source.access_keys.iter().map(|key| (key.id.clone(), key.clone())).collect()
    };
    NamedChanges::between(&of(before), &of(after)).told("access keys")
}

fn trust_changes(changes: &TrustChanges) -> Vec<String> {
    let told = |word: &str, authorities: &[crate::egress::TrustedAuthority]| {
        let line = |one: &crate::egress::TrustedAuthority| {
            format!("trusted certificates {word}: {}, until {}", one.name, one.until)
        };
        authorities.iter().map(line).collect::<Vec<_>>()
    };
    let mut all = told("added", &changes.added);
    all.extend(told("removed", &changes.removed));
    all
}
