//! What an operation takes from a document, as it will stand in the data.

use json_patch::jsonptr::Pointer;
use serde_json::Value;

use crate::enrich::crossing::CrossingFault;
use crate::enrich::patch_effort::{PatchEffort, deep_enough};
use crate::enrich::patch_failure::PatchProblem;
use crate::enrich::value_map::ValueMap;

/// Why a value is not taken.
pub(super) enum TakingFault {
    Misfit(&'static str),
    Crossing(CrossingFault),
    Unmapped,
}

impl From<&'static str> for TakingFault {
    fn from(reason: &'static str) -> Self {
        Self::Misfit(reason)
    }
}

impl TakingFault {
    /// Says where the value is, and where it would have come to stand.
    pub fn between(self, from: &Pointer, path: &Pointer) -> PatchProblem {
        let below = path.split_front().map_or("", |(_, rest)| rest.as_str());
        match self {
            Self::Misfit(reason) => reason.into(),
            Self::Crossing(fault) => PatchProblem::Crossing {
                found: format!("{from}{}", fault.pointer),
                pointer: format!("{below}{}", fault.pointer),
                problem: fault.problem,
            },
            Self::Unmapped => {
                PatchProblem::Unmapped { found: from.to_string(), pointer: below.to_owned() }
            }
        }
    }
}

/// Takes what was found, or what stands for it, to bring it to `path`.
pub(super) fn taken(
    found: &Value,
    values: Option<&ValueMap>,
    path: &Pointer,
    effort: &mut PatchEffort,
) -> Result<Value, TakingFault> {
    if let Some(values) = values {
        let stands = values.value_for(found).ok_or(TakingFault::Unmapped)?;
        effort.reserve(path, stands)?;
        return Ok(stands.clone());
    }
    deep_enough(path, found)?;
    let taken = effort.crossing().copy(found).map_err(TakingFault::Crossing)?;
    effort.spend_name(path);
    Ok(taken)
}
