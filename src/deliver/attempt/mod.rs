//! One attempt: seal, send, judge, record.

mod handshake;
mod sealer;

pub use handshake::Handshake;
pub use handshake::HandshakeError;
pub use sealer::{Sealer, SealerError, SealerParts};
