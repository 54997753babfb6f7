//! Reads what the gateway answers: members as cells of a table, and whole answers for people.

use reqwest::Method;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::api::ListAnswer;
use crate::cli::{Client, Failure, Output};

/// A member, found by its JSON Pointer, as the cell of a table: text as it is, and nothing for a
/// member that is missing or null.
pub fn text(answer: &Value, pointer: &str) -> String {
    match answer.pointer(pointer) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// A column of a list that the gateway answers: its heading, the member of an item that it shows,
/// and how.
pub struct ListColumn {
    heading: &'static str,
    pointer: &'static str,
    cell: fn(&Value, &str) -> String,
}

/// A column that shows a member as it is.
pub const fn column(heading: &'static str, pointer: &'static str) -> ListColumn {
    ListColumn { heading, pointer, cell: text }
}

impl ListColumn {
    /// The same column with another way to show the member.
    pub const fn shown_by(self, cell: fn(&Value, &str) -> String) -> Self {
        Self { cell, ..self }
    }
}

/// Asks for a list, shows it as a table, and says where it goes on; gives the number of its items.
///
/// # Errors
///
/// As [`Client::send`].
pub async fn list(
    (client, output): (&Client, Output),
    path: &str,
    query: &impl Serialize,
    (list, columns): (ListAnswer, &[ListColumn]),
) -> Result<usize, Failure> {
    let answer = client.read(client.request(Method::GET, path)?.query(query)).await?;
    let row = |item: &Value| columns.iter().map(|one| (one.cell)(item, one.pointer)).collect();
    let items = items(&answer, list.items);
    output.rows(&items, columns.iter().map(|one| one.heading), row);
    if let Some(option) = list.next.filter(|_| !output.is_json()) {
        let next = text(&answer, "/next");
        if goes_on(client, path, later(query, option, &next).as_deref(), list).await? {
            output.note(format_args!("for what comes after these: --{option} {next}"));
        }
    }
    note_withheld(output, &answer);
    Ok(items.len())
}

/// Asks for every item of a list, page by page.
///
/// # Errors
///
/// As [`Client::send`].
pub async fn all(
    client: &Client,
    path: &str,
    query: &(impl Serialize + ?Sized),
    list: ListAnswer,
) -> Result<Vec<Value>, Failure> {
    let (mut all, mut next) = (Vec::new(), String::new());
    loop {
        let after = list.next.filter(|_| !next.is_empty()).map(|option| [(option, &next)]);
        let answer =
            client.read(client.request(Method::GET, path)?.query(query).query(&after)).await?;
        all.extend(items(&answer, list.items));
        next = text(&answer, "/next");
        if next.is_empty() || list.next.is_none() {
            return Ok(all);
        }
    }
}

/// What to ask for what comes after a page, of which one item is enough; nothing after the last page.
fn later(query: &impl Serialize, option: &str, next: &str) -> Option<Vec<(String, String)>> {
    let query = serde_json::to_value(query).ok().filter(|_| !next.is_empty())?;
    let members = query.as_object()?.iter().filter(|(_, value)| !value.is_null());
    let kept = members.filter(|(name, _)| *name != option).map(|(name, value)| {
        let value = if name == "limit" { "1".to_owned() } else { text(value, "") };
        (name.clone(), value)
    });
    Some(kept.chain([(option.to_owned(), next.to_owned())]).collect())
}

/// Whether something follows: an answer says where to go on also where nothing does yet.
async fn goes_on(
    client: &Client,
    path: &str,
    later: Option<&[(String, String)]>,
    list: ListAnswer,
) -> Result<bool, Failure> {
    let Some(query) = later else { return Ok(false) };
    let answer = client.read(client.request(Method::GET, path)?.query(query)).await?;
    Ok(!items(&answer, list.items).is_empty())
}

/// Says to a person what an answer leaves out, and which scope shows it.
pub fn note_withheld(output: Output, answer: &Value) {
    let members = answer.pointer("/withheld/members").and_then(Value::as_array);
    let Some(members) = members else { return };
    let members: Vec<&str> = members.iter().filter_map(Value::as_str).collect();
    let scope = text(answer, "/withheld/scope");
    output.note(format_args!("not shown without the scope `{scope}`: {}", members.join(", ")));
}

/// The list that an answer carries under a name.
pub fn items(answer: &Value, name: &str) -> Vec<Value> {
    answer.get(name).and_then(Value::as_array).cloned().unwrap_or_default()
}

/// A tree whose numbers have the digits that they came with, also where YAML is written.
struct Shown<'a>(&'a Value);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(whole), _) => serializer.serialize_i64(whole),
                (None, Some(whole)) => serializer.serialize_u64(whole),
                // What no type of Rust carries is shown as text rather than as another number.
                (None, None) => match number.as_f64() {
                    Some(double) if double.to_string() == number.as_str() => {
                        serializer.serialize_f64(double)
                    }
                    _ => serializer.serialize_str(number.as_str()),
                },
            },
            Value::Array(items) => serializer.collect_seq(items.iter().map(Shown)),
            Value::Object(members) => {
                serializer.collect_map(members.iter().map(|(name, value)| (name, Shown(value))))
            }
            leaf => leaf.serialize(serializer),
        }
    }
}

/// Writes an answer: as YAML for people, as it is for programs.
pub fn show(output: Output, answer: &Value) {
    match serde_saphyr::to_string(&Shown(answer)) {
        Ok(yaml) if !output.is_json() => output.line(yaml.trim_end()),
        Ok(_) | Err(_) => output.document(answer),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::openapi;
    use crate::cli::{actions, dead_letters, evidence_exports, quarantine, replay, subscriptions};

    #[test]
    fn numbers_are_shown_with_their_digits() {
        let answer: Value = serde_json::from_str(
            r#"{"id":1,"n":[-2,1.5,1152921506151679042,0.1234567890123456789]}"#,
        )
        .unwrap();

        let shown = serde_saphyr::to_string(&Shown(&answer)).unwrap();

        for digits in ["id: 1\n", "-2", "1.5", "1152921506151679042", "0.1234567890123456789"] {
            assert!(shown.contains(digits), "{shown}");
        }
        assert!(!shown.contains("private"), "{shown}");
    }

    #[test]
    fn every_column_shows_a_member_that_the_gateway_answers() {
        let described = openapi();
        let schemas = &described["components"]["schemas"];
        for (schema, columns) in [
            ("ShownSubscription", subscriptions::COLUMNS),
            ("Action", actions::COLUMNS),
            ("Attempt", subscriptions::ATTEMPTS),
            ("Receipt", subscriptions::RECEIPTS),
            ("EvidenceExport", evidence_exports::COLUMNS),
            ("DeadLetter", dead_letters::COLUMNS),
            ("Redrive", dead_letters::REDRIVE_COLUMNS),
            ("Replay", replay::COLUMNS),
            ("Quarantined", quarantine::COLUMNS),
        ] {
            for ListColumn { pointer, .. } in columns {
                let member = pointer.split('/').nth(1).unwrap();
                assert!(schemas[schema]["properties"][member].is_object(), "{schema} {pointer}");
            }
        }
    }

    #[test]
    fn a_cell_is_the_plain_text_of_a_member() {
        let answer = json!({"id": "a", "n": 7, "none": null, "config": {"list": ["x"]}});

        assert_eq!(text(&answer, "/id"), "a");
        assert_eq!(text(&answer, "/n"), "7");
        assert_eq!(text(&answer, "/config/list/0"), "x");
        assert_eq!(text(&answer, "/none") + &text(&answer, "/missing"), "");
    }
}
