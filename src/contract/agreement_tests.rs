//! Validation and closing against a library's plain validation, on generated pairs.

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

use crate::contract::closing::close;
use crate::contract::effort;
use crate::contract::generated::{any_pair, cases, ordinary_pair};
use crate::contract::rules::Rules;

fn plain(schema: &Value) -> Validator {
    let options = jsonschema::options().with_draft(Draft::Draft202012);
    options.with_pattern_options(PatternOptions::regex()).build(schema).unwrap()
}

#[test]
fn any_schema_and_data_are_judged_as_a_plain_validator_judges_them() {
    let mut kept = 0;
    for seed in 0..cases() {
        let (schema, data) = any_pair(seed);
        let rules =
            Rules::compile(&schema).unwrap_or_else(|mistake| panic!("{mistake:?} {schema}"));
        if effort::check(&rules.shapes()).is_err() {
            continue;
        }
        let accepted = rules.accept(&data);
        kept += u64::from(accepted);

        assert_eq!(accepted, plain(&schema).is_valid(&data), "seed {seed}: {schema} {data}");
        let mut violations = Vec::new();
        rules.explain(&data, &mut violations);
        assert_eq!(violations.is_empty(), accepted, "seed {seed}: {schema} {data} {violations:?}");
        assert!(violations.iter().all(|one| one.code != "schema"), "seed {seed}: {violations:?}");
    }
    assert!(kept > 100, "{kept}");
}

#[test]
fn nothing_undeclared_crosses_and_nothing_allowed_is_refused() {
    let (mut kept, mut closed_out) = (0, 0);
    for seed in 0..cases() {
        let (schema, closed, data) = ordinary_pair(seed);
        let rules =
            Rules::compile(&schema).unwrap_or_else(|mistake| panic!("{mistake:?} {schema}"));
        let mut violations = Vec::new();
        rules.explain(&data, &mut violations);
        let accepted = violations.is_empty();
        close(&rules.shapes(), &data, &mut violations);
        kept += u64::from(violations.is_empty());
        closed_out += u64::from(accepted && !violations.is_empty());

        let expected = plain(&closed).is_valid(&data);
        assert_eq!(violations.is_empty(), expected, "seed {seed}: {schema} {data} {violations:?}");
    }
    assert!(kept > 100 && closed_out > 20, "{kept} {closed_out}");
}
