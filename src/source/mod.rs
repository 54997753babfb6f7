//! Where events come from: every way in ends in [`Received`].
//!
//! Each source turns bytes of a producer into [`Received`] and hands them to [`Admit`], which
//! answers only once the log has said yes. A source never acknowledges before that.
//!
//! | Source | Comes in as |
//! |---|---|
//! | [`aws`] | AWS JSON 1.1 on `POST /`: any AWS SDK or CLI is a producer |
//! | [`intake`] | CloudEvents and EventBridge envelopes on `POST /events` |
//! | [`queue`] | messages of SQS queues that EventBridge rules, SNS topics or others fill |
//! | [`Lines`] | newline-delimited JSON, for the command line |
//!
//! **Invariant:** sources know nothing of contracts or the log; what they make is not trusted by
//! anyone.

mod admit;
pub mod aws;
mod body;
mod body_room;
mod config;
pub mod intake;
mod lines;
mod publishing;
pub mod queue;
mod received;
mod sign_answers;
mod source_rule;
mod trace;
mod trial;
mod unparsed;
mod wanted_source;

pub use admit::{Admit, AdmitRefusal, Admitted, ResponseMode};
pub use body::{CodingError, ContentCoding};
pub use body_room::BodyRoom;
pub use config::{
    AccessKey, ArchiveReplays, Config, OnViolation, QuarantinedQuota, Signatures, UnknownBus,
    UnreadableQuota,
};
pub use lines::{InputLine, LineError, Lines};
pub use publishing::may_publish_as;
pub use received::{Envelope, Received, ReceivedError};
pub use sign_answers::{EntryAnswer, RECEIPT, SignAnswers, prefers_receipt};
pub use source_rule::{SourceRule, SourceRuleError};
pub use trial::{PatchedEvent, Trial, TrialVerdict};
pub use unparsed::{KeptHeaders, KeptHeadersError, Unparsed};
pub use wanted_source::wants_source_of;
