//! A gateway in this process or in one of its own, a real consumer, and waiting without sleeping.
//!
//! [`TestGateway`] is a whole gateway on a directory and a port of its own; [`Process`] is the same
//! as a child process that can be killed. A [`Receiver`] is a consumer: an HTTP server with a key
//! pair that opens every token it is sent; a [`Sink`] has no keys and answers as it is told. A
//! [`Guarded`] consumer lets nobody in who does not show the right credential.

mod gateway;
mod guarded;
mod process;
mod receiver;
mod sink;
mod waiting;

pub use gateway::{ACCESS_SECRET, Answer, TestGateway, answer, order_created};
pub use guarded::{Guarded, TlsServer};
pub use process::{Process, program};
pub use receiver::{Arrival, Receiver, Reply};
pub use sink::{Posted, Said, Sink};
pub use waiting::{eventually, never_within};
