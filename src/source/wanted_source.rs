//! Whether a pattern wants events of a source as which a producer may publish.

use serde_json::Value;

use crate::source::SourceRule;

/// Whether a pattern names a source that one of these rules admits. A pattern that asks nothing of the
/// source wants every one; of a condition that is neither a text nor a prefix, nothing is told.
pub fn wants_source_of(rules: &[SourceRule], pattern: &str) -> bool {
    if rules.iter().any(SourceRule::is_every) {
        return true;
    }
    let Ok(pattern) = serde_json::from_str::<Value>(pattern) else { return false };
    match pattern.get("source").and_then(Value::as_array) {
        Some(conditions) => conditions.iter().any(|one| rules.iter().any(|rule| meets(rule, one))),
        None => !rules.is_empty() && pattern.get("$or").is_none(),
    }
}

/// Whether a rule admits a source that a condition asks for.
fn meets(rule: &SourceRule, condition: &Value) -> bool {
    if let Some(source) = condition.as_str() {
        return rule.admits(source);
    }
    let Some(prefix) = condition.get("prefix").and_then(Value::as_str) else { return false };
    rule.beginning().starts_with(prefix) || (rule.is_open() && prefix.starts_with(rule.beginning()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_told_to_whoever_may_publish_as_a_source_that_it_names() {
        let wants = |rule: &str, pattern: &str| wants_source_of(&[rule.parse().unwrap()], pattern);
        let orders = r#"{"source":["order-service",{"prefix":"shop."}],"detail-type":["A"]}"#;

        for rule in ["order-service", "order-*", "*", "shop.eu", "shop.*", "sh*", "shop.eu.*"] {
            assert!(wants(rule, orders), "{rule}");
        }
        for rule in ["payment-service", "payment-*", "order-service2", "shop", "sho", "sha*"] {
            assert!(!wants(rule, orders), "{rule}");
        }
        assert!(wants("payment-service", r#"{"detail-type":["A"]}"#));
        assert!(!wants_source_of(&[], r#"{"detail-type":["A"]}"#));
        for undecided in [
            r#"{"source":[{"suffix":"service"}]}"#,
            r#"{"$or":[{"source":["a"]},{"source":["b"]}]}"#,
            "not JSON",
        ] {
            assert!(!wants("order-service", undecided), "{undecided}");
            assert!(wants("*", undecided), "{undecided}");
        }
    }
}
