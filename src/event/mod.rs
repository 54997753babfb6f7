//! What an event is, before and after the gateway names it: pure values that every room shares.
//!
//! Nothing comes in and nothing goes out; other rooms speak in these words. A word lives here only
//! when more than two rooms use it.
//!
//! **Invariant:** every value is valid by construction, and no type here prints event data through
//! `Debug` or `Display`.

mod arn;
mod asked;
mod attributes;
mod canonical;
mod chain;
mod cloudevent;
mod content;
mod context;
mod data;
mod decimal;
mod diagnostic;
mod digest;
mod domain_name;
mod event_bound;
mod event_digest;
mod event_time;
mod extension;
mod fault;
mod hexadecimal;
mod id;
mod item_index;
pub mod json;
mod json_reader;
mod names;
mod nearest;
pub mod number;
mod plural;
mod producer;
mod salt;
mod segment;
mod sent_digest;
mod text;
mod timestamp;
mod token_digest;
mod trace;
mod violation;
pub mod yaml;
mod yaml_pieces;
mod yaml_tree;
mod yaml_words;

pub use arn::{ArnError, EventBusArn, QueueArn, RoleArn};
pub use asked::{AskedDigest, AskedDigestError, DocumentAsk, GatewayAsk, SubscriptionAsk};
pub use attributes::{AttributeError, EventSource, EventType, OWN_SOURCE, Subject};
pub use canonical::{CanonicalError, canonical};
pub use chain::{ChainValue, ChainValueError};
pub use cloudevent::{CloudEvent, EVENT_NAME, SPEC_VERSION};
pub use content::Content;
pub use context::{EventContext, EventContextError, SUBJECT};
pub use data::Data;
pub use diagnostic::{Diagnostic, Severity};
pub use digest::{ContentDigest, DigestError, EventDigest, IdempotencyKey};
pub use domain_name::{DomainName, DomainNameError, is_published_name};
pub use event_bound::{EventBound, EventBoundError};
pub use event_time::{EventTime, EventTimeError};
pub use extension::{
    AttributeName, AttributeNameError, AttributeValue, AttributeValueError, is_attribute_name,
};
pub use fault::{Blame, Fault};
pub(crate) use hexadecimal::write_hexadecimal;
pub use id::{EventId, EventIdError};
pub use item_index::{is_false_index, is_item_index};
pub use names::{
    AccessRequestId, CallerId, ConsumerId, GrantName, NameError, QualifiedName, RedriveId,
    ReplayId, SubscriptionId, SubscriptionName, SubscriptionReference,
};
pub use nearest::{nearest, nearest_of_all};
pub use number::{NumberFault, NumericValue};
pub use plural::number_of;
pub use producer::{EventProducer, ProducerKind};
pub use salt::{Salt, SaltError};
pub use segment::decode_segment;
pub use sent_digest::{SentDigest, SentDigestError};
pub use text::{TextFault, crossing_fault, is_noncharacter, is_unseen};
pub use timestamp::{Timestamp, TimestampError};
pub use token_digest::{TokenDigest, TokenDigestError};
pub use trace::{TraceContext, TraceContextError};
pub use violation::Violation;
pub use yaml_pieces::{YamlPieces, YamlPlaces, read_pieces, read_whole};
pub use yaml_tree::{Placed, YamlNode};
