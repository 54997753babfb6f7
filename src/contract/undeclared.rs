//! The violation that every way of finding an undeclared member reports, and how many are reported.

use crate::event::Violation;

/// Violations that are reported for one event; more help nobody.
pub(super) const MAX_VIOLATIONS: usize = 64;

/// An undeclared member at a pointer.
pub(super) fn undeclared(pointer: String) -> Violation {
    let message = "the contract does not declare this member".to_owned();
    Violation { pointer, code: "additional-property".to_owned(), message }
}
