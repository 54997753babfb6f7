//! The embedded bus: the part of Amazon EventBridge's wire protocol that producers speak.
//!
//! Bytes and headers come in as a [`Call`], an [`Answered`] goes out; HTTP itself stays in `api`.
//! An unmodified AWS SDK or CLI whose endpoint is set to the gateway is a producer.
//!
//! **Invariant:** an entry is answered with an event id only after [`Admit`](crate::source::Admit)
//! has said yes, or when the settings say that its unknown bus is dropped.
//!
//! Deliberately absent: rules, targets and every other operation that changes something, because
//! configuration files are the truth.

mod answer;
mod bus;
mod call;
mod cbor;
mod entries;
mod entry_outcome;
mod entry_time;
mod keys;
mod offline;
mod operations;
mod repeats;
mod seen_signatures;
mod signature;
mod signed_result;
mod testing_patterns;
mod unread_call;
mod unreadable;

pub use answer::{Answered, AwsErrorKind, Refused};
pub use bus::Bus;
pub use call::Call;
pub use cbor::{CBOR_MEDIA_TYPE, RPC_V2_CBOR, speaks_cbor};
pub use keys::{AccessKeys, Identity};
pub use offline::read_offline;
pub use seen_signatures::{KeepSignatures, SIGNATURES_KEPT_FOR, SeenSignature};
