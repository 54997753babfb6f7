//! Attributes of a made-up event, held against what their message says of them.

use json_patch::jsonptr::Pointer;

use crate::cli::rehearsal_finding::{TrialFinding, below_data, is_within};
use crate::contract::{AttributeBreach, SampleKind};
use crate::enrich::{Enriched, Publication, Rehearsal};

/// What is known of the attributes that a trial made.
pub(super) struct AttributeTrial<'a> {
    pub(super) enriched: &'a Enriched,
    pub(super) rehearsal: &'a Rehearsal,
    /// Pointers of values that the envelope has otherwise than the data shows.
    pub(super) unfit: &'a [String],
}

impl AttributeTrial<'_> {
    /// What a breach says of the publication; nothing if the attribute has a made-up value, or the
    /// same one in every event, which the analysis holds against the contract.
    ///
    /// An example is what its author says of events. A sample keeps the schema of the data, and
    /// events may keep more than that.
    pub(super) fn finding(
        &self,
        breach: AttributeBreach,
        kind: Option<SampleKind>,
    ) -> Option<TrialFinding> {
        let AttributeBreach { name, rule } = breach;
        let (from, place) = origin(self.enriched.publication(), &name)?;
        self.is_shown(from).then(|| TrialFinding {
            place,
            code: format!("attribute {name}"),
            problem: format!("the attribute `{name}` {rule}"),
            guessed: None,
            is_certain: kind.is_none(),
            is_warning: kind.is_some(),
        })
    }

    /// Whether the data that an event is made from shows what is there.
    fn is_shown(&self, from: &Pointer) -> bool {
        if let Some(below) = below_data(from) {
            let mut made_up = self.rehearsal.guessed.iter().chain(self.unfit);
            return self.enriched.data().pointer(below).is_some()
                && !made_up.any(|at| is_within(at, below) || is_within(below, at));
        }
        let mut shown = self.rehearsal.shown.iter();
        is_within(from.as_str(), "/detail") && shown.any(|at| is_within(from.as_str(), at.as_str()))
    }
}

/// Where a publication takes an attribute from, and the place in its file that says so.
fn origin<'p>(publication: &'p Publication, name: &str) -> Option<(&'p Pointer, (usize, usize))> {
    let places = publication.places();
    match name {
        "subject" => publication.subject().map(|from| (from, places.subject)),
        "type" => publication.metadata().map(|from| (from, places.metadata)),
        _ => {
            let set = publication.attributes().iter().find(|set| set.name().as_str() == name)?;
            Some((set.from(), set.place()))
        }
    }
}
