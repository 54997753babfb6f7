//! `sealway aws doctor`: calls what can be called, and says exactly what each call returned.
//!
//! [`AwsCalls`](calls::AwsCalls) has the clients of a gateway on this machine. It asks who the
//! gateway is (`identity`), after each queue (`queues`) and each event bus (`buses`), and makes a
//! [`CallFinding`](finding::CallFinding) of each call.
//!
//! **Invariant:** without `--receive` and `--put`, no call changes anything.

mod advice;
mod buses;
mod calls;
mod command;
mod finding;
mod identity;
mod queues;
mod refusal;

pub use command::{Args, run};
