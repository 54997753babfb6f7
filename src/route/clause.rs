//! A filter as a formula over conjunctions of fields, and its normal form for the index.

use std::sync::Arc;

use crate::route::evaluate::{Evaluation, Spent};
use crate::route::event_tree::EventTree;
use crate::route::mismatch::{Explaining, Mismatch};
use crate::route::part::{Conjunction, StepBound};
use crate::route::pattern::Pattern;

/// The most drafts of one filter; beyond, a coarser draft is verified by the whole formula.
const MAX_DRAFTS: usize = 1000;

/// A formula that an event satisfies or not.
#[derive(Clone, Debug)]
pub(super) enum Clause {
    Fields(Arc<Conjunction>),
    Pattern(Pattern),
    All(Vec<Clause>),
    Any(Vec<Clause>),
    Not { place: String, negated: Box<Clause> },
}

/// Conjunctions that must all hold for a formula to hold; one draft of several is enough.
#[derive(Clone, Debug, Default)]
pub(super) struct ClauseDraft {
    /// Each has array consistency of its own, so they are never merged.
    pub(super) parts: Vec<Arc<Conjunction>>,
    /// Whether the parts hold only if the formula does too, and need the formula's word.
    pub(super) coarse: bool,
}

impl Clause {
    pub(super) fn holds(
        &self,
        event: &EventTree<'_>,
        evaluation: &mut Evaluation,
    ) -> Result<bool, Spent> {
        match self {
            Self::Fields(conjunction) => evaluation.holds(conjunction, event.root()),
            Self::Pattern(pattern) => pattern.holds(event, evaluation),
            Self::All(clauses) => {
                for clause in clauses {
                    if !clause.holds(event, evaluation)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::Any(clauses) => {
                for clause in clauses {
                    if clause.holds(event, evaluation)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::Not { negated, .. } => Ok(!negated.holds(event, evaluation)?),
        }
    }

    /// How many conjunctions it holds.
    pub(super) fn combinations(&self) -> usize {
        match self {
            Self::Fields(_) => 1,
            Self::Pattern(pattern) => pattern.conjunctions().len(),
            Self::All(clauses) | Self::Any(clauses) => clauses.iter().map(Self::combinations).sum(),
            Self::Not { negated, .. } => negated.combinations(),
        }
    }

    /// Whether one of its fields is the member of an event with this name, or lies below it.
    pub(super) fn asks_below(&self, name: &str) -> bool {
        let lies_there = |conjunction: &Arc<Conjunction>| conjunction.asks_below(name);
        match self {
            Self::Fields(conjunction) => lies_there(conjunction),
            Self::Pattern(pattern) => pattern.conjunctions().iter().any(lies_there),
            Self::All(clauses) | Self::Any(clauses) => {
                clauses.iter().any(|clause| clause.asks_below(name))
            }
            Self::Not { negated, .. } => negated.asks_below(name),
        }
    }

    /// What keeps the formula from holding; of alternatives, the one that is closest.
    pub(super) fn mismatches(
        &self,
        event: &EventTree<'_>,
        explaining: &mut Explaining,
    ) -> Result<Vec<Mismatch>, Spent> {
        if self.holds(event, &mut explaining.evaluation)? {
            return Ok(Vec::new());
        }
        match self {
            Self::Fields(conjunction) => explaining.conjunction(conjunction, event.root()),
            Self::Pattern(pattern) => pattern.mismatches(event, explaining),
            Self::All(clauses) => {
                let mut all = Vec::new();
                for clause in clauses {
                    all.extend(clause.mismatches(event, explaining)?);
                }
                Ok(all)
            }
            Self::Any(clauses) => {
                let each = clauses.iter().map(|clause| clause.mismatches(event, explaining));
                let each = each.collect::<Result<Vec<_>, _>>()?;
                Ok(each.into_iter().min_by_key(Vec::len).unwrap_or_default())
            }
            Self::Not { place, .. } => {
                let reason = "the negated filter matches".to_owned();
                Ok(vec![Mismatch { path: place.clone(), reason }])
            }
        }
    }

    /// How many steps the formula takes at the most, for each unit of an event's size.
    pub(super) fn bound(&self) -> StepBound {
        match self {
            Self::Fields(conjunction) => conjunction.bound,
            Self::Pattern(pattern) => pattern.bound(),
            Self::All(clauses) | Self::Any(clauses) => {
                clauses.iter().map(Self::bound).fold(StepBound::default(), StepBound::plus)
            }
            Self::Not { negated, .. } => negated.bound(),
        }
    }

    /// Fields times combinations, of all conjunctions together.
    pub(super) fn price(&self) -> usize {
        match self {
            Self::Fields(conjunction) => conjunction.count(),
            Self::Pattern(pattern) => pattern.price(),
            Self::All(clauses) | Self::Any(clauses) => clauses.iter().map(Self::price).sum(),
            Self::Not { negated, .. } => negated.price(),
        }
    }

    /// The formula as alternatives of conjunctions; every event that satisfies the formula
    /// satisfies one of them.
    pub(super) fn drafts(&self) -> Vec<ClauseDraft> {
        let of = |conjunction: &Arc<Conjunction>| ClauseDraft {
            parts: vec![Arc::clone(conjunction)],
            coarse: false,
        };
        match self {
            Self::Fields(conjunction) => vec![of(conjunction)],
            Self::Pattern(pattern) => pattern.conjunctions().iter().map(of).collect(),
            Self::All(clauses) => {
                clauses.iter().fold(vec![ClauseDraft::default()], |drafts, clause| {
                    multiply(drafts, &clause.drafts())
                })
            }
            Self::Any(clauses) => {
                let drafts: Vec<ClauseDraft> = clauses.iter().flat_map(Self::drafts).collect();
                if drafts.len() > MAX_DRAFTS { vec![ClauseDraft::unknown()] } else { drafts }
            }
            Self::Not { .. } => vec![ClauseDraft::unknown()],
        }
    }
}

impl ClauseDraft {
    pub(super) fn holds(
        &self,
        event: &EventTree<'_>,
        evaluation: &mut Evaluation,
    ) -> Result<bool, Spent> {
        for part in &self.parts {
            if !evaluation.holds(part, event.root())? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Says nothing, so that the formula decides.
    fn unknown() -> Self {
        Self { parts: Vec::new(), coarse: true }
    }
}

fn multiply(mut left: Vec<ClauseDraft>, right: &[ClauseDraft]) -> Vec<ClauseDraft> {
    if left.len().saturating_mul(right.len()) > MAX_DRAFTS {
        // What is left out is a further condition only, so the formula can still add it.
        for draft in &mut left {
            draft.coarse = true;
        }
        return left;
    }
    let joined = |a: &ClauseDraft, b: &ClauseDraft| ClauseDraft {
        parts: a.parts.iter().chain(&b.parts).map(Arc::clone).collect(),
        coarse: a.coarse || b.coarse,
    };
    left.iter().flat_map(|a| right.iter().map(move |b| joined(a, b))).collect()
}
