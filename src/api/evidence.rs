//! Evidence bundles: what a subscription was sent in a range, streamed as a file that stands alone.

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

use crate::api::evidence_incarnations;
use crate::api::find_subscription::problem;
use crate::api::lists::EvidenceQuery;
use crate::api::pull::line;
use crate::api::query::{Query, parse_given};
use crate::api::readers;
use crate::api::{Caller, Code, Problem, Services};
use crate::api::{evidence_contract, evidence_notes};
use crate::deliver::{Delivery, NumberedEntry, SequenceReadError, SubscriptionView, WorkerHandle};
use crate::event::EventId;
use crate::eventlog::{Entry, Page, Position, ReceiptId, SequenceCheckpoint};
use crate::keys::ConsumerKeys;
use crate::seal::PlaceClaims;
use crate::seal::evidence::{EventLine, EvidenceBundle, Header};
use crate::subscriptions::{RecipientKeys, Subscription};
use crate::telemetry::error_chain;
use crate::transparency::{LeafProof, ProofPlan, TreeHead};

/// Events that are sealed before the next are read.
const PAGE: Page = Page { items: 64, bytes: 1024 * 1024 };
/// Receipts of one event that go into a bundle, live and replays together.
const RECEIPTS: Page = Page { items: 32, bytes: 256 * 1024 };
/// Lines that may wait for the caller to read on.
const WAITING: usize = 16;

/// Why a bundle ends before its time; whoever reads it sees that it is cut.
type Broken = Box<dyn std::error::Error + Send + Sync>;

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
    let from: Option<EventId> = parse_given("from", range.from.as_deref())?;
    let to = parse_given("to", range.to.as_deref())?;
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
    let header = Header {
        issuer: services.issuer.as_str().trim_end_matches('/').to_owned(),
        audience: subscription.audience.clone(),
        subscription: subscription.id.clone(),
        from,
        to,
        at: services.clock.now(),
        tree: Some(services.store.tree.tree_head().await?),
        incarnation: services.subscription_service.sealer().incarnations().current(),
    };
    tracing::info!(
        caller.id = %caller.id(),
        subscription.id = %subscription.id,
        "Caller {} exports evidence of subscription {}", caller.id(), subscription.id,
    );
    let (lines, read) = mpsc::channel(WAITING);
    let export = Export {
        services: Arc::clone(&services),
        caller,
        line,
        subscription,
        view,
        header,
        bundle: EvidenceBundle::default(),
        published: None,
        contracts: BTreeSet::new(),
        lines,
        _place: Arc::clone(&place),
    };
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

fn unread(error: SequenceReadError) -> Problem {
    match error {
        SequenceReadError::Log(error) => problem(error.into()),
        SequenceReadError::Gone { after, .. } => {
            let detail =
                format!("events after this place are not kept any more; read on after {after}");
            Problem::new(Code::Gone, detail)
        }
        stops @ SequenceReadError::NotDecided(_) => Problem::new(Code::NotReady, stops.to_string()),
    }
}

/// A bundle on its way to whoever asked.
struct Export {
    services: Arc<Services>,
    caller: Caller,
    line: WorkerHandle,
    subscription: Arc<Subscription>,
    view: SubscriptionView,
    header: Header,
    bundle: EvidenceBundle,
    /// The entity tag of the gateway's keys as the bundle has them.
    published: Option<String>,
    /// Of which the bundle has the contract.
    contracts: BTreeSet<String>,
    /// Nothing is the end of a whole bundle.
    lines: mpsc::Sender<Option<Bytes>>,
    _place: Arc<readers::ReaderPlace>,
}

impl Export {
    async fn run(mut self, start: SequenceCheckpoint) {
        let Err(error) = self.write(start).await else { return };
        if !self.lines.is_closed() {
            tracing::error!(
                subscription.id = %self.subscription.id,
                error = %error_chain(&*error),
                "A bundle of evidence of subscription {} is cut", self.subscription.id,
            );
        }
    }

    async fn say(&self, line: String) -> Result<(), Broken> {
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
    async fn must_be_wanted(&self) -> Result<(), Broken> {
        if self.lines.is_closed() {
            return Err("nobody reads it".into());
        }
        if self.services.tasks.stopping().is_cancelled() {
            return Err("the gateway is stopping".into());
        }
        if self.line.subscription.has_changed().is_err() {
            return Err("the subscription has ended".into());
        }
        let now = self.services.callers.again(&self.caller).await?;
        if now.is_some_and(|caller| caller.sees(&self.subscription.consumer)) {
            Ok(())
        } else {
            Err("the caller may not see it any more".into())
        }
    }

    /// Whether the consumer may hear an event now.
    fn may_hear(&self, entry: &Entry) -> bool {
        let access = self.services.subscription_service.access();
        let of = (&*entry.publication, &entry.event);
        access.lets(&self.subscription.consumer, of, entry.position)
    }

    /// The place behind the matches at the beginning that the consumer may not hear any more.
    async fn first_heard(
        &self,
        mut start: SequenceCheckpoint,
    ) -> Result<SequenceCheckpoint, Broken> {
        while start.position < self.view.standing.scanned {
            self.must_be_wanted().await?;
            let reader = self.services.subscription_service.reader();
            let part = reader.read(&self.view, start.position, PAGE).await?;
            for found in &part.matches {
                let event = &found.entry.event;
                if self.may_hear(&found.entry) {
                    return Ok(start);
                }
                start = SequenceCheckpoint {
                    position: found.entry.position,
                    sequence: found.sequence,
                    chain: found.previous.next(event.id, event.digest),
                };
            }
            start.position = part.reached.position;
        }
        Ok(start)
    }

    async fn write(&mut self, start: SequenceCheckpoint) -> Result<(), Broken> {
        let line = self.bundle.header(&self.header);
        self.say(line).await?;
        let records = evidence_incarnations::records(&self.services, self.header.tree).await?;
        self.keys().await?;
        for (record, proof) in records {
            let line = self.bundle.incarnation(&record, &proof);
            self.say(line).await?;
        }
        self.receipt_keys().await?;
        let start = self.first_heard(start).await?;
        let before = Position(start.position.0.saturating_sub(1));
        let head = self.services.store.log.read(before, Page { items: 1, bytes: 1 }).await?;
        let service = &self.services.subscription_service;
        // It names no event that the consumer may not know of.
        let head = head.first().filter(|entry| {
            entry.position == start.position && service.may_know(&self.subscription, entry)
        });
        let asked = self.header.from.and_then(EventId::predecessor);
        let mut head = head.map(|entry| entry.event.id).or(asked);
        let mut place = start;
        self.checkpoint(place, head, self.header.tree).await?;
        'pages: while place.position < self.view.standing.scanned {
            self.must_be_wanted().await?;
            let reader = self.services.subscription_service.reader();
            let part = reader.read(&self.view, place.position, PAGE).await?;
            for found in &part.matches {
                let event = &found.entry.event;
                // What may not be heard any more ends a bundle before it: the chain has no gap.
                let is_beyond = self.header.to.is_some_and(|to| event.id > to);
                if is_beyond || !self.may_hear(&found.entry) {
                    break 'pages;
                }
                self.event(found).await?;
                head = Some(event.id);
                place.sequence = found.sequence;
                place.chain = found.previous.next(event.id, event.digest);
            }
            place.position = part.reached.position;
        }
        let tree = self.grown_tree().await?;
        self.checkpoint(place, head, tree).await?;
        for (note, proof) in evidence_notes::cosigned(&self.services, tree).await? {
            let line = self.bundle.note(&note, &proof);
            self.say(line).await?;
        }
        let key = self.services.subscription_service.sealer().signing_key(&self.subscription)?;
        self.keys().await?;
        let bundle = std::mem::take(&mut self.bundle);
        let line = bundle.close(&self.header, self.services.clock.now(), &key)?;
        self.say(line).await?;
        self.send(None).await
    }

    /// Says the gateway's public keys, if they are others than before. A key may begin to sign while
    /// the bundle is written, so whatever was signed is said after this.
    async fn keys(&mut self) -> Result<(), Broken> {
        let published = self.services.ring.jwks();
        if self.published.as_deref() == Some(&*published.etag) {
            return Ok(());
        }
        self.published = Some(published.etag.clone());
        let jwks: Value = serde_json::from_str(&published.text)?;
        let line = self.bundle.keys(&jwks);
        self.say(line).await
    }

    /// Says the consumer's keys for receipts, those behind its address, too, or why there are none.
    async fn receipt_keys(&mut self) -> Result<(), Broken> {
        let Some(receipts) = &self.subscription.receipts else { return Ok(()) };
        let fetched = matches!(receipts.keys, ConsumerKeys::Remote(_));
        let line = match receipts.keys.known(&self.services.receipt_keys).await {
            Ok(keys) => self.bundle.receipt_keys(Ok(&keys.to_jwks()), fetched),
            // What the guard or the network says behind this is not for whoever reads the bundle.
            Err(error) => self.bundle.receipt_keys(Err(&error.to_string()), fetched),
        };
        self.say(line).await
    }

    /// Says how far the subscription had come at a place.
    async fn checkpoint(
        &mut self,
        place: SequenceCheckpoint,
        head: Option<EventId>,
        tree: Option<TreeHead>,
    ) -> Result<(), Broken> {
        let sealer = self.services.subscription_service.sealer();
        let token = sealer.sign_place(&self.subscription, place, head, tree)?;
        self.keys().await?;
        let line = self.bundle.checkpoint(&token);
        self.say(line).await
    }

    /// Says that the tree of now begins with that of the header, and gives it.
    async fn grown_tree(&mut self) -> Result<Option<TreeHead>, Broken> {
        let Some(before) = self.header.tree else { return Ok(None) };
        let tree = &self.services.store.tree;
        let now = tree.tree_head().await?;
        let plan =
            ProofPlan::consistency(before.tree.size, now.tree.size).ok_or("the tree shrank")?;
        let proof = tree.make_proof(&plan).await?;
        let line = self.bundle.consistency(&proof);
        self.say(line).await?;
        Ok(Some(now))
    }

    /// The proof that an event is in the tree of the header; nothing if it is from before the tree.
    async fn inclusion(&self, position: Position) -> Result<Option<LeafProof>, Broken> {
        let Some(head) = self.header.tree else { return Ok(None) };
        let Some(index) = position.0.checked_sub(head.first) else { return Ok(None) };
        let plan = ProofPlan::inclusion(index, head.tree.size).ok_or("an event is in no tree")?;
        let proof = self.services.store.tree.make_proof(&plan).await?;
        Ok(Some(LeafProof { index, proof }))
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
        let receipts: Vec<&str> = receipts.iter().map(|receipt| &*receipt.jws).collect();
        let inclusion = self.inclusion(found.entry.position).await?;
        let line = self.bundle.event(&EventLine {
            id: event.id,
            place: PlaceClaims { sequence: found.sequence, previous: found.previous },
            digest: event.digest,
            token: sealed.token(),
            receipts: &receipts,
            inclusion: inclusion.as_ref(),
        });
        self.say(line).await
    }
}
