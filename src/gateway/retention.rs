//! Keeps the log from growing for ever: drops what is too old or too much, as far as nobody needs
//! it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::api::Services;
use crate::deliver::Ledger;
use crate::event::{Blame as _, Fault, SubscriptionId};
use crate::eventlog::{DiskLevel, Extent, LogError, Position, Retention, RetentionConfig, Trimmed};
use crate::gateway::evidence_hold::{spared, tell_of_lost_evidence, unbundled};
use crate::subscriptions::SubscriptionState;
use crate::telemetry::{Metric, error_chain};

/// So many entries are worth moving the low watermark at once, so that looking at some of them anew
/// for every subscription costs a fraction of what routing them did.
const WORTH: u64 = 65_536;
/// The longest that fewer entries wait.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// What may go.
#[derive(Clone, Copy)]
struct Target {
    /// Up to here events are too old or too much.
    through: Position,
    /// Up to here they are too old.
    too_old: Position,
    /// Whether room is so short that they must go at once.
    presses: bool,
}

/// Why a round was not made.
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Drops old entries until it is dropped itself.
pub(super) struct Retaining {
    pub(super) config: RetentionConfig,
    pub(super) services: Arc<Services>,
    pub(super) ledger: Arc<Ledger>,
}

impl Retaining {
    /// Looks for old entries now and then, for ever.
    pub(super) async fn run(&self) {
        let mut moved = None;
        loop {
            self.services.clock.sleep(self.config.every.0).await;
            if let Err(failure) = self.round(&mut moved).await {
                tracing::error!(error = %error_chain(&*failure), "Old entries of the log cannot be dropped");
            }
        }
    }

    /// Drops everything that may go now, in slices that others write between.
    async fn round(&self, moved: &mut Option<Duration>) -> Result<(), Cause> {
        let services = &self.services;
        if self.config.age.is_none() && self.config.size.is_none() {
            return Ok(());
        }
        let (released, hold) = (self.released().await?, self.hold());
        // What a replay has passed is noted before the replay is kept: once that is written, all
        // entries up to where it was kept are settled or wait for another attempt.
        self.flush().await?;
        let target = self.target(&released).await?;
        let (wanted, presses) = (target.through.min(hold), target.presses);
        let before = services.store.log.low_watermark().position;
        let through = spared(services, (wanted, presses), self.config.age).await?;
        let waited = moved.is_none_or(|moved| self.has_waited(moved));
        let many = through.0.saturating_sub(before.0) >= WORTH;
        if through <= before || !(waited || many || presses) {
            return Ok(());
        }
        *moved = Some(services.clock.running());
        self.keep_places(through).await?;
        let unbundled = unbundled(services, through);
        let dropped = self.drop_through(through, released, presses).await;
        let after = services.store.log.low_watermark().position;
        // What a full disk or a stop has cut short is told as far as it went.
        tell_of_lost_evidence(services, &unbundled, (before, after));
        tell(target, (before, after));
        if !dropped? {
            return Ok(());
        }
        services.metrics.gauge(Metric::LogLowWatermark, &[]).set_count(after.0);
        services.store.state.prune_sequence_checkpoints(after).await?;
        services.subscription_service.drop_old_epochs(after).await?;
        Ok(())
    }

    /// Drops entries up to a position, in slices; says whether it came to an end.
    async fn drop_through(
        &self,
        through: Position,
        released: BTreeSet<SubscriptionId>,
        presses: bool,
    ) -> Result<bool, LogError> {
        let services = &self.services;
        let retention = Retention { bytes: Some(0), released, ..Retention::default() };
        let dropped = services.metrics.counter(Metric::EventsDropped, &[]);
        loop {
            let beginnings = services.replays.hold_beginnings().await;
            // A replay may have begun since the last slice.
            let hold = through.min(self.hold());
            let trimmed = services.store.log.trim(&Retention { hold, ..retention.clone() }).await;
            drop(beginnings);
            let trimmed = match trimmed {
                Ok(trimmed) => trimmed,
                // A log that is full or closing is no news of retention's.
                Err(error) if error.fault() == Fault::Later => return Ok(false),
                Err(error) => return Err(error),
            };
            dropped.add(trimmed.dropped);
            if !trimmed.more {
                return Ok(true);
            }
            // A log that is far too large must shrink faster than others let it grow.
            if !presses {
                services.clock.sleep(Trimmed::PAUSE).await;
            }
        }
    }

    /// Writes what was noted, if the disk has room. Where it has none, only dropping makes some,
    /// and what is written already holds every entry that is needed; places in the numbering
    /// follow.
    async fn flush(&self) -> Result<(), LogError> {
        self.ledger.try_flush().await.or_else(|error| match error {
            LogError::Full { .. } => Ok(()),
            other => Err(other),
        })
    }

    /// Whether entries that are few have waited long enough since the low watermark was moved.
    fn has_waited(&self, moved: Duration) -> bool {
        let wait = self.config.age.map_or(LONGEST_WAIT, |age| LONGEST_WAIT.min(age.0 / 24));
        self.services.clock.running().saturating_sub(moved) >= wait
    }

    /// What is too old or too much, as far as every cursor has settled it.
    async fn target(&self, released: &BTreeSet<SubscriptionId>) -> Result<Target, Cause> {
        let services = &self.services;
        let Extent { settled, bytes } = services.store.log.extent(released).await?;
        let low_watermark = services.store.log.low_watermark().position;
        let too_old = match self.config.age {
            Some(age) => match services.store.log.aged(age.0).await {
                Ok(aged) => aged.position,
                // On a full disk what is too much may still go.
                Err(error) if error.fault() == Fault::Later => low_watermark,
                Err(error) => return Err(Box::new(error)),
            },
            None => low_watermark,
        };
        let kept = services.store.log.head().0.saturating_sub(low_watermark.0);
        let excess = self.config.size.map_or(0, |most| bytes.saturating_sub(most.0));
        // As many of the entries as bytes are too many; the next round corrects what is left.
        let surplus = (u128::from(kept) * u128::from(excess)).div_ceil(u128::from(bytes.max(1)));
        let too_much = Position(low_watermark.0 + u64::try_from(surplus).unwrap_or(kept));
        let is_far_too_large = self.config.size.is_some_and(|most| excess > most.0 / 64);
        let presses = is_far_too_large || services.store.log.disk() == DiskLevel::Full;
        Ok(Target { through: too_old.max(too_much).min(settled), too_old, presses })
    }

    /// Keeps where each subscription stands in its numbering at a position, so that what stays
    /// after it can be numbered when what lies before it is gone.
    async fn keep_places(&self, at: Position) -> Result<(), Cause> {
        let subscription_service = &self.services.subscription_service;
        for (id, _) in subscription_service.standings() {
            let Some(line) = subscription_service.worker(&id) else { continue };
            match subscription_service.reader().place(&line.look(), at).await {
                Ok(place) => self.ledger.sequence_checkpoint(&id, place),
                // It begins later, or what it needs is gone already.
                Err(error) if error.fault() == Fault::Caller => {}
                Err(error) => return Err(Box::new(error)),
            }
            // Places near the low watermark are found in memory, and others need their turn.
            tokio::task::yield_now().await;
        }
        self.flush().await?;
        Ok(())
    }

    /// The position that the slowest running replay has passed.
    fn hold(&self) -> Position {
        let head = self.services.store.log.head();
        self.services.replays.slowest().map_or(head, |slowest| slowest.min(head))
    }

    /// Subscriptions that never deliver again.
    async fn released(&self) -> Result<BTreeSet<SubscriptionId>, Cause> {
        let all = self.services.subscription_service.list().await?;
        let closed =
            all.iter().filter(|subscription| subscription.state == SubscriptionState::Closed);
        Ok(closed.map(|subscription| subscription.id.clone()).collect())
    }
}

/// Says that events went, and which bound they have passed.
fn tell(target: Target, (before, after): (Position, Position)) {
    if after <= before {
        return;
    }
    if after <= target.too_old {
        tracing::info!(
            first = before.0 + 1,
            last = after.0,
            "Events at positions {} to {} are dropped, as old as `log.retention.age` says",
            before.0 + 1,
            after.0,
        );
    } else {
        tracing::warn!(
            first = before.0 + 1,
            last = after.0,
            "Events at positions {} to {} are dropped, because the log has more than \
             `log.retention.size` or the disk is full",
            before.0 + 1,
            after.0,
        );
    }
}
