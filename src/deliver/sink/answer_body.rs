//! What is read of the body of an answer, and how it ended: the head decides, and the body only where it
//! is the proof.

use std::fmt;
use std::time::Duration;

use http::StatusCode;

use crate::egress::ExchangeError;

/// How long a body is waited for that decides nothing.
const FOR_WORDS: Duration = Duration::from_secs(2);

/// How a body ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyCut {
    /// The connection ended, or what came is no HTTP.
    Broken,
    /// Nothing more came in time.
    Stalled,
}

impl BodyCut {
    pub(super) const fn of(error: &ExchangeError) -> Self {
        match error {
            ExchangeError::Late => Self::Stalled,
            ExchangeError::Refused(_) | ExchangeError::Connect(_) | ExchangeError::Broken(_) => {
                Self::Broken
            }
        }
    }

    /// The stable word for the attempt list.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Broken => "body-cut",
            Self::Stalled => "body-stalled",
        }
    }
}

impl fmt::Display for BodyCut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// How long the body of an answer is waited for: as long as the whole answer where a yes has its proof
/// in it, a receipt or a nonce, and shortly where it holds words at the most.
pub(super) fn wait_for_body(status: StatusCode, has_proof: bool, timeout: Duration) -> Duration {
    if has_proof && status.is_success() { timeout } else { timeout.min(FOR_WORDS) }
}

/// The words of an answer, and before them how its body ended.
pub(super) fn noted(cut: Option<BodyCut>, words: String) -> String {
    match cut {
        None => words,
        Some(cut) if words.is_empty() => cut.to_string(),
        Some(cut) => format!("{cut}: {words}"),
    }
}
