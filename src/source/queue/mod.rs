//! Queues as sources: a rule on the team's bus fills an SQS queue, and the gateway reads it.
//!
//! Pollers ask for batches of ten; each message is read into [`Received`](crate::source::Received) or
//! kept as bytes, offered to [`Admit`](crate::source::Admit), and deleted only after the log, or the
//! quarantine, has said yes. While the log has no room they are held, and nothing more is asked for. What
//! cannot be taken for another reason becomes visible again.
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
//! **Invariant:** a message is deleted only if what it became is durable, or it is an event that
//! this gateway has put on a bus and that came back.

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
#[cfg_attr(not(feature = "aws"), expect(dead_code, reason = "pollers alone read what is new"))]
mod reading;
mod settings;
#[cfg(feature = "aws")]
mod sqs;
#[cfg_attr(
    not(feature = "aws"),
    expect(dead_code, reason = "pollers alone change how a queue stands")
)]
mod status;
mod wrapping;

pub use drained::{DrainError, Drained, FailedDelivery};
#[cfg(feature = "aws")]
pub use queues::QueueParts;
pub use queues::Queues;
pub use reading::read_again;
pub use settings::{QueueSource, RawEvents, problems, warnings};
pub use status::{QueueFailure, QueueStatus};
