//! The nested JWT: signed inside, encrypted outside, and the way back.
//!
//! [`Claims`] and two keys come in; a [`Sealed`] token goes out, which is a nested JWT (RFC 7519,
//! section 5.2) and, inside, a Security Event Token (RFC 8417). [`open()`] is the way back, for
//! consumers, tests and the command line: twelve checks in a fixed order and one error that says
//! nothing, unless the issuer itself has signed what contradicts itself. [`sign_checkpoint`] and [`sign_accepted`] sign without encrypting, and [`ReceiptReader`] reads what consumers sign; [`ChainCheck`] tells from opened tokens what is
//! missing or altered. [`sign_incarnation`] says that a restore has begun another incarnation of the log.
//! Nothing is read, sent or kept here.
//!
//! **Invariant:** holding an [`Opened`] is the proof that both layers were checked; there is no
//! other way to make one.

mod accepted;
mod agreement;
mod chain_check;
mod claims;
mod compact;
mod compression;
mod content;
mod error;
pub mod evidence;
mod framework;
mod checkpoint;
mod incarnation;
mod inspect;
mod missing;
mod open;
mod open_limits;
mod opened;
mod receipt;
mod receipt_signing;
mod refusal;
mod sealed;
mod signed;
mod text;
mod token_text;
#[cfg(test)]
mod tests;

pub use accepted::{
    AcceptedEntry, AcceptedEvent, AcceptedFault, AcceptedOutcome, AcceptedPlace, AcceptedReader,
    AcceptedReceipt, sign_accepted,
};
pub use agreement::ClaimFault;
pub use chain_check::{ChainCheck, ChainStanding, Finding, Link, NumberedToken};
pub use checkpoint::{
    AccessEnd, Checkpoint, CheckpointReader, ComingAccessEnd, sign_checkpoint, sign_place,
};
pub use claims::{Claims, PlaceClaims, SaltedClaims, cloudevent_type};
pub use error::SealError;
pub use incarnation::{IncarnationReader, sign_incarnation};
pub use inspect::inspect;
pub use missing::{MissingKey, missing_key, signer_of};
pub use open::{OpenError, Opening, Seen, open};
pub use open_limits::OpenLimits;
pub use opened::Opened;
pub use receipt::{Delivered, Receipt, ReceiptFault, ReceiptReader};
pub use receipt_signing::sign_receipt;
pub use refusal::refusal;
pub use sealed::{Options, Sealed, seal};
pub use token_text::TokenText;
