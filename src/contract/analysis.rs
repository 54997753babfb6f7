//! Holds a publication against its message without an event: what can never cross, and what may not.

use json_patch::PatchOperation;
use json_patch::jsonptr::Pointer;

use crate::contract::reach::{Reach, SchemaPlace, reach};
use crate::contract::written::{Difference, DifferenceKind, differences};
use crate::contract::{Catalog, Message};
use crate::enrich::{MadeData, Mode, PatchStep, Publication, Publications};
use crate::event::{Diagnostic, is_false_index, is_item_index};

impl Catalog {
    /// Everything in publications that does not fit their messages, each at its place. A gate
    /// refuses those without a message.
    pub fn analyse(&self, publications: &Publications) -> Vec<Diagnostic> {
        publications.iter().flat_map(|one| self.unfit(one)).collect()
    }

    /// Everything in a publication that does not fit its message, each at its place.
    pub fn unfit(&self, publication: &Publication) -> Vec<Diagnostic> {
        let message = self.message_of(publication);
        message.map_or_else(|| publication.noticed(), |message| analyse(publication, message))
    }
}

/// Everything in a publication that does not fit its message, each at its place.
///
/// What no event, or none of those that an operation is for, can cross with is an error; what only
/// some events cross with is a warning. Of a publication that observes, everything is a warning:
/// its events cross all the same.
fn analyse(publication: &Publication, message: &Message) -> Vec<Diagnostic> {
    let mut analysis =
        Analysis { publication, message, made: publication.made(), found: publication.noticed() };
    analysis.missteps();
    analysis.differences();
    analysis.key();
    analysis.names();
    analysis.optional_copies();
    let mut found = analysis.found;
    found.sort_by_key(|diagnostic| diagnostic.place);
    found.dedup();
    if publication.mode() == Mode::Observe {
        found = found.into_iter().map(Diagnostic::into_warning).collect();
    }
    found
}

struct Analysis<'a> {
    publication: &'a Publication,
    message: &'a Message,
    made: MadeData,
    found: Vec<Diagnostic>,
}

impl Analysis<'_> {
    fn add(&mut self, at: (usize, usize), problem: String, help: String, is_warning: bool) {
        let found = self.publication.mistake(at, problem).with_help(help);
        self.found.push(if is_warning { found.into_warning() } else { found });
    }

    /// Line and column of an operation.
    fn place(&self, step: usize) -> (usize, usize) {
        let step = self.publication.patch().steps().nth(step);
        step.map_or(self.publication.places().patch, PatchStep::place)
    }

    /// Operations that no event fits.
    fn missteps(&mut self) {
        for misstep in std::mem::take(&mut self.made.missteps) {
            self.add(self.place(misstep.step), misstep.problem, misstep.help, false);
        }
    }

    /// What is written and not declared, or required and not written.
    fn differences(&mut self) {
        let place = SchemaPlace::of(self.message.schema());
        for difference in differences(&self.made.data, &place) {
            let Difference { pointer, step, is_certain, kind } = difference;
            let at = step.map_or(self.publication.places().patch, |step| self.place(step));
            let (problem, help) = match kind {
                DifferenceKind::Undeclared { nearest, names } => (
                    format!("`{}` does not declare `/data{pointer}`", self.message.name()),
                    nearby(&pointer, nearest, &names),
                ),
                DifferenceKind::Missing { with } => (
                    match with {
                        None => format!(
                            "`{}` requires `/data{pointer}`, which no operation writes",
                            self.message.name()
                        ),
                        Some(with) => format!(
                            "`{}` requires `/data{pointer}` beside `{with}`, and no operation \
                             writes it",
                            self.message.name()
                        ),
                    },
                    "write it, or let the contract make it optional".to_owned(),
                ),
            };
            self.add(at, problem, help, !is_certain);
        }
    }

    /// Pointers of the business key that the data cannot have, or may not have.
    fn key(&mut self) {
        let publication = self.publication;
        let places = publication.places().key.clone();
        for (pointer, at) in publication.key().iter().zip(places) {
            self.below_data(pointer, at, "the key", "key-missing");
        }
    }

    /// The subject and the metadata level, where they lie below `/data`.
    fn names(&mut self) {
        let publication = self.publication;
        let places = publication.places();
        let named = [
            ("the subject", publication.subject(), places.subject, &["string", "number"][..]),
            ("the metadata level", publication.metadata(), places.metadata, &["string"][..]),
        ];
        for (name, pointer, at, kinds) in named {
            let Some(pointer) = pointer.filter(|pointer| is_data(pointer)) else { continue };
            if !self.below_data(pointer, at, name, "name-missing") {
                continue;
            }
            let tokens = tokens(pointer);
            let mut place = Some(SchemaPlace::of(self.message.schema()));
            for token in &tokens {
                place = place.and_then(|place| place.step(token));
            }
            if place.is_some_and(|place| !kinds.iter().any(|kind| place.may_be(kind))) {
                let wanted = if kinds.len() > 1 { "a text or a number" } else { "a text" };
                let problem = format!("{name} is {wanted}, and `{pointer}` is none");
                let help =
                    format!("`{}` declares it otherwise; name another member", self.message.name());
                self.add(at, problem, help, false);
            }
        }
    }

    /// Notes what makes a pointer into the data lead nowhere; tells whether it may lead somewhere.
    fn below_data(
        &mut self,
        pointer: &Pointer,
        at: (usize, usize),
        name: &str,
        code: &str,
    ) -> bool {
        if let Some((problem, help)) = self.undeclared(pointer, name) {
            self.add(at, problem, help, false);
            return false;
        }
        let tokens = tokens(pointer);
        let path = || tokens.iter().map(String::as_str);
        if self.made.data.find(path()).is_none() {
            let problem = format!("{name} is at `{pointer}`, which no operation writes");
            let help = format!("as it is, every event is refused with `{code}`");
            self.add(at, problem, help, false);
            return false;
        }
        if !self.made.data.is_always_there(path()) {
            let problem = format!("{name} is at `{pointer}`, which not every event has");
            let help = format!("an event without it is refused with `{code}`");
            self.add(at, problem, help, true);
        }
        true
    }

    /// Why nothing can be where a pointer into the data leads, and what helps; nothing if the
    /// contract declares it.
    fn undeclared(&self, pointer: &Pointer, name: &str) -> Option<(String, String)> {
        let tokens = tokens(pointer);
        let path = || tokens.iter().map(String::as_str);
        let Reach::Undeclared { declared, nearest } = reach(self.message.schema(), path()) else {
            return None;
        };
        let message = self.message.name();
        let problem = format!("{name} cannot be at `{pointer}`: `{message}` does not declare it");
        let around: Vec<&str> = path().take(declared + 1).collect();
        Some((problem, nearby(&format!("/{}", around.join("/")), nearest, &[])))
    }

    /// Copies that refuse an event for the want of what the contract does not ask for.
    fn optional_copies(&mut self) {
        let publication = self.publication;
        let patch = publication.patch();
        let group_of = |step: &PatchStep| patch.groups().get(step.group()?);
        for step in patch.steps().filter(|step| !step.is_optional()) {
            let PatchOperation::Copy(copy) = step.operation() else { continue };
            let tokens = tokens(&copy.path);
            let Some((last, around)) = tokens.split_last() else { continue };
            let is_item = is_item_index(last) || matches!(last.as_str(), "-" | "*");
            if is_item
                || is_data(&copy.from)
                || publication.is_always_there(&copy.from, group_of(step))
            {
                continue;
            }
            let reached = reach(self.message.schema(), tokens.iter().map(String::as_str));
            if reached == Reach::Optional && !self.may_be_required(last, around) {
                let problem = format!(
                    "`{last}` is optional in the contract, and an event without `{}` is refused",
                    copy.from
                );
                let help = "add `optional: true`, or a `when` with `exists`".to_owned();
                self.add(step.place(), problem, help, true);
            }
        }
    }

    /// Whether the contract may demand a member of the data: which alternative applies is not known,
    /// and one of them may.
    fn may_be_required(&self, member: &str, around: &[String]) -> bool {
        let start = Some(SchemaPlace::of(self.message.schema()));
        let place = around.iter().fold(start, |place, token| place?.step(token));
        place.is_some_and(|place| place.may_require(member))
    }
}

fn is_data(pointer: &Pointer) -> bool {
    pointer.front().is_some_and(|first| first.encoded() == "data")
}

/// The tokens below `/data`.
fn tokens(pointer: &Pointer) -> Vec<String> {
    pointer.tokens().skip(1).map(|token| token.decoded().into_owned()).collect()
}

/// What may be meant by a pointer whose last token is not declared.
fn nearby(pointer: &str, nearest: Option<String>, names: &[String]) -> String {
    let last = pointer.rsplit('/').next().unwrap_or_default();
    if is_false_index(last) {
        return "indices are counted from 0; `-` is the place after the last item".to_owned();
    }
    match (nearest, names) {
        (Some(nearest), _) => format!("did you mean `{nearest}`?"),
        (None, []) => "declare it in the contract, or name another member".to_owned(),
        (None, names) => format!("declared there: {}", names.join(", ")),
    }
}

#[cfg(test)]
#[path = "analysis_tests.rs"]
mod tests;
