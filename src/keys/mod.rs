//! Which keys exist, what each is for, and how long each lives.
//!
//! JWKs come in, checked and parsed once; keys that sign, verify, seal and open go out. A key knows
//! its one algorithm and does the key management of RFC 7518, section 4; the room `seal` does the
//! content encryption and the token.
//!
//! **Invariant:** no private part of a key leaves this room except through the functions that
//! export it for its keeper, and none is ever printed.

mod agreement;
mod algorithm;
mod error;
mod jwk;
mod opening;
mod provider;
mod sealing;
mod shared;
mod signing;
mod verifying;

pub use agreement::EphemeralKey;
pub use algorithm::{AlgorithmError, ContentEncryption, KeyManagement, SigningAlgorithm};
pub use error::{KeyError, KeyFailure};
pub use opening::{OpeningKey, OpeningKeyKind, OpeningKeys};
pub use provider::install;
pub use sealing::{ContentKey, EstablishedKey, SealingKey};
pub use shared::SharedSecret;
pub use signing::SigningKey;
pub use verifying::{VerifyingKey, VerifyingKeys};
