//! What is wrong with an answer to a challenge that its consumer has given itself.

/// An answer that is not the nonce that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongNonce {
    /// Another one may be tried.
    #[error("this is not the nonce that was sent; {left} answers more, and another is made")]
    Another {
        /// How many answers are left.
        left: u8,
    },
    /// It was the last.
    #[error(
        "this is not the nonce that was sent; another was made, which the sink gets with the next \
         attempt"
    )]
    Last,
    /// No nonce was sent.
    #[error("no challenge was sent for these keys and this sink yet; `POST …/verify` sends one")]
    NoneSent,
}
