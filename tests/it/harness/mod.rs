//! A gateway in this process or in one of its own, a real consumer, and waiting without sleeping.
//!
//! [`TestGateway`] is a whole gateway on a directory and a port of its own; [`Process`] is the same
//! as a child process that can be killed. A [`Receiver`] is a consumer: an HTTP server with a key
//! pair that opens every token it is sent.

mod gateway;
mod process;
mod receiver;
mod waiting;

pub use gateway::{ACCESS_SECRET, Answer, TestGateway, order_created};
pub use process::{Process, program};
pub use receiver::{Arrival, Receiver, Reply};
pub use waiting::{eventually, never_within};
