//! Publications rehearsed: each tried on events made up from its message's examples, or from samples.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::cli::rehearsal_finding::TrialFinding;
use crate::cli::rehearsal_groups::unfit_groups;
use crate::cli::rehearsal_maps::refused_values;
use crate::cli::rehearsal_try::{TrialData, constants, try_on};
use crate::contract::{Gate, Message, SampleKind, SampleRequest};
use crate::enrich::{Mode, Publication};
use crate::event::{Diagnostic, number_of};

/// Problems of one publication that are told.
const MAX_PROBLEMS: usize = 20;

/// How a publication was rehearsed, for programs and for people.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Rehearsed {
    /// The publication, as `domain/event`.
    publication: String,
    /// Examples of the contract that it was tried on.
    examples: usize,
    /// Samples that it was tried on, all kinds together.
    samples: usize,
    /// Samples without an optional member.
    without: usize,
    /// Samples of another alternative than the ordinary one takes.
    alternatives: usize,
    /// Samples at an edge of what the schema allows.
    edges: usize,
    /// Data that keeps the message and that the publication does not make.
    others: usize,
    /// What the schema seems to allow and no sample shows.
    unreached: Vec<String>,
    /// Why it was not rehearsed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// Rehearses a publication, and tells how and what is wrong with it.
pub(super) fn rehearse(
    publication: &Arc<Publication>,
    gate: &Gate,
) -> (Rehearsed, Vec<Diagnostic>) {
    let name = publication.name().to_string();
    let mut rehearsed = Rehearsed { publication: name, ..Rehearsed::default() };
    let catalog = gate.catalog();
    let Some(message) = catalog.message_of(publication) else {
        rehearsed.reason = Some("its message is not there");
        return (rehearsed, Vec::new());
    };
    let data = data_for(publication, message, &mut rehearsed);
    let mut trials = Vec::new();
    let mut made = Vec::new();
    for tried in &data {
        if let Some(outcome) = try_on(publication, message, tried) {
            made.push((tried.kind, outcome.is_made));
            trials.push((tried, outcome.findings));
        }
    }
    // Where nothing is made, all of it is said to be wrong.
    let is_any_made = made.iter().any(|(_, is_made)| *is_made);
    for (kind, is_made) in made {
        if is_made || !is_any_made {
            rehearsed.count(kind);
        } else {
            rehearsed.others += 1;
        }
    }
    if trials.is_empty() && !data.is_empty() {
        rehearsed.reason = Some("the patch asks for a value that nothing made up tells");
    }
    let told = |(tried, finding): (&TrialData, &TrialFinding)| told(publication, tried, finding);
    let mut mistakes: Vec<Diagnostic> = problems(&trials, &data).into_iter().map(told).collect();
    let mut further = unfit_groups(publication, message, &data);
    further.extend(refused_values(publication, message, &data));
    further.truncate(MAX_PROBLEMS);
    mistakes.extend(further.iter().map(|(tried, finding)| told((tried, finding))));
    (rehearsed, mistakes)
}

/// The examples of the message, or samples where none of them is of this publication.
fn data_for(
    publication: &Publication,
    message: &Message,
    rehearsed: &mut Rehearsed,
) -> Vec<TrialData> {
    let fixed = constants(publication);
    let mut data = examples(message, &fixed);
    if data.is_empty() {
        data = samples(message, fixed, rehearsed);
    }
    if data.is_empty() {
        rehearsed.reason = Some("no sample could be made from the schema");
    }
    data
}

/// The examples that show what the patch writes by itself; others are of another publication.
fn examples(message: &Message, fixed: &BTreeMap<String, Value>) -> Vec<TrialData> {
    let agrees = |data: &Value| {
        fixed.iter().all(|(at, value)| data.pointer(at).is_none_or(|shown| shown == value))
    };
    let named = message.examples().iter().enumerate().map(|(index, example)| {
        let name = match &example.name {
            Some(name) => format!("example `{name}`"),
            None => format!("example {}", index + 1),
        };
        TrialData { name, kind: None, data: example.data.clone() }
    });
    named.filter(|tried| agrees(&tried.data)).collect()
}

fn samples(
    message: &Message,
    fixed: BTreeMap<String, Value>,
    rehearsed: &mut Rehearsed,
) -> Vec<TrialData> {
    let mut samples = message.samples(&SampleRequest { fixed, ..SampleRequest::default() });
    if samples.found.is_empty() {
        // The patch writes what the contract does not allow: to say so, any data will do.
        samples = message.samples(&SampleRequest::default());
    }
    rehearsed.unreached = samples.unreached;
    let named = samples.found.into_iter().map(|sample| {
        let name = format!("sample `{}`", sample.name);
        TrialData { name, kind: Some(sample.kind), data: sample.data }
    });
    named.collect()
}

/// What is wrong, once for each place and code, with the first data that shows it.
fn problems<'t>(
    trials: &'t [(&'t TrialData, Vec<TrialFinding>)],
    data: &[TrialData],
) -> Vec<(&'t TrialData, &'t TrialFinding)> {
    let key = |finding: &TrialFinding| (finding.place, finding.code.clone());
    let mut counts: BTreeMap<_, usize> = BTreeMap::new();
    for (_, findings) in trials {
        let keys: BTreeSet<_> = findings.iter().map(key).collect();
        for key in keys {
            *counts.entry(key).or_default() += 1;
        }
    }
    // Where some data shows a member, the contract declares it for such data.
    let is_shown = |at: &String| data.iter().any(|tried| tried.data.pointer(at).is_some());
    let holds = |finding: &TrialFinding| {
        let is_everywhere = counts.get(&key(finding)) == Some(&trials.len());
        (finding.is_certain || is_everywhere) && !finding.guessed.as_ref().is_some_and(is_shown)
    };
    let mut seen = BTreeSet::new();
    let all = trials.iter().flat_map(|(tried, findings)| findings.iter().map(|one| (*tried, one)));
    let kept = all.filter(|(_, finding)| holds(finding) && seen.insert(key(finding)));
    kept.take(MAX_PROBLEMS).collect()
}

fn told(publication: &Publication, tried: &TrialData, finding: &TrialFinding) -> Diagnostic {
    let contract = publication.contract();
    let event = publication.message().unwrap_or_else(|| publication.event());
    let problem = format!("{}; tried with {} of {contract}", finding.problem, tried.name);
    let mistake = publication.mistake(finding.place, problem);
    let mistake = match tried.kind {
        None => mistake,
        Some(SampleKind::Ordinary) => {
            mistake.with_help(format!("to see it: sealway contract sample {contract} {event}"))
        }
        Some(_) => mistake.with_help(format!(
            "to see it: sealway contract sample {contract} {event} --edges --output json"
        )),
    };
    let is_warning = finding.is_warning || publication.mode() == Mode::Observe;
    if is_warning { mistake.into_warning() } else { mistake }
}

impl Rehearsed {
    fn count(&mut self, kind: Option<SampleKind>) {
        let of_kind = match kind {
            None => &mut self.examples,
            Some(kind) => {
                self.samples += 1;
                match kind {
                    SampleKind::Without => &mut self.without,
                    SampleKind::Alternative => &mut self.alternatives,
                    SampleKind::Edge => &mut self.edges,
                    SampleKind::Ordinary | SampleKind::Varied => return,
                }
            }
        };
        *of_kind += 1;
    }
}

impl fmt::Display for Rehearsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.publication)?;
        if let Some(reason) = self.reason {
            return write!(f, "not rehearsed: {reason}");
        }
        let others = || match self.others {
            0 => String::new(),
            others => format!("; it does not make {}", number_of(others, "other")),
        };
        if self.samples == 0 {
            let examples = number_of(self.examples, "example");
            return write!(f, "rehearsed with {examples}{}", others());
        }
        write!(f, "rehearsed with {} made from the schema", number_of(self.samples, "sample"))?;
        let parts = [
            (self.without, format!("{} without an optional member", self.without)),
            (self.alternatives, number_of(self.alternatives, "alternative")),
            (self.edges, number_of(self.edges, "edge")),
        ];
        let parts = parts.into_iter().filter(|(count, _)| *count > 0).map(|(_, words)| words);
        let parts: Vec<String> = parts.collect();
        if !parts.is_empty() {
            write!(f, " ({})", parts.join(", "))?;
        }
        f.write_str(&others())
    }
}

#[cfg(test)]
#[path = "rehearsal_tests.rs"]
mod tests;
