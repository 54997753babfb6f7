//! One attempt: seal, send, judge, record.

mod attempter;
mod handshake;
mod sealer;

pub use attempter::Attempter;
pub use handshake::{Handshake, HandshakeError};
pub use sealer::{Sealer, SealerError, SealerParts};
