//! Puts the rooms together, in the order in which they must exist.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use url::Url;

use crate::access::Access;
use crate::ambient::{Clock, Entropy};
use crate::api::{
    AccessTokens, BodyBudget, Callers, DocumentsInForce, Rates, Readers, Readiness, Services,
};
use crate::config::Config;
use crate::deliver::{
    Attempter, Decider, DeliveryContext, DeliverySignal, DeliverySignals, Destinations, Dispatch,
    Handshake, Handshakes, HandshakesParts, Ledger, LogIncarnations, PullService, PullServiceParts,
    ReceiptChecker, Sealer, SealerParts, Sinks, SubscriptionService, SubscriptionServiceParts,
};
use crate::egress::{Egress, GuardedClients};
use crate::eventlog::{SqliteLog, Store};
use crate::gateway::Gateway;
use crate::gateway::archiving::exports;
use crate::gateway::aws_edges::AwsEdges;
use crate::gateway::build_error::BuildError;
use crate::gateway::event_buses::EventBuses;
use crate::gateway::granting::open_access;
use crate::gateway::guarding_log::{LogGuard, guard};
use crate::gateway::incarnations::take_up_incarnations;
use crate::gateway::inward::{Inward, inward, warn_of_documents};
use crate::gateway::loops::LoopParts;
use crate::gateway::machine::Machine;
use crate::gateway::missing_log::check_log_is_there;
use crate::gateway::own_issuer::take_up_issuer;
use crate::gateway::own_keys::{OwnKeys, take_up_keys};
use crate::gateway::reading_documents::{ReadDocuments, read_documents};
use crate::gateway::reloading::{Reloader, ReloaderParts, in_force};
use crate::gateway::signing_answers::AnswerSigner;
use crate::gateway::starting::tell_start;
use crate::gateway::storing::{open_store, take_over};
use crate::gateway::unbound_callers::warn_of_unbound_callers;
use crate::gateway::witnessing::log_proofs;
use crate::jobs::{JobService, JobServiceParts};
use crate::keys::{self, DataKey, KeyRing, LogIssuer, PublicKeys, RemoteKeys, VerifyingKeys};
use crate::subscriptions::Subscriptions;
use crate::telemetry::Metrics;

/// Builds a gateway that listens already and has resumed what was in flight.
///
/// # Errors
///
/// The operator's turn: a setting, a document, a key file or the port. Ours: the store failed.
pub async fn build(config: Config, machine: Machine) -> Result<Gateway, BuildError> {
    check(&config)?;
    let Machine { clock, entropy, tasks, .. } = machine.clone();
    let (metrics, began) = (Arc::new(Metrics::new()), clock.now());
    let ReadDocuments { catalog, publications, gate, digests } = documents(&config)?;
    let (egress, aws) = edges(&config);
    let listener = listen(&config).await?;
    let OpenedLog { store, engine, own, names, log_guard, incarnations } =
        Box::pin(open_log(&config, &machine, &metrics)).await?;
    let life = (incarnations.all().current(), log_guard.is_set_back);
    let way_in = inward(&config, &machine, (&publications, gate), (&store, &metrics)).await?;
    let Inward { admit, bus, rules, keys, pacing } = way_in;
    let signer = AnswerSigner::open(&config, &store, (&own.ring, &clock), life);
    let ledger = take_over(&store, (Arc::clone(&clock), &tasks), &metrics).await?;
    let event_buses = aws.event_buses(&config, &machine, &store).await?;
    let access = open_access((&config, &machine), &publications, &store).await?;
    let (out, signals) = outward(
        (&config, &machine, access),
        (&egress, &own.ring, Arc::clone(&own.data_key), incarnations),
        event_buses,
        (&store, &ledger, &metrics),
    )?;
    let replays = resumed_jobs(&config, &machine, &out, (&store, &ledger)).await?;
    let callers = callers(&config, &store, Arc::clone(&clock)).await;
    let documents = DocumentsInForce { catalog, publications, source: config.source.clone() };
    let running = Box::new((config.clone(), digests));
    let services = Arc::new(Services {
        issuer_aliases: config.issuer_aliases(),
        exports: exports((&config, &machine), (&egress, &aws), &store)?,
        queues: aws.queues(&config, &machine, (&admit, &metrics)),
        log_proofs: log_proofs(&config, (&egress, &own, &names), (&store, &clock, &metrics), life)
            .await?,
        pull_service: pull_service(&out, &machine, (&store, &ledger, &metrics)),
        readers: Arc::new(Readers::new(&config.api, Arc::clone(&metrics))),
        access_tokens: AccessTokens::new(Arc::clone(&callers), &*entropy),
        callers,
        rates: Rates::new(config.api.caller_rate.get()),
        data_key: own.data_key,
        bodies: BodyBudget::new(config.api.body_memory),
        config: config.api,
        source: config.source,
        retention: config.log.retention,
        issuer: config.issuer,
        clock,
        entropy,
        metrics,
        readiness: Readiness::new(),
        delivers: !config.no_delivery,
        tasks,
        admit,
        bus: Arc::new(bus.signing_answers(Arc::clone(&signer))),
        signer,
        store,
        ring: own.ring,
        receipt_keys: out.receipt_keys,
        in_force: ArcSwap::from_pointee(in_force(&running, (&documents, began))),
        documents: ArcSwap::from_pointee(documents),
        subscription_service: out.subscription_service,
        handshakes: out.handshakes,
        replays: Arc::new(replays),
    });
    Box::pin(tell_start(&services, egress.config(), began)).await;
    let parts = ReloaderParts { services: Arc::clone(&services), egress, rules, keys };
    let reloader = Arc::new(Reloader::new(parts, *running));
    let (dispatch, receipt_age) = (out.dispatch, config.log.receipts.0);
    let log = (ledger, engine, log_guard);
    let parts = LoopParts::new((services, listener, dispatch, pacing), log, (receipt_age, signals));
    Ok(Gateway { reloader, parts })
}

fn documents(config: &Config) -> Result<ReadDocuments, BuildError> {
    let read = read_documents(config)?;
    warn_of_documents(config, &read.gate, (&read.catalog, &read.publications));
    Ok(read)
}

/// The guard of what is dialed, and what calls AWS behind it.
fn edges(config: &Config) -> (Arc<Egress>, AwsEdges) {
    let egress = Arc::new(Egress::new(config.delivery.egress.clone()));
    let aws = AwsEdges::new(config, &egress);
    (egress, aws)
}

/// The jobs. Where events are delivered, what was in flight is taken up.
async fn resumed_jobs(
    config: &Config,
    machine: &Machine,
    out: &Outward,
    kept: (&Store, &Arc<Ledger>),
) -> Result<JobService, BuildError> {
    let jobs = job_service(config, machine, out, kept);
    if !config.no_delivery {
        out.subscription_service.resume().await?;
        jobs.resume().await?;
    }
    Ok(jobs)
}

async fn callers(config: &Config, store: &Store, clock: Arc<dyn Clock>) -> Arc<Callers> {
    let registry = Arc::clone(&store.registry);
    let callers = Arc::new(Callers::new(registry, config.api.caller_cache, clock));
    warn_of_unbound_callers(&callers).await;
    callers
}

/// The log, and what its gateway is known by.
struct OpenedLog {
    store: Store,
    engine: Arc<SqliteLog>,
    own: OwnKeys,
    names: LogIssuer,
    log_guard: LogGuard,
    incarnations: Arc<LogIncarnations>,
}

/// Opens the log, and finds out whether it is the one of these keys and of this name.
async fn open_log(
    config: &Config,
    machine: &Machine,
    metrics: &Arc<Metrics>,
) -> Result<OpenedLog, BuildError> {
    let Machine { clock, entropy, disk, .. } = machine.clone();
    let of_machine = (Arc::clone(&clock), Arc::clone(&entropy), disk);
    check_log_is_there(config)?;
    let (store, engine) = open_store(&config.data_dir, config.log.limits(), of_machine, metrics)?;
    let own = take_up_keys(config, (&clock, &entropy), &store.registry).await?;
    let names = take_up_issuer(config, &store.registry, &clock).await?;
    let log_guard = guard(config, (&store, &own.data_key), &entropy).await?;
    let incarnations = take_up_incarnations(config, (&store, &own.ring), &*clock).await?;
    Ok(OpenedLog { store, engine, own, names, log_guard, incarnations })
}

async fn listen(config: &Config) -> Result<TcpListener, BuildError> {
    let address = config.listen.to_string();
    let listener = TcpListener::bind(config.listen).await;
    listener.map_err(|source| BuildError::Listen { address, source })
}

/// Refuses what no gateway can be built from.
fn check(config: &Config) -> Result<(), BuildError> {
    keys::install();
    let settings = |error: String| Err(BuildError::Settings(error));
    if let Err(error) = config.delivery.check() {
        return settings(error.to_string());
    }
    if let Err(error) = config.replay.check() {
        return settings(error.to_string());
    }
    if let Err(error) = config.keys.check() {
        return settings(error.to_string());
    }
    match config.source.problems().first() {
        Some(problem) => settings(problem.clone()),
        None => Ok(()),
    }
}

/// The rooms of the way out.
struct Outward {
    dispatch: Arc<Dispatch>,
    attempter: Arc<Attempter>,
    subscription_service: Arc<SubscriptionService>,
    handshakes: Arc<Handshakes>,
    sealer: Arc<Sealer>,
    receipt_keys: Arc<RemoteKeys<VerifyingKeys>>,
}

/// The guard of the way out, the gateway's keys, and the incarnations of its log.
type OwnParts<'a> = (&'a Arc<Egress>, &'a Arc<KeyRing>, Arc<DataKey>, Arc<LogIncarnations>);

type Told = mpsc::UnboundedReceiver<DeliverySignal>;

fn outward(
    (config, machine, access): (&Config, &Machine, Arc<Access>),
    (egress, ring, data_key, incarnations): OwnParts<'_>,
    event_buses: EventBuses,
    (store, ledger, metrics): (&Store, &Arc<Ledger>, &Arc<Metrics>),
) -> Result<(Outward, Told), BuildError> {
    let Machine { clock, entropy, tasks, .. } = machine.clone();
    let EventBuses { permissions, external_ids, destination } = event_buses;
    let clients = GuardedClients::new(egress).map_err(BuildError::Client)?;
    let remote = remote_keys(&clients, machine);
    let sealer = sealer(config, (ring, &data_key, incarnations), remote, &clock);
    let receipt_keys = remote_keys(&clients, machine);
    let random = (&clock, &entropy);
    let destinations =
        Arc::new(Destinations::open(clients, &data_key, random, metrics, destination));
    let (signals, told) = DeliverySignals::channel();
    let receipts = receipt_checker(config, &receipt_keys, &clock);
    let attempter = Arc::new(Attempter {
        sealer: Arc::clone(&sealer),
        destinations: Arc::clone(&destinations),
        receipts,
        ledger: Arc::clone(ledger),
        schedule: config.delivery.schedule(),
        timeout: config.delivery.timeout.0,
        clock: Arc::clone(&clock),
        entropy: Arc::clone(&entropy),
        metrics: Arc::clone(metrics),
        signals: signals.clone(),
        access: Arc::clone(&access),
    });
    let context = DeliveryContext {
        store: store.clone(),
        ledger: Arc::clone(ledger),
        attempter: Arc::clone(&attempter),
        clock: Arc::clone(&clock),
        tasks: tasks.clone(),
        allowance: config.delivery.allowance(),
        backlog: config.delivery.backlog.limit(),
        sinks: sinks(config, (&entropy, &signals)),
        signals: signals.clone(),
        pause_after: config.delivery.pause_after.0,
        decider: Decider::new(config.patterns, tasks.clone(), metrics),
    };
    let dispatch = Arc::new(Dispatch::new(context, store.log.head()));
    let handshake = Handshake {
        destinations,
        sealer: Arc::clone(&sealer),
        issuer: config.issuer.clone(),
        timeout: config.delivery.timeout.0,
    };
    let subscription_service = Arc::new(SubscriptionService::new(SubscriptionServiceParts {
        subscriptions: subscriptions(config, store, &clock),
        dispatch: Arc::clone(&dispatch),
        sealer: Arc::clone(&sealer),
        egress: Arc::clone(egress),
        event_buses: permissions,
        external_ids,
        data_key,
        store: store.clone(),
        clock: Arc::clone(&clock),
        entropy: Arc::clone(&entropy),
        access,
    }));
    let handshakes = Arc::new(Handshakes::new(HandshakesParts {
        config: config.delivery.handshake.clone(),
        handshake,
        dispatch: Arc::clone(&dispatch),
        subscription_service: Arc::clone(&subscription_service),
        signals,
        metrics: Arc::clone(metrics),
        clock,
        entropy,
        tasks,
    }));
    let out =
        Outward { dispatch, attempter, subscription_service, handshakes, sealer, receipt_keys };
    Ok((out, told))
}

fn receipt_checker(
    config: &Config,
    keys: &Arc<RemoteKeys<VerifyingKeys>>,
    clock: &Arc<dyn Clock>,
) -> ReceiptChecker {
    ReceiptChecker {
        issuer: config.issuer_text().to_owned(),
        aliases: config.issuer_aliases(),
        remote: Arc::clone(keys),
        clock: Arc::clone(clock),
    }
}

fn sinks(config: &Config, (entropy, signals): (&Arc<dyn Entropy>, &DeliverySignals)) -> Arc<Sinks> {
    let breaker = config.delivery.breaker.clone();
    Arc::new(Sinks::new(breaker, Arc::clone(entropy), signals.clone()))
}

fn subscriptions(config: &Config, store: &Store, clock: &Arc<dyn Clock>) -> Subscriptions {
    let all = Subscriptions::new(Arc::clone(&store.registry), Arc::clone(clock));
    all.bounded(config.consumers).with_budget(config.patterns.budget())
}

fn sealer(
    config: &Config,
    (ring, data_key, incarnations): (&Arc<KeyRing>, &Arc<DataKey>, Arc<LogIncarnations>),
    remote: Arc<RemoteKeys>,
    clock: &Arc<dyn Clock>,
) -> Arc<Sealer> {
    Arc::new(Sealer::new(SealerParts {
        issuer: config.issuer.as_str().trim_end_matches('/').to_owned(),
        lifetime: config.keys.token_lifetime.0,
        signature: config.keys.algorithms.first().copied().unwrap_or_default(),
        ring: Arc::clone(ring),
        data_key: Arc::clone(data_key),
        incarnations,
        remote,
        clock: Arc::clone(clock),
    }))
}

fn job_service(
    config: &Config,
    machine: &Machine,
    out: &Outward,
    (store, ledger): (&Store, &Arc<Ledger>),
) -> JobService {
    JobService::new(JobServiceParts {
        config: config.replay.clone(),
        log: Arc::clone(&store.log),
        dead_letters: Arc::clone(&store.dead_letters),
        registry: Arc::clone(&store.registry),
        ledger: Arc::clone(ledger),
        attempter: Arc::clone(&out.attempter),
        subscription_service: Arc::clone(&out.subscription_service),
        clock: Arc::clone(&machine.clock),
        entropy: Arc::clone(&machine.entropy),
        tasks: machine.tasks.clone(),
    })
}

fn pull_service(
    out: &Outward,
    machine: &Machine,
    (store, ledger, metrics): (&Store, &Arc<Ledger>, &Arc<Metrics>),
) -> Arc<PullService> {
    Arc::new(PullService::new(PullServiceParts {
        subscription_service: Arc::clone(&out.subscription_service),
        sealer: Arc::clone(&out.sealer),
        receipts: out.attempter.receipts.clone(),
        ledger: Arc::clone(ledger),
        store: store.clone(),
        clock: Arc::clone(&machine.clock),
        tasks: machine.tasks.clone(),
        metrics: Arc::clone(metrics),
    }))
}

fn remote_keys<S: PublicKeys>(clients: &GuardedClients, machine: &Machine) -> Arc<RemoteKeys<S>> {
    let clients = clients.clone();
    let client_for = move |url: &Url| Ok(clients.client_for(url)?.clone());
    let (clock, entropy) = (Arc::clone(&machine.clock), Arc::clone(&machine.entropy));
    Arc::new(RemoteKeys::new(Box::new(client_for), clock, entropy))
}
