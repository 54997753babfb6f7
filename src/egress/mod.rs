//! The egress guard: which addresses the gateway dials on behalf of others.
//!
//! A sink or a key set's address comes from a consumer, so it may name the gateway's own machine,
//! a neighbor in its network, or a cloud's metadata service. [`Egress`] judges the address that is
//! dialed: [`GuardedClients`] resolve names through it, so that a name that changes between check
//! and use is judged as it is used, and a literal address, which no resolver sees, is judged before
//! each request. A subscription whose addresses can be judged without a resolver is refused when it
//! is written.
//!
//! **Invariants:** nothing special-purpose is dialed unless [`EgressConfig`] opens it; no metadata
//! service unless it is opened by its own address; plain http only where that is opened besides. No
//! redirect is followed and no proxy is used, because neither would come past the guard. Of an answer
//! no more bytes are read than a bound, whatever they are: interim answers, fields, body. Who chose a
//! name is told in a [`NetworkFailure`] that it leads nowhere, whether it has no address or none that
//! may be dialed: otherwise the answer would tell which names there are in the gateway's network.

mod aws_endpoints;
mod client;
mod clients;
mod config;
mod connector;
mod embedded;
mod guard;
mod network;
mod network_failure;
mod dialed_connections;
mod special;
mod stream;
mod tls;
mod trust;

pub use aws_endpoints::is_aws_host;
pub use client::{AGENT, ENCODING, ExchangeError, GuardedAnswer, GuardedClient, GuardedRequest};
pub use clients::GuardedClients;
pub use config::EgressConfig;
pub use guard::{Egress, EgressRefusal, Scheme};
pub use network::{Network, NetworkError};
pub use network_failure::{NetworkFailure, Unresolved};
pub use tls::ClientTls;
pub use trust::{ReadTrust, TlsError, TrustChanges, TrustedAuthority};
