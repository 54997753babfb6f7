//! Who may hear what: grants, requests for them, and what follows for a consumer.
//!
//! A [`GrantDocument`] comes in, by a file or a request, or an [`AccessRequestDocument`] that its owner
//! decides; a [`Grant`] is kept. [`Access`] answers whether something may be sent or handed out now,
//! and makes the [`Entitlement`] that an epoch of a subscription keeps.
//!
//! **Invariant:** an end is known here before it is written, and everything that begins asks here.
//! What has a number follows from entitlements that are kept with epochs, and never from this moment.

mod authority;
mod config;
mod entitlement;
mod error;
mod giving;
mod grant;
mod grant_id;
mod grant_state;
mod history;
mod known;
mod publication_name;
mod replacing;
mod requests;
#[cfg(test)]
mod giving_tests;
#[cfg(test)]
mod tests;

pub use authority::{Access, AccessParts, BY_FILES, BY_UPGRADE};
pub use config::Config;
pub use entitlement::{Entitlement, HeardStretch};
pub use error::AccessError;
pub use grant::{EndOfAccess, Grant, GrantDocument, GrantEnd};
pub use grant_id::{GrantId, GrantIdError, GrantReference};
pub use grant_state::GrantState;
pub use history::{History, HistoryError};
pub use known::{ComingEnd, EndedAccess, PublicationAccess};
pub use publication_name::{GrantedPublication, GrantedPublicationError};
pub use requests::{AccessDecision, AccessRequest, AccessRequestDocument, AccessRequestState};
