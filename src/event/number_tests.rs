//! Tests of what numbers are worth and with which text they cross, beside the code they test.

use proptest::prelude::*;

use super::*;

fn crosses(text: &str) -> String {
    crossing_text(text).unwrap().into_owned()
}

fn value(text: &str) -> NumericValue {
    NumericValue::of(text).unwrap()
}

#[test]
fn what_the_text_of_the_nearest_binary64_denotes_has_that_text() {
    for (text, expected) in [
        ("0", "0"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("0e999999999999999999999", "0"),
        ("300.0", "300"),
        ("1e2", "100"),
        ("1.50000000000000000000000000000", "1.5"),
        ("0.000001", "0.000001"),
        ("0.0000001", "1e-7"),
        ("1E30", "1e+30"),
        ("1000000000000000000000", "1e+21"),
        ("9007199254740992", "9007199254740992"),
        ("5e-324", "5e-324"),
        ("1.7976931348623157e308", "1.7976931348623157e+308"),
        ("123456789012345680000", "123456789012345680000"),
    ] {
        assert_eq!(crosses(text), expected, "{text}");
        assert!(is_exact(text), "{text}");
    }
}

#[test]
fn what_a_program_printed_of_a_binary64_is_that_binary64() {
    for (text, expected) in [
        ("789.34000000000003", "789.34"),
        ("333333333.33333329", "333333333.3333333"),
        ("0.10000000000000001", "0.1"),
        // Exactly the binary64 next to 0.1, with 55 digits.
        ("0.1000000000000000055511151231257827021181583404541015625", "0.1"),
        ("2.2250738585072011e-308", "2.225073858507201e-308"),
    ] {
        if text.starts_with("2.2") {
            // Not normal, so its digits stay.
            assert!(crosses(text).starts_with("0.000"), "{text}");
            continue;
        }
        assert_eq!(crosses(text), expected, "{text}");
        assert!(!is_exact(text), "{text}");
        assert_eq!(value(text), value(expected), "{text}");
    }
}

#[test]
fn every_other_number_stays_itself_in_plain_digits() {
    for (text, expected) in [
        ("1152921504606846976", "1152921504606846976"),
        ("1152921506151679042", "1152921506151679042"),
        ("-820982911946154508", "-820982911946154508"),
        ("1.152921504606846976e18", "1152921504606846976"),
        ("9007199254740993", "9007199254740993"),
        ("12345678901234567", "12345678901234567"),
        ("0.1234567890123456789", "0.1234567890123456789"),
        ("1234567890.12345678901200", "1234567890.123456789012"),
        ("-0.00100000000000000000001", "-0.00100000000000000000001"),
        ("100000000000000000000001e-3", "100000000000000000000.001"),
    ] {
        assert_eq!(crosses(text), expected, "{text}");
    }
    assert_eq!(crosses("1e309"), format!("1{}", "0".repeat(309)));
    assert_eq!(crosses("4.9e-324"), format!("0.{}49", "0".repeat(323)));
}

#[test]
fn too_many_digits_and_too_far_from_one_cannot_cross() {
    let digits = |count: usize| "7".repeat(count);

    assert_eq!(crosses(&digits(128)), digits(128));
    assert_eq!(crossing_text(&digits(129)), Err(NumberFault::TooPrecise));
    assert_eq!(crosses(&format!("{}000", digits(128))), format!("{}000", digits(128)));
    assert_eq!(crosses("1e400").len(), 401);
    assert_eq!(crosses("9.9e-400"), format!("0.{}99", "0".repeat(399)));
    for text in ["1e401", "9.9e-401", "-1e99999999999999999999", "1e-99999999999999999999"] {
        assert_eq!(crossing_text(text), Err(NumberFault::OutOfRange), "{text}");
    }
}

#[test]
fn values_are_ordered_exactly_also_where_binary64_cannot_tell() {
    let ascending = [
        "-1e9999999999999999999999",
        "-1e400",
        "-1.5",
        "0",
        "1e-999999999",
        "1e-400",
        "5e-324",
        "0.1",
        "0.10000000000000000000000001",
        "9007199254740992",
        "9007199254740993",
        "1152921504606846975",
        "1152921504606846976",
        "1152921504606846977",
        "1e308",
        "1e309",
        "1e999999999999999999999",
    ];
    for (at, one) in ascending.iter().enumerate() {
        for (after, other) in ascending.iter().enumerate() {
            assert_eq!(value(one).cmp(&value(other)), at.cmp(&after), "{one} {other}");
            assert_eq!(value(one) == value(other), at == after, "{one} {other}");
        }
    }
    assert_eq!(value("1E2"), value("100.00"));
    assert_eq!(value("-0"), value("0.000"));
}

#[test]
fn the_worked_vectors_of_the_documentation_hold() {
    let page = include_str!("../../docs/verify.md");
    let section = page.split("\n## Numbers\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut rules = String::new();
    for row in section.lines().filter(|row| row.starts_with("| `")) {
        let [sent, in_token, rule] = row.trim_matches('|').split('|').collect::<Vec<_>>()[..]
        else {
            panic!("{row}")
        };
        if in_token.contains("zeros") {
            continue;
        }
        for text in sent.split('`').skip(1).step_by(2) {
            assert_eq!(crosses(text), in_token.trim().trim_matches('`'), "{row}");
            assert_eq!(is_exact(text), rule.trim() == "a", "{row}");
        }
        rules.push_str(rule.trim());
    }
    assert!(rules.len() > 12 && ["a", "b", "c"].iter().all(|rule| rules.contains(rule)));
}

fn number() -> impl Strategy<Value = String> {
    let plain = r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,2})?";
    let near = (any::<f64>().prop_filter("finite", |number| number.is_finite()), 0..3_usize)
        .prop_map(|(number, more)| match more {
            0 => format!("{number:e}"),
            1 => format!("{number:.16e}"),
            _ => format!("{number:.20e}"),
        });
    prop_oneof![plain, near, any::<i64>().prop_map(|number| number.to_string())]
}

proptest! {
    #[test]
    fn the_text_that_crosses_is_stable_and_has_the_same_value(text in number()) {
        let crossed = crosses(&text);
        prop_assert_eq!(crosses(&crossed), crossed.clone());
        prop_assert_eq!(value(&crossed), value(&text));
        prop_assert!(crossed.parse::<serde_json::Number>().is_ok());
    }

    #[test]
    fn every_binary64_with_a_fraction_crosses_as_itself(number in any::<f64>()) {
        prop_assume!(number.is_finite() && number.fract() != 0.0 && number.is_normal());
        let canonical = ryu_js::Buffer::new().format_finite(number).to_owned();
        prop_assert_eq!(crosses(&format!("{number:.16e}")), canonical.clone());
        prop_assert_eq!(crosses(&canonical), canonical);
    }

    #[test]
    fn the_order_is_that_of_the_decimals(one in number(), other in number()) {
        let decimal = |text: &str| Decimal::of(&crosses(text)).unwrap();
        prop_assert_eq!(value(&one).cmp(&value(&other)), decimal(&one).cmp(&decimal(&other)));
    }

    #[test]
    fn a_multiple_is_told_exactly(divisor in r"[1-9][0-9]{0,20}(\.[0-9]{0,20}[1-9])?(e-?[0-9]{1,2})?", times in 0..1_000_000_u64) {
        let whole = Decimal::of(&divisor).unwrap();
        let digits: String = whole.to_string();
        let (before, places) = digits.split_once('.').unwrap_or((&digits, ""));
        let scaled: num_bigint::BigUint = format!("{before}{places}").parse().unwrap();
        let product = |times: u64| format!("{}e-{}", scaled.clone() * times, places.len());
        let (multiple, divisor) = (value(&product(times)), value(&divisor));
        // Rule (b) may have changed either, which then is another number.
        prop_assume!(*multiple.decimal() == Decimal::of(&product(times)).unwrap());
        prop_assume!(*divisor.decimal() == whole);
        prop_assert!(multiple.is_multiple_of(&divisor));
        let beside = Decimal::of(&format!("{}1e-{}", scaled * times, places.len() + 1)).unwrap();
        prop_assert!(!beside.is_multiple_of(&whole));
    }

    #[test]
    fn arbitrary_text_never_panics(text in r"[-+.eE0-9]{0,30}") {
        let _ = (crossing_text(&text), NumericValue::of(&text), is_exact(&text));
    }
}
