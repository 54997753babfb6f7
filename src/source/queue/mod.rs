//! Queues as sources: a rule on the team's bus fills an SQS queue, and the gateway reads it.
//!
//! Pollers ask for batches of ten; each message is read into [`Received`](crate::source::Received) or
//! kept as bytes, offered to [`Admit`](crate::source::Admit), and deleted only after the log, or the
//! quarantine, has said yes. What is refused stays in the queue and becomes visible again.
//!
//! | Body | Read as |
//! |---|---|
//! | an EventBridge envelope | itself |
//! | a CloudEvent in the JSON event format | itself |
//! | a notification of SNS, or what a custom event bus wraps (`Data`, `SystemMetadata`) | what is in it |
//! | any other JSON | the data of an event of the kind that the queue's `raw` names |
//!
//! What AWS is spoken to with is behind the feature `aws`; settings and the reading of bodies are not.
//!
//! **Invariant:** a message is deleted only if what it became is durable, or it is an event of the
//! gateway's own that came back.

#[cfg(feature = "aws")]
mod batch;
#[cfg(feature = "aws")]
mod differing;
#[cfg(feature = "aws")]
mod drain;
mod drained;
mod message;
#[cfg(feature = "aws")]
mod outcome;
#[cfg(feature = "aws")]
mod poller;
mod queues;
mod reading;
mod settings;
#[cfg(feature = "aws")]
mod sqs;
mod status;
mod wrapping;

pub use drained::{DrainError, Drained, FailedDelivery};
#[cfg(feature = "aws")]
pub use queues::QueueParts;
pub use queues::Queues;
pub use reading::read_again;
pub use settings::{QueueSource, RawEvents, problems, warnings};
pub use status::{QueueFailure, QueueStatus};
