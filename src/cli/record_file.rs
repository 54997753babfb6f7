//! Signed records of the log's incarnations in a file: the answer of `GET /log/incarnations`, records one
//! in each line, or a bundle of evidence.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::proof::{ChainTrust, StoredTokens};
use crate::seal::evidence::LONGEST_LINE;
use crate::source::{InputLine, Lines};

/// A larger file is no answer of the gateway.
const LONGEST_ANSWER: u64 = 16 * 1024 * 1024;

/// Takes all records of a file; there must be a line that could hold one.
pub(super) fn read(
    file: &Path,
    stored: &mut StoredTokens,
    trust: &ChainTrust<'_>,
) -> anyhow::Result<()> {
    let name = file.display().to_string();
    let opened = File::open(file).with_context(|| format!("cannot read {name}"))?;
    let mut is_understood = false;
    // An answer may stand on several lines.
    if opened.metadata().is_ok_and(|found| found.len() <= LONGEST_ANSWER)
        && let Ok(answer) = serde_json::from_reader::<_, Value>(BufReader::new(&opened))
    {
        let records = records_in(&answer.to_string());
        ensure!(records.is_some(), "{name} is no answer of /log/incarnations");
        let records = records.unwrap_or_default();
        for (number, record) in (1..).zip(records) {
            stored.take_incarnation(&record, || format!("{name}, record {number}"), trust);
        }
        return Ok(());
    }
    let opened = File::open(file).with_context(|| format!("cannot read {name}"))?;
    for line in Lines::new(BufReader::new(opened), LONGEST_LINE) {
        let InputLine { number, text } = line.with_context(|| format!("cannot read {name}"))?;
        let records = records_in(text.trim());
        is_understood |= records.is_some();
        for record in records.unwrap_or_default() {
            stored.take_incarnation(&record, || format!("{name}, line {number}"), trust);
        }
    }
    ensure!(
        is_understood,
        "{name} is neither an answer of /log/incarnations nor a bundle of evidence"
    );
    Ok(())
}

/// The records of a line; nothing if it is none that belongs to such a file.
fn records_in(line: &str) -> Option<Vec<String>> {
    if line.is_empty() {
        return None;
    }
    let Ok(value) = serde_json::from_str::<Value>(line) else {
        return (line.split('.').count() == 3).then(|| vec![line.to_owned()]);
    };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    if let Some(records) = value.get("records").and_then(Value::as_array) {
        return records.iter().map(text).collect();
    }
    match value.get("kind").and_then(Value::as_str)? {
        "incarnation" => Some(vec![text(value.get("token")?)?]),
        _ => Some(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_stand_in_an_answer_in_lines_and_in_a_bundle() {
        let two = Some(vec!["a.b.c".to_owned(), "d.e.f".to_owned()]);
        assert_eq!(records_in(r#"{"incarnation":3,"records":["a.b.c","d.e.f"]}"#), two);
        assert_eq!(records_in("a.b.c"), Some(vec!["a.b.c".to_owned()]));
        let line = r#"{"kind":"incarnation","token":"a.b.c","proof":[]}"#;
        assert_eq!(records_in(line), Some(vec!["a.b.c".to_owned()]));
        assert_eq!(records_in(r#"{"kind":"event","token":"x"}"#), Some(Vec::new()));
        for other in ["", "hello", "{}", "[]", "7", r#"{"records":[7]}"#] {
            assert_eq!(records_in(other), None, "{other}");
        }
    }
}
