//! Connections: how the gateway shows itself to a sink.
//!
//! A [`SealedCredential`](crate::subscriptions::SealedCredential) comes in with each parcel.
//! [`Connections`] decrypts it into headers, query parameters, a TLS identity, what signs requests, and
//! where its tokens come from. Tokens are got once however many attempts wait, again before one runs out, and again when a
//! sink refuses it. An attempt that is refused under a new credential is made once more under the
//! former one, so that a rotation loses nothing.
//!
//! **Invariants:** a token endpoint is dialed through the egress guard, like the sink. A credential
//! goes to the sink of its subscription and to its own token endpoint, and nowhere else; neither it
//! nor a token is in an error, a log line or the text of an answer that is kept.

mod fields;
mod identities;
mod keeping;
mod prepared;
mod request;
mod signature;
mod sink_request;
mod tokens;
mod unusable;

pub use keeping::Connections;
