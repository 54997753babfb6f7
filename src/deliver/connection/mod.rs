//! Connections: how the gateway shows itself to a sink.
//!
//! A [`SealedCredential`](crate::subscriptions::SealedCredential) comes in with each parcel.
//! [`Connections`] decrypts it into an [`Access`]: headers, query parameters, a TLS identity, and
//! where its tokens come from. [`Tokens`] gets those: one request however many attempts wait, again
//! before a token runs out, and again when a sink refuses it. An attempt that is refused under a new
//! credential is made once more under the former one, so that a rotation loses nothing.
//!
//! **Invariants:** a token endpoint is dialed through the egress guard, like the sink. A credential
//! goes to the sink of its subscription and to its own token endpoint, and nowhere else; neither it
//! nor a token is in an error, a log line or the text of an answer that is kept.

mod access;
mod attempt;
mod identities;
mod keeping;
mod request;
mod tokens;

pub use access::Access;
pub use identities::{Identities, TlsIdentity};
pub use keeping::{Connections, Unusable};
pub use request::{Token, TokenError, TokenRequest};
pub use tokens::Tokens;
