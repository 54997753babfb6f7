//! The next bundle of a series that is written by schedule.

use std::sync::Arc;

use axum::body::Bytes;
use tokio::sync::mpsc;

use crate::api::Services;
use crate::api::evidence::{Broken, Export, PAGE, behind, header_of};
use crate::api::evidence_bounds::ExportBounds;
use crate::deliver::{SequenceReadError, SubscriptionView, WorkerHandle};
use crate::event::{EventId, TokenDigest};
use crate::eventlog::{Page, Position, SequenceCheckpoint};
use crate::seal::evidence::{Header, PreviousBundle, SeriesGap, SeriesPlace};

/// What the next bundle of a series is to be.
#[derive(Clone, Copy, Debug)]
pub struct SeriesStep {
    /// The last place and the SHA-256 of the bundle before it; nothing for the first one.
    pub after: Option<(SequenceCheckpoint, TokenDigest)>,
    /// A place behind it up to which it was looked before and nothing matched.
    pub looked: Option<SequenceCheckpoint>,
    /// Behind this position there is nothing in it.
    pub through: Position,
    /// Once it has so many bytes, it ends.
    pub bytes: u64,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub enum SeriesOutcome {
    /// There is nothing to bundle up to there, and nothing was written. Where nothing matched either, the
    /// next look may begin at a place.
    Nothing {
        /// That place.
        looked: Option<SequenceCheckpoint>,
    },
    /// A bundle was written.
    Bundle {
        /// Its last place.
        place: SequenceCheckpoint,
        /// The newest event in it.
        event: EventId,
        /// How many events are in it.
        events: u64,
    },
}

/// Where a bundle begins, and how that was found.
struct SeriesStart {
    place: SequenceCheckpoint,
    after: Option<(SequenceCheckpoint, TokenDigest)>,
    gap: Option<SeriesGap>,
}

/// Writes the next bundle of a series, line by line; nothing is the end of a whole one.
///
/// # Errors
///
/// Later: the gateway is stopping, the subscription has ended, or nobody takes the lines. Ours: the log or
/// a key failed. What was written is cut then.
pub async fn next_bundle(
    services: &Arc<Services>,
    line: WorkerHandle,
    step: SeriesStep,
    lines: mpsc::Sender<Option<Bytes>>,
) -> Result<SeriesOutcome, Box<dyn std::error::Error + Send + Sync>> {
    let view = line.look();
    let subscription = &view.subscription;
    let mut start = start(services, &view, step.after).await?;
    let header = header_of(services, subscription, (None, None)).await?;
    let header = Header { series: Some(SeriesPlace::First), ..header };
    let bounds = ExportBounds { through: step.through, bytes: step.bytes };
    let mut export = Export::new(services, (line, view), (header, bounds), (None, lines)).await;
    let is_there = |looked: &SequenceCheckpoint| {
        let same = looked.sequence == start.place.sequence && looked.chain == start.place.chain;
        same && looked.position > start.place.position
    };
    let from = step.looked.filter(is_there).unwrap_or(start.place);
    let (place, is_heard) = export.first_heard(from).await?;
    if !is_heard {
        // What matched and may not be heard may be heard again.
        let looked = Some(place).filter(|place| place.sequence == start.place.sequence);
        return Ok(SeriesOutcome::Nothing { looked });
    }
    if place.sequence != start.place.sequence {
        start.gap = start.gap.or(Some(SeriesGap::Withheld));
    }
    if let Some((last, sha256)) = start.after {
        let SequenceCheckpoint { sequence, chain, .. } = last;
        let gap = start.gap.filter(|_| place.sequence != sequence);
        export.header.series =
            Some(SeriesPlace::After(PreviousBundle { sha256, sequence, chain, gap }));
    }
    let end = export.write(place).await?;
    match end.head {
        Some(event) if end.events > 0 => {
            Ok(SeriesOutcome::Bundle { place: end.place, event, events: end.events })
        }
        _ => Err("what the consumer may hear has changed meanwhile".into()),
    }
}

/// The place behind the bundle before, or the first one of which the log still has everything.
async fn start(
    services: &Services,
    view: &SubscriptionView,
    after: Option<(SequenceCheckpoint, TokenDigest)>,
) -> Result<SeriesStart, Broken> {
    let reader = services.subscription_service.reader();
    let from = after.map_or(Position::START, |(last, _)| last.position);
    let (place, gap) = match reader.place(view, from).await {
        Ok(place) => (place, None),
        Err(SequenceReadError::Gone { place, .. }) => {
            (reader.place(view, place).await?, Some(SeriesGap::Dropped))
        }
        Err(error) => return Err(error.into()),
    };
    // A place is known also where the events behind it are gone.
    let low_watermark = services.store.log.low_watermark().position;
    let (place, gap) = if place.position < low_watermark {
        (reader.place(view, low_watermark).await?, Some(SeriesGap::Dropped))
    } else {
        (place, gap)
    };
    let Some((last, _)) = after else { return Ok(SeriesStart { place, after, gap }) };
    let is_same = place.sequence == last.sequence && place.chain == last.chain;
    let is_later = place.sequence > last.sequence && gap.is_some();
    if is_same || is_later {
        return Ok(SeriesStart { place, after, gap });
    }
    // The log is not the one of which the bundle before tells: it was restored. What it holds now has no
    // bundle yet, so that another series begins.
    tracing::warn!(
        subscription.id = %view.subscription.id,
        "The log does not go on where the last bundle of {} ends; a new series begins", view.subscription.id,
    );
    let place = match reader.place(view, Position::START).await {
        Err(SequenceReadError::Gone { place, .. }) => reader.place(view, place).await?,
        other => other?,
    };
    Ok(SeriesStart { place, after: None, gap: None })
}

impl Export {
    /// The place behind the matches at the beginning that the consumer may not hear any more, and whether
    /// one follows that it may hear.
    pub(super) async fn first_heard(
        &self,
        mut start: SequenceCheckpoint,
    ) -> Result<(SequenceCheckpoint, bool), Broken> {
        while start.position < self.bounds.through {
            self.must_be_wanted().await?;
            let reader = self.services.subscription_service.reader();
            let part = reader.read(&self.view, start.position, PAGE).await?;
            for found in &part.matches {
                if found.entry.position > self.bounds.through {
                    break;
                }
                if self.may_hear(&found.entry) {
                    return Ok((start, true));
                }
                start = behind(found);
            }
            start.position = part.reached.position.min(self.bounds.through);
        }
        Ok((start, false))
    }

    /// The event before a place, if the consumer may know of it.
    pub(super) async fn head_at(
        &self,
        start: SequenceCheckpoint,
    ) -> Result<Option<EventId>, Broken> {
        let before = Position(start.position.0.saturating_sub(1));
        let head = self.services.store.log.read(before, Page { items: 1, bytes: 1 }).await?;
        let service = &self.services.subscription_service;
        // It names no event that the consumer may not know of.
        let head = head.first().filter(|entry| {
            entry.position == start.position && service.may_know(&self.subscription, entry)
        });
        let asked = self.header.from.and_then(EventId::predecessor);
        Ok(head.map(|entry| entry.event.id).or(asked))
    }
}
