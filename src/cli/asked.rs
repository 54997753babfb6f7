//! What a subscription asks for, on the command line: the consumer's own documents, and what evidence says.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::cli::{Failure, subscription_file};
use crate::event::{DocumentAsk, number_of};
use crate::seal::evidence::{AskedFrom, Examiner};

/// Reads what the consumer's own documents ask for; no secret that they name is fetched.
///
/// # Errors
///
/// The caller's turn: a file cannot be read, or the document cannot work.
pub(super) fn of_documents(files: &[PathBuf]) -> Result<Vec<DocumentAsk>, Failure> {
    let read = |file: &PathBuf| {
        let document = subscription_file::read_alone(file)?;
        let audience = document.audience();
        Ok(DocumentAsk { audience, filters: document.filters, types: document.types })
    };
    files.iter().map(read).collect()
}

/// What a bundle says that was asked for, a line each.
pub(super) fn lines(examiner: &Examiner<'_>) -> Vec<String> {
    let told = &examiner.asked;
    if told.count == 0 {
        return vec!["the bundle does not say what the subscription asks for".to_owned()];
    }
    let mut lines: Vec<String> = told.shown.iter().map(line).collect();
    let more = told.count - told.shown.len() as u64;
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines
}

fn line(one: &AskedFrom) -> String {
    let AskedFrom { sequence, asked, digest } = one;
    let from = sequence.map_or_else(|| "asked for".to_owned(), |n| format!("from number {n} on"));
    let types = if asked.types.is_empty() { "all types".to_owned() } else { asked.types.join(" ") };
    let filters = match asked.filters.as_slice() {
        [] => "no filter".to_owned(),
        filters => format!("{}: {}", number_of(filters.len(), "filter"), json!(filters)),
    };
    let grants = match &asked.grants {
        None => String::new(),
        Some(grants) => format!(", by {}", grants.join(" ")),
    };
    format!(
        "{from}: {types}, {filters}{grants}; from position {} of the log, digest {digest}",
        asked.epoch
    )
}

/// The same for programs.
pub(super) fn report(examiner: &Examiner<'_>) -> Vec<Value> {
    let shown = examiner.asked.shown.iter();
    let one = |one: &AskedFrom| json!({"from": one.sequence, "sub-digest": one.digest, "asked": one.asked});
    shown.map(one).collect()
}
