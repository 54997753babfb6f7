//! Makes a value that keeps the schemas which apply to it.
//!
//! What a type needs lies in files of its own: `scalar`, `array`, `object`.

use std::collections::{BTreeMap, HashSet, VecDeque};

use serde_json::Value;

use crate::contract::pointer;
use crate::contract::sample::chooser::{About, ChoiceKey, ChoiceOption, Chooser};
use crate::contract::sample::demand::{Demand, same};
use crate::contract::sample::graph::{Node, NodeChoice, NodeId, SchemaGraph};
use crate::contract::sample::pattern::PatternBook;
use crate::contract::sample::samples::SampleKind;

/// Values of one sample.
const MAX_VALUES: usize = 3_000;

/// Steps that each value of an `enum` costs.
const LISTED_STEPS: usize = 10;

/// Bytes of texts and names of one sample: what a patch may write.
const MAX_BYTES: usize = 256 * 1024;

/// Levels of one sample.
const MAX_DEPTH: usize = 60;

/// Levels from which on only what is needed is made.
const SHALLOW: usize = 10;

/// Schemas that apply to one value.
const MAX_PARTS: usize = 2_000;

/// Makes one sample.
pub(super) struct Maker<'g, 'w> {
    pub(super) graph: &'g SchemaGraph,
    pub(super) book: &'w mut PatternBook,
    pub(super) chooser: Chooser<'w>,
    /// Values that stand for certain, by their pointers.
    pub(super) fixed: &'w BTreeMap<String, Value>,
    /// Steps that are left for all samples together.
    pub(super) steps: &'w mut u64,
    /// Which of several values of one kind this is, so that they differ.
    pub(super) vary: u64,
    values: usize,
    bytes: usize,
    /// Whether only what is needed is wanted of the value around.
    is_deep: bool,
    /// Definitions that the values around this one keep.
    around: Vec<NodeId>,
}

/// Where a value stands, and how much of it is wanted.
#[derive(Clone, Copy)]
pub(super) struct Standing<'p> {
    pub(super) at: &'p str,
    pub(super) depth: usize,
    /// Only what is needed: the values around it keep the same definition, or are many.
    pub(super) is_deep: bool,
}

impl<'g, 'w> Maker<'g, 'w> {
    pub(super) const fn new(
        graph: &'g SchemaGraph,
        book: &'w mut PatternBook,
        chooser: Chooser<'w>,
        fixed: &'w BTreeMap<String, Value>,
        steps: &'w mut u64,
    ) -> Self {
        Self {
            graph,
            book,
            chooser,
            fixed,
            steps,
            vary: 0,
            values: 0,
            bytes: 0,
            is_deep: false,
            around: Vec::new(),
        }
    }

    /// Makes a value that keeps all of these; nothing if none was found.
    pub(super) fn value(&mut self, ids: &[NodeId], at: &str, depth: usize) -> Option<Value> {
        self.values += 1;
        if self.values > MAX_VALUES || depth > MAX_DEPTH {
            return None;
        }
        self.step()?;
        self.spend_bytes(at.rsplit('/').next().map_or(0, str::len))?;
        if let Some(fixed) = self.fixed.get(at) {
            self.spend_bytes(fixed.to_string().len())?;
            return Some(fixed.clone());
        }
        let (before, was_deep) = (self.around.len(), self.is_deep);
        let gathered = self.gather(ids, at, depth);
        let value = gathered.and_then(|(demand, is_deep)| {
            self.is_deep = is_deep;
            let made = self.make(&demand, Standing { at, depth, is_deep });
            made.filter(|value| !demand.excludes(value))
        });
        self.around.truncate(before);
        self.is_deep = was_deep;
        self.spend_bytes(value.as_ref().and_then(Value::as_str).map_or(0, str::len))?;
        value
    }

    /// How many values were made.
    pub(super) const fn values(&self) -> usize {
        self.values
    }

    pub(super) fn step(&mut self) -> Option<()> {
        self.spend(1)
    }

    /// Takes steps from those that are left for all samples.
    pub(super) fn spend(&mut self, steps: usize) -> Option<()> {
        let steps = u64::try_from(steps).unwrap_or(u64::MAX);
        if *self.steps < steps {
            *self.steps = 0;
            return None;
        }
        *self.steps -= steps;
        Some(())
    }

    fn spend_bytes(&mut self, bytes: usize) -> Option<()> {
        self.bytes = self.bytes.saturating_add(bytes);
        (self.bytes <= MAX_BYTES).then_some(())
    }

    /// Adds up what applies, choosing branches, and tells whether only what is needed is wanted.
    fn gather(&mut self, ids: &[NodeId], at: &str, depth: usize) -> Option<(Demand<'g>, bool)> {
        let mut demand = Demand::default();
        let mut is_deep = self.is_deep || depth >= SHALLOW;
        let mut seen: HashSet<NodeId> = ids.iter().copied().collect();
        let mut open: Vec<NodeId> = ids.to_vec();
        let mut waiting: VecDeque<&'g NodeChoice> = VecDeque::new();
        let mut choices = 0;
        loop {
            while let Some(id) = open.pop() {
                self.step()?;
                let node = self.graph.get(id)?;
                if node.is_definition {
                    is_deep |= self.around.contains(&id);
                    self.around.push(id);
                }
                if node.is_never || demand.parts.len() >= MAX_PARTS {
                    return None;
                }
                demand.parts.push(node);
                open.extend(node.all.iter().filter(|id| seen.insert(**id)));
                waiting.extend(&node.choices);
            }
            let Some(choice) = waiting.pop_front() else { break };
            let branch = self.branch(choice, choices, &demand, (at, is_deep))?;
            choices += 1;
            open.extend(Some(branch).filter(|id| seen.insert(*id)));
        }
        Some((demand, is_deep))
    }

    fn branch(
        &mut self,
        choice: &'g NodeChoice,
        number: usize,
        demand: &Demand<'g>,
        (at, is_deep): (&str, bool),
    ) -> Option<NodeId> {
        let mut fitting: Vec<usize> = Vec::new();
        for (index, id) in choice.branches.iter().enumerate() {
            self.spend(1 + demand.parts.len())?;
            if self.fits(*id, demand, at) {
                fitting.push(index);
            }
        }
        let height =
            |index: &usize| choice.branches.get(*index).map_or(0, |id| self.graph.height(&[*id]));
        let lowest = fitting.iter().copied().min_by_key(height);
        let usual = if is_deep { lowest } else { fitting.first().copied() };
        let index = match &choice.names {
            None => {
                let which = self.chooser.silently(fitting.len());
                fitting.get(which).copied().unwrap_or(0)
            }
            Some(_) if is_deep => usual.unwrap_or(0),
            Some(names) => self.named_branch(names, usual.unwrap_or(0), (at, number)),
        };
        choice.branches.get(index).copied()
    }

    fn named_branch(&mut self, names: &[String], usual: usize, place_of: (&str, usize)) -> usize {
        let (at, number) = place_of;
        let option = |name: &String| ChoiceOption {
            kind: SampleKind::Alternative,
            name: format!("{} {name}", place(at)),
        };
        let key = ChoiceKey { pointer: at.to_owned(), about: About::Branch(number) };
        self.chooser.choose(key, usual, || names.iter().map(option).collect())
    }

    /// Tells at a glance whether a branch can hold with what holds already.
    fn fits(&self, branch: NodeId, demand: &Demand<'g>, at: &str) -> bool {
        let mut parts = demand.parts.clone();
        parts.extend(self.graph.certain(branch, 64));
        let together = Demand { parts };
        if together.parts.iter().any(|part| part.is_never)
            || together.types().0.is_empty()
            || together
                .fixed()
                .is_some_and(|values| values.iter().all(|value| together.excludes(value)))
        {
            return false;
        }
        let never = |part: &&Node, name: &str| {
            let ids = [part.members.get(name), part.limits.get(name)];
            ids.into_iter().flatten().any(|id| self.graph.is_never(*id))
        };
        let forbids = |name: &str| together.parts.iter().any(|part| never(part, name));
        !together.required().into_iter().any(forbids) && self.agrees(&together, at)
    }

    /// Tells whether members whose values are fixed have those values.
    fn agrees(&self, demand: &Demand<'g>, at: &str) -> bool {
        let below = format!("{at}/");
        let fixed = self.fixed.range(below.clone()..);
        let mut fixed = fixed.take_while(|(pointer, _)| pointer.starts_with(&below));
        fixed.all(|(pointer, value)| {
            let name = pointer.get(below.len()..).unwrap_or_default();
            if name.contains('/') {
                return true;
            }
            let name = pointer::tokens(&format!("/{name}")).collect::<String>();
            let ids = demand
                .parts
                .iter()
                .flat_map(|part| part.members.get(&name).into_iter().chain(part.limits.get(&name)));
            let parts = ids.flat_map(|id| self.graph.certain(*id, 32)).collect();
            let member = Demand { parts };
            let listed = member.fixed();
            !member.excludes(value)
                && listed.is_none_or(|list| list.iter().any(|one| same(one, value)))
        })
    }

    fn make(&mut self, demand: &Demand<'g>, standing: Standing<'_>) -> Option<Value> {
        if let Some(values) = demand.fixed() {
            return self.listed(demand, &values, standing);
        }
        match self.kind(demand, standing)? {
            "object" => self.object(demand, standing),
            "array" => self.array(demand, standing),
            "string" => self.text(demand, standing),
            "integer" => self.number(demand, true, standing),
            "number" => self.number(demand, false, standing),
            "boolean" => Some(self.truth(standing)),
            _ => Some(Value::Null),
        }
    }

    /// One of the values that the schema lists.
    fn listed(
        &mut self,
        demand: &Demand<'g>,
        values: &[&Value],
        standing: Standing<'_>,
    ) -> Option<Value> {
        // Each of them is held against the whole demand.
        self.spend(LISTED_STEPS.saturating_mul(values.len()))?;
        let fitting: Vec<&&Value> =
            values.iter().filter(|value| self.admits(demand, value)).collect();
        let at = standing.at;
        let option = |value: &&&Value| {
            let name = format!("{} as {}", place(at), shown(value));
            ChoiceOption { kind: SampleKind::Edge, name }
        };
        let key = ChoiceKey { pointer: at.to_owned(), about: About::Listed };
        let taken = self.chooser.choose(key, 0, || fitting.iter().map(option).collect());
        let further = usize::try_from(self.vary).unwrap_or(0);
        let index = taken.checked_add(further)?.checked_rem(fitting.len())?;
        let value = **fitting.get(index)?;
        let is_container = value.is_array() || value.is_object();
        self.spend_bytes(if is_container { value.to_string().len() } else { 0 })?;
        Some(value.clone())
    }

    fn kind(&mut self, demand: &Demand<'g>, standing: Standing<'_>) -> Option<&'static str> {
        let (mut types, is_listed) = demand.types();
        if !is_listed || types.len() > 6 {
            let implied = demand.implied_type();
            let plain = ["string", "number", "integer", "boolean", "object", "array", "null"];
            let first = plain.into_iter().find(|kind| types.contains(kind));
            return types.contains(&implied).then_some(implied).or(first);
        }
        // What says most comes first, and null last.
        let implied = demand.implied_type();
        types.sort_by_key(|kind| (*kind == "null", *kind != implied));
        let option = |kind: &&str| {
            let name = format!("{} as {kind}", place(standing.at));
            ChoiceOption { kind: SampleKind::Edge, name }
        };
        let key = ChoiceKey { pointer: standing.at.to_owned(), about: About::Type };
        let taken = self.chooser.choose(key, 0, || types.iter().map(option).collect());
        types.get(taken).copied()
    }
}

/// A place in the data, in words.
pub(super) fn place(at: &str) -> &str {
    if at.is_empty() { "the data" } else { at }
}

/// A value of the contract, as part of a name.
fn shown(value: &Value) -> String {
    const MOST: usize = 40;
    let text = value.to_string();
    if text.chars().count() > MOST {
        return text.chars().take(MOST).chain("…".chars()).collect();
    }
    text
}
