//! Evidence bundles: what a subscription was offered in a range, streamed as a file that stands alone.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::api::evidence_ask::AskedEpochs;
use crate::api::evidence_bounds::{BundleEnd, ExportBounds};
use crate::api::evidence_incarnations;
use crate::api::find_subscription::unread;
use crate::api::lists::EvidenceQuery;
use crate::api::pull::line;
use crate::api::query::{Query, range_end, range_start};
use crate::api::readers;
use crate::api::{
    Caller, Code, Problem, Services, evidence_contract, evidence_notes, evidence_tree, receipts,
};
use crate::deliver::{Delivery, EventStates, NumberedEntry, SubscriptionView, WorkerHandle};
use crate::event::EventId;
use crate::eventlog::{Entry, LogError, Page, Position, ReceiptId, SequenceCheckpoint};
use crate::keys::VerifyingKeys;
use crate::seal::PlaceClaims;
use crate::seal::evidence::{EventLine, EvidenceBundle, Header, MOST_RECEIPTS};
use crate::subscriptions::{RecipientKeys, Subscription};
use crate::telemetry::error_chain;
use crate::transparency::TreeHead;

/// Events that are sealed before the next are read.
pub(super) const PAGE: Page = Page { items: 64, bytes: 1024 * 1024 };
/// Receipts of one event that go into a bundle, live and replays together.
const RECEIPTS: Page = Page { items: MOST_RECEIPTS, bytes: 256 * 1024 };
/// Lines that may wait for the caller to read on.
const WAITING: usize = 16;

/// Why a bundle ends before its time; whoever reads it sees that it is cut.
pub(super) type Broken = Box<dyn std::error::Error + Send + Sync>;

/// `GET /subscriptions/{id}/evidence?from=&to=`: an evidence bundle, one JSON object a line.
#[utoipa::path(
    get, path = "/subscriptions/{id}/evidence", tag = "deliveries",
    operation_id = "evidence_export",
    params(
        ("id" = String, Path, description = "The subscription"),
        EvidenceQuery,
    ),
    responses(
        (status = 200, description = "A bundle as docs/evidence.md describes it",
            content_type = "application/x-ndjson", body = String)
    )
)]
pub async fn export(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<String>,
    Query(range): Query<EvidenceQuery>,
) -> Result<Response, Problem> {
    let line = line(&services, &caller, &id).await?;
    let view = line.look();
    let subscription = Arc::clone(&view.subscription);
    let from = range_start(range.from.as_deref())?;
    let to = range_end(range.to.as_deref())?;
    if from.zip(to).is_some_and(|(from, to)| from > to) {
        return Err(Problem::new(Code::Invalid, "`from` is later than `to`"));
    }
    if matches!(subscription.keys, RecipientKeys::Shared(_)) {
        let why = "a shared secret proves nothing: both sides could have made its tokens";
        return Err(Problem::new(Code::Invalid, why));
    }
    // What a paused consumer may not fetch, it may not have in a bundle either.
    let is_held = subscription.is_pulled() && !subscription.state.delivers();
    if is_held && !caller.sees_metadata() {
        let why = format!(
            "the subscription is {}; only operators and auditors export it",
            subscription.state
        );
        return Err(Problem::new(Code::WrongState, why));
    }
    let place = Arc::new(services.readers.enter_export(&caller, &subscription.id)?);
    let reader = services.subscription_service.reader();
    let start = match from.and_then(EventId::predecessor) {
        Some(before) => reader.position_of(before).await?,
        None => Position::START,
    };
    let start = reader.place(&view, start).await.map_err(unread)?;
    let header = header_of(&services, &subscription, (from, to)).await?;
    tracing::info!(
        caller.id = %caller.id(),
        subscription.id = %subscription.id,
        "Caller {} exports evidence of subscription {}", caller.id(), subscription.shown(),
    );
    let (lines, read) = mpsc::channel(WAITING);
    let reading = Some((caller, Arc::clone(&place)));
    let bounds = ExportBounds { through: view.standing.scanned, bytes: u64::MAX };
    let export = Export::new(&services, (line, view), (header, bounds), (reading, lines)).await;
    services.tasks.spawn(export.run(start));
    let lines = stream::unfold((Some(read), place), async |(read, place)| {
        let mut read: mpsc::Receiver<Option<Bytes>> = read?;
        match read.recv().await {
            Some(line) => line.map(|line| (Ok(line), (Some(read), place))),
            // Whoever reads sees that there is no end, and the closing line is missing.
            None => Some((Err(io::Error::other("the bundle is cut")), (None, place))),
        }
    });
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}

/// What a bundle that is begun now is about.
pub(super) async fn header_of(
    services: &Services,
    subscription: &Subscription,
    (from, to): (Option<EventId>, Option<EventId>),
) -> Result<Header, LogError> {
    Ok(Header {
        issuer: services.issuer.as_str().trim_end_matches('/').to_owned(),
        audience: subscription.audience.clone(),
        subscription: subscription.id.clone(),
        from,
        to,
        at: services.clock.now(),
        tree: Some(services.store.tree.tree_head().await?),
        incarnation: services.subscription_service.sealer().incarnations().current(),
        series: None,
        aliases: services.issuer_aliases.clone(),
        // Told by where it begins.
        asked: None,
    })
}

/// Who asked for a bundle, and its place among those who read.
type BundleReading = (Caller, Arc<readers::ReaderPlace>);

/// A bundle on its way to whoever asked.
pub(super) struct Export {
    pub(super) services: Arc<Services>,
    /// Who asked, and its place among those who read; nobody, where the schedule did.
    reading: Option<BundleReading>,
    line: WorkerHandle,
    pub(super) epochs: AskedEpochs,
    states: EventStates,
    pub(super) subscription: Arc<Subscription>,
    pub(super) view: SubscriptionView,
    pub(super) header: Header,
    pub(super) bounds: ExportBounds,
    pub(super) bundle: EvidenceBundle,
    /// The entity tag of the gateway's keys as the bundle has them.
    published: Option<String>,
    /// The consumer's keys for receipts as the bundle has them.
    pub(super) known_receipt_keys: Option<Arc<VerifyingKeys>>,
    /// Of which the bundle has the contract.
    contracts: BTreeSet<String>,
    /// Events and bytes that were said.
    said: (u64, u64),
    /// Nothing is the end of a whole bundle.
    lines: mpsc::Sender<Option<Bytes>>,
}

impl Export {
    /// Has said nothing yet.
    pub(super) async fn new(
        services: &Arc<Services>,
        (line, view): (WorkerHandle, SubscriptionView),
        (header, bounds): (Header, ExportBounds),
        (reading, lines): (Option<BundleReading>, mpsc::Sender<Option<Bytes>>),
    ) -> Self {
        let service = &services.subscription_service;
        Self {
            services: Arc::clone(services),
            reading,
            epochs: AskedEpochs::behind(&view.subscription, Position::START),
            states: service.event_states((&view.subscription.id, &line)).await,
            line,
            subscription: Arc::clone(&view.subscription),
            view,
            header,
            bounds,
            bundle: EvidenceBundle::default(),
            published: None,
            known_receipt_keys: None,
            contracts: BTreeSet::new(),
            said: (0, 0),
            lines,
        }
    }

    async fn run(mut self, start: SequenceCheckpoint) {
        let Err(error) = self.write_all(start).await else { return };
        if !self.lines.is_closed() {
            tracing::error!(
                subscription.id = %self.subscription.id,
                error = %error_chain(&*error),
                "A bundle of evidence of subscription {} is cut", self.subscription.shown(),
            );
        }
    }

    pub(super) async fn say(&mut self, line: String) -> Result<(), Broken> {
        self.said.1 += line.len() as u64;
        self.send(Some(Bytes::from(line))).await
    }

    /// A reader that is slow does not keep the gateway from stopping.
    async fn send(&self, line: Option<Bytes>) -> Result<(), Broken> {
        tokio::select! {
            sent = self.lines.send(line) => Ok(sent?),
            () = self.services.tasks.stopping().cancelled() => Err("the gateway is stopping".into()),
        }
    }

    /// Ends the work for a reader that has gone or may not read any more, once a page.
    pub(super) async fn must_be_wanted(&self) -> Result<(), Broken> {
        if self.lines.is_closed() {
            return Err("nobody reads it".into());
        }
        if self.services.tasks.stopping().is_cancelled() {
            return Err("the gateway is stopping".into());
        }
        if self.line.subscription.has_changed().is_err() {
            return Err("the subscription has ended".into());
        }
        let Some((caller, _)) = &self.reading else { return Ok(()) };
        let now = self.services.callers.again(caller).await?;
        if now.is_some_and(|caller| caller.sees(&self.subscription.consumer)) {
            Ok(())
        } else {
            Err("the caller may not see it any more".into())
        }
    }

    /// Whether the consumer may hear an event now.
    pub(super) fn may_hear(&self, entry: &Entry) -> bool {
        let access = self.services.subscription_service.access();
        let of = (&*entry.publication, &entry.event);
        access.lets(&self.subscription.consumer, of, entry.position)
    }

    async fn write_all(&mut self, start: SequenceCheckpoint) -> Result<(), Broken> {
        let (start, _) = self.first_heard(start).await?;
        self.write(start).await.map(|_| ())
    }

    /// Writes the bundle from a place on.
    pub(super) async fn write(&mut self, start: SequenceCheckpoint) -> Result<BundleEnd, Broken> {
        self.epochs = AskedEpochs::behind(&self.subscription, start.position);
        self.header.asked = self.epochs.now();
        let line = self.bundle.header(&self.header);
        self.say(line).await?;
        let records = evidence_incarnations::records(&self.services, self.header.tree).await?;
        self.keys().await?;
        for (record, proof) in records {
            let line = self.bundle.incarnation(&record, &proof);
            self.say(line).await?;
        }
        self.receipt_keys().await?;
        let mut head = self.head_at(start).await?;
        let mut place = start;
        self.checkpoint(place, (head, self.header.tree)).await?;
        'pages: while place.position < self.bounds.through {
            self.must_be_wanted().await?;
            let reader = self.services.subscription_service.reader();
            let part = reader.read(&self.view, place.position, PAGE).await?;
            for found in &part.matches {
                let event = &found.entry.event;
                // What may not be heard any more ends a bundle before it: the chain has no gap.
                let is_beyond = self.header.to.is_some_and(|to| event.id > to)
                    || found.entry.position > self.bounds.through
                    || self.said.1 >= self.bounds.bytes;
                if is_beyond || !self.may_hear(&found.entry) {
                    break 'pages;
                }
                self.asked_up_to(found.entry.position, (place, head)).await?;
                self.event(found).await?;
                head = Some(event.id);
                place = behind(found);
            }
            place.position = part.reached.position.min(self.bounds.through);
        }
        self.asked_up_to(place.position, (place, head)).await?;
        let tree = self.grown_tree().await?;
        self.checkpoint(place, (head, tree)).await?;
        for (note, proof) in evidence_notes::cosigned(&self.services, tree).await? {
            let line = self.bundle.note(&note, &proof);
            self.say(line).await?;
        }
        let key = self.services.subscription_service.sealer().signing_key(&self.subscription)?;
        self.keys().await?;
        let bundle = std::mem::take(&mut self.bundle);
        let line = bundle.close(&self.header, self.services.clock.now(), &key)?;
        self.say(line).await?;
        self.send(None).await?;
        Ok(BundleEnd { place, head, events: self.said.0 })
    }

    /// Says the gateway's public keys, if they are others than before. A key may begin to sign while
    /// the bundle is written, so whatever was signed is said after this.
    pub(super) async fn keys(&mut self) -> Result<(), Broken> {
        let published = self.services.ring.jwks();
        if self.published.as_deref() == Some(&*published.etag) {
            return Ok(());
        }
        self.published = Some(published.etag.clone());
        let jwks: Value = serde_json::from_str(&published.text)?;
        let line = self.bundle.keys(&jwks);
        self.say(line).await
    }

    /// Says that the tree of now begins with that of the header, and gives it.
    async fn grown_tree(&mut self) -> Result<Option<TreeHead>, Broken> {
        let Some(before) = self.header.tree else { return Ok(None) };
        let (now, proof) = evidence_tree::growth(&self.services.store, before).await?;
        let line = self.bundle.consistency(&proof);
        self.say(line).await?;
        Ok(Some(now))
    }

    async fn event(&mut self, found: &NumberedEntry) -> Result<(), Broken> {
        let event = &found.entry.event;
        if let Some(dataschema) = event.dataschema.as_deref()
            && !self.contracts.contains(dataschema)
        {
            self.contracts.insert(dataschema.to_owned());
            let consumer = &self.subscription.consumer;
            let contract = evidence_contract::kept(&self.services, consumer, dataschema).await?;
            let contract = contract.as_ref().map(|(text, schema)| (&**text, schema));
            let line = self.bundle.contract(dataschema, contract);
            self.say(line).await?;
        }
        let delivery = Delivery {
            subscription: Arc::clone(&self.subscription),
            entry: Arc::clone(&found.entry),
            link: Some((found.sequence, found.previous)),
            replay: None,
            attempts: 0,
            first_attempt: None,
            redriven: false,
        };
        let sealed = self.services.subscription_service.sealer().seal(&delivery).await?;
        self.keys().await?;
        let (of, kept) = (&self.subscription.id, &self.services.store.receipts);
        let receipts = kept.receipts(of, Some(event.id), ReceiptId(0), RECEIPTS).await?;
        let receipts = receipts::each_once(receipts.iter().map(|receipt| &*receipt.jws));
        let (store, position) = (&self.services.store, found.entry.position);
        let inclusion = evidence_tree::inclusion(store, self.header.tree, position).await?;
        let state = self.states.of(found, !receipts.is_empty()).await?;
        let line = self.bundle.event(&EventLine {
            id: event.id,
            place: PlaceClaims { sequence: found.sequence, previous: found.previous },
            digest: event.digest,
            token: sealed.token(),
            receipts: &receipts,
            inclusion: inclusion.as_ref(),
            state: Some(&state),
        });
        self.said.0 += 1;
        self.say(line).await
    }
}

/// The place behind a match.
pub(super) fn behind(found: &NumberedEntry) -> SequenceCheckpoint {
    let event = &found.entry.event;
    SequenceCheckpoint {
        position: found.entry.position,
        sequence: found.sequence,
        chain: found.previous.next(event.id, event.digest),
    }
}
