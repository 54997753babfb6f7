//! Sinks: where sealed events go, and how the gateway shows itself there.
//!
//! A [`Parcel`] comes in and goes to a [`Destination`]; an [`Answer`] comes out. [`Connections`] adds
//! what a subscription's credential asks for.

mod addresses;
mod connection;
mod content;
mod destination;
mod http;

pub use connection::Connections;
pub use content::body;
pub use destination::{Answer, AttemptFailure, Destination, Health, Parcel};
pub use http::HttpDestination;
