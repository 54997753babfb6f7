//! Where a pattern or a filter is wrong, and what to do about it.

use std::fmt;

use crate::event::{Blame, Diagnostic, Fault};

/// A mistake in a pattern and its place.
///
/// The message follows the wording of Amazon EventBridge where it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError {
    /// What is wrong, on one line.
    pub message: String,
    /// Line of the mistake, from 1.
    pub line: usize,
    /// Column of the mistake in characters, from 1.
    pub column: usize,
    /// The member names that lead to the mistake, joined by dots; empty at the top.
    pub field: String,
    /// What to do about it; may be empty.
    pub help: String,
}

impl PatternError {
    pub(super) fn at(text: &str, at: usize, message: impl Into<String>) -> Self {
        let before = text.get(..at).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let (message, field, help) = (message.into(), String::new(), String::new());
        Self { message, line, column, field, help }
    }

    pub(super) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }

    pub(super) fn in_field(mut self, field: impl Into<String>) -> Self {
        self.field = field.into();
        self
    }

    /// The mistake as one of a file whose whole text is the pattern.
    pub fn diagnostic(&self, file: &str, text: &str) -> Diagnostic {
        let field =
            if self.field.is_empty() { String::new() } else { format!(" in `{}`", self.field) };
        let problem = format!("{}{field}", self.message);
        Diagnostic::at(file, text, (self.line, self.column), problem).with_help(self.help.clone())
    }
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at line {}, column {}", self.message, self.line, self.column)?;
        if !self.field.is_empty() {
            write!(f, ", in `{}`", self.field)?;
        }
        if !self.help.is_empty() {
            write!(f, " ({})", self.help)?;
        }
        Ok(())
    }
}

impl std::error::Error for PatternError {}

impl Blame for PatternError {
    fn fault(&self) -> Fault {
        Fault::Caller
    }
}

/// A mistake in a filter and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    /// Where it is, for example `filters[1].any[0].prefix.type`.
    pub place: String,
    /// What is wrong and what to do.
    pub message: String,
    /// The mistake in the pattern, if it is in one.
    pub pattern: Option<PatternError>,
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

impl std::error::Error for FilterError {}

impl Blame for FilterError {
    fn fault(&self) -> Fault {
        Fault::Caller
    }
}
