//! Many filters at once: each conjunction is filed under its most selective field, an event is
//! walked once and only into paths that are used, and what it finds is verified. Equal filters are
//! one.
//!
//! The index decides only which filters are worth asking. Whether an event matches is always the
//! word of the recursive evaluator, so filters cannot influence each other. Where a filter might
//! have to be given up, all of it is asked, because only that tells.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use crate::event::EVENT_NAME;
use crate::route::access::FieldAccess;
use crate::route::budget::{LEAST_STEPS, MatchOutcome};
use crate::route::clause::ClauseDraft;
use crate::route::evaluate::{Evaluation, Spent};
use crate::route::event_tree::EventTree;
use crate::route::field::{Field, Path};
use crate::route::filter::{BoundedFilter, Filter};
use crate::route::found::{Buckets, Found};
use crate::route::owners::{FilterOwners, StepMeter};
use crate::route::part::StepBound;
use crate::route::pattern::outcome;
use crate::route::selectivity::Selectivity;

/// Up to so many filters a loop is quicker than a walk.
const LOOP: usize = 4;

/// Distinct filters with the keys that they stand under, in the order of the first key of each; it
/// never changes.
#[derive(Debug)]
pub(super) struct Index<K> {
    filters: Vec<IndexedFilter<K>>,
    /// Whether a filter stands under several keys.
    is_shared: bool,
    /// The drafts of all filters, each with the place of its filter.
    entries: Vec<(usize, ClauseDraft)>,
    /// Entries that no field can find.
    always: Vec<u32>,
    buckets: Buckets,
    root: Branch,
    /// The most that any filter can take, and the least that any may.
    widest: StepBound,
    tightest: u64,
}

/// A filter under a key, and the number of its owner.
pub(super) struct ListedFilter<K> {
    pub(super) key: K,
    pub(super) asked: BoundedFilter,
    pub(super) owner: Option<usize>,
}

/// A filter that is asked once of each event, whoever has it.
#[derive(Debug)]
struct IndexedFilter<K> {
    asked: BoundedFilter,
    owners: FilterOwners,
    /// In ascending order.
    keys: Vec<K>,
}

/// A filter that may want an event.
struct Candidate<'f> {
    place: usize,
    /// The drafts of it that were found; nothing: all of it is asked.
    drafts: Option<&'f [u32]>,
}

/// The work of asking an index about one event.
struct Asking<'i, 'e, 'f, 'm, K> {
    index: &'i Index<K>,
    event: &'e EventTree<'e>,
    meter: &'m mut StepMeter,
    /// Steps that each filter has, whatever the filters of other owners take.
    least: u64,
    answer: IndexAnswer<'i, K>,
    /// What these steps were too few for.
    again: Vec<Candidate<'f>>,
}

impl<'i, 'f, K: Ord> Asking<'i, '_, 'f, '_, K> {
    /// First all that is cheap, so that what is not takes nothing from it.
    fn ask(&mut self, candidate: Candidate<'f>) {
        let Some(filter) = self.index.filters.get(candidate.place) else { return };
        let allowed = self.least.min(self.meter.left(&filter.owners));
        match self.decide(filter, &candidate, allowed) {
            MatchOutcome::Undecided => self.again.push(candidate),
            outcome => self.answer.note(filter, outcome),
        }
    }

    /// Then what is left, as long as there are steps left.
    fn ask_again(mut self) -> IndexAnswer<'i, K> {
        let is_settled = self.again.is_empty();
        let allowance = self.meter.allowance();
        for candidate in std::mem::take(&mut self.again) {
            let Some(filter) = self.index.filters.get(candidate.place) else { continue };
            let whole = allowance.whole.saturating_sub(self.meter.taken());
            let left = whole.min(allowance.each).min(self.meter.left(&filter.owners));
            let outcome = if left > self.least {
                self.decide(filter, &candidate, left)
            } else {
                MatchOutcome::Undecided
            };
            self.answer.note(filter, outcome);
        }
        if self.index.is_shared || !is_settled {
            self.answer.matching.sort_unstable();
            self.answer.undecided.sort_unstable();
        }
        self.answer
    }

    fn decide(
        &mut self,
        filter: &IndexedFilter<K>,
        candidate: &Candidate<'_>,
        allowed: u64,
    ) -> MatchOutcome {
        let (outcome, steps) = match candidate.drafts {
            Some(drafts) => {
                let mut evaluation = Evaluation::allowing(allowed);
                let asked = (drafts, &*filter.asked.filter);
                let holds = self.index.a_draft_holds(asked, self.event, &mut evaluation);
                (outcome(holds), evaluation.taken())
            }
            // Only where all of it is asked can it be given up.
            None => filter.asked.decide_within(self.event, allowed),
        };
        self.meter.take(&filter.owners, steps);
        outcome
    }
}

/// What came of asking an index.
pub(super) struct IndexAnswer<'i, K> {
    pub(super) matching: Vec<&'i K>,
    pub(super) undecided: Vec<&'i K>,
}

impl<'i, K> IndexAnswer<'i, K> {
    fn note(&mut self, filter: &'i IndexedFilter<K>, outcome: MatchOutcome) {
        match outcome {
            MatchOutcome::Matches => self.matching.extend(&filter.keys),
            MatchOutcome::Differs => {}
            MatchOutcome::Undecided => self.undecided.extend(&filter.keys),
        }
    }
}

impl<K> IndexedFilter<K> {
    /// Gathers equal filters, in the order in which they come.
    fn gather(listed: Vec<ListedFilter<K>>) -> Vec<Self> {
        let mut filters: Vec<Self> = Vec::with_capacity(listed.len());
        let mut places: HashMap<(usize, u64), usize> = HashMap::with_capacity(listed.len());
        for ListedFilter { key, asked, owner } in listed {
            let same = (Arc::as_ptr(&asked.filter).addr(), asked.budget.steps());
            let place = *places.entry(same).or_insert(filters.len());
            match filters.get_mut(place) {
                Some(known) => {
                    known.owners.add(owner);
                    known.keys.push(key);
                }
                None => filters.push(Self { asked, owners: owner.into(), keys: vec![key] }),
            }
        }
        filters
    }
}

/// A point on the paths that are used.
#[derive(Debug, Default)]
struct Branch {
    below: HashMap<Box<str>, Branch>,
    access: Option<FieldAccess>,
}

impl<K> Index<K> {
    /// Builds an index of filters that come in the order of their keys.
    pub(super) fn build(listed: Vec<ListedFilter<K>>) -> Self {
        let filters = IndexedFilter::gather(listed);
        let each = || filters.iter().map(|filter| &filter.asked);
        let mut index = Self {
            is_shared: filters.iter().any(|filter| filter.keys.len() > 1),
            widest: each()
                .map(|asked| asked.filter.bound())
                .fold(StepBound::default(), StepBound::or),
            tightest: each().map(|asked| asked.budget.steps()).min().unwrap_or(u64::MAX),
            filters,
            entries: Vec::new(),
            always: Vec::new(),
            buckets: Buckets::default(),
            root: Branch::default(),
        };
        if index.filters.len() <= LOOP {
            return index;
        }
        for (place, filter) in index.filters.iter().enumerate() {
            let drafts = filter.asked.filter.drafts().iter();
            index.entries.extend(drafts.map(|draft| (place, draft.clone())));
        }
        let selectivity = Selectivity::of(index.entries.iter().map(|(_, draft)| draft));
        let mut filed: HashMap<Path, Vec<(Arc<Field>, u32)>> = HashMap::new();
        for (entry, (_, draft)) in (0..).zip(&index.entries) {
            match selectivity.best_field(draft) {
                Some(field) => {
                    filed
                        .entry(Arc::clone(&field.path))
                        .or_default()
                        .push((Arc::clone(field), entry));
                }
                None => index.always.push(entry),
            }
        }
        for (path, fields) in filed {
            let each = fields.iter().flat_map(|(field, entry)| {
                field.alternatives.iter().map(|alternative| (alternative, *entry))
            });
            index.root.at(&path).access = Some(FieldAccess::new(each, &mut index.buckets));
        }
        index
    }

    /// The filters that an event satisfies and those that are undecided, each in the order of their
    /// keys.
    pub(super) fn route(&self, event: &EventTree<'_>, meter: &mut StepMeter) -> IndexAnswer<'_, K>
    where
        K: Ord,
    {
        let found = self.found(event);
        let least = meter.allowance().each.min(LEAST_STEPS);
        let answer = IndexAnswer { matching: Vec::new(), undecided: Vec::new() };
        let mut asking = Asking { index: self, event, meter, least, answer, again: Vec::new() };
        let whole = |place| Candidate { place, drafts: None };
        let is_heavy = |place: usize| {
            let filter: Option<&IndexedFilter<K>> = self.filters.get(place);
            filter.is_some_and(|filter| filter.asked.may_be_given_up(event))
        };
        if self.entries.is_empty() {
            (0..self.filters.len()).for_each(|place| asking.ask(whole(place)));
        } else if self.widest.may_exceed(self.tightest, event) {
            let heavy = (0..self.filters.len()).filter(|place| is_heavy(*place)).map(whole);
            let light = self.candidates(&found).filter(|one| !is_heavy(one.place));
            light.chain(heavy).for_each(|candidate| asking.ask(candidate));
            asking.answer.matching.sort_unstable();
        } else {
            self.candidates(&found).for_each(|candidate| asking.ask(candidate));
        }
        asking.ask_again()
    }

    /// The drafts that an event may satisfy.
    fn found(&self, event: &EventTree<'_>) -> Vec<u32> {
        if self.entries.is_empty() {
            return Vec::new();
        }
        let mut found = Found::new(&self.buckets, self.entries.len());
        self.always.iter().for_each(|&entry| found.add(entry));
        self.root.walk(event.root(), &mut found);
        self.root.walk_type(event.root(), &mut found);
        found.into_sorted()
    }

    /// The filters of drafts that were found, in the order of their keys.
    fn candidates<'f>(&self, found: &'f [u32]) -> impl Iterator<Item = Candidate<'f>> {
        let place_of = |entry: &u32| self.entry(*entry).map(|(place, _)| *place);
        // The entries of one filter are neighbors.
        let groups = found.chunk_by(move |a, b| place_of(a) == place_of(b));
        groups.filter_map(move |group| {
            let place = group.first().and_then(place_of)?;
            Some(Candidate { place, drafts: Some(group) })
        })
    }

    fn entry(&self, entry: u32) -> Option<&(usize, ClauseDraft)> {
        usize::try_from(entry).ok().and_then(|entry| self.entries.get(entry))
    }

    fn a_draft_holds(
        &self,
        (drafts, filter): (&[u32], &Filter),
        event: &EventTree<'_>,
        evaluation: &mut Evaluation,
    ) -> Result<bool, Spent> {
        for (_, draft) in drafts.iter().filter_map(|draft| self.entry(*draft)) {
            if draft.holds(event, evaluation)?
                && (!draft.coarse || filter.holds(event, evaluation)?)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Branch {
    fn at(&mut self, path: &[Box<str>]) -> &mut Self {
        path.iter().fold(self, |branch, name| branch.below.entry(name.clone()).or_default())
    }

    /// An event whose name does not stand apart is asked for its type instead.
    fn walk_type(&self, event: &Value, found: &mut Found) {
        let named = event.get(EVENT_NAME).is_some();
        if let (Some(branch), Some(name), false) =
            (self.below.get(EVENT_NAME), event.get("type"), named)
        {
            branch.walk(name, found);
        }
    }

    fn walk(&self, value: &Value, found: &mut Found) {
        if found.is_everything() {
            return;
        }
        match value {
            Value::Object(members) if members.len() < self.below.len() => {
                for (name, member) in members {
                    if let Some(branch) = self.below.get(&**name) {
                        branch.walk(member, found);
                    }
                }
            }
            Value::Object(members) => {
                for (name, branch) in &self.below {
                    if let Some(member) = members.get(&**name) {
                        branch.walk(member, found);
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.walk(item, found)),
            leaf => {
                if let Some(access) = &self.access {
                    access.collect(leaf, found);
                }
            }
        }
    }
}
