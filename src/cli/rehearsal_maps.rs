//! Whether the contract allows the values that a `map` gives.

use serde_json::Value;

use crate::cli::rehearsal_finding::{TrialFinding, below_data, is_within};
use crate::cli::rehearsal_try::TrialData;
use crate::contract::Message;
use crate::enrich::{PatchStep, Publication};

/// What a `map` or its `default` gives and the contract refuses in its place. It is a mistake if the
/// contract refuses all of them, else a warning: some events cross.
pub(super) fn refused_values<'t>(
    publication: &Publication,
    message: &Message,
    data: &'t [TrialData],
) -> Vec<(&'t TrialData, TrialFinding)> {
    let steps = publication.patch().steps();
    steps.flat_map(|step| of_step(message, data, step)).collect()
}

fn of_step<'t>(
    message: &Message,
    data: &'t [TrialData],
    step: &PatchStep,
) -> Vec<(&'t TrialData, TrialFinding)> {
    let (Some(values), Some(at)) = (step.values(), below_data(step.operation().path())) else {
        return Vec::new();
    };
    // Of the items that a `*` stands for, the first one shows what all have to be.
    let tokens: Vec<&str> =
        at.split('/').map(|token| if token == "*" { "0" } else { token }).collect();
    let at = tokens.join("/");
    let Some(tried) = data.iter().find(|tried| tried.data.pointer(&at).is_some()) else {
        return Vec::new();
    };
    let known = values.known().map(|(text, value)| (format!("`{text}`"), value));
    let fallback = values.fallback().map(|value| ("its `default`".to_owned(), value));
    let all: Vec<(String, &Value)> = known.chain(fallback).collect();
    let refused: Vec<(String, String)> = all
        .iter()
        .filter_map(|(of, value)| Some((of.clone(), refusal(message, &tried.data, &at, value)?)))
        .collect();
    let is_warning = refused.len() < all.len();
    let finding = |(of, words): (String, String)| {
        let problem = format!("what `map` gives for {of} cannot be at `/data{at}`: {words}");
        let code = format!("map {of}");
        let place = step.place();
        let finding =
            TrialFinding { place, code, problem, guessed: None, is_certain: true, is_warning };
        (tried, finding)
    };
    refused.into_iter().map(finding).collect()
}

/// Why the contract refuses a value in its place, everything else being as it is shown.
fn refusal(message: &Message, shown: &Value, at: &str, value: &Value) -> Option<String> {
    let mut data = shown.clone();
    *data.pointer_mut(at)? = value.clone();
    let violations = message.check(&data).into_iter();
    violations.filter(|one| is_within(&one.pointer, at)).map(|one| one.message).next()
}
