//! Shows what applying a file changes of what is there, member by member.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::config::differing;
use crate::subscriptions::SubscriptionDocument;

/// Characters of a value that are shown.
const LONGEST: usize = 120;

/// One member that a document says otherwise than what is there.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MemberChange {
    /// The member, as `config.parallel`.
    pub member: String,
    /// What is there; missing if nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// What the file says; missing if it says nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
}

impl fmt::Display for MemberChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = |value: &Option<Value>| value.as_ref().map_or("nothing".to_owned(), shown);
        write!(f, "{}: {} → {}", self.member, said(&self.from), said(&self.to))
    }
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= LONGEST {
        return text;
    }
    text.chars().take(LONGEST).chain(['…']).collect()
}

/// What a document says otherwise than the one that is there; both without secrets.
pub fn changes_between(
    there: &SubscriptionDocument,
    wanted: &SubscriptionDocument,
) -> Vec<MemberChange> {
    let value = |document| serde_json::to_value(document).unwrap_or_default();
    let differences = differing(&value(there), &value(wanted)).into_iter();
    let change = |one: crate::config::SettingDifference| MemberChange {
        member: one.setting,
        from: one.first,
        to: one.second,
    };
    differences.map(change).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_member_that_differs_is_told_with_both_values() {
        let document = |sink: &str, types: Value| -> SubscriptionDocument {
            let keys = json!({"jwksUri": "https://a.example/jwks.json"});
            let said = json!({
                "name": "a", "consumer": "a", "sink": sink, "types": types, "config": {"keys": keys},
            });
            serde_json::from_value(said).unwrap()
        };
        let there = document("https://a.example", json!([]));

        let changes = changes_between(&there, &document("https://b.example", json!(["Order.*"])));

        let told: Vec<String> = changes.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                r#"sink: "https://a.example" → "https://b.example""#,
                r#"types: nothing → ["Order.*"]"#
            ]
        );
        assert!(changes_between(&there, &there).is_empty());
        let long =
            MemberChange { member: "m".into(), from: None, to: Some(json!("x".repeat(500))) };
        assert!(long.to_string().ends_with('…'));
    }
}
