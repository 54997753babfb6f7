//! What became of the entries of a request, and what their producer is told.

use uuid::Uuid;

use crate::event::Fault;
use crate::source::aws::answer::EntryResult;
use crate::source::aws::{AwsErrorKind, Refused};
use crate::source::{AdmitRefusal, Admitted};

/// How many violations an error text lists.
const LISTED_VIOLATIONS: usize = 10;
/// The code of what its producer has no more room for in quarantine, which sending again does not
/// change.
const QUARANTINE_FULL: &str = "quarantine-full";

/// What became of something that was offered.
pub(super) type EntryOutcome = Result<Admitted, AdmitRefusal>;

/// An entry whose answer is known.
pub(super) struct SettledEntry {
    /// What its producer is told.
    pub(super) result: EntryResult,
    /// What it became; nothing where it was not offered, or not taken.
    pub(super) admitted: Option<Admitted>,
}

impl From<EntryResult> for SettledEntry {
    fn from(result: EntryResult) -> Self {
        Self { result, admitted: None }
    }
}

/// Refuses the whole request if an entry failed for a reason that is not its own, since SDKs repeat
/// whole requests and never single entries. A quarantine that is full is its producer's own.
///
/// Once something was stored, that is only harmless where the repeat is recognised.
pub(super) fn refuse_whole<'a>(
    outcomes: impl Iterator<Item = &'a EntryOutcome> + Clone,
    repeatable: bool,
) -> Result<(), Refused> {
    if !repeatable && outcomes.clone().any(Result::is_ok) {
        return Ok(());
    }
    let mut faults = outcomes.filter_map(|outcome| outcome.as_ref().err());
    let is_own =
        |refusal: &AdmitRefusal| refusal.fault == Fault::Caller || refusal.code == QUARANTINE_FULL;
    faults.find(|refusal| !is_own(refusal)).map_or(Ok(()), |refusal| Err(whole(refusal)))
}

/// Refuses the whole request for one reason that is not its own.
pub(super) fn whole(refusal: &AdmitRefusal) -> Refused {
    match refusal.fault {
        Fault::Later => Refused::new(AwsErrorKind::ServiceUnavailable, refusal.message.clone()),
        Fault::Caller | Fault::Ours => Refused::new(AwsErrorKind::InternalFailure, INTERNAL),
    }
}

const INTERNAL: &str = "The gateway failed to store the event; its own log says why.";

/// What a producer is told of an entry that was offered.
pub(super) fn settled(outcome: Option<EntryOutcome>, event_id: Uuid) -> SettledEntry {
    match outcome {
        Some(Ok(admitted)) => {
            SettledEntry { result: EntryResult::Taken { event_id }, admitted: Some(admitted) }
        }
        Some(Err(refusal)) => failed(refusal).into(),
        // An `Admit` that answers for fewer events than it was given has promised nothing for them.
        None => EntryResult::failed("InternalFailure", INTERNAL).into(),
    }
}

fn failed(refusal: AdmitRefusal) -> EntryResult {
    match refusal.fault {
        Fault::Ours => EntryResult::failed("InternalFailure", INTERNAL),
        Fault::Later => EntryResult::failed("ThrottlingException", refusal.message),
        Fault::Caller if refusal.violations.is_empty() => EntryResult::failed(
            "InvalidArgument",
            format!("{} ({})", refusal.message, refusal.code),
        ),
        Fault::Caller => EntryResult::failed("ContractViolation", violations_text(&refusal)),
    }
}

fn violations_text(refusal: &AdmitRefusal) -> String {
    let mut lines = vec![refusal.message.clone()];
    lines.extend(refusal.violations.iter().take(LISTED_VIOLATIONS).map(|violation| {
        format!("at '{}': {} ({})", violation.pointer, violation.message, violation.code)
    }));
    let more = refusal.violations.len().saturating_sub(LISTED_VIOLATIONS);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines.join("; ")
}
