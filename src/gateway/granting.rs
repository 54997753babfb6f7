//! Who may hear what: read at the start, and kept in step with time and with subscriptions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::access::{
    Access, AccessError, AccessParts, BY_UPGRADE, GrantDocument, GrantId, GrantState, History,
    PublicationAccess,
};
use crate::api::Services;
use crate::config::{Config, grant_folder};
use crate::enrich::{AccessRule, Publications};
use crate::event::{ConsumerId, Timestamp};
use crate::eventlog::Store;
use crate::gateway::build_error::BuildError;
use crate::gateway::machine::Machine;
use crate::gateway::telling_sinks::SinkTelling;
use crate::subscriptions::{SubscriptionState, Subscriptions};
use crate::telemetry::{Metric, error_chain};

/// How often it is looked whether everything is in step, if nothing is due before.
const LOOK_EVERY: Duration = Duration::from_mins(1);
/// How long it waits before it tries again what could not be written.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// How often an end that comes is told again.
const TELL_EVERY: Duration = Duration::from_hours(24);

/// Reads who may hear what. A gateway that delivers also gives grants to whoever heard a publication
/// that was public when it ran last, so that nothing stops by itself.
///
/// # Errors
///
/// Ours: the store failed.
pub(super) async fn open_access(
    (config, machine): (&Config, &Machine),
    publications: &Publications,
    store: &Store,
) -> Result<Arc<Access>, BuildError> {
    warn_of_silent_domains(publications);
    let parts = AccessParts {
        config: config.access.clone(),
        registry: Arc::clone(&store.registry),
        log: Arc::clone(&store.log),
        clock: Arc::clone(&machine.clock),
        entropy: Arc::clone(&machine.entropy),
    };
    let access = Arc::new(Access::open(parts, &of_files(publications)).await?);
    access.keep_named(named_by_files(config));
    if !config.no_delivery {
        let registry = Arc::clone(&store.registry);
        let subscriptions = Subscriptions::new(registry, Arc::clone(&machine.clock));
        grant_to_hearers(&access, &subscriptions, &access.newly_closed().await?).await?;
        access.keep_closed().await?;
        access.keep_time().await?;
    }
    Ok(access)
}

/// The grants that files name. A start gives none of them, so a mistake in them is told and stops nothing.
fn named_by_files(config: &Config) -> BTreeSet<GrantId> {
    match grant_folder(&config.grants) {
        Ok(files) => files.into_keys().collect(),
        Err(mistakes) => {
            for mistake in &mistakes {
                tracing::warn!(
                    "Grants of files are not known before a reload without a mistake: {mistake}"
                );
            }
            BTreeSet::new()
        }
    }
}

pub(super) fn of_files(publications: &Publications) -> Vec<PublicationAccess> {
    let access = publications.iter().map(|publication| PublicationAccess {
        name: Arc::clone(publication.name()),
        event_name: format!("{}{}", publication.type_prefix(), publication.event()).into(),
        by_grant: publication.access() == Some(AccessRule::Grant),
    });
    access.collect()
}

/// Names the domains whose files do not say who may hear their events: everyone may.
pub(super) fn warn_of_silent_domains(publications: &Publications) {
    let silent = publications.iter().filter(|publication| publication.access().is_none());
    let domains: BTreeSet<&str> = silent.map(|publication| publication.domain()).collect();
    if domains.is_empty() {
        return;
    }
    let named: Vec<&str> = domains.into_iter().collect();
    tracing::warn!(
        "Every consumer may hear every event of {}, because their publication files do not say \
         `access:`; write `access: public` or `access: grant`: the next major version takes a file \
         that says nothing for `grant`",
        named.join(", "),
    );
}

/// Gives the consumers of existing subscriptions what they heard of publications that were public.
///
/// The grants are there before it is kept that the publications are closed: a crash between the two
/// does it again, and gives nobody a second one.
pub(super) async fn grant_to_hearers(
    access: &Access,
    subscriptions: &Subscriptions,
    closed: &[PublicationAccess],
) -> Result<(), BuildError> {
    if closed.is_empty() {
        return Ok(());
    }
    let all = subscriptions.list().await.map_err(BuildError::Subscriptions)?;
    let open = all.iter().filter(|one| one.state != SubscriptionState::Closed);
    let mut heard: BTreeMap<&ConsumerId, BTreeSet<&PublicationAccess>> = BTreeMap::new();
    for subscription in open {
        let wanted = closed.iter().filter(|one| subscription.may_want(&one.event_name));
        heard.entry(&subscription.consumer).or_default().extend(wanted);
    }
    for (consumer, publications) in heard {
        for publication in publications {
            give(access, consumer, publication).await?;
        }
    }
    Ok(())
}

async fn give(
    access: &Access,
    consumer: &ConsumerId,
    publication: &PublicationAccess,
) -> Result<(), BuildError> {
    if access.holds_grant(consumer, &publication.name) {
        return Ok(());
    }
    let Ok(name) = publication.name.parse() else { return Ok(()) };
    let document = GrantDocument {
        id: None,
        consumer: consumer.clone(),
        publication: name,
        history: History::All,
        from: None,
        until: None,
        reason: "it was subscribed while the publication was public".to_owned(),
    };
    match access.give(document, BY_UPGRADE).await {
        Ok(grant) => tracing::info!(
            grant.id = %grant.id(),
            "Consumer {consumer} keeps hearing {} by grant {}", publication.name, grant.id(),
        ),
        // Bounds of a consumer keep no gateway from starting; its owner decides.
        Err(error @ AccessError::TooMany(_)) => tracing::error!(
            "Consumer {consumer} does not hear {} any more: {error}",
            publication.name,
        ),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// Begins and ends grants when their time comes, has every subscription record what follows, and
/// tells of ends that come, until it is dropped.
pub(super) async fn tend_access(services: &Arc<Services>) {
    let access = services.subscription_service.access();
    let mut told: BTreeMap<GrantId, Timestamp> = BTreeMap::new();
    let telling = Arc::new(SinkTelling::default());
    loop {
        let kept = keep_in_step(services).await;
        if let Err(error) = &kept {
            tracing::error!(error = %error, "What consumers may hear cannot be recorded; trying again");
        }
        tell_of_ends(services, &mut told);
        let now = services.clock.now();
        let tells = telling.begin(services);
        let next = access.next_change().into_iter().chain(tells).min();
        let due = next.map_or(LOOK_EVERY, |at| at.since(now).min(LOOK_EVERY));
        let wait = if kept.is_err() { AFTER_FAILURE } else { due };
        tokio::select! {
            () = services.clock.sleep(wait) => {}
            () = access.change_of_access() => {}
        }
    }
}

async fn keep_in_step(services: &Services) -> Result<(), String> {
    let access = services.subscription_service.access();
    access.keep_time().await.map_err(|error| error_chain(&error).to_string())?;
    let recorded = services.subscription_service.entitle_all().await;
    recorded.map(drop).map_err(|error| error_chain(&error).to_string())
}

/// Tells the owners of publications whose grants end soon; consumers see it with their subscriptions.
fn tell_of_ends(services: &Services, told: &mut BTreeMap<GrantId, Timestamp>) {
    let (access, now) = (services.subscription_service.access(), services.clock.now());
    let ahead = access.config().tell_before.0;
    let grants = access.grants();
    let soon: Vec<_> = grants.iter().filter(|grant| grant.ends_soon(now, ahead)).collect();
    services.metrics.gauge(Metric::GrantsEndingSoon, &[]).set_count(soon.len() as u64);
    let active = grants.iter().filter(|grant| grant.state(now) == GrantState::Active).count();
    services.metrics.gauge(Metric::ActiveGrants, &[]).set_count(active as u64);
    told.retain(|id, _| soon.iter().any(|grant| grant.id() == *id));
    for grant in soon {
        let last = told.get(&grant.id()).copied();
        if last.is_some_and(|last| now.since(last) < TELL_EVERY) {
            continue;
        }
        told.insert(grant.id(), now);
        if let Some(until) = grant.until {
            tracing::warn!(
                grant.id = %grant.id(),
                "Grant {} ends at {until}: consumer {} hears {} no more then; `sealway grants \
                 extend` moves the end",
                grant.id(), grant.consumer, grant.publication,
            );
        }
    }
}
