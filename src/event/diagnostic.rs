//! A mistake in a file that a person wrote: what, where, and what to do.

use std::fmt;

/// Characters of a line that are shown; contracts may stand on one line.
const LONGEST_EXCERPT: usize = 160;

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
    /// The text of that line, or of a long one what stands around the column.
    pub excerpt: String,
    /// The column of the excerpt under which the caret stands, from 1.
    pub caret: usize,
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
            caret: 1,
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
        let whole = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        let (excerpt, caret) = around(whole, column);
        Self { place: Some((line, column)), excerpt, caret, ..Self::of_file(file, problem) }
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

/// What stands around a column of a line, and the column of that in it.
fn around(line: &str, column: usize) -> (String, usize) {
    let length = line.chars().take(LONGEST_EXCERPT + 1).count();
    if length <= LONGEST_EXCERPT {
        return (line.to_owned(), column.min(length + 1));
    }
    let start = column.saturating_sub(LONGEST_EXCERPT / 2);
    let shown: String = line.chars().skip(start).take(LONGEST_EXCERPT).collect();
    if start == 0 {
        return (format!("{shown}…"), column);
    }
    // A column beyond the end of the line stands at its end.
    let caret = (column - start).min(shown.chars().count() + 1);
    (format!("…{shown}…"), caret + 1)
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
                    let indent = self.caret.saturating_sub(1);
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
    fn of_a_long_line_only_what_stands_around_the_column_is_shown() {
        let text = format!("{}X{}", "a".repeat(100_000), "b".repeat(100_000));
        for column in [1, 2, 79, 80, 81, 100_001, 200_001, 300_000] {
            let shown = Diagnostic::at("a.json", &text, (1, column), "x").to_string();
            assert!(shown.len() < 600, "{column}");
        }
        let shown = Diagnostic::at("a.json", &text, (1, 100_001), "x").to_string();
        let mut lines = shown.lines().skip(1);
        let (line, caret) = (lines.next().unwrap(), lines.next().unwrap());
        let under = caret.chars().position(|c| c == '^').unwrap();
        assert_eq!(line.chars().nth(under), Some('X'), "{shown}");
    }

    #[test]
    fn a_warning_says_that_it_is_one() {
        let warning = Diagnostic::of_file("a.yaml", "has no examples").into_warning();

        assert_eq!(warning.to_string(), "a.yaml: warning: has no examples");
    }
}
