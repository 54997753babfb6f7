//! The operations of SQS, in its JSON protocol.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use sealway::ambient::{Clock as _, SystemClock};

use crate::harness::aws::call::AwsRequest;
use crate::harness::aws::fault::{AwsFault, Refusal};
use crate::harness::aws::message::{StubMessage, md5_of, md5_of_attributes};
use crate::harness::aws::queue::{Delivery, Queue};
use crate::harness::aws::state::{State, account_of};

/// The most that a message, and all of a batch, may hold.
const MOST_BYTES: usize = 1024 * 1024;

/// An answer, and the messages that it is about.
pub type Done = (Value, Vec<Arc<StubMessage>>);

/// The messages that a request is about to change or delete, found by their handles.
pub fn messages_named(state: &mut State, request: &AwsRequest) -> Vec<Arc<StubMessage>> {
    let entries = request.body["Entries"].as_array().map(Vec::as_slice).unwrap_or_default();
    let handles = entries.iter().chain([&request.body]).map(|entry| &entry["ReceiptHandle"]);
    let Ok(queue) = state.queue_at(request) else { return Vec::new() };
    handles.filter_map(Value::as_str).filter_map(|handle| queue.named_by(handle)).collect()
}

/// Does one operation; all but receiving, which may wait.
pub fn carry_out(
    state: &mut State,
    request: &AwsRequest,
    fault: Option<&AwsFault>,
) -> Result<Done, Refusal> {
    let queue = match request.operation.as_str() {
        "GetQueueUrl" => return Ok((queue_url(state, request)?, Vec::new())),
        _ => state.queue_at(request)?,
    };
    let (body, now) = (&request.body, Instant::now());
    match request.operation.as_str() {
        "SendMessage" => {
            let (answer, message) = send(queue, body)?;
            Ok((answer, vec![message]))
        }
        "SendMessageBatch" => {
            let mut sent = Vec::new();
            let answer = each(request, fault, |entry| {
                let (answer, message) = send(queue, entry)?;
                sent.push(message);
                Ok(answer)
            })?;
            Ok((answer, sent))
        }
        "DeleteMessage" => Ok((one(queue.delete(handle(body), now))?, request.messages.clone())),
        "DeleteMessageBatch" => {
            let answer = each(request, fault, |entry| one(queue.delete(handle(entry), now)))?;
            Ok((answer, request.messages.clone()))
        }
        "ChangeMessageVisibility" => Ok((change(queue, body, now)?, request.messages.clone())),
        "ChangeMessageVisibilityBatch" => {
            let answer = each(request, fault, |entry| change(queue, entry, now))?;
            Ok((answer, request.messages.clone()))
        }
        "GetQueueAttributes" => Ok((attributes(queue, body), Vec::new())),
        other => Err(Refusal::new(400, "UnknownOperationException", other)),
    }
}

/// One look for messages; nothing if there are none yet.
pub fn try_to_receive(state: &mut State, request: &AwsRequest) -> Result<Option<Done>, Refusal> {
    let number =
        |name, least, most, otherwise| number(&request.body, name, (least, most), otherwise);
    let queue = state.queue_at(request)?;
    let most = number("MaxNumberOfMessages", 1, 10, 1)?;
    let asked = number("VisibilityTimeout", 0, 43_200, 0)?;
    let is_asked = !request.body["VisibilityTimeout"].is_null();
    let visibility = if is_asked { Duration::from_secs(asked) } else { queue.visibility };
    let now = (Instant::now(), SystemClock.now());
    let mut batch = queue.receive(usize::try_from(most).unwrap(), visibility, now);
    let arn = queue.arn.clone();
    state.redrive(&arn, &mut batch, now.0);
    if batch.deliveries.is_empty() {
        return Ok(None);
    }
    let messages =
        batch.deliveries.iter().map(|it| received(it, &request.body)).collect::<Vec<_>>();
    let handed = batch.deliveries.into_iter().map(|it| it.message).collect();
    Ok(Some((json!({ "Messages": messages }), handed)))
}

/// How long a request to receive waits.
pub fn wait_of(request: &AwsRequest) -> Result<Duration, Refusal> {
    number(&request.body, "WaitTimeSeconds", (0, 20), 0).map(Duration::from_secs)
}

fn number(body: &Value, name: &str, range: (u64, u64), otherwise: u64) -> Result<u64, Refusal> {
    let value = &body[name];
    if value.is_null() {
        return Ok(otherwise);
    }
    let (least, most) = range;
    let inside = value.as_u64().filter(|value| (least..=most).contains(value));
    inside.ok_or_else(|| {
        let reason = format!("Must be between {least} and {most}, if provided.");
        Refusal::parameter(&value.to_string(), name, &reason)
    })
}

fn handle(entry: &Value) -> &str {
    entry["ReceiptHandle"].as_str().unwrap_or_default()
}

fn one(done: Result<(), Refusal>) -> Result<Value, Refusal> {
    done.map(|()| json!({}))
}

fn change(queue: &mut Queue, entry: &Value, now: Instant) -> Result<Value, Refusal> {
    let visibility = number(entry, "VisibilityTimeout", (0, 43_200), 0)?;
    one(queue.change_visibility(handle(entry), Duration::from_secs(visibility), now))
}

/// Does each entry of a batch, but those that the fault says.
fn each(
    request: &AwsRequest,
    fault: Option<&AwsFault>,
    mut act: impl FnMut(&Value) -> Result<Value, Refusal>,
) -> Result<Value, Refusal> {
    let entries = request.body["Entries"].as_array().map(Vec::as_slice).unwrap_or_default();
    check_batch(entries)?;
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for (place, entry) in entries.iter().enumerate() {
        let scripted = fault.and_then(|fault| fault.of_entry(place));
        let done = match scripted {
            Some(code) => Err(Refusal::new(500, code, "scripted")),
            None => act(entry),
        };
        match done {
            Ok(mut answer) => {
                answer["Id"] = entry["Id"].clone();
                successful.push(answer);
            }
            Err(refusal) => failed.push(json!({
                "Id": entry["Id"], "SenderFault": refusal.status < 500,
                "Code": refusal.code, "Message": refusal.message,
            })),
        }
    }
    Ok(json!({ "Successful": successful, "Failed": failed }))
}

fn check_batch(entries: &[Value]) -> Result<(), Refusal> {
    let refuse = |name: &str, message: &str| {
        Err(Refusal::new(400, &format!("AWS.SimpleQueueService.{name}"), message))
    };
    let ids: HashSet<&str> = entries.iter().filter_map(|entry| entry["Id"].as_str()).collect();
    let sizes = entries.iter().filter_map(|entry| entry["MessageBody"].as_str()).map(str::len);
    match entries.len() {
        0 => refuse("EmptyBatchRequest", "There should be at least one entry in the request."),
        11.. => {
            refuse("TooManyEntriesInBatchRequest", "Maximum number of entries per request are 10.")
        }
        count if ids.len() < count => refuse("BatchEntryIdsNotDistinct", "Id is repeated."),
        _ if sizes.sum::<usize>() > MOST_BYTES => {
            refuse("BatchRequestTooLong", "Batch requests cannot be longer than 1048576 bytes.")
        }
        _ => Ok(()),
    }
}

fn send(queue: &mut Queue, entry: &Value) -> Result<(Value, Arc<StubMessage>), Refusal> {
    let text = |name: &str| entry[name].as_str().map(str::to_owned);
    let body = text("MessageBody").filter(|body| !body.is_empty()).ok_or_else(|| {
        let message = "The request must contain the parameter MessageBody.";
        Refusal::new(400, "MissingParameter", message)
    })?;
    if body.len() > MOST_BYTES {
        let message = "One or more parameters are invalid. Reason: Message must be shorter than \
                       1048576 bytes.";
        return Err(Refusal::new(400, "InvalidParameterValue", message));
    }
    if queue.is_fifo() && text("MessageGroupId").is_none() {
        let message = "The request must contain the parameter MessageGroupId.";
        return Err(Refusal::new(400, "MissingParameter", message));
    }
    let mut message = StubMessage::new(body);
    message.group = text("MessageGroupId");
    message.deduplication = text("MessageDeduplicationId");
    let system = &entry["MessageSystemAttributes"]["AWSTraceHeader"]["StringValue"];
    message.trace = system.as_str().map(str::to_owned);
    let attributes = entry["MessageAttributes"].as_object().into_iter().flatten();
    message.attributes = attributes.map(|(name, value)| (name.clone(), value.clone())).collect();
    let delay = number(entry, "DelaySeconds", (0, 900), 0)?;
    let receipt = queue.send(message, Duration::from_secs(delay), Instant::now());
    let message = receipt.message;
    let sequence = queue.is_fifo().then(|| format!("{:020}", receipt.number));
    let answer = json!({
        "MessageId": message.id,
        "MD5OfMessageBody": md5_of(message.body.as_bytes()),
        "MD5OfMessageAttributes": md5_of_some(message.attributes.iter()),
        "SequenceNumber": sequence,
    });
    Ok((answer, message))
}

fn received(delivery: &Delivery, asked: &Value) -> Value {
    let message = &delivery.message;
    let wanted = |names: &[&str], name: &str| {
        let names = names.iter().flat_map(|list| asked[*list].as_array().into_iter().flatten());
        names.filter_map(Value::as_str).any(|wanted| {
            let prefix = wanted.strip_suffix(".*").or_else(|| (wanted == ".*").then_some(""));
            wanted == "All" || wanted == name || prefix.is_some_and(|it| name.starts_with(it))
        })
    };
    let system = system_attributes(delivery).into_iter();
    let system: Map<_, _> = system
        .filter(|(name, _)| wanted(&["AttributeNames", "MessageSystemAttributeNames"], name))
        .filter_map(|(name, value)| Some((name.to_owned(), Value::String(value?))))
        .collect();
    let custom = message.attributes.iter();
    let custom: BTreeMap<_, _> =
        custom.filter(|(name, _)| wanted(&["MessageAttributeNames"], name)).collect();
    let mut answer = json!({
        "MessageId": message.id,
        "ReceiptHandle": delivery.handle,
        "MD5OfBody": md5_of(message.body.as_bytes()),
        "Body": message.body,
    });
    if !system.is_empty() {
        answer["Attributes"] = Value::Object(system);
    }
    if !custom.is_empty() {
        answer["MD5OfMessageAttributes"] = json!(md5_of_attributes(custom.clone()));
        answer["MessageAttributes"] = json!(custom);
    }
    answer
}

fn system_attributes(delivery: &Delivery) -> [(&'static str, Option<String>); 9] {
    let message = &delivery.message;
    let is_fifo = delivery.handle.contains(".fifo/");
    [
        ("SenderId", Some("AIDASTUB".to_owned())),
        ("SentTimestamp", Some(message.sent_at.unix_ms().to_string())),
        ("ApproximateReceiveCount", Some(delivery.receives.to_string())),
        ("ApproximateFirstReceiveTimestamp", Some(delivery.first_received.unix_ms().to_string())),
        ("MessageGroupId", message.group.clone()),
        ("MessageDeduplicationId", message.deduplication.clone()),
        ("SequenceNumber", is_fifo.then(|| format!("{:020}", delivery.number))),
        ("AWSTraceHeader", message.trace.clone()),
        ("DeadLetterQueueSourceArn", message.source_queue.clone()),
    ]
}

fn md5_of_some<'a>(
    attributes: impl ExactSizeIterator<Item = (&'a String, &'a Value)>,
) -> Option<String> {
    (attributes.len() > 0).then(|| md5_of_attributes(attributes))
}

fn queue_url(state: &mut State, request: &AwsRequest) -> Result<Value, Refusal> {
    let name = request.text("QueueName").unwrap_or_default();
    let own = account_of(&request.principal);
    let account = request.text("QueueOwnerAWSAccountId").unwrap_or(own);
    state.queue_named(&request.region, account, name)?;
    Ok(json!({ "QueueUrl": format!("{}/{account}/{name}", state.url) }))
}

fn attributes(queue: &mut Queue, asked: &Value) -> Value {
    let counts = queue.counts(Instant::now());
    let redrive = queue.redrive.as_ref().map(|(to, after)| {
        json!({ "deadLetterTargetArn": to, "maxReceiveCount": after }).to_string()
    });
    let fifo = queue.is_fifo().then(|| "true".to_owned());
    let all = [
        ("QueueArn", Some(queue.arn.clone())),
        ("ApproximateNumberOfMessages", Some(counts.visible.to_string())),
        ("ApproximateNumberOfMessagesNotVisible", Some(counts.in_flight.to_string())),
        ("ApproximateNumberOfMessagesDelayed", Some(counts.delayed.to_string())),
        ("VisibilityTimeout", Some(queue.visibility.as_secs().to_string())),
        ("MaximumMessageSize", Some(MOST_BYTES.to_string())),
        ("MessageRetentionPeriod", Some("345600".to_owned())),
        ("ReceiveMessageWaitTimeSeconds", Some("0".to_owned())),
        ("RedrivePolicy", redrive),
        ("FifoQueue", fifo.clone()),
        ("ContentBasedDeduplication", fifo),
    ];
    let names: Vec<&str> = asked["AttributeNames"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let wanted = |name: &str| names.contains(&"All") || names.contains(&name);
    let found = all.into_iter().filter(|(name, _)| wanted(name));
    let found = found.filter_map(|(name, value)| Some((name.to_owned(), Value::String(value?))));
    json!({ "Attributes": found.collect::<Map<_, _>>() })
}
