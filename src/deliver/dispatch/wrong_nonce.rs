//! What is wrong with an answer to a challenge that its consumer has given itself.

use crate::event::number_of;

/// An answer that is not the nonce that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongNonce {
    /// Another one may be tried.
    #[error(
        "this is not the nonce that was sent; open the newest challenge and tell its nonce. After {} \
         the gateway makes another",
        number_of(usize::from(*left), "more wrong answer")
    )]
    Another {
        /// How many answers are left.
        left: u8,
    },
    /// It was the last.
    #[error(
        "this is not the nonce that was sent, and too many answers were wrong: the gateway has made \
         another, which the sink gets with the next attempt; `POST …/verify` without a body sends it now"
    )]
    Last,
    /// It cannot be a nonce, and does not count as an answer.
    #[error(
        "this is no nonce, and was not counted as an answer: a nonce is 22 characters of base64url, \
         `data.challenge` of the opened challenge"
    )]
    NoNonce,
    /// No nonce was sent.
    #[error("no challenge was sent for these keys and this sink yet; `POST …/verify` sends one")]
    NoneSent,
}
