//! Estimates which field of a conjunction the fewest events satisfy.

use std::collections::HashMap;
use std::sync::Arc;

use crate::route::clause::ClauseDraft;
use crate::route::field::{Field, Path};
use crate::route::predicate::Predicate;

/// How often each field asks for a certain value, over all drafts of an index.
///
/// What is asked for often is taken to happen often: a value that half of all drafts ask for at
/// some path is worse to be filed under than one of a thousand.
pub(super) struct Selectivity<'d> {
    paths: HashMap<&'d Path, ClauseCounts<'d>>,
}

#[derive(Default)]
struct ClauseCounts<'d> {
    all: u32,
    each: HashMap<&'d Predicate, u32>,
}

impl<'d> Selectivity<'d> {
    pub(super) fn of(drafts: impl IntoIterator<Item = &'d ClauseDraft>) -> Self {
        let mut paths: HashMap<&Path, ClauseCounts<'_>> = HashMap::new();
        for field in drafts.into_iter().flat_map(fields) {
            let counts = paths.entry(&field.path).or_default();
            for predicate in field.alternatives.iter().filter(|predicate| is_certain(predicate)) {
                counts.all += 1;
                *counts.each.entry(predicate).or_default() += 1;
            }
        }
        Self { paths }
    }

    /// The field to file a draft under; nothing if the draft has none that needs a value.
    pub(super) fn best_field<'f>(&self, draft: &'f ClauseDraft) -> Option<&'f Arc<Field>> {
        let usable = fields(draft).filter(|field| !field.may_be_absent());
        usable
            .map(|field| (self.random(field), field))
            .min_by(|(a, _), (b, _)| a.total_cmp(b))
            .map(|(_, field)| field)
    }

    fn random(&self, field: &Field) -> f64 {
        let counts = self.paths.get(&field.path);
        field.alternatives.iter().map(|predicate| random(predicate, counts)).sum()
    }
}

fn fields(draft: &ClauseDraft) -> impl Iterator<Item = &Arc<Field>> {
    draft.parts.iter().flat_map(|part| part.fields())
}

/// Tells whether a predicate asks for one certain text, number or address, or a part of it.
fn is_certain(predicate: &Predicate) -> bool {
    !matches!(
        predicate,
        Predicate::Range(_)
            | Predicate::AnythingBut(_)
            | Predicate::Exists
            | Predicate::Absent
            | Predicate::Bool(_)
            | Predicate::Null
    )
}

/// A guess at how likely a value satisfies a predicate, to be compared and no more.
fn random(predicate: &Predicate, counts: Option<&ClauseCounts<'_>>) -> f64 {
    let share = || {
        let count = counts.and_then(|counts| counts.each.get(predicate)).copied().unwrap_or(1);
        // The ten keep a lone value from looking like every value.
        f64::from(count) / f64::from(counts.map_or(1, |counts| counts.all) + 10)
    };
    match predicate {
        Predicate::Text(_)
        | Predicate::Number(_)
        | Predicate::Address(_)
        | Predicate::EqualsIgnoringCase(_) => share(),
        Predicate::Prefix(_)
        | Predicate::Below(_)
        | Predicate::Suffix(_)
        | Predicate::PrefixIgnoringCase(_)
        | Predicate::SuffixIgnoringCase(_)
        | Predicate::Block(_) => share() + 0.05,
        Predicate::Wildcard(wildcard)
            if !(wildcard.prefix().is_empty() && wildcard.suffix().is_empty()) =>
        {
            share() + 0.1
        }
        Predicate::Null => 0.2,
        Predicate::Range(_) => 0.3,
        Predicate::Bool(_) => 0.5,
        // These are found whenever there is a value at all.
        Predicate::Wildcard(_) => 0.9,
        Predicate::AnythingBut(_) => 0.95,
        Predicate::Exists | Predicate::Absent => 1.0,
    }
}
