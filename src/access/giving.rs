//! Gives grants, moves their ends, recalls them, and keeps them in step with time.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::access::authority::{KIND, to_text};
use crate::access::grant::{check_reason, unkept};
use crate::access::known::Known;
use crate::access::{
    Access, AccessError, EndOfAccess, Grant, GrantDocument, GrantEnd, GrantId, GrantState, History,
};
use crate::event::{ConsumerId, EventId, Timestamp};
use crate::eventlog::RecordKey;

/// The most grants of all domains that have not ended.
const MOST_GRANTS: usize = 20_000;
/// The most of one domain, so that it leaves room for others.
const MOST_OF_DOMAIN: usize = MOST_GRANTS / 2;
/// So many grants of a domain to a consumer that have ended are kept, the newest.
const MOST_ENDED: usize = 200;

/// How many grants there are and may be: by what a domain has given itself, so that it neither learns what
/// others have given nor takes their room.
struct GrantRoom<'k> {
    known: &'k Known,
    now: Timestamp,
    /// The most of a domain to one consumer.
    most: usize,
    open: usize,
    of_domain: HashMap<&'k str, usize>,
    /// Of a domain to a consumer; of those that were asked for.
    of_both: HashMap<(&'k ConsumerId, &'k str), usize>,
}

impl<'k> GrantRoom<'k> {
    fn of(known: &'k Known, (now, most): (Timestamp, u32)) -> Self {
        let mut of_domain = HashMap::new();
        let open = known.grants.values().filter(|grant| grant.ended.is_none());
        for grant in open {
            *of_domain.entry(grant.publication.domain()).or_insert(0) += 1;
        }
        let open = of_domain.values().sum();
        Self { known, now, most: most as usize, open, of_domain, of_both: HashMap::new() }
    }

    /// Takes the room of a grant that comes.
    fn take(&mut self, document: &'k GrantDocument) -> Result<(), AccessError> {
        let (consumer, domain) = (&document.consumer, document.publication.domain());
        let (known, now, most) = (self.known, self.now, self.most);
        let of_both = self.of_both.entry((consumer, domain));
        let of_both = of_both.or_insert_with(|| known.open_grants((consumer, domain), now));
        let of_domain = self.of_domain.entry(domain).or_insert(0);
        if *of_both >= most {
            let why =
                format!("consumer `{consumer}` has {most} grants of `{domain}`; recall one first");
            return Err(AccessError::TooMany(why));
        }
        if *of_domain >= MOST_OF_DOMAIN {
            let why = format!("there are {MOST_OF_DOMAIN} grants of `{domain}` already");
            return Err(AccessError::TooMany(why));
        }
        if self.open >= MOST_GRANTS {
            return Err(AccessError::TooMany(format!("there are {MOST_GRANTS} grants already")));
        }
        *of_both += 1;
        *of_domain += 1;
        self.open += 1;
        Ok(())
    }
}

impl Access {
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
        let id = match document.grant_id() {
            Some(id) => id,
            None => GrantId::of(&document.publication, self.new_name()?),
        };
        if self.grant(&id).is_some() {
            return Err(AccessError::Exists(id));
        }
        let most = self.parts.config.grants_per_consumer;
        GrantRoom::of(&self.known(), (now, most)).take(&document)?;
        let mut grant = Grant {
            record: id.to_string(),
            name: id.name().clone(),
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
        self.drop_oldest_ended(&grant).await;
        Ok(Arc::new(grant))
    }

    /// Whether there is room for these grants one after the other, none of which is there.
    ///
    /// # Errors
    ///
    /// The caller's turn: there are too many; with the index of the first for which there is no room.
    pub fn check_room(&self, coming: &[&GrantDocument]) -> Result<(), (usize, AccessError)> {
        let known = self.known();
        let mut room = GrantRoom::of(&known, (self.now(), self.parts.config.grants_per_consumer));
        let mut coming = coming.iter().enumerate();
        coming.try_for_each(|(index, one)| room.take(one).map_err(|error| (index, error)))
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
        check_reason(reason)?;
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
        let recalled = end.why == EndOfAccess::Recalled;
        let mut ended = Grant { ended: Some(end), ..before.clone() };
        self.change(|known| known.put(ended.clone()));
        // Not before everyone here knows it: what has begun until then has begun before the end.
        if let Some(end) = ended.ended.as_mut().filter(|_| recalled) {
            end.at = self.now();
        }
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
            let known = self.known();
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
        let body = to_text(KIND, &grant.record, grant)?;
        let key = RecordKey { kind: KIND, id: grant.record.clone() };
        let written = self.parts.registry.put(&key, expected, body).await;
        grant.revision = written.map_err(|error| match (AccessError::from(error), expected) {
            (AccessError::Stale, None) => AccessError::Exists(grant.id()),
            (other, _) => other,
        })?;
        Ok(())
    }

    /// Keeps these grants also once they have ended and others follow: files name them, and what was taken
    /// back is not to be given again because nobody remembers it.
    pub fn keep_named(&self, ids: BTreeSet<GrantId>) {
        self.named.store(Arc::new(ids));
    }

    /// Forgets the oldest grants that the domain of one gave to its consumer, and that have ended and
    /// are too many, but for those that files name.
    async fn drop_oldest_ended(&self, given: &Grant) {
        let mut ended: Vec<Arc<Grant>> = self.grants_of(&given.consumer);
        let named = self.named.load();
        ended.retain(|grant| {
            grant.ended.is_some()
                && grant.publication.domain() == given.publication.domain()
                && !named.contains(&grant.id())
        });
        ended.sort_by_key(|grant| grant.ended.as_ref().map(|end| end.at));
        let surplus = ended.len().saturating_sub(MOST_ENDED);
        for grant in ended.iter().take(surplus) {
            let key = RecordKey { kind: KIND, id: grant.record.clone() };
            // What cannot be dropped now is dropped after the next grant.
            if self.parts.registry.remove(&key, grant.revision).await.is_ok() {
                self.change(|known| known.drop(&grant.id()));
            }
        }
    }
}
