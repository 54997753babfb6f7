//! What a trial finds wrong with a publication, and where in the data.

use json_patch::jsonptr::Pointer;

/// Something that is wrong with a publication.
#[derive(Clone, Debug)]
pub(super) struct TrialFinding {
    /// Line and column of the operation at fault, or of the publication.
    pub(super) place: (usize, usize),
    pub(super) code: String,
    pub(super) problem: String,
    /// The pointer that no schema declares, where only a made-up value stands there.
    pub(super) guessed: Option<String>,
    /// Whether it is a mistake even if other data does not show it.
    pub(super) is_certain: bool,
    /// Whether it is told only, since events may well be otherwise.
    pub(super) is_warning: bool,
}

/// Tells whether a pointer names a place or something below it.
pub(super) fn is_within(pointer: &str, around: &str) -> bool {
    pointer.strip_prefix(around).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

pub(super) fn below_data(pointer: &Pointer) -> Option<&str> {
    pointer.strip_prefix(Pointer::from_static("/data")).map(Pointer::as_str)
}
