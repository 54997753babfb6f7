//! The states of a subscription, and who may cause each step.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a subscription stands.
///
/// ```text
/// pending ──handshake──▶ active
///    ⇅ pause, resume        ⇅
///           paused ◀────────┘
/// ```
///
/// What is wanted (delivery, or a pause) and what is proved are two facts: a paused subscription whose
/// sink has not proved itself keeps its handshake, and is pending once it is resumed. Each may become
/// `closed`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SubscriptionState {
    /// The sink has not proved itself yet; nothing is delivered, events wait in the log.
    Pending,
    /// Events are delivered, or can be fetched.
    Active,
    /// Someone stopped delivery for a while; events wait in the log.
    Paused,
    /// The sink said that it is gone (410), or an operator ended it; it never delivers again.
    Closed,
}

impl SubscriptionState {
    /// Tells whether attempts are made.
    pub const fn delivers(self) -> bool {
        matches!(self, Self::Active)
    }

    /// Tells whether a caller may ask for a step from this state to another.
    ///
    /// Only the handshake makes a pending one active, and nothing leads out of `closed`.
    pub const fn allows(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Pending | Self::Active, Self::Paused)
                | (Self::Paused, Self::Active)
                | (Self::Pending | Self::Active | Self::Paused, Self::Closed)
        )
    }
}

impl SubscriptionState {
    /// What to do instead of a step that is not allowed, as the end of a sentence that names this
    /// state.
    pub(super) const fn way_to(self, next: Self) -> &'static str {
        match (self, next) {
            (Self::Paused, Self::Paused) | (Self::Active, Self::Active) => " already",
            (Self::Pending, _) => "; its sink has to prove itself first (`POST …/verify`)",
            (Self::Closed, _) => "; nothing leads out of that: remove it and create it anew",
            (Self::Paused, Self::Active) => "; resume it first (`POST …/resume`)",
            (Self::Active | Self::Paused, _) => "; it cannot be that",
        }
    }
}

impl fmt::Display for SubscriptionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Closed => "closed",
        })
    }
}

/// A text that is no state.
#[derive(Debug, thiserror::Error)]
#[error("not a state: use pending, active, paused or closed")]
pub struct StateError;

impl FromStr for SubscriptionState {
    type Err = StateError;

    fn from_str(text: &str) -> Result<Self, StateError> {
        let all = [Self::Pending, Self::Active, Self::Paused, Self::Closed];
        all.into_iter().find(|state| state.to_string() == text).ok_or(StateError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_closed_and_only_the_handshake_makes_a_pending_one_active() {
        for next in [
            SubscriptionState::Pending,
            SubscriptionState::Active,
            SubscriptionState::Paused,
            SubscriptionState::Closed,
        ] {
            assert!(!SubscriptionState::Closed.allows(next));
        }
        assert!(!SubscriptionState::Pending.allows(SubscriptionState::Active));
        assert!(
            SubscriptionState::Active.allows(SubscriptionState::Paused)
                && SubscriptionState::Paused.allows(SubscriptionState::Active)
        );
    }
}
