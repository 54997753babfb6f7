//! Puts the way in together: contracts, publications, names, and the embedded bus.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::ambient::{Secret, Size};
use crate::config::{self, Config, SecretError, Texts};
use crate::contract::{Catalog, Gate, SchemaAddresses};
use crate::enrich::{Publication, Publications};
use crate::event::{Diagnostic, number_of};
use crate::eventlog::{QuarantineQuota, Store};
use crate::gateway::build_error::BuildError;
use crate::gateway::keeping_schemas::keep_schemas;
use crate::gateway::keeping_signatures::StoredSignatures;
use crate::gateway::machine::Machine;
use crate::gateway::pacing::Pacing;
use crate::gateway::setting_aside::QuarantineQuotas;
use crate::gateway::unwanted::Unwanted;
use crate::gateway::{Choosing, CrossingRules, Inbound};
use crate::identify::Naming;
use crate::source::Admit;
use crate::source::aws::{AccessKeys, Bus};
use crate::telemetry::Metrics;

/// Warnings of a kind that a start logs.
const MAX_WARNINGS: usize = 20;

/// The way in, and what of it is replaced by a reload.
pub(super) struct Inward {
    pub(super) admit: Arc<dyn Admit>,
    pub(super) bus: Bus,
    pub(super) rules: Arc<ArcSwap<CrossingRules>>,
    pub(super) keys: Arc<AccessKeys>,
    pub(super) pacing: Arc<Pacing>,
}

/// The way in to a store, which keeps what events will name, and the embedded bus that uses it.
pub(super) async fn inward(
    config: &Config,
    machine: &Machine,
    (publications, gate): (&Arc<Publications>, Gate),
    (store, metrics): (&Store, &Arc<Metrics>),
) -> Result<Inward, BuildError> {
    let (clock, entropy) = (&machine.clock, &machine.entropy);
    let rules = rules(config, publications, gate);
    keep(&rules, store).await?;
    let rules = Arc::new(ArcSwap::from_pointee(rules));
    let patience = config.delivery.slow_producers_after;
    let pacing = Arc::new(Pacing::new(patience.map(|patience| patience.0)));
    let admit: Arc<dyn Admit> = Arc::new(Inbound {
        rules: Arc::clone(&rules),
        choosing: Choosing::new(config.patterns),
        log: Arc::clone(&store.log),
        quarantine: Arc::clone(&store.quarantine),
        quotas: quotas(config),
        metrics: Arc::clone(metrics),
        unwanted: Unwanted::new(Arc::clone(metrics), Arc::clone(clock)),
        pacing: Arc::clone(&pacing),
    });
    let (source, keys) = (config.source.clone(), Arc::new(access_keys(config)?));
    let to = (Arc::clone(&admit), Arc::clone(metrics));
    let bus = Bus::new(source, Arc::clone(&keys), to, Arc::clone(clock), Arc::clone(entropy));
    let (keeper, kept) = StoredSignatures::of(store, clock).await?;
    let bus = bus.keeping_signatures(keeper, kept);
    Ok(Inward { admit, bus, rules, keys, pacing })
}

/// What events will name by these rules, kept before the first does.
///
/// # Errors
///
/// The operator's turn: a schema that events of the log name means something else. Ours: the store failed.
pub(super) async fn keep(rules: &CrossingRules, store: &Store) -> Result<(), BuildError> {
    let named = (&**rules.gate.catalog(), &*rules.publications);
    keep_schemas(&*store.schemas, &rules.naming.schemas, named).await
}

/// The rules of these documents, for a gateway of these settings.
pub(super) fn rules(
    config: &Config,
    publications: &Arc<Publications>,
    gate: Gate,
) -> CrossingRules {
    let naming = naming(config, gate.catalog(), publications);
    CrossingRules { publications: Arc::clone(publications), gate, naming }
}

type Contracts = (Arc<Catalog>, Arc<Publications>, Gate);

/// Reads the contracts and publications that the settings name.
///
/// # Errors
///
/// The operator's turn: every mistake in them.
pub fn contracts(config: &Config) -> Result<Contracts, BuildError> {
    let read = |path| config::folder(path).map_err(BuildError::Documents);
    let (contracts, publications) = (read(&config.contracts)?, read(&config.publications)?);
    gate_of(config, &contracts, &publications)
}

/// The same of texts that were read from the folders of the settings.
pub(super) fn gate_of(
    config: &Config,
    contracts: &Texts,
    publications: &Texts,
) -> Result<Contracts, BuildError> {
    let catalog = Catalog::load(contracts).in_folder(config::shown_path(&config.contracts));
    let of_publications = |found| BuildError::Documents(on_disk(&config.publications, found));
    let publications = Publications::load(publications).map_err(of_publications)?;
    catalog.check_publications(&publications).map_err(of_publications)?;
    let catalog = Arc::new(catalog);
    let of_contracts = |found| only_errors(on_disk(&config.contracts, found));
    let gate = Gate::new(Arc::clone(&catalog), &publications).map_err(of_contracts)?;
    Ok((catalog, Arc::new(publications), gate))
}

/// Mistakes of files that were read from a folder, under their names on the disk, as `sealway check` has
/// them.
fn on_disk(folder: &Path, found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    found.into_iter().map(|one| config::on_disk(folder, one)).collect()
}

/// What has to be mended before a start; `sealway check` tells warnings too.
fn only_errors(mut found: Vec<Diagnostic>) -> BuildError {
    found.retain(Diagnostic::is_error);
    BuildError::Documents(found)
}

/// Logs what is wrong in contracts and publications and stops nothing: events of what does not fit its
/// message are refused one by one. What no event can cross with is an error, and said once more at the end.
pub(super) fn warn_of_documents(
    config: &Config,
    gate: &Gate,
    (catalog, publications): (&Catalog, &Publications),
) {
    warn_of("Contract", &on_disk(&config.contracts, gate.diagnostics().to_vec()));
    warn_of("Publication", &on_disk(&config.publications, catalog.analyse(publications)));
    let is_stuck = |one: &Publication| catalog.unfit(one).iter().any(Diagnostic::is_error);
    let stuck: Vec<&str> =
        publications.iter().filter(|one| is_stuck(one)).map(|one| &**one.name()).collect();
    if !stuck.is_empty() {
        tracing::error!(
            "Gateway starts all the same, and refuses what does not fit, in {}: {}; \
             `sealway check` says why",
            number_of(stuck.len(), "publication"),
            stuck.join(", "),
        );
    }
}

fn warn_of(what: &str, warnings: &[Diagnostic]) {
    for warning in warnings.iter().take(MAX_WARNINGS) {
        let place = warning.place.map_or_else(String::new, |(line, at)| format!(":{line}:{at}"));
        if warning.is_error() {
            tracing::error!("{what} {}{place}: {}", warning.file, warning.problem);
        } else {
            tracing::warn!("{what} {}{place}: {}", warning.file, warning.problem);
        }
    }
    if let Some(more @ 1..) = warnings.len().checked_sub(MAX_WARNINGS) {
        let more = number_of(more, "more warning");
        tracing::warn!("{what}s have {more}; `sealway check` shows them all");
    }
}

/// How the gateway of these settings names events.
pub fn naming(config: &Config, catalog: &Catalog, publications: &Publications) -> Naming {
    let issuer = config.issuer.as_str().trim_end_matches('/');
    Naming {
        schemas: SchemaAddresses::new(&format!("{issuer}/schemas"), catalog, publications),
        largest: config.largest_event.bytes(),
        archive_replays: config.source.archive_replays,
    }
}

/// What producers may have in quarantine, within what all of it may take.
fn quotas(config: &Config) -> QuarantineQuotas {
    let total = config.log.retention.quarantine_size.map(|size| size.0);
    let (events, unread) = (config.source.quarantined, config.source.unreadable);
    let quota = |entries, bytes: Size| QuarantineQuota { entries, bytes: bytes.0, total };
    QuarantineQuotas {
        events: quota(events.max_entries, events.max_bytes),
        unread: quota(unread.max_entries, unread.max_bytes),
    }
}

pub(super) fn access_keys(config: &Config) -> Result<AccessKeys, BuildError> {
    let resolve = |key: &crate::source::AccessKey| -> Result<_, SecretError> {
        let secret: Secret = config::secret(&key.secret, &config.directory)?;
        Ok((key.clone(), secret))
    };
    let keys: Result<Vec<_>, _> = config.source.access_keys.iter().map(resolve).collect();
    Ok(AccessKeys::new(keys?))
}
