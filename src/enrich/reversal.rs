//! Reads a patch backwards: from the data that it made to the event that it made it from.

use json_patch::PatchOperation;
use json_patch::jsonptr::{Pointer, PointerBuf};
use serde_json::{Map, Value};

use crate::enrich::item_writing::{put, take_out};
use crate::enrich::starred::StarredPointer;
use crate::enrich::{PatchStep, ValueMap};

/// What stands where nothing is shown.
const PLACEHOLDER: &str = "example";

/// The data as it was before the operations that are undone, and what they took from the event.
pub(super) struct Reversal {
    /// Below `data`, so that pointers of operations lead into it.
    document: Value,
    /// Where something was taken from, what it was, and whether it is shown.
    sources: Vec<(PointerBuf, Value, bool)>,
    guessed: Vec<String>,
}

/// An event made from data.
pub(super) struct ReversedEvent {
    pub event: Value,
    /// Pointers into it to what the data shows.
    pub shown: Vec<PointerBuf>,
    /// Pointers into the data to what is made up.
    pub guessed: Vec<String>,
}

/// Whether a value is another one, or has become it: later operations may have written into it.
fn holds(shown: &Value, written: &Value) -> bool {
    match (shown, written) {
        (Value::Object(shown), Value::Object(written)) => written
            .iter()
            .all(|(name, written)| shown.get(name).is_some_and(|shown| holds(shown, written))),
        (Value::Array(shown), Value::Array(written)) => {
            shown.len() >= written.len() && shown.iter().zip(written).all(|(a, b)| holds(a, b))
        }
        _ => shown == written,
    }
}

impl Reversal {
    /// Begins with the data that the whole patch made.
    pub fn of(data: &Value) -> Self {
        let document = Map::from_iter([("data".to_owned(), data.clone())]);
        Self { document: Value::Object(document), sources: Vec::new(), guessed: Vec::new() }
    }

    /// Whether data shows what an operation would have written.
    pub fn shows(data: &Value, step: &PatchStep) -> bool {
        let document = Value::Object(Map::from_iter([("data".to_owned(), data.clone())]));
        match step.operation() {
            PatchOperation::Add(add) => {
                add.path.resolve(&document).is_ok_and(|shown| holds(shown, &add.value))
            }
            PatchOperation::Copy(copy) if !step.is_optional() => {
                let path = StarredPointer::of(&copy.path).map(|path| path.array);
                path.as_deref().unwrap_or(&copy.path).resolve(&document).is_ok()
            }
            _ => true,
        }
    }

    /// Undoes one operation; the last one of the patch comes first.
    pub fn undo(&mut self, step: &PatchStep) {
        let path = step.operation().path();
        if let Some(starred) = StarredPointer::of(path)
            && !matches!(starred.array.resolve(&self.document), Ok(Value::Object(_)))
        {
            return self.undo_items(step, &starred);
        }
        match step.operation() {
            PatchOperation::Copy(copy) => self.give_back(step, &copy.from, path),
            PatchOperation::Move(moved) => self.give_back(step, &moved.from, path),
            PatchOperation::Add(_) => drop(self.taken_from(path)),
            PatchOperation::Remove(_) | PatchOperation::Replace(_) => {
                if !step.is_optional() && path.resolve(&self.document).is_err() {
                    let _ = path.assign(&mut self.document, Value::from(PLACEHOLDER));
                }
            }
            PatchOperation::Test(test) => {
                self.sources.push((path.to_buf(), test.value.clone(), false));
            }
        }
    }

    fn undo_items(&mut self, step: &PatchStep, path: &StarredPointer) {
        let from = match step.operation() {
            PatchOperation::Copy(copy) => StarredPointer::of(&copy.from),
            PatchOperation::Move(moved) => StarredPointer::of(&moved.from),
            _ => None,
        };
        let array = path.array.resolve(&self.document).ok();
        let count = array.and_then(Value::as_array).map(Vec::len);
        let Some(from) = from else {
            return self.undo_in_each(step, path, count.unwrap_or_default());
        };
        let Some(count) = count.or((!step.is_optional()).then_some(1)) else { return };
        self.sources.push((from.array.clone(), Value::Array(Vec::new()), false));
        for index in 0..count {
            let place = path.of_item(index);
            // An item that is taken whole is put there itself.
            if !from.below.is_root() {
                self.source_item(&from, index);
            }
            // The item itself stays, for its index, until all of them are read.
            let shown = place.resolve(&self.document).ok().cloned();
            if !path.below.is_root() && shown.is_some() {
                drop(take_out(&mut self.document, &place));
            }
            self.give(step, &from.of_item(index), &place, shown);
        }
        if path.below.is_root() {
            drop(take_out(&mut self.document, &path.array));
        }
    }

    /// Undoes what the patch itself has brought into items, or taken out of them.
    fn undo_in_each(&mut self, step: &PatchStep, path: &StarredPointer, count: usize) {
        let removes = matches!(step.operation(), PatchOperation::Remove(_));
        let each = (0..count).map(|index| path.of_item(index));
        for place in each.filter(|_| !path.below.is_root()) {
            if removes && !step.is_optional() {
                let _ = place.assign(&mut self.document, Value::from(PLACEHOLDER));
            } else if matches!(step.operation(), PatchOperation::Add(_)) {
                drop(take_out(&mut self.document, &place));
            }
        }
    }

    /// Makes sure that the array has this item, whatever is in it.
    fn source_item(&mut self, from: &StarredPointer, index: usize) {
        let item = from.array.with_trailing_token(index);
        self.sources.push((item, Value::Object(Map::new()), false));
    }

    fn give_back(&mut self, step: &PatchStep, from: &Pointer, path: &Pointer) {
        let shown = self.taken_from(path);
        self.give(step, from, path, shown);
    }

    fn give(&mut self, step: &PatchStep, from: &Pointer, path: &Pointer, shown: Option<Value>) {
        if shown.is_none() && step.is_optional() {
            return;
        }
        let found = match (step.values(), shown) {
            (Some(values), shown) => source_of(values, shown.as_ref()),
            (None, shown) => shown,
        };
        let is_shown = found.is_some();
        if !is_shown {
            let below = path.split_front().map_or("", |(_, rest)| rest.as_str());
            self.guessed.push(below.to_owned());
        }
        let any = || step.values().and_then(|values| values.known().next());
        let value = found.unwrap_or_else(|| any().map_or(PLACEHOLDER, |(text, _)| text).into());
        if from.first().is_some_and(|first| first.encoded() == "data") {
            if from.resolve(&self.document).is_err() {
                let _ = from.assign(&mut self.document, value);
            }
        } else {
            self.sources.push((from.to_buf(), value, is_shown));
        }
    }

    fn taken_from(&mut self, path: &Pointer) -> Option<Value> {
        if let Some((around, last)) = path.split_back()
            && last.is_next()
            && let Ok(Value::Array(items)) = around.resolve_mut(&mut self.document)
        {
            return items.pop();
        }
        if path.count() == 1 {
            let empty = Value::Object(Map::new());
            let data = self.document.get("data").cloned();
            let _ = put(&mut self.document, path, empty);
            return data;
        }
        take_out(&mut self.document, path)
    }

    /// The event that all this was taken from.
    pub fn into_event(mut self) -> ReversedEvent {
        let (mut event, mut shown) = (Value::Object(Map::new()), Vec::new());
        // What lies around another value comes first, and what is shown last.
        self.sources.sort_by_key(|(at, _, is_shown)| (at.count(), *is_shown));
        for (at, value, is_shown) in self.sources {
            if is_shown || at.resolve(&event).is_err() {
                // What cannot be put there is missing when the patch is tried, which then says so.
                let _ = at.assign(&mut event, value);
            }
            if is_shown {
                shown.push(at);
            }
        }
        self.guessed.reverse();
        ReversedEvent { event, shown, guessed: self.guessed }
    }
}

/// A value that a map turns into the one that is shown.
fn source_of(values: &ValueMap, shown: Option<&Value>) -> Option<Value> {
    let shown = shown?;
    if let Some((text, _)) = values.known().find(|(_, value)| *value == shown) {
        return Some(text.into());
    }
    let other = (0..).map(|n| Value::from(format!("{PLACEHOLDER}{n}")));
    let mut unknown = other.filter(|text| values.known().all(|(known, _)| *text != *known));
    unknown.next().filter(|_| values.fallback() == Some(shown))
}
