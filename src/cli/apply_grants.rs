//! Makes the gateway's grants what files say, before the subscriptions that need them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::anyhow;
use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};

use crate::access::{BY_UPGRADE, GrantDocument, GrantId};
use crate::cli::answer::text;
use crate::cli::apply_prune::{self, Candidate, Pruned};
use crate::cli::client::segment;
use crate::cli::gateway_state;
use crate::cli::{Client, Column, Failure, Output};
use crate::config::{GrantFiles, grant_folder};

/// What was done about one grant, or would be.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AppliedGrant {
    grant: String,
    file: String,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// What is shown of it.
const COLUMNS: &[Column<AppliedGrant>] = &[
    ("Grant", |done| done.grant.clone()),
    ("Outcome", |done| done.outcome.to_owned()),
    ("File", |done| done.file.clone()),
];

/// What is done about a grant.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum GrantStep {
    Give,
    MoveEnd,
    Keep,
    Refuse(String),
}

/// Reads the grants of a folder.
///
/// # Errors
///
/// The caller's turn: a mistake in a file.
pub fn read(folder: &Path) -> Result<GrantFiles, Failure> {
    grant_folder(folder).map_err(|mistakes| {
        let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        Failure::input(anyhow!("nothing was applied\n{}", told.join("\n")))
    })
}

/// Gives what is missing and moves ends that differ; what is not in the files is left alone. Says
/// whether everything could be done.
///
/// # Errors
///
/// As [`Client::send`].
pub async fn apply(
    (client, output): (&Client, Output),
    wanted: &GrantFiles,
    dry_run: bool,
) -> Result<bool, Failure> {
    if wanted.is_empty() {
        return Ok(true);
    }
    let there = gateway_state::grants(client).await?;
    let mut all = Vec::new();
    let applied = apply_all((client, output), (wanted, &there), dry_run, &mut all).await;
    output.list(&all, COLUMNS);
    for done in &all {
        if let Some(problem) = &done.problem {
            output.note(format_args!("{}: {problem}", done.file));
        }
    }
    applied?;
    Ok(all.iter().all(|done| done.problem.is_none()))
}

/// Applies grants one by one, and notes what was done about each.
async fn apply_all(
    (client, output): (&Client, Output),
    (wanted, there): (&GrantFiles, &BTreeMap<String, Value>),
    dry_run: bool,
    all: &mut Vec<AppliedGrant>,
) -> Result<(), Failure> {
    for (id, (file, document)) in wanted {
        let step = step(document, there.get(&id.to_string()));
        let mut done =
            AppliedGrant { grant: id.to_string(), file: file.clone(), outcome: "", problem: None };
        done.outcome = match &step {
            GrantStep::Keep => "as it was",
            GrantStep::Give if dry_run => "would be given",
            GrantStep::Give => "given",
            GrantStep::MoveEnd if dry_run => "end would be moved",
            GrantStep::MoveEnd => "end moved",
            GrantStep::Refuse(_) => "refused",
        };
        if let GrantStep::Refuse(problem) = &step {
            done.problem = Some(problem.clone());
        }
        if step == GrantStep::MoveEnd {
            let end = |until: String| if until.is_empty() { "never".to_owned() } else { until };
            let from =
                there.get(&id.to_string()).map_or_else(String::new, |one| text(one, "/until"));
            let to = document.until.map(|until| until.to_string()).unwrap_or_default();
            output.note(format_args!("grant {id}: until: {} → {}", end(from), end(to)));
        }
        let performed = if dry_run { Ok(()) } else { perform(client, (id, document), &step).await };
        match performed {
            Err(failure) if failure.is_input() => {
                (done.outcome, done.problem) = ("refused", Some(failure.to_string()));
            }
            other => other.map_err(|failure| failure.context(format!("grant {id}")))?,
        }
        all.push(done);
    }
    Ok(())
}

/// Grants that hold or are to come and that no file names, of domains of which one names another. What the
/// gateway gave by itself, when a publication was closed, is its owner's to recall.
///
/// # Errors
///
/// As [`Client::send`].
pub async fn surplus(client: &Client, wanted: &GrantFiles) -> Result<Vec<Pruned>, Failure> {
    let is_open = |grant: &Value| {
        matches!(text(grant, "/state").as_str(), "planned" | "active")
            && text(grant, "/decidedBy") != BY_UPGRADE
    };
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let mut candidates = Vec::new();
    for (id, grant) in gateway_state::grants(client).await? {
        if is_open(&grant) {
            let owner = id.split('/').next().unwrap_or_default().to_owned();
            candidates.push(Candidate { owner, path: apply_prune::grant_path(&id)?, name: id });
        }
    }
    let names = wanted.keys().map(ToString::to_string).collect();
    let owners = wanted.values().map(|(_, one)| one.publication.domain().to_owned()).collect();
    Ok(apply_prune::surplus("grant", candidates, (&names, &owners)))
}

pub(super) fn step(document: &GrantDocument, current: Option<&Value>) -> GrantStep {
    let Some(current) = current else { return GrantStep::Give };
    let same = text(current, "/consumer") == document.consumer.as_str()
        && text(current, "/publication") == document.publication.as_str()
        && text(current, "/history") == document.history.to_string();
    if !same {
        let problem = "a grant changes nothing but its end: give the other one another `id`";
        return GrantStep::Refuse(problem.to_owned());
    }
    let state = text(current, "/state");
    if matches!(state.as_str(), "expired" | "recalled") {
        let problem = format!("it is {state}: give a new one another `id`, or drop the file");
        return GrantStep::Refuse(problem);
    }
    let until = document.until.map(|until| until.to_string()).unwrap_or_default();
    if text(current, "/until") == until { GrantStep::Keep } else { GrantStep::MoveEnd }
}

async fn perform(
    client: &Client,
    (id, document): (&GrantId, &GrantDocument),
    step: &GrantStep,
) -> Result<(), Failure> {
    match step {
        GrantStep::Give => {
            client.call(Method::POST, "/grants", Some(document)).await?;
        }
        GrantStep::MoveEnd => {
            let path = format!("/grants/{}", segment(&id.to_string())?);
            client.call(Method::PUT, &path, Some(&json!({ "until": document.until }))).await?;
        }
        GrantStep::Keep | GrantStep::Refuse(_) => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_given_an_end_is_moved_and_nothing_else_changes() {
        let document: GrantDocument = serde_json::from_value(json!({
            "id": "a", "consumer": "shop", "publication": "x/Y", "until": "2030-01-01T00:00:00Z",
        }))
        .unwrap();
        let shown = |until: Value, state: &str, history: &str| {
            json!({
                "id": "a", "consumer": "shop", "publication": "x/Y", "history": history,
                "until": until, "state": state,
            })
        };
        let end = document.until.map(|until| json!(until)).unwrap();

        assert_eq!(step(&document, None), GrantStep::Give);
        let same = shown(end.clone(), "active", "from-grant");
        assert_eq!(step(&document, Some(&same)), GrantStep::Keep);
        let endless = shown(Value::Null, "active", "from-grant");
        assert_eq!(step(&document, Some(&endless)), GrantStep::MoveEnd);
        for other in [shown(end.clone(), "active", "all"), shown(end, "recalled", "from-grant")] {
            assert!(matches!(step(&document, Some(&other)), GrantStep::Refuse(_)), "{other}");
        }
    }
}
