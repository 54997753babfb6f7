//! A message of a queue of the stub.

use std::collections::BTreeMap;

use md5::{Digest as _, Md5};
use serde_json::{Value, json};

use sealway::ambient::{Clock as _, Entropy as _, SystemClock, SystemEntropy};
use sealway::event::Timestamp;

/// A message, from the time when a test or a call sends it.
#[derive(Clone, Debug)]
pub struct StubMessage {
    /// The id that SQS gives; it stays when the message goes to another queue.
    pub id: String,
    pub body: String,
    /// Attributes as SQS has them: `DataType`, and `StringValue` or `BinaryValue`.
    pub attributes: BTreeMap<String, Value>,
    /// `AWSTraceHeader`.
    pub trace: Option<String>,
    pub group: Option<String>,
    pub deduplication: Option<String>,
    pub sent_at: Timestamp,
    /// `DeadLetterQueueSourceArn`, of a message that was received too often.
    pub source_queue: Option<String>,
}

impl StubMessage {
    /// A message without attributes.
    pub fn new(body: impl Into<String>) -> Self {
        Self {
            id: new_uuid(),
            body: body.into(),
            attributes: BTreeMap::new(),
            trace: None,
            group: None,
            deduplication: None,
            sent_at: SystemClock.now(),
            source_queue: None,
        }
    }

    /// Adds an attribute that is a text, as those of a rule's dead letters are (`ERROR_CODE`).
    pub fn attribute(mut self, name: &str, text: &str) -> Self {
        let value = json!({ "DataType": "String", "StringValue": text });
        self.attributes.insert(name.to_owned(), value);
        self
    }

    /// Sets `AWSTraceHeader`.
    pub fn trace(mut self, header: &str) -> Self {
        self.trace = Some(header.to_owned());
        self
    }

    /// Puts it in a group of a FIFO queue.
    pub fn group(mut self, group: &str) -> Self {
        self.group = Some(group.to_owned());
        self
    }

    /// Sets the id by which a FIFO queue knows repeats; without one it is made from the body.
    pub fn deduplicated_by(mut self, id: &str) -> Self {
        self.deduplication = Some(id.to_owned());
        self
    }
}

impl From<&str> for StubMessage {
    fn from(body: &str) -> Self {
        Self::new(body)
    }
}

impl From<String> for StubMessage {
    fn from(body: String) -> Self {
        Self::new(body)
    }
}

/// A new id as AWS gives them.
pub fn new_uuid() -> String {
    let mut bytes = [0; 16];
    SystemEntropy.fill(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

/// The digest that SDKs may check of a body.
pub fn md5_of(body: &[u8]) -> String {
    hex(&Md5::digest(body))
}

/// A digest as SQS writes it.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// The digest that SDKs may check of attributes: name, type and value of each in the order of their
/// names, each after its length, the value after a byte for its kind.
pub fn md5_of_attributes<'a>(
    attributes: impl IntoIterator<Item = (&'a String, &'a Value)>,
) -> String {
    let mut bytes = Vec::new();
    let mut push = |part: &[u8], kind: Option<u8>| {
        bytes.extend(kind);
        bytes.extend(u32::try_from(part.len()).unwrap().to_be_bytes());
        bytes.extend(part);
    };
    for (name, value) in attributes {
        push(name.as_bytes(), None);
        push(value["DataType"].as_str().unwrap_or_default().as_bytes(), None);
        match (value["StringValue"].as_str(), value["BinaryValue"].as_str()) {
            (Some(text), _) => push(text.as_bytes(), Some(1)),
            (None, binary) => push(&decoded(binary.unwrap_or_default()), Some(2)),
        }
    }
    md5_of(&bytes)
}

fn decoded(base64: &str) -> Vec<u8> {
    base64_simd::STANDARD.decode_to_vec(base64).unwrap()
}
