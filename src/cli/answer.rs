//! Reads what the gateway answers: members as cells of a table, and whole answers for people.

use serde_json::Value;

use crate::cli::Output;

/// A member, found by its JSON Pointer, as the cell of a table: text as it is, and nothing for a
/// member that is missing or null.
pub fn text(answer: &Value, pointer: &str) -> String {
    match answer.pointer(pointer) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// The list that an answer carries under a name.
pub fn items(answer: &Value, name: &str) -> Vec<Value> {
    answer.get(name).and_then(Value::as_array).cloned().unwrap_or_default()
}

/// Writes an answer: as YAML for people, as it is for programs.
pub fn show(output: Output, answer: &Value) {
    match serde_saphyr::to_string(answer) {
        Ok(yaml) if !output.is_json() => output.line(yaml.trim_end()),
        Ok(_) | Err(_) => output.document(answer),
    }
}

/// Says where a list goes on, if the answer says that it does.
pub fn note_next(output: Output, answer: &Value, option: &str) {
    let next = text(answer, "/next");
    if !next.is_empty() {
        output.note(format_args!("for what comes after these: {option} {next}"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cell_is_the_plain_text_of_a_member() {
        let answer = json!({"id": "a", "n": 7, "none": null, "config": {"list": ["x"]}});

        assert_eq!(text(&answer, "/id"), "a");
        assert_eq!(text(&answer, "/n"), "7");
        assert_eq!(text(&answer, "/config/list/0"), "x");
        assert_eq!(text(&answer, "/none") + &text(&answer, "/missing"), "");
    }
}
