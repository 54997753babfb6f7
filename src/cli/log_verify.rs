//! Checks a log on disk: reads everything once and says exactly what is wrong and where.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use crate::ambient::SystemClock;
use crate::cli::{Failure, Output, log_verify_tree};
use crate::event::{EventId, SubscriptionId, canonical};
use crate::eventlog::{
    Cursor, Entry, LowWatermark, Position, SequenceCheckpoint, StoredEntry, StoredLog,
};
use crate::route::{EventTree, MatchOutcome};
use crate::subscriptions::{Subscription, Subscriptions};

/// Entries that are read at once.
const PAGE: usize = 500;
/// Findings that are told; more are counted.
const MOST: usize = 100;

/// What was found.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The newest position that retention has dropped.
    floor: u64,
    /// The newest position.
    head: u64,
    /// Entries that were read.
    entries: u64,
    /// Places of chains that were computed anew and are as they are kept.
    chains: u64,
    /// Leaves of the tree over the log that were read.
    leaves: u64,
    /// What is wrong, at most a hundred things.
    findings: Vec<String>,
    /// How many things are wrong.
    wrong: usize,
}

impl Report {
    /// Whether nothing is wrong.
    pub const fn is_sound(&self) -> bool {
        self.wrong == 0
    }

    /// What a person reads.
    pub fn in_words(&self, place: &Path) -> String {
        let mut lines = self.findings.clone();
        if self.wrong > self.findings.len() {
            lines.push(format!("and {} more", self.wrong - self.findings.len()));
        }
        let Self { floor, head, entries, chains, leaves, .. } = self;
        let verdict =
            if self.is_sound() { "sound".to_owned() } else { format!("{} wrong", self.wrong) };
        lines.push(format!(
            "{}: {verdict}; {entries} entries after {floor} up to {head}, {chains} places of chains, \
             {leaves} leaves of the tree",
            place.display()
        ));
        lines.join("\n")
    }

    pub(super) fn find(&mut self, finding: String) {
        self.wrong += 1;
        if self.findings.len() < MOST {
            self.findings.push(finding);
        }
    }
}

/// The numbering of one subscription as it is computed anew.
struct Line {
    subscription: Arc<Subscription>,
    /// Where numbering stands; nothing before the first place that is kept.
    place: Option<SequenceCheckpoint>,
    /// Kept places that are still to come, in order.
    kept: std::vec::IntoIter<SequenceCheckpoint>,
    next: Option<SequenceCheckpoint>,
}

/// Reads a whole log, one page after the other.
///
/// # Errors
///
/// Ours: the file cannot be read at all.
pub async fn check(log: StoredLog, output: Output) -> Result<Report, Failure> {
    let log = Arc::new(log);
    let mut report = Report::default();
    for damage in log.integrity(MOST).map_err(Failure::blame)? {
        report.find(format!("the database is damaged: {damage}"));
    }
    let (floor, head) = log.span().map_err(Failure::blame)?;
    (report.floor, report.head) = (floor.position.0, head.0);
    let state = log.delivery_state().map_err(Failure::blame)?;
    for (id, cursor) in &state.cursors {
        if cursor.settled > head {
            let settled = cursor.settled;
            report
                .find(format!("cursor of {id}: has settled {settled}, and the log ends at {head}"));
        }
    }
    for pointer in log.astray(head, MOST).map_err(Failure::blame)? {
        report.find(format!(
            "{}: names another event than position {} holds",
            pointer.name, pointer.position
        ));
    }
    for finding in log.astray_schemas(MOST).map_err(Failure::blame)? {
        report.find(finding);
    }
    let tree = log_verify_tree::check(&log)?;
    report.leaves = tree.leaves;
    tree.findings.into_iter().for_each(|finding| report.find(finding));
    let mut lines = lines(&log, &state.cursors).await?;
    let bar = output.progress(Some(head.0.saturating_sub(floor.position.0)), "checking");
    let mut walk = Walk { floor, position: floor.position, id: floor.id };
    let mut after = Position::START;
    loop {
        let page = log.entries((after, head), PAGE).map_err(Failure::blame)?;
        let Some(last) = page.last() else { break };
        after = last.position;
        for stored in page {
            if stored.position > walk.floor.position {
                walk.step(&log, &stored, &mut report)?;
                for line in &mut lines {
                    line.pass(&stored, &mut report);
                }
            }
            judge(&log, &stored, &walk, &mut report)?;
            report.entries += 1;
        }
        bar.set_position(report.entries);
    }
    for line in &mut lines {
        line.arrive(head, &mut report);
    }
    bar.finish_and_clear();
    if walk.position < head {
        report.find(format!("positions {} to {head}: are missing", walk.position.0 + 1));
    }
    Ok(report)
}

/// How far entries were found to follow each other.
struct Walk {
    floor: LowWatermark,
    position: Position,
    id: EventId,
}

impl Walk {
    fn step(
        &mut self,
        log: &StoredLog,
        stored: &StoredEntry,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let (first, last) = (self.position.0 + 1, stored.position.0.saturating_sub(1));
        if first <= last {
            // A running gateway may have dropped them since the check began.
            self.floor = log.span().map_err(Failure::blame)?.0;
            if self.floor.position.0 < last {
                let first = first.max(self.floor.position.0 + 1);
                report.find(format!("positions {first} to {last}: are missing"));
            }
        }
        self.position = stored.position;
        if let Ok(entry) = &stored.entry {
            let id = entry.event.id;
            if id <= self.id {
                report
                    .find(format!("position {}: id {id} is not after {}", self.position, self.id));
            }
            self.id = id;
        }
        Ok(())
    }
}

/// Checks one entry by itself.
fn judge(
    log: &StoredLog,
    stored: &StoredEntry,
    walk: &Walk,
    report: &mut Report,
) -> Result<(), Failure> {
    let position = stored.position;
    let entry = match &stored.entry {
        Ok(entry) => entry,
        Err(error) => {
            let cause = std::error::Error::source(error).map(ToString::to_string);
            report.find(format!(
                "position {position}: cannot be read: {}",
                cause.unwrap_or_default()
            ));
            return Ok(());
        }
    };
    let event = &entry.event;
    match canonical(&event.data.to_tree()) {
        Ok(data) if data != event.data.text() => {
            report.find(format!(
                "position {position}, event {}: the data is not canonical",
                event.id
            ));
        }
        Ok(_) if !event.has_its_digest() => {
            report.find(format!(
                "position {position}, event {}: the digest is not that of the event",
                event.id
            ));
        }
        Ok(_) => {}
        Err(error) => {
            report.find(format!("position {position}, event {}: {error}", event.id));
        }
    }
    let is_kept = position > walk.floor.position;
    if is_kept && !log.knows_content_of(entry).map_err(Failure::blame)? {
        report.find(format!(
            "position {position}, event {}: its idempotency key is not among the known contents",
            event.id
        ));
    }
    Ok(())
}

async fn lines(
    log: &Arc<StoredLog>,
    cursors: &[(SubscriptionId, Cursor)],
) -> Result<Vec<Line>, Failure> {
    let mut places: BTreeMap<SubscriptionId, Vec<SequenceCheckpoint>> = BTreeMap::new();
    for (id, sequence_checkpoint) in log.sequence_checkpoints().map_err(Failure::blame)? {
        places.entry(id).or_default().push(sequence_checkpoint);
    }
    for (id, cursor) in cursors {
        places.entry(id.clone()).or_default().push(cursor.place());
    }
    let registry = Arc::clone(log) as Arc<dyn crate::eventlog::Registry>;
    let all = Subscriptions::new(registry, Arc::new(SystemClock)).list().await;
    let all = all.map_err(Failure::blame)?;
    let line = |subscription: Arc<Subscription>| {
        let mut kept = places.remove(&subscription.id).unwrap_or_default();
        kept.sort_by_key(|place| place.position);
        let mut kept = kept.into_iter();
        let next = kept.next();
        Line { subscription, place: None, kept, next }
    };
    Ok(all.into_iter().map(line).collect())
}

impl Line {
    /// Numbers one more entry, after what is kept of places before it was compared.
    fn pass(&mut self, stored: &StoredEntry, report: &mut Report) {
        self.arrive(Position(stored.position.0.saturating_sub(1)), report);
        let Ok(entry) = &stored.entry else {
            // Nothing can be numbered across it.
            self.place = None;
            return;
        };
        if let Some(place) = &mut self.place {
            // What lies between a place and this entry was looked at, or was never there.
            let follows = entry.position.0 == place.position.0 + 1;
            if follows {
                advance(place, &self.subscription, entry);
            } else {
                self.place = None;
            }
        }
    }

    /// Compares with the places that are kept up to a position.
    fn arrive(&mut self, position: Position, report: &mut Report) {
        while let Some(kept) = self.next.filter(|kept| kept.position <= position) {
            match self.place.filter(|place| place.position == kept.position) {
                Some(place) if place != kept => {
                    report.find(format!(
                        "subscription {}: at position {} the log makes number {} and chain {}, kept \
                         is {} and {}",
                        self.subscription.id,
                        kept.position,
                        place.sequence,
                        place.chain,
                        kept.sequence,
                        kept.chain
                    ));
                }
                Some(_) => report.chains += 1,
                None => {}
            }
            self.place = Some(kept);
            self.next = self.kept.next();
        }
    }
}

fn advance(place: &mut SequenceCheckpoint, subscription: &Subscription, entry: &Entry) {
    place.position = entry.position;
    let tree = entry.event.to_tree();
    let asked = subscription.asked_at(entry.position).filter(|_| subscription.could_hear(entry));
    // What was given up has a number, too.
    if asked.is_some_and(|asked| asked.decide(&EventTree::of(&tree)) != MatchOutcome::Differs) {
        place.sequence += 1;
        place.chain = place.chain.next(entry.event.id, entry.event.digest);
    }
}
