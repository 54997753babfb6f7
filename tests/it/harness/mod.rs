//! A gateway in this process or in one of its own, a real consumer, and waiting without sleeping.
//!
//! [`TestGateway`] is a whole gateway on a directory and a port of its own; [`Process`] is the same
//! as a child process that can be killed, also on a disk that fails. A [`Receiver`] is a consumer:
//! an HTTP server with a key pair that opens every token it is sent; a [`Sink`] has no keys but a
//! [`SinkKey`]'s and answers as it is told; a [`Guarded`] consumer lets nobody in who does not show the right
//! credential. A [`Load`] is everything at once: producers, consumers of several tempers, operators.

pub mod aws;
mod connections;
mod disk;
mod documented;
mod gateway;
mod guarded;
mod load;
mod process;
mod receiver;
mod sink;
mod sink_key;
mod stalls;
mod token_endpoint;
mod waiting;
mod witness;

pub use disk::Number;
pub use documented::assert_members_are_documented;
pub use gateway::{
    ACCESS_KEY, ACCESS_SECRET, Answer, TestGateway, answer, answer_to, free_port,
    let_operational_events_cross, order_by_number, order_created, settle_in,
};
pub use guarded::{Guarded, TlsServer};
pub use load::{Activity, Copying, EAGER_RETENTION, Load, PROMPT_RETRIES, number_from_environment};
pub use process::{Process, program};
pub use receiver::{Arrival, Receiver, Reply};
pub use sink::{Posted, Said, Sink};
pub use sink_key::SinkKey;
pub use stalls::Stalls;
pub use token_endpoint::TokenEndpoint;
pub use waiting::{eventually, never_within};
pub use witness::{WITNESS, WitnessProcess};
