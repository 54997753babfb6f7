//! Sinks: where sealed events go, and how the gateway shows itself there.
//!
//! A [`Parcel`] comes in, a sealed event with the attributes that may be shown, and goes to the
//! [`Destinations`]' one for its protocol; a [`SinkAnswer`] comes out, in words that no protocol
//! owns. What a status code means stays in the files of HTTP, what AWS's codes mean in `event_bus`.

mod addresses;
mod answer;
mod answer_body;
mod connection;
mod content;
mod destination;
mod destinations;
mod event_bus;
mod excerpt;
mod http;
mod http_answer;
mod http_request;
mod retry_after;

pub use answer::{AnswerKind, AttemptFailure, Health, SinkAnswer};
pub use answer_body::BodyCut;
#[cfg(test)]
pub use connection::Connections;
pub use destination::{
    ChallengeAnswer, ChallengeError, ChallengeRefusal, Destination, Parcel, SinkTarget,
};
pub use destinations::Destinations;
#[cfg(not(feature = "aws"))]
pub use event_bus::NoEventBuses;
#[cfg(feature = "aws")]
pub use event_bus::{EventBusDestination, EventBusParts};
pub use event_bus::{EventBusPermission, EventBusPermissions, ExternalIds};
#[cfg(test)]
pub use http::HttpDestination;
