//! Sinks: where sealed events go, and how the gateway shows itself there.
//!
//! A [`Batch`] of parcels comes in, sealed events with the attributes that may be shown, and goes
//! to the [`Destinations`]' one for its protocol; a [`SinkAnswer`] for each comes out, in words
//! that no protocol owns. What a status code means stays in the files of HTTP.

mod addresses;
mod answer;
mod connection;
mod content;
mod destination;
mod destinations;
mod http;
mod http_answer;
mod http_request;

pub use answer::{AnswerKind, AttemptFailure, Health, SinkAnswer};
#[cfg(test)]
pub use connection::Connections;
pub use destination::{
    Batch, ChallengeAnswer, ChallengeError, ChallengeRefusal, Parcel, SinkTarget,
};
#[cfg(test)]
pub use destination::{BatchLimit, Destination};
pub use destinations::Destinations;
#[cfg(test)]
pub use http::HttpDestination;
