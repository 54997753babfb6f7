//! Generated schemas and data near them: closing and validation agree with plain validation.
//!
//! Three things are held for each pair. What the crate's validation forbids does not cross; what no
//! schema declares does not cross; everything else does. `PAIRS=1000000` makes so many (`make pairs`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jsonschema::Validator;
use serde_json::Value;

use crate::contract::Message;
use crate::contract::sample::Dice;
use crate::contract::tests::dialects::Words;
use crate::contract::tests::oracle::Oracle;
use crate::contract::tests::{generated, shrink, sound};
use crate::enrich::as_crossed;

/// Data for each schema.
const DATA: u64 = 25;

/// Tests that share the pairs.
const TESTS: u64 = 6;

fn message(words: Words, schema: &Value) -> Result<Arc<Message>, String> {
    let files: BTreeMap<String, String> = words.contract(schema).into_iter().collect();
    let catalog = sound(&files)?;
    Ok(Arc::clone(catalog.message("case.yaml", "M").unwrap()))
}

/// The crate's validation in the dialect itself, or of the normal form where no draft knows it.
fn plain(words: Words, schema: &Value) -> Option<Validator> {
    let mut words = words;
    if words.draft.is_none() {
        words = Words::draft_2020_12();
    }
    let options = jsonschema::options().with_draft(words.draft?).should_validate_formats(true);
    options.build(&words.alone(schema)).ok()
}

/// One schema, ready to be asked about data.
struct Case<'a> {
    message: Arc<Message>,
    plain: Validator,
    oracle: Oracle<'a>,
}

/// What became of data.
#[derive(Default)]
struct Tally {
    pairs: u64,
    forbidden: u64,
    undeclared: u64,
    crossing: u64,
    refused_schemas: u64,
}

impl<'a> Case<'a> {
    fn of(words: Words, schema: &'a Value) -> Result<Self, String> {
        let message = message(words, schema)?;
        let plain = plain(words, schema).ok_or("the crate refuses it")?;
        Ok(Self { message, plain, oracle: Oracle::new(schema) })
    }

    /// What is wrong with the judgement of this data, if anything is.
    fn judge(&self, data: &Value, tally: &mut Tally) -> Result<(), String> {
        tally.pairs += 1;
        let violations = self.message.check(data);
        let kept = self.plain.is_valid(data);
        if self.message.keeps(data) != kept {
            return Err(format!("plain validation says {kept}: {violations:?}"));
        }
        if !kept {
            tally.forbidden += 1;
            let silent = violations.is_empty();
            return if silent { Err("forbidden, and it crosses".to_owned()) } else { Ok(()) };
        }
        let undeclared = self.oracle.undeclared(data);
        let found: BTreeSet<String> = violations.iter().map(|one| one.pointer.clone()).collect();
        let codes = violations.iter().all(|one| one.code == "additional-property");
        *(if undeclared.is_empty() { &mut tally.crossing } else { &mut tally.undeclared }) += 1;
        if found == undeclared && codes {
            return Ok(());
        }
        Err(format!("undeclared are {undeclared:?}, and found are {violations:?}"))
    }
}

/// Tells whether a pair still fails, for the search of a smaller one.
fn fails(words: Words, schema: &Value, data: &Value) -> Option<String> {
    Case::of(words, schema).ok()?.judge(data, &mut Tally::default()).err()
}

fn report(words: Words, seed: u64, schema: &Value, data: &Value) -> String {
    let schema = shrink::smallest(schema, |schema| fails(words, schema, data).is_some());
    let data = shrink::smallest(data, |data| fails(words, &schema, data).is_some());
    let schema = shrink::smallest(&schema, |schema| fails(words, schema, &data).is_some());
    let problem = fails(words, &schema, &data);
    let written = words.alone(&schema);
    format!("seed {seed}: {problem:?}\n  schema  {schema}\n  written {written}\n  data    {data}")
}

fn number(name: &str) -> Option<u64> {
    std::env::var_os(name)?.to_str()?.parse().ok()
}

fn agree(words: Words) {
    let pairs = number("PAIRS").unwrap_or(9_000) / TESTS;
    let first = number("SEED").unwrap_or(1);
    let mut tally = Tally::default();
    for seed in first..=first + pairs / DATA {
        let mut dice = Dice::new(seed);
        let schema = generated::schema(&mut dice, words);
        let case = match Case::of(words, &schema) {
            Ok(case) => case,
            Err(refused) => {
                // Bounded effort is the one reason to refuse a schema that is well made.
                let known = ["looked at more than", "alternatives", "entangled", "without moving"];
                let known = known.iter().any(|words| refused.contains(words));
                assert!(known, "seed {seed}: {refused}\n{schema}\n{:?}", words.contract(&schema));
                tally.refused_schemas += 1;
                continue;
            }
        };
        for _ in 0..DATA {
            let data = generated::data(&mut dice, &schema);
            let data = as_crossed(&data).unwrap();
            let judged = case.judge(&data, &mut tally);
            assert!(judged.is_ok(), "{}", report(words, seed, &schema, &data));
        }
    }
    let Tally { pairs, forbidden, undeclared, crossing, refused_schemas } = tally;
    println!(
        "{pairs} pairs: {forbidden} forbidden, {undeclared} with undeclared members, {crossing} cross; \
         {refused_schemas} schemas are too costly"
    );
    assert!(refused_schemas * DATA < pairs / 10, "too many schemas are refused");
    for share in [forbidden, undeclared, crossing] {
        assert!(share > pairs / 20, "each kind of data must come up: {share} of {pairs}");
    }
}

#[test]
fn pairs_in_2020_12_agree() {
    agree(Words::draft_2020_12());
}

#[test]
fn pairs_in_2019_09_agree() {
    agree(Words::draft_2019_09());
}

#[test]
fn pairs_in_draft_07_agree() {
    agree(Words::draft_07());
}

#[test]
fn pairs_in_draft_04_agree() {
    agree(Words::draft_04());
}

#[test]
fn pairs_in_words_of_open_api_agree() {
    agree(Words::open_api());
}

#[test]
fn pairs_where_no_dialect_is_named_agree() {
    agree(Words::unnamed());
}

#[test]
fn what_crosses_keeps_the_schema_that_is_served() {
    let dialects =
        [Words::draft_2020_12(), Words::draft_2019_09(), Words::draft_07(), Words::unnamed()];
    let mut crossing = 0;
    for (seed, words) in (1..=240).zip(dialects.into_iter().cycle()) {
        let mut dice = Dice::new(seed);
        let schema = generated::schema(&mut dice, words);
        let Ok(message) = message(words, &schema) else { continue };
        let served = message.schema_json();
        let options = jsonschema::options().should_validate_formats(false);
        let Ok(consumer) = options.build(served) else { continue };
        for _ in 0..DATA {
            let data = as_crossed(&generated::data(&mut dice, &schema)).unwrap();
            if message.check(&data).is_empty() {
                crossing += 1;
                assert!(consumer.is_valid(&data), "seed {seed}: {schema}\n{served}\n{data}");
            }
        }
    }
    assert!(crossing > 300, "{crossing}");
}

#[test]
fn an_item_that_is_not_counted_is_not_counted_where_objects_are_open() {
    let part = serde_json::json!({"properties": {"a": true}, "additionalProperties": false});
    let schema = serde_json::json!({
        "items": {"properties": {"a": true, "b": true}}, "contains": part, "maxContains": 1
    });
    let message = message(Words::draft_2020_12(), &schema).unwrap();
    let data = serde_json::json!([{"a": 1}, {"a": 1, "b": 1}]);

    assert!(message.check(&data).is_empty());
    assert!(jsonschema::is_valid(message.schema_json(), &data), "{}", message.schema_json());
}
