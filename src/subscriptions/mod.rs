//! Who receives what, where, and sealed for which key.
//!
//! A [`SubscriptionDocument`] comes in, as a consumer or operator wrote it; a [`Subscription`] goes out, every
//! part of which is known to work: its filter compiles, its keys seal, its address is one. A push
//! subscription delivers nothing before its sink has answered a [`Challenge`] that was sealed for
//! its key; until then a [`PendingHandshake`] is kept with it. A [`SinkCredential`] says how the gateway shows itself at the sink; its secrets are kept
//! encrypted, as a [`SealedCredential`], and leave the room in no other form.
//!
//! **Invariant:** a changed filter applies from a recorded position on, so that the sequence
//! numbers of a subscription can be counted again from the log at any time. What its consumer may hear
//! applies in the same way, and stands with the filter.

mod bounds;
mod check;
mod credential;
mod credential_rules;
mod document;
mod error;
mod handshake;
mod kept;
mod kept_credential;
mod kept_secrets;
mod pending_handshake;
mod sealed_credential;
mod secret_text;
mod state;
mod store;
mod subscription;
mod webhook_secret;

pub use credential::{
    ApiKey, Basic, ClientAuthentication, CredentialAlone, CredentialType, OAuth, Parameter,
    SecretSlot, SinkCredential, Tls, TokenMethod,
};
pub use document::{
    ClearAttributes, ContentMode, FirstHandshake, KeySettings, OnDeadLetter, Ordering, Protocol,
    ReceiptSettings, Settings, SubscriptionDocument,
};
pub use error::{Invalid, SubscriptionError};
pub use handshake::{CHALLENGE_TYPE, Challenge, ChallengeBinding, ChallengeReply};
pub use kept_secrets::shared_secret_context;
pub use pending_handshake::PendingHandshake;
pub use sealed_credential::{CredentialError, KeptCredential, SealedCredential};
pub use secret_text::SecretText;
pub use state::SubscriptionState;
pub use store::{Subscriptions, Terms};
pub(crate) use subscription::may_want;
pub use subscription::{Epoch, ReceiptTerms, RecipientKeys, Subscription};
pub use webhook_secret::Hmac;
