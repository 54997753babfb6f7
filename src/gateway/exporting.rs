//! Writes bundles of evidence by schedule, one after the other, before retention drops their events.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::api::{SeriesOutcome, SeriesStep, Services, next_bundle};
use crate::archive::{ArchiveError, ExportSeries, ExportedBundle, Exports, Spool};
use crate::deliver::{SubscriptionServiceError, WorkerHandle};
use crate::event::{SubscriptionId, Timestamp};
use crate::eventlog::{DiskLevel, Position, SequenceCheckpoint};
use crate::subscriptions::{RecipientKeys, SubscriptionError};
use crate::telemetry::{Metric, error_chain};

/// Once a bundle has so many bytes it ends, and the next one goes on: it fits into memory when it is put
/// into a bucket, and into one request.
const LARGEST: u64 = 32 * 1024 * 1024;
/// So many bundles of one subscription are written before others have their turn.
const MOST_IN_A_TURN: usize = 64;
/// How long bundles that could not be written wait before they are tried again.
const AGAIN: Duration = Duration::from_mins(5);
/// Lines that may wait for the disk.
const WAITING: usize = 16;

/// Why no bundle was written.
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Writes bundles, for ever; for nobody, where none are wanted.
pub(super) async fn export(services: &Arc<Services>) {
    let Some(exports) = &services.exports else { return std::future::pending().await };
    loop {
        round(services, exports).await;
        if exports.is_failing() {
            // Each attempt may send a whole bundle, and retention asks for one every few seconds; a schedule
            // of a day is too slow.
            services.clock.sleep(exports.every().min(AGAIN)).await;
            continue;
        }
        tokio::select! {
            () = services.clock.sleep(exports.every()) => {}
            () = exports.urged() => {}
        }
    }
}

/// Brings the series of every subscription up to what it has settled.
async fn round(services: &Arc<Services>, exports: &Exports) {
    let standings = services.subscription_service.standings();
    let worker = |id: &SubscriptionId| services.subscription_service.worker(id);
    exports.retain(|known| worker(known).is_some_and(|line| is_exported(exports, &line)));
    forget_ended(services, exports).await;
    for (id, _) in standings {
        let Some(line) = services.subscription_service.worker(&id) else { continue };
        let subscription = line.look().subscription;
        let created = subscription.created;
        if !is_exported(exports, &line) {
            continue;
        }
        if let Err(error) = bring_up(services, exports, (&id, created), &line).await {
            let problem = error_chain(&*error).to_string();
            services.metrics.counter(Metric::EvidenceExports, &[id.as_str(), "failed"]).increment();
            if exports.failed(&id, created, (services.clock.now(), problem)) {
                tracing::error!(
                    subscription.id = %id, error = %error_chain(&*error),
                    "No bundle of evidence can be written of subscription {}", subscription.shown(),
                );
            }
        }
    }
}

/// Whether there are to be bundles of a subscription. A shared secret proves nothing.
pub(super) fn is_exported(exports: &Exports, line: &WorkerHandle) -> bool {
    let subscription = line.look().subscription;
    exports.wants(&subscription.id) && !matches!(subscription.keys, RecipientKeys::Shared(_))
}

/// Writes as many bundles of a subscription as it takes.
async fn bring_up(
    services: &Arc<Services>,
    exports: &Exports,
    (id, created): (&SubscriptionId, Timestamp),
    line: &WorkerHandle,
) -> Result<(), Cause> {
    let mut series = exports.series(id, created).await?;
    let last = series.last.as_ref().map_or(Position::START, |bundle| bundle.place().position);
    exports.resumed(id, created, last);
    // What a crash cut short is put in its place first, byte by byte the same.
    exports.publish(id, &mut series).await?;
    // What is settled meanwhile is for the next round: others are waiting for their bundles, too.
    let through = line.look().standing.settled;
    for _ in 0..MOST_IN_A_TURN {
        let last = series.last.as_ref().map(|bundle| bundle.place().position);
        let done = exports.standing(id, created).map(|standing| standing.through);
        if done.max(last).is_some_and(|done| done >= through) {
            exports.reached(id, created, through);
            return Ok(());
        }
        if services.store.log.disk() == DiskLevel::Full {
            return Err("the disk is full".into());
        }
        let gathered = gather(services, exports, (id, &series), (line, through)).await?;
        let bundle = match gathered {
            Gathered::Bundle(bundle) => *bundle,
            Gathered::Nothing { looked } => {
                exports.reached(id, created, through);
                exports.looked(id, looked);
                return Ok(());
            }
        };
        exports.gathered(id, &mut series, bundle).await?;
        if !exports.publish(id, &mut series).await? {
            return Err("something else is there under the name of the bundle".into());
        }
        let Some(last) = &series.last else { return Ok(()) };
        exports.reached(id, created, last.place().position);
        services.metrics.counter(Metric::EvidenceExports, &[id.as_str(), "done"]).increment();
        tracing::info!(
            subscription.id = %id,
            "A bundle of evidence of subscription {} is in its place: {}, {} events",
            line.look().subscription.shown(), last.name, last.events,
        );
    }
    // There may be more, which does not wait for the schedule.
    exports.urge();
    Ok(())
}

/// Removes what was kept of subscriptions that are not there any more; bundles in their place stay.
async fn forget_ended(services: &Services, exports: &Exports) {
    let Ok(begun) = exports.all().await else { return };
    for (id, _) in begun {
        let found = services.subscription_service.get(&id).await;
        if !matches!(
            found,
            Err(SubscriptionServiceError::Subscription(SubscriptionError::Unknown(_)))
        ) {
            continue;
        }
        if let Err(error) = exports.forget(&id).await {
            tracing::warn!(error = %error_chain(&error), "The series of {id}, which has ended, is kept");
        }
    }
}

/// What came of gathering a bundle.
enum Gathered {
    Bundle(Box<ExportedBundle>),
    /// There is nothing to bundle; the next look may begin at a place.
    Nothing {
        looked: Option<SequenceCheckpoint>,
    },
}

/// Gathers the next bundle, durably.
async fn gather(
    services: &Arc<Services>,
    exports: &Exports,
    (id, series): (&SubscriptionId, &ExportSeries),
    (line, through): (&WorkerHandle, Position),
) -> Result<Gathered, Cause> {
    let step = SeriesStep {
        after: series.last.as_ref().map(|bundle| (bundle.place(), bundle.sha256())),
        looked: exports.place_looked(id),
        through,
        bytes: LARGEST,
    };
    let at = moment_of(services.clock.now(), series);
    let (lines, read) = mpsc::channel(WAITING);
    let write = Box::pin(next_bundle(services, line.clone(), step, lines));
    let directory = exports.spool();
    let (kept, written) = tokio::join!(keep(read, (&directory, id)), write);
    let spool = kept?;
    let (place, event, events) = match written? {
        SeriesOutcome::Bundle { place, event, events } => (place, event, events),
        SeriesOutcome::Nothing { looked } => return Ok(Gathered::Nothing { looked }),
    };
    let spool = spool.ok_or("the bundle is cut")?;
    let bytes = spool.bytes;
    let sha256 = spool.finish().await?;
    let name = (name_of(id, at), at);
    let bundle = ExportedBundle::new(name, (sha256, bytes), (place, event, events));
    Ok(Gathered::Bundle(Box::new(bundle)))
}

/// Keeps lines until there are no more; nothing if they do not make a whole bundle. Once the disk fails,
/// whoever writes them finds that nobody reads on.
async fn keep(
    mut read: mpsc::Receiver<Option<Bytes>>,
    (directory, id): (&Path, &SubscriptionId),
) -> Result<Option<Spool>, ArchiveError> {
    let mut spool = None;
    while let Some(said) = read.recv().await {
        let Some(line) = said else { return Ok(spool) };
        let open = match spool.take() {
            Some(open) => open,
            None => Spool::create(directory, id).await?,
        };
        spool.insert(open).write(&line).await?;
    }
    Ok(None)
}

/// A moment behind that of the bundle before, so that names sort also when the clock is set back.
fn moment_of(now: Timestamp, series: &ExportSeries) -> Timestamp {
    let millisecond = Duration::from_millis(1);
    let now = Timestamp::from_unix_ms(now.unix_ms());
    series.last.as_ref().map_or(now, |last| now.max(last.at.after(millisecond)))
}

/// The name of a bundle: below its subscription, in the order of time.
fn name_of(id: &SubscriptionId, at: Timestamp) -> String {
    let (whole, rest) =
        (Timestamp::from_unix_seconds(at.unix_seconds()), at.unix_ms().rem_euclid(1000));
    let text: String =
        whole.to_string().chars().filter(|c| !matches!(c, '-' | ':' | 'Z')).collect();
    format!("{id}/{text}.{rest:03}Z.ndjson")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_as_the_bundles_follow_each_other() {
        let id = "shop".parse().unwrap();
        let first = Timestamp::from_unix_ms(1_795_000_000_007);

        assert_eq!(name_of(&id, first), "shop/20261118T110640.007Z.ndjson");
        let times = [0, 1, 999, 1_000, 86_400_000];
        let names = times.map(|ms| name_of(&id, Timestamp::from_unix_ms(first.unix_ms() + ms)));
        assert!(names.is_sorted(), "{names:?}");
    }
}
