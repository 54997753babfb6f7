//! Holds the events of a bundle against what the subscription asked for when they were numbered.

use crate::event::AskedDigest;
use crate::route::{EventTree, Filter, MatchOutcome};
use crate::seal::evidence::{EventState, Examiner, OpenedEvent};

/// The most steps that are taken for one event; a gateway gives an event up after far fewer.
const MOST_STEPS: u64 = 10_000_000;
/// Why an event has a number of which nobody could tell whether it is wanted.
const UNDECIDED: &str = "undecided";

/// The filter of what a bundle says that is asked for, compiled once.
#[derive(Default)]
pub(super) struct AskedFilter {
    of: Option<AskedDigest>,
    filter: Option<Filter>,
    /// Events that no filter has judged: it would have been too much work.
    pub(super) unjudged: u64,
}

impl AskedFilter {
    /// Notes that an opened event is none that was asked for.
    pub(super) fn judge(&mut self, examined: &mut Examiner<'_>, told: &OpenedEvent) {
        self.follow(examined);
        let Some(filter) = &self.filter else { return };
        let event = told.opened.event();
        match filter.decide(&EventTree::of(event), MOST_STEPS) {
            MatchOutcome::Matches => {}
            MatchOutcome::Undecided => self.unjudged += 1,
            MatchOutcome::Differs if is_undecided(told.state.as_ref()) => self.unjudged += 1,
            MatchOutcome::Differs => {
                examined.find("the event is none that the subscription asks for".to_owned());
            }
        }
    }

    /// Compiles what is asked for now, where that has changed.
    fn follow(&mut self, examined: &mut Examiner<'_>) {
        let Some((asked, digest)) = examined.asked.now() else { return };
        if self.of == Some(*digest) {
            return;
        }
        self.of = Some(*digest);
        let compiled = Filter::new(&asked.types, &asked.filters);
        let problem = compiled.as_ref().err().map(ToString::to_string);
        self.filter = compiled.ok();
        if let Some(problem) = problem {
            examined.find(format!("what the subscription asks for cannot be read: {problem}"));
        }
    }
}

fn is_undecided(state: Option<&EventState>) -> bool {
    matches!(state, Some(EventState::GivenUp { reason, .. }) if reason == UNDECIDED)
}
