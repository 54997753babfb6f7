//! What a subscription wants: types, and filters in the dialects of the CloudEvents Subscriptions API.

use std::sync::Arc;

use serde_json::Value;

use crate::event::{CloudEvent, ConsumerId};
use crate::route::budget::{Budget, MatchOutcome, Undecided};
use crate::route::clause::{Clause, ClauseDraft};
use crate::route::dialect;
use crate::route::error::FilterError;
use crate::route::evaluate::{Evaluation, Spent};
use crate::route::event_tree::EventTree;
use crate::route::mismatch::{Explaining, Mismatch};
use crate::route::part::StepBound;
use crate::route::pattern::{MAX_PRICE, Pattern, outcome};

/// A subscription's wish: an event must be of one of its types and pass all of its filters.
#[derive(Clone, Debug)]
pub struct Filter {
    wish: Clause,
    drafts: Arc<[ClauseDraft]>,
    bound: StepBound,
    reads_data: bool,
}

impl Filter {
    /// Reads the types and filters of a subscription.
    ///
    /// A type is a name (`Payment.Authorised`), a name and everything below it
    /// (`Payment.Authorised.*`, which is at least one level more) or `*`; no type at all means every
    /// type. A filter is a JSON object with one dialect: `exact`, `prefix`, `suffix`, `all`, `any`,
    /// `not` or `pattern`.
    ///
    /// # Errors
    ///
    /// The caller's turn: a type or a filter is not valid, or there are too many.
    pub fn new(types: &[String], filters: &[Value]) -> Result<Self, FilterError> {
        dialect::read(types, filters, usize::MAX).map(Self::of)
    }

    /// Reads the types and filters of a subscription that are made anew, and so must not cost too
    /// much.
    ///
    /// # Errors
    ///
    /// The caller's turn, as for [`new`](Self::new), or the patterns cost more than [`MAX_PRICE`]
    /// together.
    pub fn priced(types: &[String], filters: &[Value]) -> Result<Self, FilterError> {
        dialect::read(types, filters, MAX_PRICE).map(Self::of)
    }

    fn of(wish: Clause) -> Self {
        let (drafts, bound, reads_data) =
            (wish.drafts().into(), wish.bound(), wish.asks_below("data"));
        Self { wish, drafts, bound, reads_data }
    }

    /// Whether it asks for anything in the data of events.
    pub const fn reads_data(&self) -> bool {
        self.reads_data
    }

    /// As much of an event as it asks for: its data is read only for a filter that reads it.
    ///
    /// What it decides, and in how many steps, is the same as of the whole event.
    pub fn tree_of(&self, event: &CloudEvent) -> Value {
        if self.reads_data { event.to_tree() } else { event.to_attribute_tree() }
    }

    /// Tells whether an event, in its JSON form, is wanted, whatever work that is.
    pub fn matches(&self, event: &Value) -> bool {
        self.matches_tree(&EventTree::of(event))
    }

    /// Tells whether an event is wanted that is also asked of other filters, whatever work that is.
    pub fn matches_tree(&self, event: &EventTree<'_>) -> bool {
        self.decide(event, u64::MAX) == MatchOutcome::Matches
    }

    /// Tells whether an event is wanted, in so many steps at the most.
    ///
    /// The same filter takes the same steps for the same event, in whichever process.
    pub fn decide(&self, event: &EventTree<'_>, steps: u64) -> MatchOutcome {
        outcome(self.holds(event, &mut Evaluation::allowing(steps)))
    }

    pub(super) fn holds(
        &self,
        event: &EventTree<'_>,
        evaluation: &mut Evaluation,
    ) -> Result<bool, Spent> {
        self.wish.holds(event, evaluation)
    }

    /// Tells what keeps an event from being wanted, in so many steps at the most; nothing if it is.
    ///
    /// # Errors
    ///
    /// The caller's turn: it takes more steps.
    pub fn explain(&self, event: &Value, steps: u64) -> Result<Vec<Mismatch>, Undecided> {
        let mut explaining = Explaining::allowing(steps);
        let found = self.wish.mismatches(&EventTree::of(event), &mut explaining);
        found.map_err(|Spent| Undecided)
    }

    pub(super) const fn bound(&self) -> StepBound {
        self.bound
    }

    /// What it costs to ask this filter: the fields of its patterns, each counted once for each
    /// combination of `$or` lists that it is in.
    pub fn price(&self) -> usize {
        self.wish.price()
    }

    /// How many alternatives of fields it stands for: what it costs to keep and to ask.
    pub fn combinations(&self) -> usize {
        self.wish.combinations()
    }

    pub(super) fn drafts(&self) -> &[ClauseDraft] {
        &self.drafts
    }
}

/// A filter, and how much work it may be to decide about one event.
#[derive(Clone, Debug)]
pub struct BoundedFilter {
    /// The filter.
    pub filter: Arc<Filter>,
    /// The most steps that it may take before it is given up.
    pub budget: Budget,
}

impl BoundedFilter {
    /// Whether it is the same filter in memory, under the same budget.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.filter, &other.filter) && self.budget == other.budget
    }

    /// Decides about one event with all that may be done for it; what is undecided is given up.
    ///
    /// It depends on the event, the filter and the budget alone.
    pub fn decide(&self, event: &EventTree<'_>) -> MatchOutcome {
        self.filter.decide(event, self.budget.steps())
    }

    /// Decides about one event in so many steps at the most, and no more than it may take at all;
    /// tells the steps that were taken, too.
    pub fn decide_within(&self, event: &EventTree<'_>, steps: u64) -> (MatchOutcome, u64) {
        let mut evaluation = Evaluation::allowing(steps.min(self.budget.steps()));
        let outcome = outcome(self.filter.holds(event, &mut evaluation));
        (outcome, evaluation.taken())
    }

    /// Whether it is possible that it is given up, told from the sizes of both alone.
    ///
    /// Where it is not, whatever else finds out what is true may be asked in its place.
    pub(super) fn may_be_given_up(&self, event: &EventTree<'_>) -> bool {
        self.filter.bound.may_exceed(self.budget.steps(), event)
    }
}

/// A filter with its owner, whose filters share what may be done for them at once.
#[derive(Clone, Debug)]
pub struct OwnedFilter {
    /// Whose it is; nothing: what it takes is counted for nobody.
    pub owner: Option<ConsumerId>,
    /// The filter.
    pub asked: BoundedFilter,
}

/// A filter of nobody.
impl<F: Into<BoundedFilter>> From<F> for OwnedFilter {
    fn from(asked: F) -> Self {
        Self { owner: None, asked: asked.into() }
    }
}

/// A filter that is never given up.
impl From<Arc<Filter>> for BoundedFilter {
    fn from(filter: Arc<Filter>) -> Self {
        Self { filter, budget: Budget::UNLIMITED }
    }
}

/// A pattern alone, over events of every type.
impl From<Pattern> for Filter {
    fn from(pattern: Pattern) -> Self {
        Self::of(Clause::Pattern(pattern))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::event::EVENT_NAME;
    use crate::route::{Table, strategies};

    fn types(names: &[&str]) -> Filter {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        Filter::new(&names, &[]).unwrap()
    }

    fn filter(filters: &Value) -> Result<Filter, FilterError> {
        Filter::new(&[], filters.as_array().unwrap())
    }

    #[test]
    fn a_type_stands_for_itself_and_a_star_for_everything_below() {
        let of = |name: &str| json!({"type": name});
        let below = types(&["Payment.Authorised.*"]);

        assert!(types(&["Payment.Authorised"]).matches(&of("Payment.Authorised")));
        assert!(!types(&["Payment.Authorised"]).matches(&of("Payment.Authorised.Ecom")));
        assert!(below.matches(&of("Payment.Authorised.Ecom")));
        assert!(below.matches(&of("Payment.Authorised.Ecom.Eu")));
        assert!(!below.matches(&of("Payment.Authorised")));
        assert!(!below.matches(&of("Payment.AuthorisedLate.Ecom")));
        assert!(types(&["Order.Created", "Payment.*"]).matches(&of("Payment.Failed")));
        assert!(types(&["*"]).matches(&of("x")) && types(&[]).matches(&of("x")));
    }

    #[test]
    fn types_match_the_name_of_an_event_and_filters_its_type() {
        let event = json!({"type": "com.x.v1", EVENT_NAME: "Payment.Authorised"});
        let exact = |name: &str| filter(&json!([{"exact": {"type": name}}])).unwrap();

        assert!(types(&["Payment.Authorised"]).matches(&event));
        assert!(types(&["Payment.*"]).matches(&event));
        assert!(!types(&["com.x.v1"]).matches(&event));
        assert!(exact("com.x.v1").matches(&event) && !exact("Payment.Authorised").matches(&event));
        let why = types(&["Order.*"]).explain(&event, u64::MAX).unwrap();
        assert_eq!((why.len(), &*why[0].path), (1, "type"));
    }

    #[test]
    fn a_table_finds_events_by_their_names_and_by_their_types() {
        let table = Table::new();
        table.extend((0..10).map(|n| (n, Arc::new(types(&[&format!("T.N{n}")])))));
        table.insert(10, Arc::new(filter(&json!([{"exact": {"type": "T.N3"}}])).unwrap()));

        assert_eq!(table.matches(&json!({"type": "T.N3"})), [3, 10]);
        assert_eq!(table.matches(&json!({"type": "T.N3", EVENT_NAME: "T.N4"})), [4, 10]);
        assert_eq!(table.matches(&json!({"type": "com.x", EVENT_NAME: "T.N4", "a": 1})), [4]);
    }

    #[test]
    fn an_attribute_is_compared_by_its_canonical_text() {
        let exact = |text: &str| filter(&json!([{"exact": {"x": text}}])).unwrap();

        assert!(exact("3").matches(&json!({"x": 3})) && exact("3").matches(&json!({"x": "3"})));
        assert!(exact("true").matches(&json!({"x": true})));
        assert!(!exact("03").matches(&json!({"x": 3})) && !exact("3").matches(&json!({"x": 4})));
    }

    #[test]
    fn dialects_are_joined_by_and() {
        let event = json!({"type": "Order.Created", "source": "/orders", "data": {"n": 5}});
        for (filters, expected) in [
            (json!([{"exact": {"type": "Order.Created", "source": "/orders"}}]), true),
            (json!([{"exact": {"type": "Order.Created", "source": "/x"}}]), false),
            (json!([{"prefix": {"type": "Order."}}, {"suffix": {"source": "ers"}}]), true),
            (json!([{"prefix": {"type": "Order."}}, {"suffix": {"source": "x"}}]), false),
            (json!([{"any": [{"exact": {"type": "x"}}, {"pattern": {"data": {"n": [5]}}}]}]), true),
            (
                json!([{"all": [{"exact": {"type": "x"}}, {"pattern": {"data": {"n": [5]}}}]}]),
                false,
            ),
            (json!([{"not": {"exact": {"type": "x"}}}]), true),
            (json!([{"not": {"not": {"exact": {"type": "x"}}}}]), false),
            (json!([{"exact": {"missing": "x"}}]), false),
            (json!([]), true),
        ] {
            let wish = filter(&filters).unwrap();
            assert_eq!(wish.matches(&event), expected, "{filters}");
            assert_eq!(wish.explain(&event, u64::MAX).unwrap().is_empty(), expected, "{filters}");
        }
    }

    #[test]
    fn a_mistake_is_refused_with_its_place() {
        for (filters, place) in [
            (json!([1]), "filters[0]"),
            (json!([{}]), "filters[0]"),
            (json!([{"exact": {"type": "a"}}, {"exact": {}, "prefix": {}}]), "filters[1]"),
            (json!([{"sql": "x"}]), "filters[0].sql"),
            (json!([{"exact": {}}]), "filters[0].exact"),
            (json!([{"any": []}]), "filters[0].any"),
            (
                json!([{"exact": {"type": "a"}}, {"any": [{"prefix": {"type": 1}}]}]),
                "filters[1].any[0].prefix.type",
            ),
            (json!([{"suffix": {"type": ""}}]), "filters[0].suffix.type"),
            (json!([{"exact": {"data.x": "y"}}]), "filters[0].exact.data.x"),
            (json!([{"exact": {"data": "y"}}]), "filters[0].exact.data"),
            (json!([{"not": []}]), "filters[0].not"),
            (json!([{"not": {"pattern": {"a": []}}}]), "filters[0].not.pattern.a"),
        ] {
            let error = filter(&filters).unwrap_err();
            assert_eq!(error.place, place, "{filters}: {error}");
        }
        for name in ["", "*.x", "Payment*", "Payment.*.x", ".*", "a\nb"] {
            let error = Filter::new(&["ok".into(), name.into()], &[]).unwrap_err();
            assert_eq!(error.place, "types[1]", "{name:?}");
        }
    }

    #[test]
    fn nesting_and_number_have_limits() {
        let mut deep = json!({"exact": {"type": "x"}});
        for _ in 0..20 {
            deep = json!({"not": deep});
        }
        let many = vec![json!({"exact": {"type": "x"}}); 300];

        assert!(filter(&json!([deep])).unwrap_err().message.contains("deep"));
        assert!(Filter::new(&[], &many).unwrap_err().message.contains("more than"));
    }

    #[test]
    fn an_explanation_covers_types_and_every_dialect() {
        let wish = Filter::new(
            &["Order.*".into()],
            &[
                json!({"exact": {"source": "/x"}}),
                json!({"not": {"prefix": {"type": "P"}}}),
                json!({"any": [{"exact": {"a": "1"}}, {"pattern": {"data": {"n": [1], "m": [2]}}}]}),
            ],
        )
        .unwrap();

        let why =
            wish.explain(&json!({"type": "P", "source": "/y", "data": {}}), u64::MAX).unwrap();

        let paths: Vec<&str> = why.iter().map(|mismatch| mismatch.path.as_str()).collect();
        assert_eq!(paths, ["type", "source", "filters[1].not", "a"]);
    }

    #[test]
    fn a_filter_reads_the_data_that_one_of_its_fields_lies_in() {
        for (filters, reads) in [
            (json!([]), false),
            (json!([{"exact": {"type": "a"}}, {"any": [{"prefix": {"source": "/"}}]}]), false),
            (json!([{"pattern": {"database": [1], "source": [{"exists": false}]}}]), false),
            (json!([{"pattern": {"data": {"n": [1]}}}]), true),
            (json!([{"all": [{"not": {"pattern": {"data.n": [1]}}}]}]), true),
            (json!([{"pattern": {"$or": [{"type": ["a"]}, {"data": {"n": [1]}}]}}]), true),
        ] {
            let types = ["Order.*".to_owned()];
            let filter = Filter::new(&types, filters.as_array().unwrap()).unwrap();
            assert_eq!(filter.reads_data(), reads, "{filters}");
        }
    }

    proptest! {
        #[test]
        fn a_member_that_no_field_lies_in_changes_neither_what_is_decided_nor_its_steps(
            filter in strategies::filter(),
            event in strategies::event(),
            left_out in "[abc]",
        ) {
            prop_assume!(!filter.wish.asks_below(&left_out));
            let asked = BoundedFilter::from(filter);
            let whole = asked.decide_within(&EventTree::of(&event), u64::MAX);
            let mut part = event.clone();
            part.as_object_mut().unwrap().remove(&left_out);
            prop_assert_eq!(asked.decide_within(&EventTree::of(&part), u64::MAX), whole);
        }
    }
}
