//! Objects.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::contract::pointer;
use crate::contract::sample::chooser::{About, ChoiceKey, ChoiceOption};
use crate::contract::sample::demand::Demand;
use crate::contract::sample::dice::Dice;
use crate::contract::sample::graph::NodeId;
use crate::contract::sample::maker::{Maker, Standing};
use crate::contract::sample::samples::SampleKind;
use crate::contract::sample::text;

/// Members of one object.
const MAX_MEMBERS: usize = 1_000;

/// Names that are tried for members that the schema does not name.
const TRIES: u64 = 12;

/// Members that will be there.
#[derive(Default)]
struct Chosen {
    /// Whether each has to be there, in the order in which they are made.
    members: BTreeMap<String, bool>,
    /// Members that are left out on purpose.
    left_out: BTreeSet<String>,
}

impl<'g> Maker<'g, '_> {
    pub(super) fn object(&mut self, demand: &Demand<'g>, standing: Standing<'_>) -> Option<Value> {
        let size = demand.size("minProperties", "maxProperties");
        let mut chosen = self.named(demand, standing)?;
        self.patterned(demand, &mut chosen, standing)?;
        self.extra(demand, &mut chosen, standing);
        complete(demand, &mut chosen);
        if let Some(most) = size.most {
            let surplus = chosen.members.len().saturating_sub(most);
            let optional = chosen.members.iter().rev().filter(|(_, must)| !**must);
            let dropped: Vec<String> =
                optional.take(surplus).map(|(name, _)| name.clone()).collect();
            chosen.members.retain(|name, _| !dropped.contains(name));
        }
        self.fill(demand, &mut chosen, size.least)?;
        self.members(demand, chosen, standing)
    }

    fn members(
        &mut self,
        demand: &Demand<'g>,
        chosen: Chosen,
        standing: Standing<'_>,
    ) -> Option<Value> {
        let mut members = Map::new();
        for (name, must) in chosen.members {
            let ids = self.member(demand, &name);
            let at = pointer::join(standing.at, &name);
            match self.value(&ids, &at, standing.depth + 1) {
                Some(value) => {
                    members.insert(name, value);
                }
                None if must => return None,
                None => self.chooser.give_up(&at),
            }
        }
        Some(Value::Object(members))
    }

    /// Everything that is said of a member.
    fn member(&mut self, demand: &Demand<'g>, name: &str) -> Vec<NodeId> {
        let mut ids = Vec::new();
        let mut is_evaluated = false;
        for part in &demand.parts {
            let before = ids.len();
            ids.extend(part.members.get(name).copied());
            for (pattern, id) in &part.patterned {
                if self.book.matches(pattern, name) {
                    ids.push(*id);
                }
            }
            if ids.len() == before {
                ids.extend(part.additional);
            }
            is_evaluated |= ids.len() > before;
            ids.extend(part.limits.get(name).copied());
        }
        if !is_evaluated {
            ids.extend(demand.parts.iter().filter_map(|part| part.unevaluated));
        }
        ids
    }

    /// Tells whether a member of this name may be there, as far as is seen at a glance.
    fn may_be(&mut self, demand: &Demand<'g>, name: &str) -> bool {
        let ids = self.member(demand, name);
        !ids.iter().any(|id| self.graph.is_never(*id)) && self.is_allowed_name(demand, name)
    }

    fn is_allowed_name(&mut self, demand: &Demand<'g>, name: &str) -> bool {
        let ids: Vec<NodeId> = demand.parts.iter().filter_map(|part| part.names).collect();
        ids.into_iter().all(|id| {
            let parts = self.graph.certain(id, 32);
            let names = Demand { parts };
            let listed = names.fixed();
            !names.parts.iter().any(|part| part.is_never)
                && listed.is_none_or(|list| list.iter().any(|one| one.as_str() == Some(name)))
                && self.admits_text(&names, name)
        })
    }

    /// Members that the schema names, each with the choice to leave it out if it is optional.
    fn named(&mut self, demand: &Demand<'g>, standing: Standing<'_>) -> Option<Chosen> {
        let required = demand.required();
        let declared = demand.parts.iter().flat_map(|part| part.members.keys());
        let names: BTreeSet<&str> =
            declared.map(String::as_str).chain(required.iter().copied()).collect();
        if names.len() > MAX_MEMBERS {
            return None;
        }
        let mut chosen = Chosen::default();
        for name in names {
            self.spend(1 + demand.parts.len())?;
            let at = pointer::join(standing.at, name);
            if required.contains(name) || self.is_fixed(&at) {
                chosen.members.insert(name.to_owned(), true);
            } else if self.may_be(demand, name) {
                let ids = self.member(demand, name);
                // Deep down, what has something below it is left out.
                let is_wanted = !standing.is_deep || self.graph.height(&ids) == 0;
                if is_wanted && self.includes(&at, standing.is_deep) {
                    chosen.members.insert(name.to_owned(), false);
                } else {
                    chosen.left_out.insert(name.to_owned());
                }
            }
        }
        Some(chosen)
    }

    fn includes(&mut self, at: &str, is_deep: bool) -> bool {
        let option =
            |word: &str| ChoiceOption { kind: SampleKind::Without, name: format!("{word} {at}") };
        let key = ChoiceKey { pointer: at.to_owned(), about: About::Member };
        self.chooser.silence += usize::from(is_deep);
        let taken = self.chooser.choose(key, 0, || ["with", "without"].map(option).to_vec());
        self.chooser.silence -= usize::from(is_deep);
        taken == 0
    }

    /// Whether a value at this place, or below it, is fixed.
    fn is_fixed(&self, at: &str) -> bool {
        let below = format!("{at}/");
        let mut next = self.fixed.range(at.to_owned()..);
        self.fixed.contains_key(at) || next.any(|(pointer, _)| pointer.starts_with(&below))
    }

    /// One member for each pattern of names.
    fn patterned(
        &mut self,
        demand: &Demand<'g>,
        chosen: &mut Chosen,
        standing: Standing<'_>,
    ) -> Option<()> {
        for (pattern, _) in demand.parts.iter().flat_map(|part| &part.patterned) {
            self.step()?;
            if standing.is_deep
                || chosen.members.keys().any(|name| self.book.matches(pattern, name))
            {
                continue;
            }
            let mut dice = None;
            let Some(name) = self.book.text(pattern, 1, &mut dice) else { continue };
            if !chosen.left_out.contains(&name)
                && self.book.matches(pattern, &name)
                && self.may_be(demand, &name)
                && self.includes(&pointer::join(standing.at, &name), false)
            {
                chosen.members.insert(name, false);
            }
        }
        Some(())
    }

    /// A member that the schema allows without naming it.
    fn extra(&mut self, demand: &Demand<'g>, chosen: &mut Chosen, standing: Standing<'_>) {
        if standing.is_deep || !self.is_open(demand) {
            return;
        }
        let Some(name) = self.other_name(demand, chosen) else { return };
        // A map without one would be no map; an object that is open besides seldom has one.
        let usual = usize::from(!chosen.members.is_empty() || !chosen.left_out.is_empty());
        let at = pointer::join(standing.at, &name);
        let options = || {
            let named = |kind, word: &str| ChoiceOption { kind, name: format!("{word} {at}") };
            vec![named(SampleKind::Edge, "with"), named(SampleKind::Without, "without")]
        };
        let key = ChoiceKey { pointer: at.clone(), about: About::Extra };
        if self.chooser.choose(key, usual, options) == 0 {
            chosen.members.insert(name, false);
        }
    }

    /// Whether the schema says that there may be members which it does not name.
    fn is_open(&self, demand: &Demand<'g>) -> bool {
        let opening = demand.parts.iter().flat_map(|part| [part.additional, part.unevaluated]);
        opening.flatten().any(|id| !self.graph.is_never(id))
    }

    /// A name that no member has yet and that may be there.
    fn other_name(&mut self, demand: &Demand<'g>, chosen: &Chosen) -> Option<String> {
        let ids: Vec<NodeId> = demand.parts.iter().filter_map(|part| part.names).collect();
        let parts = ids.into_iter().flat_map(|id| self.graph.certain(id, 32)).collect();
        let names = Demand { parts };
        let listed = names.fixed();
        for vary in 0..TRIES {
            self.step()?;
            let index = usize::try_from(vary).unwrap_or(0);
            let size = names.size("minLength", "maxLength");
            let name = match (&listed, names.patterns().next()) {
                (Some(list), _) => list.get(index).and_then(|one| one.as_str().map(str::to_owned)),
                (None, Some(pattern)) => {
                    let mut dice = (vary > 0).then(|| Dice::new(vary));
                    self.book.text(pattern, size.least.max(1), &mut dice)
                }
                (None, None) => Some(text::plain("other", vary, size.least, size.most)),
            };
            let Some(name) = name else { continue };
            let is_new = !chosen.members.contains_key(&name) && !chosen.left_out.contains(&name);
            if is_new && self.may_be(demand, &name) {
                return Some(name);
            }
        }
        None
    }

    /// Adds members until there are enough.
    fn fill(&mut self, demand: &Demand<'g>, chosen: &mut Chosen, least: usize) -> Option<()> {
        while chosen.members.len() < least {
            if chosen.members.len() >= MAX_MEMBERS {
                return None;
            }
            let known = chosen.left_out.pop_first();
            let name = match known {
                Some(name) => name,
                None if self.is_open(demand) => self.other_name(demand, chosen)?,
                None => return None,
            };
            chosen.members.insert(name, true);
        }
        Some(())
    }
}

/// Adds what members that are there ask for; where that was left out on purpose, they go as well.
fn complete(demand: &Demand<'_>, chosen: &mut Chosen) {
    const ROUNDS: usize = 32;
    let dependents = demand.dependents();
    for _ in 0..ROUNDS {
        let mut is_settled = true;
        for (name, other) in &dependents {
            let Some(must) = chosen.members.get(*name).copied() else { continue };
            if chosen.members.contains_key(*other) {
                continue;
            }
            is_settled = false;
            if must || !chosen.left_out.contains(*other) {
                chosen.members.insert((*other).to_owned(), must);
                chosen.left_out.remove(*other);
            } else {
                chosen.members.remove(*name);
                chosen.left_out.insert((*name).to_owned());
            }
        }
        if is_settled {
            break;
        }
    }
}
