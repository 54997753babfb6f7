//! Who receives what, where, and sealed for which key.
//!
//! A [`SubscriptionDocument`] comes in, as a consumer or operator wrote it; a [`Subscription`] goes out, every
//! part of which is known to work: its filter compiles, its keys seal, its address is one. A push
//! subscription delivers nothing before its sink has answered a [`Challenge`] that was sealed for
//! its key; until then a [`PendingHandshake`] is kept with it. A [`SinkCredential`] says how the gateway shows itself at the sink; its secrets are kept
//! encrypted, as a [`SealedCredential`], and leave the room in no other form. An [`OuterKey`] stands outside of
//! tokens for the idempotency key of an event, which would give its content away.
//!
//! All of them stand in memory, in a directory that [`Subscriptions`] keeps in step with the registry;
//! a list or a look-up reads no document. What several of them want alike is one [`KeptWish`], compiled
//! once and gone with the last that refers to it.
//!
//! **Invariant:** a changed filter applies from a recorded position on, so that the sequence
//! numbers of a subscription can be counted again from the log at any time. What its consumer may hear
//! applies in the same way, and stands with the filter.

mod bounds;
mod check;
mod config;
mod credential;
mod credential_rules;
mod directory;
mod document;
mod entitling;
mod error;
mod former_secret;
mod given_document;
mod handshake;
mod jwks_text;
mod kept;
mod kept_credential;
mod kept_secrets;
mod normal_document;
mod outer_key;
mod pending_handshake;
mod sealed_credential;
mod secret_rotation;
mod secret_text;
mod state;
mod store;
mod subscription;
mod usage;
mod webhook_secret;
mod wish;
mod writing;

pub use config::Config;
pub use credential::{
    ApiKey, Basic, ClientAuthentication, CredentialAlone, CredentialType, OAuth, Parameter,
    SecretSlot, SinkCredential, Tls, TokenMethod,
};
pub use directory::{SubscriptionPage, SubscriptionQuery};
pub use document::{
    ClearAttributes, ContentMode, FirstHandshake, KeySettings, OnDeadLetter, Ordering, Protocol,
    ReceiptSettings, Settings, SubscriptionDocument,
};
pub use error::{Invalid, SubscriptionError};
pub use former_secret::FormerSecret;
pub use given_document::GivenDocument;
pub use handshake::{CHALLENGE_TYPE, Challenge, ChallengeBinding, ChallengeReply};
pub use jwks_text::JwksText;
pub use kept_secrets::shared_secret_context;
pub use outer_key::{OuterKey, OuterKeySecret, SealedOuterKeySecret};
pub use pending_handshake::PendingHandshake;
pub use sealed_credential::{CredentialError, KeptCredential, SealedCredential};
pub use secret_text::SecretText;
pub use state::{StateError, SubscriptionState};
pub use store::{Subscriptions, Terms};
pub(crate) use subscription::may_want;
pub use subscription::{Epoch, ReceiptTerms, RecipientKeys, Subscription};
pub use usage::{ConsumerBound, Exceeded};
pub use webhook_secret::Hmac;
pub use wish::{KeptWish, WishText, Wishes};
