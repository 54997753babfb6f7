//! Who may hear what, now: the one place that is asked before anything of a publication begins.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, Notify};

use crate::access::grant::unkept;
use crate::access::known::{EndedAccess, Known, PublicationAccess};
use crate::access::{
    AccessError, Config, EndOfAccess, Entitlement, Grant, GrantDocument, GrantEnd, GrantState,
    History,
};
use crate::ambient::{Clock, Entropy};
use crate::event::{CloudEvent, ConsumerId, EventId, GrantId, Timestamp};
use crate::eventlog::{Log, Position, Record, RecordKey, Registry, Revision};

/// The kind of document under which the registry keeps grants.
const KIND: &str = "grant";
/// The kind of the one document that names the publications which are heard by grant only.
const CLOSED_KIND: &str = "closed-publications";
/// The most grants that have not ended, of all consumers.
const MOST_GRANTS: usize = 20_000;
/// So many grants of a consumer that have ended are kept, the newest.
const MOST_ENDED: usize = 200;
/// Who has decided the grants that the gateway gives to whoever heard a publication before it was
/// closed.
pub const BY_UPGRADE: &str = "upgrade";

/// What is kept of the publications that are heard by grant only.
#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ClosedPublications {
    /// By name, the name of their events.
    publications: BTreeMap<Arc<str>, Arc<str>>,
}

/// The parts of an [`Access`].
pub struct AccessParts {
    /// Its bounds.
    pub config: Config,
    /// Where grants are kept.
    pub registry: Arc<dyn Registry>,
    /// Where positions are found.
    pub log: Arc<dyn Log>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Entropy, for names.
    pub entropy: Arc<dyn Entropy>,
}

/// Who may hear what, now.
///
/// An end holds from the moment at which it is known here, which is before it is written: nothing of
/// it begins any more, whether or not a crash keeps it from being written and someone has to say it
/// again.
pub struct Access {
    pub(super) parts: AccessParts,
    known: ArcSwap<Known>,
    closed_revision: Mutex<Option<Revision>>,
    /// Held while grants change, so that they are written in one order.
    pub(super) changing: Mutex<()>,
    changed: Notify,
}

impl Access {
    /// Reads what is kept; `publications` are those of the files.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed, or what it holds cannot be read.
    pub async fn open(
        parts: AccessParts,
        publications: &[PublicationAccess],
    ) -> Result<Self, AccessError> {
        let key = RecordKey { kind: CLOSED_KIND, id: CLOSED_KIND.to_owned() };
        let record = parts.registry.get(&key).await?;
        let kept: ClosedPublications = match &record {
            Some(record) => serde_json::from_str(&record.body).map_err(|source| {
                AccessError::Damaged { kind: CLOSED_KIND, id: record.id.clone(), source }
            })?,
            None => ClosedPublications::default(),
        };
        let mut known = Known { closed: kept.publications, ..Known::default() };
        for one in publications {
            let (name, event_name) = (Arc::clone(&one.name), Arc::clone(&one.event_name));
            if one.by_grant {
                known.closed.insert(name, event_name);
            } else {
                known.closed.remove(&name);
                known.public.insert(name, event_name);
            }
        }
        for record in parts.registry.list(KIND).await? {
            known.put(read(&record)?);
        }
        Ok(Self {
            parts,
            known: ArcSwap::from_pointee(known),
            closed_revision: Mutex::new(record.map(|record| record.revision)),
            changing: Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// Everything is public.
    #[cfg(test)]
    pub fn public(parts: AccessParts) -> Self {
        Self {
            parts,
            known: ArcSwap::default(),
            closed_revision: Mutex::default(),
            changing: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// The settings.
    pub const fn config(&self) -> &Config {
        &self.parts.config
    }

    fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    fn change(&self, change: impl Fn(&mut Known)) {
        self.known.rcu(|known| {
            let mut next = Known::clone(known);
            change(&mut next);
            next
        });
        self.changed.notify_one();
    }

    /// Waits until something has changed.
    ///
    /// Cancel safe.
    pub async fn change_of_access(&self) {
        self.changed.notified().await;
    }

    /// The publications that have become heard by grant only and were public when the gateway ran
    /// last.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed, or what it holds cannot be read.
    pub async fn newly_closed(&self) -> Result<Vec<PublicationAccess>, AccessError> {
        let kept = self.kept_closed().await?;
        let known = self.known.load();
        let new = known.closed.iter().filter(|(name, _)| !kept.contains_key(*name));
        let named = |(name, event_name): (&Arc<str>, &Arc<str>)| PublicationAccess {
            name: Arc::clone(name),
            event_name: Arc::clone(event_name),
            by_grant: true,
        };
        Ok(new.map(named).collect())
    }

    async fn kept_closed(&self) -> Result<BTreeMap<Arc<str>, Arc<str>>, AccessError> {
        let key = RecordKey { kind: CLOSED_KIND, id: CLOSED_KIND.to_owned() };
        let Some(record) = self.parts.registry.get(&key).await? else {
            return Ok(BTreeMap::new());
        };
        let kept: ClosedPublications = serde_json::from_str(&record.body)
            .map_err(|source| AccessError::Damaged { kind: CLOSED_KIND, id: record.id, source })?;
        Ok(kept.publications)
    }

    /// Keeps which publications are heard by grant only, once whoever heard them has its grants.
    ///
    /// # Errors
    ///
    /// Later: the disk is full. Ours: the registry failed.
    pub async fn keep_closed(&self) -> Result<(), AccessError> {
        let mut revision = self.closed_revision.lock().await;
        let publications = self.known.load().closed.clone();
        if self.kept_closed().await? == publications {
            return Ok(());
        }
        let key = RecordKey { kind: CLOSED_KIND, id: CLOSED_KIND.to_owned() };
        let body = to_text(CLOSED_KIND, CLOSED_KIND, &ClosedPublications { publications })?;
        *revision = Some(self.parts.registry.put(&key, *revision, body).await?);
        Ok(())
    }

    /// Whether a publication is heard by grant only.
    pub fn is_by_grant(&self, publication: &str) -> bool {
        self.known.load().closed.contains_key(publication)
    }

    /// Whether there is a publication of this name, or any of this domain for `domain/*`.
    pub fn knows(&self, publication: &crate::access::GrantedPublication) -> bool {
        let known = self.known.load();
        let mut all = known.closed.keys().chain(known.public.keys());
        all.any(|name| publication.covers(name))
    }

    /// Every publication: those of the files, and those that were heard by grant only.
    pub fn publications(&self) -> Vec<PublicationAccess> {
        let known = self.known.load();
        let of = |by_grant| {
            move |(name, event_name): (&Arc<str>, &Arc<str>)| PublicationAccess {
                name: Arc::clone(name),
                event_name: Arc::clone(event_name),
                by_grant,
            }
        };
        let closed = known.closed.iter().map(of(true));
        closed.chain(known.public.iter().map(of(false))).collect()
    }

    /// What a consumer may hear from now on, as an epoch keeps it.
    pub fn entitlement(&self, consumer: &ConsumerId) -> Entitlement {
        self.known.load().entitlement(consumer)
    }

    /// Whether anything of a publication may be heard by a consumer now.
    pub fn hears(&self, consumer: &ConsumerId, publication: &str) -> bool {
        let at = (Position(u64::MAX), self.now());
        self.known.load().lets(consumer, publication, at)
    }

    /// Whether an event may be sent to a consumer, or handed out, now. Of what is kept without its
    /// publication, every publication that may have brought it has to let it.
    pub fn lets(
        &self,
        consumer: &ConsumerId,
        (publication, event): (&str, &CloudEvent),
        position: Position,
    ) -> bool {
        let (known, at) = (self.known.load(), (position, self.now()));
        if !publication.is_empty() {
            return known.lets(consumer, publication, at);
        }
        let name = event.name();
        known.closed_named(name.as_str()).all(|named| known.lets(consumer, named, at))
    }

    /// Why a consumer cannot hear a publication any more that it could, told from a position on.
    pub fn end_of(&self, consumer: &ConsumerId, publication: &str, from: Position) -> EndedAccess {
        self.known.load().loss(consumer, publication, (from, self.now()))
    }

    /// Whether something may be heard of any publication that a test chooses by the names of its
    /// events.
    pub fn hears_any(&self, consumer: &ConsumerId, chooses: impl Fn(&str) -> bool) -> bool {
        let (known, at) = (self.known.load(), (Position(u64::MAX), self.now()));
        known.public.values().any(|event| chooses(event))
            || known
                .closed
                .iter()
                .any(|(name, event)| chooses(event) && known.lets(consumer, name, at))
    }

    /// Every grant, in the order of their names.
    pub fn grants(&self) -> Vec<Arc<Grant>> {
        self.known.load().grants.values().cloned().collect()
    }

    /// The grants of a consumer, in the order of their names.
    pub fn grants_of(&self, consumer: &ConsumerId) -> Vec<Arc<Grant>> {
        self.known.load().of(consumer).cloned().collect()
    }

    /// Finds a grant.
    pub fn grant(&self, id: &GrantId) -> Option<Arc<Grant>> {
        self.known.load().grants.get(id).cloned()
    }

    /// Gives a consumer a grant. One that begins at once lets it hear from this answer on.
    ///
    /// # Errors
    ///
    /// The caller's turn: the document cannot work, the name is taken, or there are too many. Ours:
    /// the log or the registry failed.
    pub async fn give(
        &self,
        document: GrantDocument,
        decided_by: &str,
    ) -> Result<Arc<Grant>, AccessError> {
        document.check()?;
        let _changing = self.changing.lock().await;
        let now = self.now();
        if document.until.is_some_and(|until| until <= now) {
            return Err(AccessError::invalid("/until", "that moment is past"));
        }
        self.must_have_room(&document.consumer, now)?;
        let id = match document.id {
            Some(id) => id,
            None => self.new_name()?,
        };
        let mut grant = Grant {
            id,
            consumer: document.consumer,
            publication: document.publication,
            history: document.history,
            from: document.from.unwrap_or(now).max(now),
            until: document.until,
            reason: document.reason,
            decided_by: decided_by.to_owned(),
            created: now,
            heard_from: None,
            ended: None,
            revision: unkept(),
        };
        if grant.from <= now {
            grant.heard_from = Some(self.heard_from(&grant).await?);
        }
        self.write(&mut grant).await?;
        self.change(|known| known.put(grant.clone()));
        self.drop_oldest_ended(&grant.consumer).await;
        Ok(Arc::new(grant))
    }

    fn must_have_room(&self, consumer: &ConsumerId, now: Timestamp) -> Result<(), AccessError> {
        let (known, most) = (self.known.load(), self.parts.config.grants_per_consumer);
        if known.open_grants(consumer, now) >= most as usize {
            let why = format!("consumer `{consumer}` has {most} grants; recall one first");
            return Err(AccessError::TooMany(why));
        }
        if known.grants.values().filter(|grant| grant.ended.is_none()).count() >= MOST_GRANTS {
            return Err(AccessError::TooMany(format!("there are {MOST_GRANTS} grants already")));
        }
        Ok(())
    }

    /// Makes a name; names grow with time.
    pub(super) fn new_name<N: std::str::FromStr>(&self) -> Result<N, AccessError> {
        let unix_ms = u64::try_from(self.now().unix_ms()).unwrap_or(0);
        let name = EventId::from_parts(unix_ms, self.parts.entropy.next_u128()).to_string();
        let unnamed = |_| AccessError::invalid("/id", "no name could be made");
        name.to_lowercase().parse().map_err(unnamed)
    }

    /// Changes when a grant ends; nothing: never by itself.
    ///
    /// # Errors
    ///
    /// The caller's turn: there is none, it is over, or that moment is past. Ours: the registry
    /// failed.
    pub async fn end_at(
        &self,
        id: &GrantId,
        until: Option<Timestamp>,
    ) -> Result<Arc<Grant>, AccessError> {
        let _changing = self.changing.lock().await;
        let (mut grant, now) = (self.open_grant(id)?, self.now());
        if until.is_some_and(|until| until <= now.max(grant.from)) {
            let problem = "give a moment that comes, or recall the grant";
            return Err(AccessError::invalid("/until", problem));
        }
        if grant.until != until {
            grant.until = until;
            self.write(&mut grant).await?;
            self.change(|known| known.put(grant.clone()));
        }
        Ok(Arc::new(grant))
    }

    /// Takes a grant back: nothing of it begins once this was called.
    ///
    /// # Errors
    ///
    /// The caller's turn: there is none, or it is over. Ours: the registry failed; then it holds.
    pub async fn recall(
        &self,
        id: &GrantId,
        (by, reason): (&str, &str),
    ) -> Result<Arc<Grant>, AccessError> {
        crate::access::grant::check_reason(reason)?;
        let _changing = self.changing.lock().await;
        let grant = self.open_grant(id)?;
        let (by, reason) = (Some(by.to_owned()), reason.to_owned());
        let (at, position) = (self.now(), self.parts.log.fresh_head().await?.0);
        let end = GrantEnd { at, position, why: EndOfAccess::Recalled, by, reason };
        self.end(grant, end).await
    }

    fn open_grant(&self, id: &GrantId) -> Result<Grant, AccessError> {
        let grant = self.grant(id).ok_or(AccessError::Unknown)?;
        match grant.state(self.now()) {
            GrantState::Planned | GrantState::Active => Ok(Grant::clone(&grant)),
            state => Err(AccessError::Over { id: id.clone(), state }),
        }
    }

    /// Ends a grant: for everyone here first, then on the disk.
    async fn end(&self, before: Grant, end: GrantEnd) -> Result<Arc<Grant>, AccessError> {
        let mut ended = Grant { ended: Some(end), ..before.clone() };
        self.change(|known| known.put(ended.clone()));
        if let Err(error) = self.write(&mut ended).await {
            self.change(|known| known.put(before.clone()));
            return Err(error);
        }
        self.change(|known| known.put(ended.clone()));
        Ok(Arc::new(ended))
    }

    /// Begins the grants whose time has come and ends those whose time is over; says how many.
    ///
    /// # Errors
    ///
    /// Later: the disk is full. Ours: the log or the registry failed.
    pub async fn keep_time(&self) -> Result<usize, AccessError> {
        let _changing = self.changing.lock().await;
        let now = self.now();
        let due: Vec<Arc<Grant>> = {
            let known = self.known.load();
            let open = known.grants.values().filter(|grant| grant.ended.is_none());
            open.filter(|grant| grant.next_change().is_some_and(|at| at <= now)).cloned().collect()
        };
        for grant in &due {
            let mut grant = Grant::clone(grant);
            if let Some(until) = grant.until.filter(|until| *until <= now) {
                let position = self.parts.log.fresh_head().await?.0;
                let why = EndOfAccess::Expired;
                let end = GrantEnd { at: until, position, why, by: None, reason: String::new() };
                self.end(grant, end).await?;
            } else {
                grant.heard_from = Some(self.heard_from(&grant).await?);
                self.write(&mut grant).await?;
                self.change(|known| known.put(grant.clone()));
            }
        }
        Ok(due.len())
    }

    /// When a grant begins or ends next.
    pub fn next_change(&self) -> Option<Timestamp> {
        let known = self.known.load();
        known.grants.values().filter_map(|grant| grant.next_change()).min()
    }

    /// The first position that a grant lets its consumer hear, if it begins now.
    async fn heard_from(&self, grant: &Grant) -> Result<u64, AccessError> {
        let log = &self.parts.log;
        let since = match grant.history {
            History::All => return Ok(0),
            History::FromGrant if grant.from <= grant.created => {
                return Ok(log.fresh_head().await?.0 + 1);
            }
            History::FromGrant => grant.from,
            History::Before(duration) => grant.from.before(duration.0),
        };
        let unix_ms = u64::try_from(since.unix_ms()).unwrap_or(0);
        Ok(log.seek(EventId::first_of(unix_ms)).await?.0 + 1)
    }

    async fn write(&self, grant: &mut Grant) -> Result<(), AccessError> {
        let expected = Some(grant.revision).filter(|revision| *revision != unkept());
        let body = to_text(KIND, grant.id.as_str(), grant)?;
        let key = RecordKey { kind: KIND, id: grant.id.to_string() };
        let written = self.parts.registry.put(&key, expected, body).await;
        grant.revision = written.map_err(|error| match (AccessError::from(error), expected) {
            (AccessError::Stale, None) => AccessError::Exists(grant.id.clone()),
            (other, _) => other,
        })?;
        Ok(())
    }

    /// Forgets the oldest grants of a consumer that have ended and are too many.
    async fn drop_oldest_ended(&self, consumer: &ConsumerId) {
        let mut ended: Vec<Arc<Grant>> = self.grants_of(consumer);
        ended.retain(|grant| grant.ended.is_some());
        ended.sort_by_key(|grant| grant.ended.as_ref().map(|end| end.at));
        let surplus = ended.len().saturating_sub(MOST_ENDED);
        let gone: BTreeSet<&GrantId> = ended.iter().take(surplus).map(|grant| &grant.id).collect();
        for grant in ended.iter().filter(|grant| gone.contains(&grant.id)) {
            let key = RecordKey { kind: KIND, id: grant.id.to_string() };
            // What cannot be dropped now is dropped after the next grant.
            if self.parts.registry.remove(&key, grant.revision).await.is_ok() {
                self.change(|known| known.drop(&grant.id));
            }
        }
    }
}

impl Grant {
    /// When it begins or ends next; nothing if it is over, or never ends by itself.
    fn next_change(&self) -> Option<Timestamp> {
        match (&self.ended, self.heard_from) {
            (Some(_), _) => None,
            (None, None) => Some(self.until.map_or(self.from, |until| until.min(self.from))),
            (None, Some(_)) => self.until,
        }
    }
}

fn read(record: &Record) -> Result<Grant, AccessError> {
    let damaged = |source| AccessError::Damaged { kind: KIND, id: record.id.clone(), source };
    let grant: Grant = serde_json::from_str(&record.body).map_err(damaged)?;
    Ok(Grant { revision: record.revision, ..grant })
}

pub(super) fn to_text<T: Serialize>(
    kind: &'static str,
    id: &str,
    kept: &T,
) -> Result<String, AccessError> {
    let damaged = |source| AccessError::Damaged { kind, id: id.to_owned(), source };
    serde_json::to_string(kept).map_err(damaged)
}
