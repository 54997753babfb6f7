//! Whether events for which a group of a patch is done keep the contract, each group by itself.

use std::sync::Arc;

use crate::cli::rehearsal_finding::TrialFinding;
use crate::cli::rehearsal_try::{TrialData, try_event};
use crate::contract::Message;
use crate::enrich::{PatchStep, Publication};

/// What is wrong with groups none of whose events keeps the contract: of each group the event with
/// the fewest mistakes. Other groups may be what such an event lacks, so that these are warnings.
pub(super) fn unfit_groups<'t>(
    publication: &Arc<Publication>,
    message: &Message,
    data: &'t [TrialData],
) -> Vec<(&'t TrialData, TrialFinding)> {
    let groups = 0..publication.patch().groups().len();
    groups.flat_map(|group| unfit(publication, message, data, group)).collect()
}

fn unfit<'t>(
    publication: &Arc<Publication>,
    message: &Message,
    data: &'t [TrialData],
    group: usize,
) -> Vec<(&'t TrialData, TrialFinding)> {
    let mut best: Option<(&TrialData, Vec<TrialFinding>)> = None;
    for tried in data {
        for rehearsal in publication.rehearsals_of_group(group, &tried.data) {
            let Some(findings) = try_event(publication, message, tried, &rehearsal) else {
                continue;
            };
            if findings.is_empty() {
                return Vec::new();
            }
            if best.as_ref().is_none_or(|(_, known)| findings.len() < known.len()) {
                best = Some((tried, findings));
            }
        }
    }
    let Some((tried, findings)) = best else { return Vec::new() };
    let steps = publication.patch().steps().filter(|step| step.group() == Some(group));
    let places: Vec<(usize, usize)> = steps.map(PatchStep::place).collect();
    let first = places.first().copied().unwrap_or(publication.places().event);
    let warning = |finding: TrialFinding| {
        let place = if places.contains(&finding.place) { finding.place } else { first };
        let problem = format!("where this group is done: {}", finding.problem);
        (tried, TrialFinding { place, problem, is_warning: true, ..finding })
    };
    findings.into_iter().map(warning).collect()
}
