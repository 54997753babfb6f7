//! Arrays.

use serde_json::Value;

use crate::contract::sample::demand::{Demand, SizeRange, same};
use crate::contract::sample::graph::NodeId;
use crate::contract::sample::maker::{Maker, Standing};
use crate::contract::sample::scalar::SizeWish;

/// Items of the longest array that is made.
const MAX_ITEMS: usize = 200;

/// How often another item is tried where one is there already.
const TRIES: u64 = 24;

/// Items of an ordinary array, so that each is seen to be treated alike.
const ORDINARY: usize = 2;

impl<'g> Maker<'g, '_> {
    pub(super) fn array(&mut self, demand: &Demand<'g>, standing: Standing<'_>) -> Option<Value> {
        let contained: Vec<NodeId> = wanted_inside(demand)?;
        let first = demand.parts.iter().map(|part| part.first_items.len()).max().unwrap_or(0);
        let size = self.sizes(demand, contained.len());
        if size.is_empty() || size.least > MAX_ITEMS {
            return None;
        }
        let others = demand.item(first);
        let has_others = !others.is_empty() && !others.iter().any(|id| self.graph.is_never(*id));
        let usual = if standing.is_deep {
            size.least
        } else {
            let usual = if has_others { (first + contained.len()).max(ORDINARY) } else { first };
            usual.max(size.least).min(size.most.unwrap_or(MAX_ITEMS)).min(MAX_ITEMS)
        };
        let mut sizes = Vec::new();
        if size.least < usual {
            sizes.push((SizeWish::Least, "shortest"));
        }
        if size.most.is_some_and(|most| most > usual && most <= MAX_ITEMS) {
            sizes.push((SizeWish::Most, "longest"));
        }
        let count = match self.size(standing.at, &sizes) {
            SizeWish::Ordinary => usual,
            SizeWish::Least => size.least,
            SizeWish::Most => size.most.unwrap_or(usual),
        };
        self.items(demand, (count, first), &contained, standing)
    }

    /// How many items there may be, with what has to be inside and what must not come.
    fn sizes(&self, demand: &Demand<'g>, contained: usize) -> SizeRange {
        let mut size = demand.size("minItems", "maxItems");
        size.least = size.least.max(contained);
        for part in &demand.parts {
            if part.other_items.is_some_and(|id| self.graph.is_never(id)) {
                let first = part.first_items.len();
                size.most = Some(size.most.map_or(first, |most| most.min(first)));
            }
        }
        size
    }

    fn items(
        &mut self,
        demand: &Demand<'g>,
        (count, first): (usize, usize),
        contained: &[NodeId],
        standing: Standing<'_>,
    ) -> Option<Value> {
        let is_unique = demand.each("uniqueItems").any(|unique| unique == &Value::Bool(true));
        let mut items: Vec<Value> = Vec::new();
        for index in 0..count {
            let mut ids = demand.item(index);
            // What has to be inside comes last, behind items with a place of their own.
            ids.extend((index + contained.len()).checked_sub(count).and_then(|n| contained.get(n)));
            // Items behind the first one of their kind are like it.
            let is_repeated = index > first;
            self.chooser.silence += usize::from(is_repeated);
            let before = self.vary;
            self.vary += index as u64;
            let at = format!("{}/{index}", standing.at);
            let others = is_unique.then_some(&*items);
            let item = self.item(&ids, &at, standing.depth + 1, others);
            self.vary = before;
            self.chooser.silence -= usize::from(is_repeated);
            items.push(item?);
        }
        Some(Value::Array(items))
    }

    /// An item, unlike the others if there are some that it must not repeat. What it varies by is
    /// left as it was tried last.
    fn item(
        &mut self,
        ids: &[NodeId],
        at: &str,
        depth: usize,
        others: Option<&[Value]>,
    ) -> Option<Value> {
        let Some(others) = others else { return self.value(ids, at, depth) };
        let first = self.vary;
        for round in 0..TRIES {
            self.spend(1 + others.len())?;
            self.vary = first + round;
            let made = self.value(ids, at, depth);
            if let Some(made) = made.filter(|made| !others.iter().any(|one| same(one, made))) {
                return Some(made);
            }
        }
        None
    }
}

/// Schemas that items have to keep, each as often as it is wanted; nothing if they are too many.
fn wanted_inside(demand: &Demand<'_>) -> Option<Vec<NodeId>> {
    let mut wanted = Vec::new();
    for part in &demand.parts {
        let Some(contains) = part.contains else { continue };
        let count = part.words.get("minContains").map_or(Some(1), Value::as_u64)?;
        let count = usize::try_from(count).ok().filter(|count| *count <= MAX_ITEMS)?;
        wanted.extend(std::iter::repeat_n(contains, count));
    }
    (wanted.len() <= MAX_ITEMS).then_some(wanted)
}
