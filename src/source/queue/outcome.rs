//! What became of a message.

use crate::event::Fault;
use crate::source::{AdmitRefusal, Admitted};

/// What became of a message. All but the last are reasons to delete it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueueOutcome {
    /// It is at least one new event in the log.
    Admitted,
    /// The log had it already.
    Repeated,
    /// It is in quarantine.
    Quarantined,
    /// No publication wants it.
    Unwanted,
    /// It was an event that this gateway has put on a bus, and that came back.
    Own,
    /// It was not taken, and becomes visible again.
    Left(LeftBecause),
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LeftBecause {
    /// The log has no room now.
    Busy,
    /// Something of ours is broken.
    Failed,
    /// The queue has as much in quarantine as it may, or the message can never be kept there.
    NoRoomInQuarantine,
    /// An earlier message of its group was left.
    Behind,
}

impl QueueOutcome {
    /// What became of an event that was offered.
    pub(super) fn of_event(answer: Result<Admitted, AdmitRefusal>) -> Self {
        match answer {
            Ok(Admitted { repeated: true, .. }) => Self::Repeated,
            Ok(Admitted { events, .. }) if !events.is_empty() => Self::Admitted,
            Ok(Admitted { quarantined: 1.., .. }) => Self::Quarantined,
            Ok(_) => Self::Unwanted,
            Err(refusal) => Self::Left(LeftBecause::of(&refusal)),
        }
    }

    /// What became of bytes that were offered to the quarantine.
    pub(super) fn of_bytes(answer: Result<u64, AdmitRefusal>) -> Self {
        match answer {
            Ok(_) => Self::Quarantined,
            Err(refusal) => Self::Left(LeftBecause::of(&refusal)),
        }
    }

    /// Whether the message may be deleted.
    pub(super) const fn is_done(self) -> bool {
        !matches!(self, Self::Left(_))
    }

    /// Whether nothing else can be taken now either.
    pub(super) const fn is_pressure(self) -> bool {
        matches!(self, Self::Left(LeftBecause::Busy | LeftBecause::Failed))
    }

    /// A stable word, for counting.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Admitted => "admitted",
            Self::Repeated => "repeated",
            Self::Quarantined => "quarantined",
            Self::Unwanted => "unwanted",
            Self::Own => "own",
            Self::Left(LeftBecause::Busy) => "left-busy",
            Self::Left(LeftBecause::Failed) => "left-failed",
            Self::Left(LeftBecause::NoRoomInQuarantine) => "left-no-room-in-quarantine",
            Self::Left(LeftBecause::Behind) => "left-behind",
        }
    }
}

impl LeftBecause {
    fn of(refusal: &AdmitRefusal) -> Self {
        match (refusal.code, refusal.fault) {
            ("quarantine-full" | "too-large", _) => Self::NoRoomInQuarantine,
            (_, Fault::Later) => Self::Busy,
            (_, Fault::Caller | Fault::Ours) => Self::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventId;

    #[test]
    fn a_message_is_deleted_only_after_a_yes() {
        let refusal = |fault, code| AdmitRefusal {
            fault,
            code,
            message: String::new(),
            violations: Vec::new(),
        };
        let left = [
            (refusal(Fault::Later, "busy"), LeftBecause::Busy),
            (refusal(Fault::Later, "quarantine-full"), LeftBecause::NoRoomInQuarantine),
            (refusal(Fault::Caller, "too-large"), LeftBecause::NoRoomInQuarantine),
            (refusal(Fault::Ours, "internal"), LeftBecause::Failed),
        ];
        for (refusal, because) in left {
            let outcome = QueueOutcome::of_event(Err(refusal.clone()));
            assert_eq!(outcome, QueueOutcome::Left(because));
            assert_eq!(QueueOutcome::of_bytes(Err(refusal)), outcome);
            assert!(!outcome.is_done());
            let is_of_one = because == LeftBecause::NoRoomInQuarantine;
            assert_eq!(outcome.is_pressure(), !is_of_one);
        }
        let event: EventId = "01K00000000000000000000000".parse().unwrap();
        let new = Admitted { events: vec![event], quarantined: 1, ..Admitted::default() };
        let again = Admitted { repeated: true, ..new.clone() };
        let aside = Admitted { quarantined: 1, ..Admitted::default() };
        for (answer, outcome) in [
            (new, QueueOutcome::Admitted),
            (again, QueueOutcome::Repeated),
            (aside, QueueOutcome::Quarantined),
            (Admitted::default(), QueueOutcome::Unwanted),
        ] {
            assert_eq!(QueueOutcome::of_event(Ok(answer)), outcome);
            assert!(outcome.is_done() && !outcome.is_pressure());
        }
        assert_eq!(QueueOutcome::of_bytes(Ok(1)), QueueOutcome::Quarantined);
    }
}
