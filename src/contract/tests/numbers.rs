//! Numbers of any size in contracts: every keyword about numbers, in each dialect, in YAML and JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::Value;

use crate::contract::Message;
use crate::contract::tests::dialects::Words;
use crate::contract::tests::sound;
use crate::enrich::as_crossed;

/// How a contract is written.
#[derive(Clone, Copy, Debug)]
enum Syntax {
    Yaml,
    Json,
}

const DIALECTS: [Words; 6] = [
    Words::unnamed(),
    Words::draft_04(),
    Words::draft_07(),
    Words::draft_2019_09(),
    Words::draft_2020_12(),
    Words::open_api(),
];

/// Keywords about the member `n`, with the texts of their values.
type Rules<'a> = &'a [(&'a str, &'a str)];

/// A message whose member `n` has these rules, written as the dialect has them.
fn message(words: Words, syntax: Syntax, rules: Rules<'_>) -> Result<Arc<Message>, String> {
    let mut written = Vec::new();
    for (keyword, value) in rules {
        match *keyword {
            "const" if !words.sixth => written.push(("enum", format!("[{value}]"))),
            "exclusiveMinimum" | "exclusiveMaximum" if words.exclusive => {
                written.push((
                    if *keyword == "exclusiveMinimum" { "minimum" } else { "maximum" },
                    (*value).to_owned(),
                ));
                written.push((keyword, "true".to_owned()));
            }
            _ => written.push((keyword, (*value).to_owned())),
        }
    }
    let text = match syntax {
        Syntax::Yaml => yaml(words, &written),
        Syntax::Json => json(words, &written),
    };
    let files = BTreeMap::from([("case.yaml".to_owned(), text)]);
    let catalog = sound(&files)?;
    Ok(Arc::clone(catalog.message("case.yaml", "M").unwrap()))
}

fn yaml(words: Words, rules: &[(&str, String)]) -> String {
    let mut text =
        "asyncapi: 3.0.0\ninfo: {title: t, version: '1'}\nchannels:\n  c:\n    messages:\n      \
                    M:\n        payload:\n"
            .to_owned();
    if let Some(format) = words.format {
        write!(text, "          schemaFormat: {format}\n          schema:\n").unwrap();
    }
    text.push_str("            type: object\n            properties:\n              n:\n");
    for (keyword, value) in rules {
        writeln!(text, "                {keyword}: {value}").unwrap();
    }
    text
}

fn json(words: Words, rules: &[(&str, String)]) -> String {
    let rules: Vec<String> =
        rules.iter().map(|(keyword, value)| format!("\"{keyword}\": {value}")).collect();
    let schema =
        format!("{{\"type\": \"object\", \"properties\": {{\"n\": {{{}}}}}}}", rules.join(", "));
    let payload = match words.format {
        Some(format) => format!("{{\"schemaFormat\": \"{format}\", \"schema\": {schema}}}"),
        None => schema,
    };
    format!(
        "{{\"asyncapi\": \"3.0.0\", \"info\": {{\"title\": \"t\", \"version\": \"1\"}}, \
         \"channels\": {{\"c\": {{\"messages\": {{\"M\": {{\"payload\": {payload}}}}}}}}}}}"
    )
}

/// Whether data with this text at `n` crosses.
fn crosses(message: &Message, number: &str) -> bool {
    let data: Value = serde_json::from_str(&format!("{{\"n\":{number}}}")).unwrap();
    message.check(&as_crossed(&data).unwrap()).is_empty()
}

/// Holds rules, written in every way, against what crosses and what does not.
fn hold(rules: Rules<'_>, crossing: &[&str], refused: &[&str]) {
    for words in DIALECTS {
        for syntax in [Syntax::Yaml, Syntax::Json] {
            let message = message(words, syntax, rules);
            let message =
                message.unwrap_or_else(|found| panic!("{:?} {rules:?}: {found}", words.format));
            for (numbers, expected) in [(crossing, true), (refused, false)] {
                for number in numbers {
                    let found = crosses(&message, number);
                    assert_eq!(found, expected, "{:?} {syntax:?} {rules:?} {number}", words.format);
                }
            }
        }
    }
}

const LONG: &str = "123456789012345678901234567890";

#[test]
fn bounds_are_exact_beyond_what_a_double_holds() {
    let (more, less) = ("123456789012345678901234567891", "123456789012345678901234567889");
    hold(&[("minimum", LONG)], &[LONG, more, "1e300"], &[less, "0", "-1e300"]);
    hold(&[("maximum", LONG)], &[LONG, less, "-1e300"], &[more, "1e300"]);
    hold(&[("exclusiveMinimum", LONG)], &[more], &[LONG, less]);
    hold(&[("exclusiveMaximum", LONG)], &[less], &[LONG, more]);
    hold(&[("minimum", "9007199254740993")], &["9007199254740993"], &["9007199254740992"]);
    hold(&[("maximum", "0.10000000000000000001")], &["0.1"], &["0.10000000000000000002"]);
    let digits = "9".repeat(128);
    hold(&[("maximum", &digits)], &[&digits, "1"], &["1e128", "1e400"]);
    hold(&[("exclusiveMaximum", &digits)], &["1"], &[&digits]);
}

#[test]
fn bounds_have_one_value_however_they_are_written() {
    hold(&[("minimum", "1e2")], &["100", "1E2", "100.0"], &["99", "99.9"]);
    hold(&[("minimum", "-0.0")], &["0", "-0", "0e5", "1e-400"], &["-1e-400", "-1"]);
    hold(&[("exclusiveMaximum", "0.1e1")], &["0.99"], &["1", "1.0", "10e-1"]);
}

#[test]
fn bounds_reach_as_far_as_a_contract_can_be_written() {
    hold(&[("maximum", "1.5e308")], &["1.5e308", "1e308", "-1e400"], &["1.6e308", "1e400"]);
    hold(&[("minimum", "-1.5e308")], &["1e400", "0"], &["-1.6e308", "-1e400"]);
    hold(&[("exclusiveMinimum", "1e-400")], &["1e-399"], &["1e-400", "0"]);
    hold(&[("maximum", "1e309")], &["1e309", "1e308"], &["1.1e309", "1e400"]);
    hold(&[("const", "-1.5e399")], &["-1.5e399"], &["-1.5e398", "1.5e399"]);
    // Beyond what crosses, a bound is one that everything keeps.
    hold(&[("maximum", "1e500")], &["1e400", "-1e400"], &[]);
    let found = message(Words::unnamed(), Syntax::Yaml, &[("maximum", ".inf")]).unwrap_err();
    assert!(found.starts_with("case.yaml:") && found.contains("infinite number"), "{found}");
}

#[test]
fn multiples_are_exact() {
    let triple = "370370367037037036703703703670";
    hold(
        &[("multipleOf", LONG)],
        &["0", LONG, triple, "-370370367037037036703703703670"],
        &["1", "1e29"],
    );
    hold(&[("multipleOf", "0.01")], &["0.07", "19.99", "4.35", "1e300"], &["0.075", "4.351"]);
    hold(&[("multipleOf", "1e-30")], &["1e-30", "0.5", "7"], &["1e-31"]);
    hold(
        &[("multipleOf", "3")],
        &["1000000000000000000000000000002"],
        &["1000000000000000000000000000001"],
    );
}

#[test]
fn listed_and_fixed_numbers_are_compared_by_their_value() {
    let near = "123456789012345678901234567891";
    hold(&[("const", LONG)], &[LONG], &[near, "1.2345678901234568e29"]);
    hold(
        &[("enum", "[9007199254740993, 1.0, 1e2, -0]")],
        &["9007199254740993", "1", "1.0", "100", "0", "-0.0"],
        &["9007199254740992", "2", "\"1\""],
    );
    hold(
        &[("const", "0.30000000000000000001")],
        &["0.30000000000000000001"],
        &["0.3", "0.30000000000000000002"],
    );
    hold(&[("enum", "[[1.0], [[1e1]]]")], &["[1]", "[[10]]"], &["1", "[2]", "[[1]]"]);
}

#[test]
fn whole_numbers_are_whole_whatever_their_size() {
    hold(
        &[("type", "integer")],
        &[LONG, "1.0", "1e300", "-0"],
        &["0.5", "123456789012345678901234567890.5"],
    );
    hold(
        &[("type", "integer"), ("format", "int32")],
        &["2147483647", "-2147483648", "1e2", "2.0"],
        &["2147483648", "-2147483649", LONG, "1e300"],
    );
    hold(
        &[("type", "integer"), ("format", "int64")],
        &["9223372036854775807", "-9223372036854775808", "9007199254740993"],
        &["9223372036854775808", "-9223372036854775809", "9.3e18", LONG],
    );
}

#[test]
fn items_are_unique_by_their_value() {
    hold(
        &[("uniqueItems", "true")],
        &[
            "[9007199254740992, 9007199254740993]",
            "[1, \"1\", [1]]",
            "[0.1, 0.10000000000000000001]",
        ],
        &[
            "[1, 1.0]",
            "[100, 1e2]",
            "[0, -0]",
            "[{\"a\": 1}, {\"a\": 1.0}]",
            "[9007199254740993, 9007199254740993.0]",
        ],
    );
}

#[test]
fn a_count_is_a_whole_number_however_it_is_written() {
    hold(
        &[("minLength", "2.0"), ("maxLength", "3e0")],
        &["\"ab\"", "\"abc\""],
        &["\"a\"", "\"abcd\""],
    );
    hold(&[("minItems", "1.0"), ("maxItems", "20e-1")], &["[1]", "[1, 2]"], &["[]", "[1, 2, 3]"]);
    hold(
        &[("maxLength", LONG), ("maxItems", LONG), ("maxProperties", LONG)],
        &["\"abc\"", "[1]", "1"],
        &[],
    );
}

/// A whole number of up to 36 digits, as one of its texts.
fn written(number: i128, form: u8) -> String {
    let digits = number.to_string();
    let short = digits.trim_end_matches('0');
    match form {
        0 => format!("{digits}.0"),
        1 => format!("{digits}e0"),
        2 if number != 0 => format!("{short}e{}", digits.len() - short.len()),
        3 if number != 0 => format!("{digits}0e-1"),
        _ => digits,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_keyword_agrees_with_whole_arithmetic(
        bound in prop_oneof![-1000_i128..1000, -(10_i128.pow(36))..10_i128.pow(36)],
        offset in prop_oneof![Just(0_i128), -3_i128..4, -(10_i128.pow(35))..10_i128.pow(35)],
        forms in (0_u8..6, 0_u8..6), dialect in 0_usize..6, times in -3_i128..4
    ) {
        let number = bound + offset;
        let (limit, text) = (written(bound, forms.0), written(number, forms.1));
        let words = DIALECTS[dialect];
        for syntax in [Syntax::Yaml, Syntax::Json] {
            for (keyword, expected) in [
                ("minimum", number >= bound),
                ("maximum", number <= bound),
                ("exclusiveMinimum", number > bound),
                ("exclusiveMaximum", number < bound),
                ("const", number == bound),
            ] {
                let message = message(words, syntax, &[(keyword, &limit)]).unwrap();
                prop_assert_eq!(crosses(&message, &text), expected, "{} {} {}", keyword, limit, text);
            }
            if bound > 0 {
                let message = message(words, syntax, &[("multipleOf", &limit)]).unwrap();
                prop_assert_eq!(crosses(&message, &text), number % bound == 0);
                prop_assert!(crosses(&message, &written(bound * times, forms.1)));
            }
            let both = format!("[{limit}, {text}]");
            let message = message(words, syntax, &[("uniqueItems", "true")]).unwrap();
            prop_assert_eq!(crosses(&message, &both), number != bound, "{}", both);
        }
    }
}

#[test]
fn a_number_of_a_contract_keeps_its_digits_where_it_is_served() {
    for syntax in [Syntax::Yaml, Syntax::Json] {
        let message =
            message(Words::unnamed(), syntax, &[("const", LONG), ("maximum", "1E300")]).unwrap();
        let served = message.schema_json().to_string();
        assert!(served.contains(LONG), "{served}");
        let maximum = message.schema_json()["properties"]["n"]["maximum"].to_string();
        assert_eq!(maximum.to_lowercase().replace('+', ""), "1e300");
    }
}
