//! What bundles are written by themselves, and how far each series has come.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::archive::{
    ArchiveError, BundleStore, ExportConfig, ExportSeries, ExportedBundle, Spool,
};
use crate::event::{SubscriptionId, Timestamp};
use crate::eventlog::{Position, Registry, SequenceCheckpoint};

/// What [`Exports`] is put together from.
pub struct ExportsParts {
    /// What the settings want.
    pub config: ExportConfig,
    /// Where bundles are put.
    pub place: Arc<dyn BundleStore>,
    /// Where it is kept how far they have come.
    pub registry: Arc<dyn Registry>,
}

/// How far the bundles of one subscription have come, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportStanding {
    /// Everything up to here is in a bundle, or needs none.
    pub through: Position,
    /// Why the next bundle cannot be written, in words for operators, and since when.
    pub problem: Option<(Timestamp, String)>,
}

/// The series of every subscription that is exported.
pub struct Exports {
    parts: ExportsParts,
    standings: Mutex<BTreeMap<SubscriptionId, (Timestamp, ExportStanding)>>,
    /// Where the last look at a subscription ended, if it found nothing.
    looked: Mutex<BTreeMap<SubscriptionId, SequenceCheckpoint>>,
    urged: Notify,
}

impl Exports {
    /// Nothing is known yet.
    pub fn new(parts: ExportsParts) -> Self {
        let (standings, looked) = (Mutex::default(), Mutex::default());
        Self { parts, standings, looked, urged: Notify::new() }
    }

    /// Whether bundles of a subscription are wanted.
    pub fn wants(&self, subscription: &SubscriptionId) -> bool {
        self.parts.config.subscriptions.wants(subscription)
    }

    /// How often bundles are written.
    pub const fn every(&self) -> Duration {
        self.parts.config.every.0
    }

    /// How long an event that is old enough to be dropped waits for its bundle.
    pub const fn hold(&self) -> Duration {
        self.parts.config.hold.0
    }

    /// Where bundles are put, for people.
    pub fn target(&self) -> String {
        self.parts.config.to.to_string()
    }

    /// Where bundles are gathered.
    pub fn spool(&self) -> PathBuf {
        self.parts.place.spool()
    }

    /// Asks that bundles be written now, because events wait for them that may be dropped.
    pub fn urge(&self) {
        self.urged.notify_one();
    }

    /// Waits until somebody asks for that.
    ///
    /// Cancel safe.
    pub async fn urged(&self) {
        self.urged.notified().await;
    }

    /// The series of a subscription that was made then.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed, or holds something else.
    pub async fn series(
        &self,
        subscription: &SubscriptionId,
        created: Timestamp,
    ) -> Result<ExportSeries, ArchiveError> {
        ExportSeries::read(&*self.parts.registry, (subscription, created)).await
    }

    /// Every series that was begun.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed, or holds something else.
    pub async fn all(&self) -> Result<Vec<(SubscriptionId, ExportSeries)>, ArchiveError> {
        ExportSeries::all(&*self.parts.registry).await
    }

    /// Takes a bundle that is gathered and durable, to be put in its place whatever happens from now on.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub async fn gathered(
        &self,
        subscription: &SubscriptionId,
        series: &mut ExportSeries,
        bundle: ExportedBundle,
    ) -> Result<(), ArchiveError> {
        series.waiting = Some(bundle);
        series.keep(&*self.parts.registry, subscription).await
    }

    /// Puts the bundle that waits in its place, and counts it as exported; says whether there was one. One
    /// that is gone, or whose name is taken, is forgotten: its events come in another, as if it had never
    /// been.
    ///
    /// # Errors
    ///
    /// Later: the place cannot be reached. Ours: the registry failed.
    pub async fn publish(
        &self,
        subscription: &SubscriptionId,
        series: &mut ExportSeries,
    ) -> Result<bool, ArchiveError> {
        let Some(waiting) = series.waiting.clone() else { return Ok(false) };
        let spool = Spool::place(&self.spool(), subscription);
        match self.parts.place.put(&waiting.name, &spool, waiting.sha256()).await {
            Ok(()) => series.last = Some(waiting.clone()),
            Err(ArchiveError::SpoolGone | ArchiveError::Taken(_)) => {
                tracing::warn!(
                    subscription.id = %subscription,
                    "The bundle {} was never put in its place; its events come in another", waiting.name,
                );
            }
            Err(error) => return Err(error),
        }
        series.waiting = None;
        series.keep(&*self.parts.registry, subscription).await?;
        Ok(series.last == Some(waiting))
    }

    /// Notes how far a series had come when it was read, unless more is known.
    pub fn resumed(&self, subscription: &SubscriptionId, created: Timestamp, through: Position) {
        let mut standings = self.standings();
        match standings.get(subscription) {
            Some((of, _)) if *of == created => {}
            _ => {
                let standing = ExportStanding { through, problem: None };
                standings.insert(subscription.clone(), (created, standing));
            }
        }
    }

    /// Notes that everything up to a position is in a bundle or needs none.
    pub fn reached(&self, subscription: &SubscriptionId, created: Timestamp, through: Position) {
        let standing = ExportStanding { through, problem: None };
        self.standings().insert(subscription.clone(), (created, standing));
    }

    /// Notes where a look ended that has found nothing, so that the next one does not begin at the last
    /// bundle again: a quiet subscription would read more of the log each time.
    pub fn looked(&self, subscription: &SubscriptionId, place: Option<SequenceCheckpoint>) {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        match place {
            Some(place) => looked.insert(subscription.clone(), place),
            None => looked.remove(subscription),
        };
    }

    /// Where the last look ended.
    pub fn place_looked(&self, subscription: &SubscriptionId) -> Option<SequenceCheckpoint> {
        let looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        looked.get(subscription).copied()
    }

    /// Notes that the next bundle cannot be written; says whether that is news.
    pub fn failed(
        &self,
        subscription: &SubscriptionId,
        created: Timestamp,
        (now, problem): (Timestamp, String),
    ) -> bool {
        let mut standings = self.standings();
        let known = standings
            .entry(subscription.clone())
            .or_insert_with(|| (created, ExportStanding::default()));
        if known.0 != created {
            *known = (created, ExportStanding::default());
        }
        let since = known.1.problem.as_ref().map(|(since, _)| *since);
        let is_news = known.1.problem.as_ref().is_none_or(|(_, before)| *before != problem);
        known.1.problem = Some((since.unwrap_or(now), problem));
        is_news
    }

    /// How far a subscription that was made then has come; nothing before it was looked at.
    pub fn standing(
        &self,
        subscription: &SubscriptionId,
        created: Timestamp,
    ) -> Option<ExportStanding> {
        let standings = self.standings();
        let (of, standing) = standings.get(subscription)?;
        (*of == created).then(|| standing.clone())
    }

    /// Whether a bundle cannot be written now.
    pub fn is_failing(&self) -> bool {
        self.standings().values().any(|(_, standing)| standing.problem.is_some())
    }

    /// Removes the bundle of a subscription that has ended and waits for its place, and how far it had come.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub async fn forget(&self, subscription: &SubscriptionId) -> Result<(), ArchiveError> {
        // It may never have been gathered.
        let _ = tokio::fs::remove_file(Spool::place(&self.spool(), subscription)).await;
        ExportSeries::forget(&*self.parts.registry, subscription).await
    }

    /// Forgets what is known of subscriptions that are not among these any more.
    pub fn retain(&self, is_there: impl Fn(&SubscriptionId) -> bool) {
        self.standings().retain(|subscription, _| is_there(subscription));
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        looked.retain(|subscription, _| is_there(subscription));
    }

    fn standings(&self) -> MutexGuard<'_, BTreeMap<SubscriptionId, (Timestamp, ExportStanding)>> {
        self.standings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
