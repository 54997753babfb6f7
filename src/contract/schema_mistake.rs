//! Why a schema cannot be compiled.

/// Why a schema cannot be compiled, and the pointer of the part of it that is wrong.
#[derive(Debug)]
pub(super) struct ContractMistake {
    pub(super) pointer: String,
    pub(super) problem: String,
    /// What to do about it, where the problem does not say.
    pub(super) help: Option<&'static str>,
}

impl ContractMistake {
    /// A mistake that says by itself what to do.
    pub(super) fn new(pointer: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), problem: problem.into(), help: None }
    }
}
