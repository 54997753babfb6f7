//! How the gateway speaks to AWS: one set of clients' settings for every queue and event bus.
//!
//! [`AwsClients`] gives the settings of a service's client for a region and, where one is named, a
//! role: credentials come by the SDK's own chain and are refreshed ahead of their expiry. What is
//! dialed is for the egress guard to say: AWS's own endpoints, also where they have private
//! addresses, and the endpoint that the operator names; a consumer chooses none of them.
//!
//! **Invariant:** who speaks as which role is the operator's word, and a consumer's role is taken with
//! an external id that the gateway made.

#[cfg(feature = "aws")]
mod clients;
mod config;
#[cfg(feature = "aws")]
mod failure;
#[cfg(feature = "aws")]
mod plain_answers;
#[cfg(feature = "aws")]
mod resolver;
#[cfg(feature = "aws")]
mod role;

#[cfg(feature = "aws")]
pub use clients::{AwsClients, ClientConfig};
pub use config::Config;
#[cfg(feature = "aws")]
pub use failure::{AwsFailure, AwsRefusal, EXPIRED, UNKNOWN_CREDENTIALS};
#[cfg(feature = "aws")]
pub use role::AwsRole;

/// What is said of settings that need AWS, in a build without it.
pub const WITHOUT_AWS: &str =
    "this build speaks to no AWS service: build it with the feature `aws`";
