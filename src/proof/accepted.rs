//! Holds a producer's signed answers against a bundle: what was accepted, and is not in it or otherwise.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::event::{EventId, SentDigest, Timestamp};
use crate::proof::accepted_range::AcceptedRange;
use crate::proof::bundle_words::{BundleWords, EventWords};
use crate::proof::told_trees::ToldTrees;
use crate::seal::evidence::BundleTrust;
use crate::seal::{AcceptedEvent, AcceptedFault, AcceptedPlace, AcceptedReader, AcceptedReceipt};
use crate::transparency::Incarnation;

/// So much is told; the rest is counted.
const MOST: usize = 100;
/// Names of keys that are told to be missing.
const MOST_MISSING_KEYS: usize = 32;

/// Which accepted events a bundle should hold.
#[derive(Clone, Debug, Default)]
pub struct AcceptedScope {
    /// Events of these types; none: of all.
    pub types: BTreeSet<String>,
    /// From this event on; nothing: from where the bundle begins.
    pub from: Option<EventId>,
    /// The one producer that is believed to be named; nothing: any.
    pub producer: Option<String>,
}

/// Something that is wrong with an answer, or with a bundle by it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AcceptedFlaw {
    /// The line of the answers' file, from 1; nothing where only the bundle is concerned.
    pub line: Option<usize>,
    /// The event.
    pub event: Option<EventId>,
    /// What is wrong.
    pub problem: String,
}

/// An event that was accepted and is not in a bundle that should hold it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MissingEvent {
    /// The line of the answers' file, from 1.
    pub line: usize,
    /// The event.
    pub event: EventId,
    /// Its position in the log, if the answer tells it.
    pub position: Option<u64>,
    /// The entry as it was sent.
    pub sent: SentDigest,
    /// When it was accepted.
    pub accepted: Timestamp,
    /// Whether the bundle holds no later event: its subscription may not have come so far.
    pub is_behind_last: bool,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct AcceptedReport {
    /// Answers that were believed.
    pub receipts: usize,
    /// Events that they tell of.
    pub events: usize,
    /// Those that the bundle holds.
    pub found: usize,
    /// Those that a restore has lost, which a record in the bundle declares.
    pub lost: usize,
    /// Those of other types than are asked for.
    pub other_types: usize,
    /// Types that are asked for and that no answer has.
    pub unanswered_types: BTreeSet<String>,
    /// Those from before the bundle begins.
    pub earlier: usize,
    /// Those from behind its end.
    pub later: usize,
    /// Those that the bundle should hold and does not, as many as are told.
    pub missing: Vec<MissingEvent>,
    /// How many they are.
    pub missing_count: usize,
    /// What is wrong, as much of it as is told.
    pub flaws: Vec<AcceptedFlaw>,
    /// How much is wrong.
    pub flaw_count: usize,
    /// The names of keys that have signed an answer and are not there.
    pub missing_keys: BTreeSet<String>,
}

/// An event as an answer tells of it.
struct Expected {
    line: usize,
    /// Of the log that has the place.
    incarnation: u64,
    place: Option<AcceptedPlace>,
    sent: SentDigest,
    accepted: Timestamp,
    is_found: bool,
}

impl Expected {
    /// Whether a restore has gone on from the log that had it, without it.
    fn is_lost_with(&self, restore: &Incarnation) -> bool {
        let position = self.place.as_ref().map(|place| place.position);
        self.incarnation < restore.number
            && position.is_some_and(|position| position > restore.survivors.position)
    }
}

/// Takes signed answers, and then the lines of a bundle.
#[derive(Default)]
pub struct AcceptedCheck {
    scope: AcceptedScope,
    report: AcceptedReport,
    expected: BTreeMap<EventId, Expected>,
    /// By incarnation and position.
    positions: HashMap<(u64, u64), EventId>,
    /// Each issuer that has signed an answer, and the first line of it.
    issuers: BTreeMap<String, usize>,
    /// Each incarnation of the log that an answer is of, and the first answer of it.
    incarnations: BTreeMap<u64, (usize, Timestamp)>,
    trees: ToldTrees,
    range: AcceptedRange,
}

impl AcceptedReport {
    /// Whether nothing is missing or wrong.
    pub const fn is_good(&self) -> bool {
        self.missing_count == 0 && self.flaw_count == 0
    }

    fn find(&mut self, line: Option<usize>, event: Option<EventId>, problem: impl Into<String>) {
        self.flaw_count += 1;
        if self.flaws.len() < MOST {
            self.flaws.push(AcceptedFlaw { line, event, problem: problem.into() });
        }
    }
}

impl AcceptedCheck {
    /// Begins.
    pub fn new(scope: AcceptedScope) -> Self {
        Self { scope, ..Self::default() }
    }

    /// Takes the answer of a line.
    pub fn take_receipt(&mut self, line: usize, token: &str, reader: &AcceptedReader<'_>) {
        let receipt = match reader.read(token) {
            Ok(receipt) => receipt,
            Err(fault) => {
                if let AcceptedFault::MissingKey(kid) = &fault
                    && self.report.missing_keys.len() < MOST_MISSING_KEYS
                {
                    self.report.missing_keys.insert(kid.clone());
                }
                return self.report.find(Some(line), None, fault.to_string());
            }
        };
        if let Some(producer) = &self.scope.producer
            && *producer != receipt.audience
        {
            let problem = format!("it was given to `{}`", receipt.audience);
            return self.report.find(Some(line), None, problem);
        }
        self.report.receipts += 1;
        let first = self.incarnations.entry(receipt.incarnation);
        let first = first.or_insert((line, receipt.issued_at));
        if receipt.issued_at < first.1 {
            *first = (line, receipt.issued_at);
        }
        self.issuers.entry(receipt.issuer.clone()).or_insert(line);
        self.trees.take(Some(line), receipt.issued_at, (receipt.incarnation, receipt.tree));
        self.take_events(line, &receipt);
    }

    fn take_events(&mut self, line: usize, receipt: &AcceptedReceipt) {
        for entry in &receipt.entries {
            for event in &entry.events {
                self.take_event((line, receipt), entry.sent, event);
            }
        }
    }

    fn take_event(
        &mut self,
        (line, receipt): (usize, &AcceptedReceipt),
        sent: SentDigest,
        event: &AcceptedEvent,
    ) {
        let (id, incarnation) = (event.id, receipt.incarnation);
        if let Some(place) = &event.place {
            let other = *self.positions.entry((incarnation, place.position)).or_insert(id);
            if other != id {
                let problem =
                    format!("position {} is that of {other} by another answer", place.position);
                self.report.find(Some(line), Some(id), problem);
            }
        }
        let place = event.place.clone();
        let known = self.expected.entry(id).or_insert_with(|| Expected {
            line,
            incarnation,
            place: place.clone(),
            sent,
            accepted: receipt.issued_at,
            is_found: false,
        });
        match (&known.place, place) {
            (Some(known), Some(place)) if *known != place => {
                let problem = "another answer tells another position, digest or type of it";
                self.report.find(Some(line), Some(id), problem);
            }
            (None, Some(place)) => known.place = Some(place),
            _ => {}
        }
    }

    /// How many answers there are that are believed.
    pub const fn receipts(&self) -> usize {
        self.report.receipts
    }

    /// Takes what a line of the bundle says. Whether it may be believed is for others to tell: a line
    /// that is forged makes the bundle wrong.
    pub(super) fn take_line(&mut self, words: &BundleWords) {
        if let Some(tree) = words.tree {
            self.trees.take(None, words.at, (words.incarnation, tree));
        }
        self.range.take(words);
        if let Some(event) = &words.event {
            self.compare(event);
            self.compare_position(event);
        }
    }

    /// Holds an event of the bundle against what its producer was answered.
    fn compare(&mut self, event: &EventWords) {
        let Some(expected) = self.expected.get_mut(&event.id) else { return };
        expected.is_found = true;
        let line = Some(expected.line);
        let Some(place) = &expected.place else { return };
        if place.digest != event.digest {
            let problem = "the bundle has another digest of it than was signed to its producer";
            self.report.find(line, Some(event.id), problem);
        }
        let is_elsewhere = event.position.is_some_and(|position| position != place.position);
        if is_elsewhere && expected.incarnation == self.range.incarnation {
            let problem = format!(
                "the bundle has it at another position than {}, which was signed to its producer",
                place.position
            );
            self.report.find(line, Some(event.id), problem);
        }
    }

    /// Holds it against what was answered of its position.
    fn compare_position(&mut self, event: &EventWords) {
        let at = event.position.map(|position| (self.range.incarnation, position));
        let signed = at.and_then(|at| self.positions.get(&at)).copied();
        if let Some(signed) = signed.filter(|signed| *signed != event.id) {
            let problem = format!(
                "the bundle has {} at its position, which was signed to its producer",
                event.id
            );
            self.report.find(self.expected.get(&signed).map(|one| one.line), Some(signed), problem);
        }
    }

    fn unanswered_types(&self) -> BTreeSet<String> {
        let places = self.expected.values().filter_map(|one| one.place.as_ref());
        let told: BTreeSet<&str> = places.map(|place| &*place.event_type).collect();
        self.scope.types.iter().filter(|one| !told.contains(&***one)).cloned().collect()
    }

    /// Says what was found, once the bundle has been read; `issuers` are believed beside its own.
    pub(super) fn finish(mut self, issuers: &[String], restores: &[Incarnation]) -> AcceptedReport {
        let mut report = std::mem::take(&mut self.report);
        for (issuer, line) in &self.issuers {
            let is_own = self.range.issuer.as_ref() == Some(issuer);
            if !is_own && !issuers.contains(issuer) {
                let problem = format!("it is of the issuer {issuer}, and the bundle is not");
                report.find(Some(*line), None, problem);
            }
        }
        for (line, problem) in self.trees.contradictions() {
            report.find(line, None, problem);
        }
        for (incarnation, (line, issued)) in self.incarnations.range(self.range.incarnation + 1..) {
            if self.range.at.is_some_and(|at| issued.after(BundleTrust::LEEWAY) < at) {
                let problem = format!(
                    "it is of incarnation {incarnation} of the log and older than the bundle, which is of \
                     {}: the restore between them is denied",
                    self.range.incarnation
                );
                report.find(Some(*line), None, problem);
            }
        }
        report.unanswered_types = self.unanswered_types();
        self.range.begin_at(self.scope.from);
        report.events = self.expected.len();
        for (id, expected) in &self.expected {
            self.judge(*id, expected, restores, &mut report);
        }
        report
    }

    fn judge(
        &self,
        id: EventId,
        expected: &Expected,
        restores: &[Incarnation],
        report: &mut AcceptedReport,
    ) {
        if expected.is_found {
            report.found += 1;
            return;
        }
        let place = expected.place.as_ref();
        // What survived has its position still; that of an incarnation that was given up says nothing.
        let is_comparable = expected.incarnation == self.range.incarnation
            || restores.iter().any(|one| one.survivors.incarnation == expected.incarnation);
        let position = place.map(|place| place.position).filter(|_| is_comparable);
        let is_asked = |place: &AcceptedPlace| self.scope.types.contains(&place.event_type);
        if !self.scope.types.is_empty() && !place.is_some_and(is_asked) {
            report.other_types += 1;
        } else if restores.iter().any(|restore| expected.is_lost_with(restore)) {
            report.lost += 1;
        } else if self.range.is_before(id) {
            report.earlier += 1;
        } else if self.range.is_after(id, position) {
            report.later += 1;
        } else {
            report.missing_count += 1;
            if report.missing.len() < MOST {
                report.missing.push(MissingEvent {
                    line: expected.line,
                    event: id,
                    position: place.map(|place| place.position),
                    sent: expected.sent,
                    accepted: expected.accepted,
                    is_behind_last: self.range.is_behind_last(id),
                });
            }
        }
    }
}
