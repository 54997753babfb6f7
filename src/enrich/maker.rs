//! Walks a patch once, without an event, and notes what it makes.

use std::collections::BTreeMap;

use json_patch::PatchOperation;
use json_patch::jsonptr::{Pointer, PointerBuf};
use serde_json::Value;

use crate::enrich::noticed::is_item;
use crate::enrich::{Made, MadeData, MadeMember, Misstep, PatchStep, Publication};

impl Publication {
    /// Tells what data its patch can make.
    pub fn made(&self) -> MadeData {
        let mut maker = Maker {
            context: self.context(),
            data: Made::Object(BTreeMap::new()),
            missteps: vec![],
        };
        for (index, step) in self.patch().steps().enumerate() {
            maker.step(index, step);
        }
        MadeData { data: maker.data, missteps: maker.missteps }
    }
}

struct Maker<'a> {
    context: &'a Value,
    data: Made,
    missteps: Vec<Misstep>,
}

impl Maker<'_> {
    fn step(&mut self, index: usize, step: &PatchStep) {
        let is_sure = !step.is_optional() && !step.is_conditional();
        let value = match step.operation() {
            PatchOperation::Add(add) => Made::of(&add.value, index),
            PatchOperation::Replace(replace) => {
                self.must_be_there(index, &replace.path, is_sure);
                Made::of(&replace.value, index)
            }
            PatchOperation::Copy(copy) => {
                let Some(taken) = self.taken(index, &copy.from, is_sure) else { return };
                if step.values().is_some() { Made::copied() } else { taken }
            }
            PatchOperation::Move(moved) => {
                let Some(taken) = self.taken(index, &moved.from, is_sure) else { return };
                self.remove(&moved.from, is_sure);
                if step.values().is_some() { Made::copied() } else { taken }
            }
            PatchOperation::Remove(remove) => {
                self.must_be_there(index, &remove.path, is_sure);
                return self.remove(&remove.path, is_sure);
            }
            PatchOperation::Test(_) => return,
        };
        self.write(index, step.operation().path(), value, is_sure);
    }

    /// What a copy takes; nothing if there is never anything, which is noted.
    fn taken(&mut self, step: usize, from: &Pointer, is_sure: bool) -> Option<Made> {
        let tokens: Vec<String> = from.tokens().map(|token| token.decoded().into_owned()).collect();
        let (first, rest) = tokens.split_first()?;
        let rest = rest.iter().map(String::as_str);
        let (found, problem) = match first.as_str() {
            "data" => (self.data.find(rest), "no operation before this one writes"),
            "context" => {
                let constants = Made::of(self.context, step);
                (constants.find(rest), "`context` has no constant for")
            }
            _ => (Some(Made::copied()), ""),
        };
        if found.is_none() && is_sure {
            let problem = format!("{problem} `{from}`");
            let help = "write another `from`; as it is, no event fits the patch".to_owned();
            self.missteps.push(Misstep { step, problem, help });
        }
        found
    }

    /// What is replaced or removed has to be there.
    fn must_be_there(&mut self, step: usize, path: &Pointer, is_sure: bool) {
        let tokens = data_tokens(path);
        if is_sure && self.data.find(tokens.iter().map(String::as_str)).is_none() {
            let problem = format!("no operation before this one writes `{path}`");
            let help = "an operation that writes it comes first, or use `add`".to_owned();
            self.missteps.push(Misstep { step, problem, help });
        }
    }

    fn write(&mut self, step: usize, path: &Pointer, value: Made, is_sure: bool) {
        let written = write(&mut self.data, path, value, is_sure, step);
        if let Err(misstep) = written
            && is_sure
        {
            self.missteps.push(misstep);
        }
    }

    fn remove(&mut self, path: &Pointer, is_sure: bool) {
        let tokens = data_tokens(path);
        let Some((last, around)) = tokens.split_last() else { return };
        let mut at = &mut self.data;
        let mut is_each = true;
        for token in around {
            is_each &= !matches!(at, Made::Array(_));
            let Some(found) = below(at, token, None) else { return };
            at = found;
        }
        let (Made::Object(members) | Made::Copied(members)) = at else { return };
        if is_sure && is_each {
            members.remove(last);
        } else if let Some(member) = members.get_mut(last) {
            member.is_always_there = false;
        }
    }
}

/// Writes a value to its place, or tells why no event has such a place.
fn write(
    data: &mut Made,
    path: &Pointer,
    value: Made,
    is_sure: bool,
    step: usize,
) -> Result<(), Misstep> {
    let tokens = data_tokens(path);
    let Some((last, around)) = tokens.split_last() else {
        let before = std::mem::replace(data, Made::Constant);
        *data = if is_sure { value } else { before.either(value) };
        return Ok(());
    };
    let Some(at) = holder(data, &tokens, is_sure, step)? else { return Ok(()) };
    must_name_an_item(at, last, step)?;
    if matches!(at, Made::Constant) {
        return Err(no_way(step, around, around.len(), true));
    }
    put(at, last, value, is_sure, step);
    Ok(())
}

/// What holds the place that some tokens lead to, made on the way where `*` makes it; nothing if it
/// is in a value that was copied.
fn holder<'m>(
    data: &'m mut Made,
    tokens: &[String],
    is_sure: bool,
    step: usize,
) -> Result<Option<&'m mut Made>, Misstep> {
    let around = tokens.split_last().map_or(tokens, |(_, around)| around);
    let makes_way = tokens.iter().any(|token| token == "*");
    let mut at = data;
    for (depth, token) in around.iter().enumerate() {
        let next = tokens.get(depth + 1).map_or("", String::as_str);
        let way = makes_way.then_some(Way { next, is_sure, step });
        must_name_an_item(at, token, step)?;
        if !leads_on(at, token, way) {
            return Err(no_way(step, around, depth, matches!(at, Made::Constant)));
        }
        let Some(found) = below(at, token, way) else { return Ok(None) };
        at = found;
    }
    Ok(Some(at))
}

fn must_name_an_item(at: &Made, token: &str, step: usize) -> Result<(), Misstep> {
    if !matches!(at, Made::Array(_)) || is_item(token) || token == "-" {
        return Ok(());
    }
    let problem = format!("`{token}` is no index of the array that its `path` leads into");
    let help = "indices are counted from 0; `-` is the place after the last item".to_owned();
    Err(Misstep { step, problem, help })
}

/// How `*` makes what is not there: by the token that follows.
#[derive(Clone, Copy)]
struct Way<'t> {
    next: &'t str,
    is_sure: bool,
    step: usize,
}

impl Way<'_> {
    fn made(self) -> Made {
        if self.next == "*" { Made::Array(None) } else { Made::Object(BTreeMap::new()) }
    }
}

/// Whether something stands below, or is made there.
fn leads_on(at: &Made, token: &str, way: Option<Way<'_>>) -> bool {
    match at {
        Made::Object(members) => way.is_some() || members.contains_key(token),
        Made::Array(items) => way.is_some() || items.is_some(),
        Made::Copied(_) => true,
        Made::Constant => false,
    }
}

/// What stands below, or is made there.
fn below<'m>(at: &'m mut Made, token: &str, way: Option<Way<'_>>) -> Option<&'m mut Made> {
    match at {
        Made::Object(members) => {
            if let (false, Some(way)) = (members.contains_key(token), way) {
                let Way { is_sure: is_always_there, step, .. } = way;
                let member = MadeMember { value: way.made(), is_always_there, step };
                members.insert(token.to_owned(), member);
            }
            members.get_mut(token).map(|member| &mut member.value)
        }
        Made::Array(items) => {
            if let (None, Some(way)) = (&items, way) {
                *items = Some(Box::new(way.made()));
            }
            items.as_deref_mut()
        }
        Made::Copied(members) => {
            let unknown = || MadeMember { value: Made::copied(), is_always_there: true, step: 0 };
            Some(&mut members.entry(token.to_owned()).or_insert_with(unknown).value)
        }
        Made::Constant => None,
    }
}

/// The tokens below `/data`.
fn data_tokens(path: &Pointer) -> Vec<String> {
    path.tokens().skip(1).map(|token| token.decoded().into_owned()).collect()
}

fn put(at: &mut Made, last: &str, value: Made, is_sure: bool, step: usize) {
    match at {
        Made::Object(members) | Made::Copied(members) => {
            let joined = match members.remove(last) {
                Some(before) if !is_sure => MadeMember {
                    value: before.value.either(value),
                    is_always_there: before.is_always_there,
                    step: before.step,
                },
                _ => MadeMember { value, is_always_there: is_sure, step },
            };
            members.insert(last.to_owned(), joined);
        }
        Made::Array(items) => {
            let joined = match items.take() {
                Some(before) => before.either(value),
                None => value,
            };
            *items = Some(Box::new(joined));
        }
        Made::Constant => {}
    }
}

fn no_way(step: usize, around: &[String], depth: usize, is_constant: bool) -> Misstep {
    let way = around.iter().take(depth + usize::from(!is_constant)).map(String::as_str);
    let way = PointerBuf::from_tokens(std::iter::once("data").chain(way));
    if is_constant {
        let problem = format!("`{way}` is a constant, and nothing lies below it");
        let help = "let an object be written there, or write elsewhere".to_owned();
        return Misstep { step, problem, help };
    }
    Misstep {
        step,
        problem: format!("no operation before this one writes `{way}`, which its `path` lies in"),
        help: format!("put `{{ op: add, path: {way}, value: {{}} }}` before it"),
    }
}
