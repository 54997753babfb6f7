//! What came of one call.

use serde::Serialize;

use crate::cli::aws::doctor::advice::advice;
use crate::cli::aws::doctor::refusal::{CallRefusal, FailedPlace};

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallOutcome {
    /// It was answered, and what it says is well.
    Good,
    /// It was answered, and something is better mended.
    Warning,
    /// It was refused or not answered.
    Bad,
    /// It was not made.
    NotMade,
}

/// What was called, and what was answered.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct CallFinding {
    /// The operation: `sqs:GetQueueUrl`.
    pub call: &'static str,
    /// What it is about, mostly an ARN.
    pub about: String,
    /// Who called: the gateway's own identity, or a role.
    pub identity: String,
    /// The region that was called.
    pub region: String,
    /// The address that the operator has named in place of AWS's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// How it ended.
    pub outcome: CallOutcome,
    /// Where it failed, if it was not AWS that refused.
    #[serde(skip)]
    pub place: Option<FailedPlace>,
    /// The error's code, as AWS sent it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What was answered.
    pub answer: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl CallFinding {
    /// It was answered with this.
    pub fn good(mut self, answer: impl Into<String>) -> Self {
        self.outcome = CallOutcome::Good;
        self.answer = answer.into();
        self
    }

    /// It was answered, and this is better mended.
    pub fn but(mut self, problems: &[String]) -> Self {
        if !problems.is_empty() {
            self.outcome = CallOutcome::Warning;
            self.advice = Some(problems.join("; "));
        }
        self
    }

    /// It was refused.
    pub fn bad(mut self, refusal: CallRefusal) -> Self {
        self.advice = advice(self.call, &refusal).map(str::to_owned);
        self.outcome = CallOutcome::Bad;
        self.place = refusal.place;
        self.answer = refusal.message;
        self.code = refusal.code;
        self
    }

    /// It was not made, for this reason.
    pub fn not_made(mut self, why: impl Into<String>, advice: &str) -> Self {
        self.outcome = CallOutcome::NotMade;
        self.answer = why.into();
        self.advice = Some(advice.to_owned());
        self
    }

    /// Whether the call was answered, and well enough.
    pub const fn is_well(&self) -> bool {
        matches!(self.outcome, CallOutcome::Good | CallOutcome::Warning)
    }

    /// For people, as lines.
    pub fn in_words(&self) -> String {
        let mark = match self.outcome {
            CallOutcome::Good => "✓",
            CallOutcome::Warning => "!",
            CallOutcome::Bad => "✗",
            CallOutcome::NotMade => "–",
        };
        let at = self.endpoint.as_ref().map_or_else(String::new, |url| format!(" at {url}"));
        let space = if self.about.is_empty() { "" } else { " " };
        let mut words = format!(
            "{mark} {}{space}{}\n    as {} in {}{at}\n    ",
            self.call, self.about, self.identity, self.region
        );
        if self.outcome == CallOutcome::NotMade {
            words += "not called: ";
        }
        if let Some(code) = &self.code {
            words.extend([code, ": "]);
        }
        words += &self.answer.replace('\n', "\n    ");
        if let Some(advice) = &self.advice {
            words.extend(["\n    → ", advice]);
        }
        words
    }
}
