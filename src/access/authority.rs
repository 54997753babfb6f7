//! Who may hear what, now: the one place that is asked before anything of a publication begins.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, Notify};

use crate::access::known::{ComingEnd, EndedAccess, Known, PublicationAccess};
use crate::access::{AccessError, Config, Entitlement, Grant, GrantId, GrantReference};
use crate::ambient::{Clock, Entropy};
use crate::event::{CloudEvent, ConsumerId, EventId, Timestamp};
use crate::eventlog::{Log, Position, Record, RecordKey, Registry, Revision};

/// The kind of document under which the registry keeps grants.
pub(super) const KIND: &str = "grant";
/// The kind of the one document that names the publications which are heard by grant only.
const CLOSED_KIND: &str = "closed-publications";
/// Who has decided the grants that the gateway gives to whoever heard a publication before it was
/// closed.
pub const BY_UPGRADE: &str = "upgrade";
/// Who has decided the grants that a gateway finds in files when it is told to reload.
pub const BY_FILES: &str = "files";

/// What is kept of the publications as they were when the gateway ran last.
#[derive(Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ClosedPublications {
    /// Those that are heard by grant only, by name, with the name of their events.
    publications: BTreeMap<Arc<str>, Arc<str>>,
    /// The names of those that were public; nothing before that was kept.
    #[serde(default)]
    public: Option<BTreeSet<Arc<str>>>,
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
    /// The grants that files name.
    pub(super) named: ArcSwap<BTreeSet<GrantId>>,
    closed_revision: Mutex<Option<Revision>>,
    /// Held while grants change, so that they are written in one order.
    pub(super) changing: Mutex<()>,
    /// Held while an access request is decided, so that one decision wins as a whole.
    pub(super) deciding: Mutex<()>,
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
        known.publish(publications);
        for record in parts.registry.list(KIND).await? {
            known.put(read(&record)?);
        }
        Ok(Self {
            parts,
            known: ArcSwap::from_pointee(known),
            named: ArcSwap::default(),
            closed_revision: Mutex::new(record.map(|record| record.revision)),
            changing: Mutex::default(),
            deciding: Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// Everything is public.
    #[cfg(test)]
    pub fn public(parts: AccessParts) -> Self {
        Self {
            parts,
            known: ArcSwap::default(),
            named: ArcSwap::default(),
            closed_revision: Mutex::default(),
            changing: Mutex::default(),
            deciding: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// The settings.
    pub const fn config(&self) -> &Config {
        &self.parts.config
    }

    pub(super) fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    pub(super) fn known(&self) -> arc_swap::Guard<Arc<Known>> {
        self.known.load()
    }

    pub(super) fn change(&self, change: impl Fn(&mut Known)) {
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
        // Before anything was kept, everything that there was was public. What has come since was not.
        let was_public =
            |name: &Arc<str>| kept.public.as_ref().is_none_or(|public| public.contains(name));
        let new = known
            .closed
            .iter()
            .filter(|(name, _)| !kept.publications.contains_key(*name) && was_public(name));
        let named = |(name, event_name): (&Arc<str>, &Arc<str>)| PublicationAccess {
            name: Arc::clone(name),
            event_name: Arc::clone(event_name),
            by_grant: true,
        };
        Ok(new.map(named).collect())
    }

    async fn kept_closed(&self) -> Result<ClosedPublications, AccessError> {
        let key = RecordKey { kind: CLOSED_KIND, id: CLOSED_KIND.to_owned() };
        let Some(record) = self.parts.registry.get(&key).await? else {
            return Ok(ClosedPublications::default());
        };
        serde_json::from_str(&record.body).map_err(|source| AccessError::Damaged {
            kind: CLOSED_KIND,
            id: record.id,
            source,
        })
    }

    /// Keeps which publications are public and which are heard by grant only, once whoever heard these has
    /// its grants.
    ///
    /// # Errors
    ///
    /// Later: the disk is full. Ours: the registry failed.
    pub async fn keep_closed(&self) -> Result<(), AccessError> {
        let mut revision = self.closed_revision.lock().await;
        let known = Arc::clone(&self.known.load());
        let publications = known.closed.clone();
        let public = Some(known.public.keys().map(Arc::clone).collect());
        let now = ClosedPublications { publications, public };
        if self.kept_closed().await? == now {
            return Ok(());
        }
        let key = RecordKey { kind: CLOSED_KIND, id: CLOSED_KIND.to_owned() };
        let body = to_text(CLOSED_KIND, CLOSED_KIND, &now)?;
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

    /// What a consumer hears and soon cannot any more, of the publications that a test chooses by the names
    /// of their events.
    pub fn coming_ends(
        &self,
        consumer: &ConsumerId,
        chooses: impl Fn(&str) -> bool,
    ) -> Vec<ComingEnd> {
        let (known, now) = (self.known.load(), self.now());
        let ahead = self.parts.config.tell_before.0;
        if !known.of(consumer).any(|grant| grant.ends_soon(now, ahead)) {
            return Vec::new();
        }
        let coming = known.coming_ends(consumer, (now, now.after(ahead)));
        coming.filter(|(event_name, _)| chooses(event_name)).map(|(_, end)| end).collect()
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

    /// The names of the events that a consumer may hear something of.
    pub fn event_names_heard(&self, consumer: &ConsumerId) -> Vec<Arc<str>> {
        let (known, at) = (self.known.load(), (Position(u64::MAX), self.now()));
        let is_let = |name: &str| known.lets(consumer, name, at);
        let closed = known.closed.iter().filter(|(name, _)| is_let(name));
        known.public.values().chain(closed.map(|(_, event)| event)).map(Arc::clone).collect()
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

    /// The grants that a text may mean.
    pub fn grants_called(&self, reference: &GrantReference) -> Vec<Arc<Grant>> {
        let known = self.known.load();
        let called = known.grants.iter().filter(|(id, _)| reference.means(id));
        called.map(|(_, grant)| Arc::clone(grant)).collect()
    }

    /// Makes a name; names grow with time.
    pub(super) fn new_name<N: std::str::FromStr>(&self) -> Result<N, AccessError> {
        let unix_ms = u64::try_from(self.now().unix_ms()).unwrap_or(0);
        let name = EventId::from_parts(unix_ms, self.parts.entropy.next_u128()).to_string();
        let unnamed = |_| AccessError::invalid("/id", "no name could be made");
        name.to_lowercase().parse().map_err(unnamed)
    }

    /// When a grant begins or ends next.
    pub fn next_change(&self) -> Option<Timestamp> {
        let known = self.known.load();
        known.grants.values().filter_map(|grant| grant.next_change()).min()
    }
}

impl Grant {
    /// When it begins or ends next; nothing if it is over, or never ends by itself.
    pub(super) fn next_change(&self) -> Option<Timestamp> {
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
    Ok(Grant { revision: record.revision, record: record.id.clone(), ..grant })
}

pub(super) fn to_text<T: Serialize>(
    kind: &'static str,
    id: &str,
    kept: &T,
) -> Result<String, AccessError> {
    let damaged = |source| AccessError::Damaged { kind, id: id.to_owned(), source };
    serde_json::to_string(kept).map_err(damaged)
}
