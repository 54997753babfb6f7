//! Keeps the log from growing for ever: drops what is too old or too much, as far as nobody needs it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::api::Services;
use crate::deliver::Ledger;
use crate::event::{Blame as _, Fault, SubscriptionId};
use crate::eventlog::{Position, Retention, RetentionConfig};
use crate::replay::ReplayState;
use crate::subscriptions::State;
use crate::telemetry::{Metric, chain};

/// How often old entries are looked for.
const TICK: Duration = Duration::from_secs(10);

/// Drops old entries until it is dropped itself.
pub(super) struct Retaining {
    pub(super) config: RetentionConfig,
    pub(super) services: Arc<Services>,
    pub(super) ledger: Arc<Ledger>,
}

impl Retaining {
    /// Looks for old entries now and then, for ever.
    pub(super) async fn run(&self) {
        loop {
            self.services.clock.sleep(TICK).await;
            if let Err(failure) = self.round().await {
                tracing::error!(error = %chain(&*failure), "Old entries of the log cannot be dropped");
            }
        }
    }

    /// Drops everything that may go now, in slices that others write between.
    async fn round(&self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let services = &self.services;
        let RetentionConfig { age, size, .. } = self.config;
        if age.is_none() && size.is_none() {
            return Ok(());
        }
        let hold = self.hold().await?;
        // What a replay has passed is noted before the replay is kept: once that is written, all
        // entries up to where it was kept are settled or wait for another attempt.
        self.ledger.flush().await.map_err(Box::new)?;
        let retention = Retention {
            before: age.map(|age| services.clock.now().before(age.0)),
            bytes: size.map(|size| size.0),
            hold,
            released: self.released().await?,
        };
        let dropped = services.metrics.counter(Metric::EventsDropped, &[]);
        let floor = services.metrics.gauge(Metric::LogFloor, &[]);
        let before = services.log.floor().position;
        loop {
            let trimmed = match services.log.trim(&retention).await {
                Ok(trimmed) => trimmed,
                // A log that is full or closing is no news of retention's.
                Err(error) if error.fault() == Fault::Later => return Ok(()),
                Err(error) => return Err(Box::new(error)),
            };
            dropped.add(trimmed.dropped);
            floor.set_count(services.log.floor().position.0);
            if !trimmed.more {
                break;
            }
        }
        let after = services.log.floor().position;
        if after > before {
            services.log.prune_milestones(after).await.map_err(Box::new)?;
        }
        Ok(())
    }

    /// The position that the slowest running replay has passed.
    async fn hold(&self) -> Result<Position, crate::replay::Error> {
        let replays = self.services.replays.list().await?;
        let running = replays.iter().filter(|replay| replay.state == ReplayState::Running);
        let head = self.services.log.head();
        Ok(running.map(|replay| replay.reached).fold(head, Position::min))
    }

    /// Subscriptions that never deliver again.
    async fn released(&self) -> Result<BTreeSet<SubscriptionId>, crate::deliver::OfficeError> {
        let all = self.services.office.list().await?;
        let closed = all.iter().filter(|subscription| subscription.state == State::Closed);
        Ok(closed.map(|subscription| subscription.id.clone()).collect())
    }
}
