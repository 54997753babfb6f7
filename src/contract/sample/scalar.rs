//! Texts, numbers and truths.

use serde_json::{Number, Value};

use crate::contract::sample::chooser::{About, ChoiceKey, ChoiceOption};
use crate::contract::sample::demand::{Demand, SizeRange};
use crate::contract::sample::dice::Dice;
use crate::contract::sample::maker::{Maker, Standing, place};
use crate::contract::sample::number::NumberRange;
use crate::contract::sample::pattern::MAX_TEXT;
use crate::contract::sample::samples::SampleKind;
use crate::contract::sample::text;

/// Steps that a text costs, and each further try of one that does not fit.
const TEXT_STEPS: usize = 20;
const FURTHER_STEPS: usize = 5_000;

/// How often another text is tried when one does not fit.
const TRIES: u64 = 8;

/// Where in its range a size is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum SizeWish {
    Ordinary,
    Least,
    Most,
}

impl<'g> Maker<'g, '_> {
    /// Chooses among the sizes that a value can have, each with its word.
    pub(super) fn size(&mut self, at: &str, others: &[(SizeWish, &str)]) -> SizeWish {
        let option = |word: &str| {
            let name = format!("{} at its {word}", place(at));
            ChoiceOption { kind: SampleKind::Edge, name }
        };
        let key = ChoiceKey { pointer: at.to_owned(), about: About::Size };
        let all = || {
            let words = others.iter().map(|(_, word)| *word);
            std::iter::once("usual size").chain(words).map(option).collect()
        };
        let taken = self.chooser.choose(key, 0, all);
        let wished = taken.checked_sub(1).and_then(|index| others.get(index));
        wished.map_or(SizeWish::Ordinary, |(wish, _)| *wish)
    }

    /// Tells whether a value keeps what is quickly asked: its type, and the rules of a text.
    pub(super) fn admits(&mut self, demand: &Demand<'g>, value: &Value) -> bool {
        let (types, _) = demand.types();
        let fits = |kind: &&str| match value {
            Value::Null => *kind == "null",
            Value::Bool(_) => *kind == "boolean",
            Value::Number(_) => matches!(*kind, "number" | "integer"),
            Value::String(_) => *kind == "string",
            Value::Array(_) => *kind == "array",
            Value::Object(_) => *kind == "object",
        };
        types.iter().any(fits)
            && !demand.excludes(value)
            && value.as_str().is_none_or(|text| self.admits_text(demand, text))
    }

    pub(super) fn admits_text(&mut self, demand: &Demand<'g>, text: &str) -> bool {
        let size = demand.size("minLength", "maxLength");
        size.holds(text.chars().count())
            && demand.patterns().all(|pattern| self.book.matches(pattern, text))
            && !demand.unmatched().any(|pattern| self.book.matches(pattern, text))
    }

    pub(super) fn text(&mut self, demand: &Demand<'g>, standing: Standing<'_>) -> Option<Value> {
        let size = demand.size("minLength", "maxLength");
        if size.is_empty() || size.least > MAX_TEXT {
            return None;
        }
        let wish = self.size(standing.at, &extreme_sizes(demand, size));
        if wish == SizeWish::Ordinary
            && let Some(hint) = self.hint(demand, Value::is_string)
        {
            return Some(hint);
        }
        let about = standing.at.rsplit('/').next().unwrap_or_default();
        for round in 0..TRIES {
            // A text that does not come at once seldom comes later, and patterns make it long.
            self.spend(if round == 0 { TEXT_STEPS } else { FURTHER_STEPS })?;
            let vary = self.variation().wrapping_add(round);
            for text in self.candidates(demand, about, (wish, size), vary) {
                let text = Value::from(text);
                if self.admits(demand, &text) {
                    return Some(text);
                }
            }
        }
        None
    }

    /// What the schema itself gives as an example of an ordinary value.
    fn hint(&mut self, demand: &Demand<'g>, is_kind: fn(&Value) -> bool) -> Option<Value> {
        if self.vary > 0 || self.chooser.dice.is_some() {
            return None;
        }
        let examples = demand.each("examples").filter_map(Value::as_array).flatten();
        let all = examples.chain(demand.each("example")).chain(demand.each("default"));
        let mut kind = all.filter(|value| is_kind(value));
        kind.find(|value| self.admits(demand, value)).cloned()
    }

    /// By how much this value differs from the plainest one.
    fn variation(&mut self) -> u64 {
        let rolled = self.chooser.dice.as_mut().map_or(0, |dice| dice.number() % 10_000);
        self.vary.wrapping_add(rolled)
    }

    fn candidates(
        &mut self,
        demand: &Demand<'g>,
        about: &str,
        (wish, size): (SizeWish, SizeRange),
        vary: u64,
    ) -> Vec<String> {
        let formatted: Vec<String> =
            demand.texts("format").flat_map(|format| text::formatted(format, vary)).collect();
        if !formatted.is_empty() {
            return formatted;
        }
        let length = match wish {
            SizeWish::Most => size.most.unwrap_or(size.least),
            SizeWish::Least | SizeWish::Ordinary => size.least,
        };
        if let Some(pattern) = demand.patterns().next() {
            let mut dice = (vary > 0).then(|| Dice::new(vary));
            // An empty text says little where another one may stand.
            let wished = if wish == SizeWish::Ordinary { length.max(1) } else { length };
            let lengths = [wished, length];
            let texts = lengths.into_iter().filter_map(|at| self.book.text(pattern, at, &mut dice));
            return texts.collect();
        }
        vec![match wish {
            SizeWish::Ordinary => text::plain(about, vary, length, size.most),
            SizeWish::Least | SizeWish::Most => text::plain(about, vary, length, Some(length)),
        }]
    }

    pub(super) fn number(
        &mut self,
        demand: &Demand<'g>,
        is_whole: bool,
        standing: Standing<'_>,
    ) -> Option<Value> {
        let range = NumberRange::of(demand, is_whole)?;
        let (least, greatest) = (range.least(), range.greatest());
        let mut sizes = Vec::from_iter(least.is_some().then_some((SizeWish::Least, "least")));
        sizes.extend(greatest.is_some().then_some((SizeWish::Most, "greatest")));
        let wish = self.size(standing.at, &sizes);
        if wish == SizeWish::Ordinary
            && let Some(hint) = self.hint(demand, Value::is_number)
        {
            return Some(hint);
        }
        for round in 0..TRIES {
            self.step()?;
            let text = match wish {
                SizeWish::Least => least.clone()?,
                SizeWish::Most => greatest.clone()?,
                SizeWish::Ordinary => range.ordinary(self.variation().wrapping_add(round)),
            };
            let number = Value::Number(text.parse::<Number>().ok()?);
            if !demand.excludes(&number) {
                return Some(number);
            }
        }
        None
    }

    pub(super) fn truth(&mut self, standing: Standing<'_>) -> Value {
        let option = |word: &str| {
            let name = format!("{} as {word}", place(standing.at));
            ChoiceOption { kind: SampleKind::Edge, name }
        };
        let key = ChoiceKey { pointer: standing.at.to_owned(), about: About::Listed };
        let taken = self.chooser.choose(key, 0, || ["true", "false"].map(option).to_vec());
        Value::Bool((taken == 0) == self.vary.is_multiple_of(2))
    }
}

/// The sizes beside the ordinary one that a text is made in, each with its word.
fn extreme_sizes(demand: &Demand<'_>, size: SizeRange) -> Vec<(SizeWish, &'static str)> {
    let is_plain = demand.texts("format").all(|format| text::formatted(format, 0).is_empty());
    let mut sizes = Vec::new();
    if is_plain {
        sizes.push((SizeWish::Least, "shortest"));
        if size.most.is_some_and(|most| most <= MAX_TEXT) {
            sizes.push((SizeWish::Most, "longest"));
        }
    }
    sizes
}
