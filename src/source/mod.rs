//! Where events come from: every way in ends in [`Received`].
//!
//! Each source turns bytes of a producer into [`Received`] and hands them to [`Admit`], which
//! answers only once the log has said yes. A source never acknowledges before that.
//!
//! **Invariant:** sources know nothing of contracts, patterns or the log; what they make is not
//! trusted by anyone.

mod admit;
mod received;

pub use admit::{Admit, Admitted, Manner, Refusal};
pub use received::{Envelope, Received, ReceivedError};
