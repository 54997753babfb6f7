//! A mistake in a file that a person wrote: what, where, and what to do.

use std::fmt;

/// Whether a gateway starts with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It has to be mended first.
    Error,
    /// It is told, and nothing stops.
    Warning,
}

/// A mistake and its place; `Display` shows the line with a caret under the column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether a gateway starts with it.
    pub severity: Severity,
    /// The file, as the person named it.
    pub file: String,
    /// Line and column, each from 1; nothing if the mistake is the file as a whole.
    pub place: Option<(usize, usize)>,
    /// The text of that line.
    pub excerpt: String,
    /// What is wrong.
    pub problem: String,
    /// What to do about it; may be empty.
    pub help: String,
}

impl Diagnostic {
    /// Describes a mistake of a file as a whole.
    pub fn of_file(file: &str, problem: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            file: file.to_owned(),
            place: None,
            excerpt: String::new(),
            problem: problem.into(),
            help: String::new(),
        }
    }

    /// Describes a mistake at a line and column (each from 1) of `text`.
    pub fn at(
        file: &str,
        text: &str,
        (line, column): (usize, usize),
        problem: impl Into<String>,
    ) -> Self {
        let excerpt = text.lines().nth(line.saturating_sub(1)).unwrap_or_default().to_owned();
        Self { place: Some((line, column)), excerpt, ..Self::of_file(file, problem) }
    }

    /// Whether it has to be mended before a gateway starts.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The same as something that is told and stops nothing.
    pub const fn into_warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// Adds what to do about it.
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.severity == Severity::Warning { "warning: " } else { "" };
        match self.place {
            None => write!(f, "{}: {word}{}", self.file, self.problem)?,
            Some((line, column)) => {
                write!(f, "{}:{line}:{column}: {word}{}", self.file, self.problem)?;
                if !self.excerpt.trim().is_empty() {
                    let margin = line.to_string().len();
                    let indent = column.saturating_sub(1);
                    write!(f, "\n {line} | {}\n {:margin$} | {:indent$}^", self.excerpt, "", "")?;
                }
            }
        }
        if !self.help.is_empty() {
            write!(f, "\n  help: {}", self.help)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_the_column() {
        let text = "listen: x\nprot: 9000\n";
        let shown = Diagnostic::at("gateway.yaml", text, (2, 1), "unknown field `prot`")
            .with_help("did you mean `port`?")
            .to_string();

        assert_eq!(
            shown,
            "gateway.yaml:2:1: unknown field `prot`\n 2 | prot: 9000\n   | ^\n  help: did you mean `port`?"
        );
    }

    #[test]
    fn a_warning_says_that_it_is_one() {
        let warning = Diagnostic::of_file("a.yaml", "has no examples").into_warning();

        assert_eq!(warning.to_string(), "a.yaml: warning: has no examples");
    }
}
