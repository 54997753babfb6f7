//! One publication tried on one made-up event: what its patch makes of it, and what is wrong with that.

use std::collections::BTreeMap;
use std::sync::Arc;

use json_patch::PatchOperation;
use json_patch::jsonptr::{Pointer, PointerBuf};
use serde_json::Value;

use crate::cli::rehearsal_attributes::AttributeTrial;
use crate::cli::rehearsal_finding::{TrialFinding, below_data, is_within};
use crate::contract::{Message, SampleKind};
use crate::enrich::{
    EnrichError, Enriched, PatchFailure, PatchProblem, PatchStep, Publication, Rehearsal,
};
use crate::event::{Violation, is_item_index};
use crate::telemetry::error_chain;

/// Data that an event should become.
pub(super) struct TrialData {
    /// What it is called: `example 1`, ``sample `without /priority` ``.
    pub(super) name: String,
    /// In which way it was made; nothing: its author gave it as an example.
    pub(super) kind: Option<SampleKind>,
    pub(super) data: Value,
}

/// What came of one trial; nothing where it tells nothing.
pub(super) type TrialResult = Option<Vec<TrialFinding>>;

/// What came of the events that data may come from.
pub(super) struct TrialOutcome {
    pub(super) findings: Vec<TrialFinding>,
    /// Whether the data itself came out, and not other data that keeps the contract.
    pub(super) is_made: bool,
}

/// Tries a publication on the events that data may come from: one that fits is enough. Nothing: the
/// trials tell nothing.
pub(super) fn try_on(
    publication: &Arc<Publication>,
    message: &Message,
    tried: &TrialData,
) -> Option<TrialOutcome> {
    let has_groups = !publication.patch().groups().is_empty();
    let mut first = None;
    for (index, rehearsal) in publication.rehearsals(&tried.data).iter().enumerate() {
        let result = try_event(publication, message, tried, rehearsal);
        if result.as_ref().is_some_and(Vec::is_empty) {
            return Some(TrialOutcome { findings: Vec::new(), is_made: index == 0 });
        }
        first.get_or_insert(result);
    }
    let mut findings = first.flatten()?;
    for finding in &mut findings {
        // Data may be of a kind that no group makes; each group is tried by itself, too.
        finding.is_certain &= !has_groups;
    }
    Some(TrialOutcome { findings, is_made: false })
}

/// Tries a publication on one event.
pub(super) fn try_event(
    publication: &Arc<Publication>,
    message: &Message,
    tried: &TrialData,
    rehearsal: &Rehearsal,
) -> TrialResult {
    let enriched = match publication.enrich(&rehearsal.received) {
        Ok(enriched) => enriched,
        Err(error) => return refused(publication, &error, tried),
    };
    let unfit = unfit_of_envelope(publication, &enriched, &tried.data);
    let trial = PublicationTrial { publication, guessed: &rehearsal.guessed, unfit: &unfit };
    let violations = message.check(enriched.data());
    let of_data = violations.iter().filter_map(|violation| trial.finding(violation));
    let trial = AttributeTrial { enriched: &enriched, rehearsal, unfit: &unfit };
    let breaches = message.attribute_breaches(&enriched).into_iter();
    let of_attributes = breaches.filter_map(|breach| trial.finding(breach, tried.kind));
    Some(of_data.chain(of_attributes).collect())
}

/// Values that an operation writes whatever the event is, by their pointers into the data.
pub(super) fn constants(publication: &Publication) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for step in publication.patch().steps() {
        let operation = step.operation();
        let Some(at) = below_data(operation.path()) else { continue };
        let value = match operation {
            PatchOperation::Test(_) => continue,
            PatchOperation::Add(add) => Some(&add.value),
            PatchOperation::Replace(replace) => Some(&replace.value),
            PatchOperation::Copy(copy) => copy
                .from
                .strip_prefix(Pointer::from_static("/context"))
                .and_then(|from| from.resolve(publication.context()).ok()),
            PatchOperation::Move(_) | PatchOperation::Remove(_) => None,
        };
        // What is written there, above or below takes the place of what stood there before.
        found.retain(|known: &String, _| !is_within(known, at) && !is_within(at, known));
        let is_plain = !at.is_empty()
            && at.split('/').all(|token| !is_item_index(token) && !matches!(token, "-" | "*"));
        if let Some(value) = value.filter(|_| is_plain && !step.is_conditional()) {
            found.insert(at.to_owned(), value.clone());
        }
    }
    found
}

/// Tells whether a pointer leads to what the bus itself says of an event.
fn is_of_envelope(from: &Pointer) -> bool {
    let first = from.front().map(|token| token.decoded().into_owned());
    first.is_some_and(|member| !matches!(&*member, "detail" | "data" | "context"))
}

fn refused(publication: &Publication, error: &EnrichError, tried: &TrialData) -> TrialResult {
    let is_ordinary = matches!(tried.kind, None | Some(SampleKind::Ordinary));
    let (place, is_certain) = match error {
        // A test of the patch asks for a value that no data tells.
        EnrichError::Patch { failure, .. } if failure.operation == "test" => return None,
        EnrichError::Patch { failure, .. } => {
            if let PatchProblem::Missing { from } = &failure.reason
                && PointerBuf::parse(from.as_str()).is_ok_and(|from| is_of_envelope(&from))
            {
                return None;
            }
            if matches!(failure.reason, PatchProblem::Misfit(_))
                && is_in_copied(publication, failure)
            {
                return None;
            }
            // Where data lacks a member, the patch fails for want of it: `check` says so by itself.
            let step = step_of(publication, failure);
            let place = step.map_or(publication.places().event, PatchStep::place);
            (place, is_ordinary && error.code() == "patch-failed")
        }
        _ => (publication.places().event, false),
    };
    let problem = error_chain(error).to_string();
    let code = error.code().to_owned();
    let finding =
        TrialFinding { place, code, problem, guessed: None, is_certain, is_warning: false };
    Some(vec![finding])
}

/// Whether an operation failed inside of what an earlier one has copied: of what shape that is, the
/// event decides where the contract leaves it open.
fn is_in_copied(publication: &Publication, failure: &PatchFailure) -> bool {
    let mut earlier = publication.patch().steps().take_while(|step| step.index() != failure.index);
    earlier.any(|step| {
        let copies = matches!(step.operation(), PatchOperation::Copy(_) | PatchOperation::Move(_));
        let path = step.operation().path().as_str();
        copies && path != failure.path && is_within(&failure.path, path)
    })
}

/// The operation that failed.
fn step_of<'p>(publication: &'p Publication, failure: &PatchFailure) -> Option<&'p PatchStep> {
    publication.patch().steps().find(|step| step.index() == failure.index)
}

/// Pointers of values that come from the envelope and could not be made what the data shows: an
/// event's time is always a time, and its id a text.
fn unfit_of_envelope(publication: &Publication, made: &Enriched, shown: &Value) -> Vec<String> {
    let copies = publication.patch().steps().filter_map(|step| match step.operation() {
        PatchOperation::Copy(copy) if is_of_envelope(&copy.from) => below_data(&copy.path),
        _ => None,
    });
    let differs = |at: &&str| made.data().pointer(at) != shown.pointer(at);
    copies.filter(differs).map(str::to_owned).collect()
}

/// What is known of the values that a trial made.
struct PublicationTrial<'a> {
    publication: &'a Publication,
    /// Pointers of made-up values.
    guessed: &'a [String],
    /// Pointers of values that the envelope has otherwise than the data shows.
    unfit: &'a [String],
}

impl PublicationTrial<'_> {
    /// What a violation says of the publication; nothing if it may follow from a made-up value.
    fn finding(&self, violation: &Violation) -> Option<TrialFinding> {
        let Violation { pointer, code, message } = violation;
        let made_up = || self.guessed.iter().chain(self.unfit);
        let is_undeclared = code == "additional-property";
        let is_guessed = made_up().any(|at| is_within(pointer, at));
        // A text of the envelope is a text in every event.
        let is_never = code == "type" && self.unfit.contains(pointer);
        if is_guessed && !is_undeclared && !is_never {
            return None;
        }
        // A made-up member can make what is around it match too much or too little; if it does so
        // with all data, no event can cross.
        let is_around =
            !is_guessed && code != "required" && made_up().any(|at| is_within(at, pointer));
        Some(TrialFinding {
            place: self.place(pointer),
            code: code.clone(),
            problem: format!("at `/data{pointer}`: {message}"),
            guessed: (is_guessed && is_undeclared).then(|| pointer.clone()),
            is_certain: !is_around,
            is_warning: false,
        })
    }

    /// The operation that wrote what is at fault: the nearest one at or above it.
    fn place(&self, pointer: &str) -> (usize, usize) {
        let writes = self.publication.patch().steps().filter_map(|step| {
            let operation = step.operation();
            let at = below_data(operation.path())?;
            let is_write = !matches!(operation, PatchOperation::Test(_));
            (is_write && !at.is_empty() && is_within(pointer, at)).then_some((at.len(), step))
        });
        let nearest = writes.max_by_key(|(length, _)| *length);
        nearest.map_or(self.publication.places().event, |(_, step)| step.place())
    }
}
