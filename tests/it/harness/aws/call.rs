//! Calls as the stub sees them: who asks for what, and what it answered.

use std::sync::Arc;

use axum::http::HeaderMap;
use serde_json::{Map, Value};

use sealway::ambient::{Clock as _, SystemClock};
use sealway::event::Timestamp;

use crate::harness::aws::fault::Refusal;
use crate::harness::aws::message::StubMessage;

/// What somebody asks for.
#[derive(Clone, Debug)]
pub struct AwsRequest {
    /// `sqs`, `events` or `sts`.
    pub service: &'static str,
    /// For example `DeleteMessageBatch`.
    pub operation: String,
    /// The access key that signed.
    pub access_key: String,
    /// The session's token, of credentials that a role gave.
    pub session_token: Option<String>,
    /// The region of the signature.
    pub region: String,
    /// The ARN of the user or the role that calls; empty if nobody knows the key.
    pub principal: String,
    /// When it arrived.
    pub at: Timestamp,
    /// The request; of STS its parameters, all of them texts.
    pub body: Value,
    /// The messages that SQS is asked to change or delete, or has sent or received.
    pub messages: Vec<Arc<StubMessage>>,
}

/// What somebody asked for, and what was answered, in the order in which calls took effect.
#[derive(Clone, Debug)]
pub struct AwsCall {
    pub asked: AwsRequest,
    /// The status of the answer; 0 if the connection broke instead.
    pub status: u16,
    /// The answer, or the error with its `code` and `message`.
    pub answer: Value,
}

impl AwsRequest {
    /// Reads what does not depend on who calls.
    pub fn read(headers: &HeaderMap, body: &[u8]) -> Result<Self, Refusal> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let (service, operation, body) = match header("x-amz-target") {
            Some(target) => read_target(target, body)?,
            None => read_form(body)?,
        };
        let scope = header("authorization").and_then(|text| text.split_once("Credential="));
        let scope: Vec<&str> = scope.map(|(_, rest)| rest.split('/').collect()).unwrap_or_default();
        let [access_key, _date, region, ..] = scope.as_slice() else {
            let message = "The request must contain a valid AWS access key id";
            return Err(Refusal::new(400, "MissingAuthenticationTokenException", message));
        };
        Ok(Self {
            service,
            operation,
            access_key: (*access_key).to_owned(),
            session_token: header("x-amz-security-token").map(str::to_owned),
            region: (*region).to_owned(),
            principal: String::new(),
            at: SystemClock.now(),
            body,
            messages: Vec::new(),
        })
    }

    /// A text of the request.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.body[name].as_str()
    }
}

/// Which service speaks in JSON, by the prefix of its target.
fn read_target(target: &str, body: &[u8]) -> Result<(&'static str, String, Value), Refusal> {
    let unknown = || Refusal::new(400, "UnknownOperationException", target);
    let (prefix, operation) = target.split_once('.').ok_or_else(unknown)?;
    let service = match prefix {
        "AmazonSQS" => "sqs",
        "AWSEvents" => "events",
        _ => return Err(unknown()),
    };
    let body = serde_json::from_slice(body)
        .map_err(|error| Refusal::new(400, "SerializationException", error.to_string()))?;
    Ok((service, operation.to_owned(), body))
}

/// STS speaks in forms.
fn read_form(body: &[u8]) -> Result<(&'static str, String, Value), Refusal> {
    let mut parameters: Map<String, Value> = url::form_urlencoded::parse(body)
        .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
        .collect();
    match parameters.remove("Action") {
        Some(Value::String(action)) => Ok(("sts", action, Value::Object(parameters))),
        _ => Err(Refusal::new(400, "MissingAction", "neither a target nor an action")),
    }
}
