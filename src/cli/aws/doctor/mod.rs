//! `sealway aws doctor`: calls what can be called, and says exactly what each call returned.
//!
//! A [`Practice`](practice::Practice) has the clients of a gateway on this machine. It asks who the
//! gateway is (`identity`), after each queue (`queues`) and each event bus (`buses`), and makes a
//! [`Finding`](finding::Finding) of each call.
//!
//! **Invariant:** without `--receive` and `--put`, no call changes anything.

mod advice;
mod buses;
mod command;
mod finding;
mod identity;
mod practice;
mod queues;
mod refusal;

pub use command::{Args, run};
