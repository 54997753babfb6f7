//! Which keys exist, what each is for, and how long each lives.
//!
//! JWKs come in, checked and parsed once; keys that sign, verify, seal and open go out. A key knows
//! its one algorithm and does the key management of RFC 7518, section 4; the room `seal` does the
//! content encryption and the token.
//!
//! The gateway's own keys live in a [`KeyRing`] by the rules of a [`Lifecycle`], and rest in a
//! [`KeyStore`]. Consumers' keys come with their subscriptions or from an address ([`RemoteKeys`]).
//!
//! **Invariant:** no private part of a key leaves this room except through the functions that
//! export it for its keeper, and none is ever printed.

mod agreement;
mod algorithm;
mod config;
mod consumer;
mod content_key;
mod data_key;
mod documents;
mod error;
mod files;
mod historical_keys;
mod jwk;
mod jwks;
mod key_set;
mod lifecycle;
mod log_issuer;
mod log_keys;
mod note_key;
mod opening;
mod passphrase;
mod provider;
mod receipt_key;
mod remote;
mod ring;
mod ring_error;
mod sealing;
mod shared;
mod signing;
mod store;
mod verifying;

pub use agreement::EphemeralKey;
pub use algorithm::{AlgorithmError, ContentEncryption, KeyManagement, SigningAlgorithm};
pub use config::{Config, KeysConfigError};
pub use consumer::ConsumerKeys;
pub use content_key::ContentKey;
pub use data_key::{DataKey, DataKeyError};
pub use documents::RingKey;
pub use error::{KeyError, KeyFailure};
pub use files::FileKeyStore;
pub use historical_keys::HistoricalKeys;
pub use jwks::PublishedKeys;
pub use key_set::KeySet;
pub use lifecycle::{KeyAge, KeyState, KeyStep, KeyTimes, Lifecycle};
pub use log_issuer::{LogIssuer, LogIssuerError, NextIssuer, OtherIssuer};
pub use log_keys::{LogKeys, LogKeysError, LostKeys};
pub use note_key::NoteSigningKey;
pub use opening::{OpeningKey, OpeningKeyKind, OpeningKeys};
pub use provider::install;
pub use receipt_key::{generate_receipt_key, read_receipt_key};
pub use remote::{ClientFor, PublicKeys, RemoteKeys, RemoteKeysError};
pub use ring::KeyRing;
pub use ring_error::RingError;
pub use sealing::{EstablishedKey, SealingKey};
pub use shared::SharedSecret;
pub use signing::SigningKey;
pub use store::{KeyDocument, KeySession, KeyStore, MemoryKeyStore, StoreError};
pub use verifying::{VerifyingKey, VerifyingKeys};
