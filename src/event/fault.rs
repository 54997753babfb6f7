//! Whose turn it is after a failure.

/// Answers the one question every error must answer: who acts next?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request has to change; the same bytes will fail again (4xx, dead letter).
    Caller,
    /// The same bytes may succeed later (503, retry).
    Later,
    /// A bug or a broken disk; someone has to look (500, alert).
    Ours,
}

/// An error that says whose turn it is.
pub trait Blame {
    /// Names who acts next.
    fn fault(&self) -> Fault;
}
