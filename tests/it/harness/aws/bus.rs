//! Event buses as EventBridge has them: who may put what, and what was put.

use serde_json::{Value, json};

use crate::harness::aws::call::AwsRequest;
use crate::harness::aws::fault::{AwsFault, Refusal};
use crate::harness::aws::message::new_uuid;
use crate::harness::aws::state::{State, account_of};

/// The most that the entries of one call hold together.
const MOST_BYTES: usize = 1024 * 1024;

/// The state of one bus.
#[derive(Default)]
pub struct Bus {
    /// Principals of other accounts that may put events.
    pub allowed: Vec<String>,
    /// What was put, in order.
    pub entries: Vec<StubEntry>,
}

/// An event on a bus.
#[derive(Clone, Debug)]
pub struct StubEntry {
    pub event_id: String,
    pub source: String,
    pub detail_type: String,
    pub detail: Value,
    pub resources: Vec<String>,
    /// Seconds since 1970, as they were sent.
    pub time: Option<f64>,
    pub trace_header: Option<String>,
    /// The ARN of the user or role that put it.
    pub principal: String,
}

/// Does one operation.
pub fn carry_out(
    state: &mut State,
    request: &AwsRequest,
    fault: Option<&AwsFault>,
) -> Result<Value, Refusal> {
    match request.operation.as_str() {
        "PutEvents" => put_events(state, request, fault),
        "DescribeEventBus" => describe(state, request),
        other => Err(Refusal::new(400, "UnknownOperationException", other)),
    }
}

/// The ARN of a bus that a request names by ARN or by name, `default` if by nothing.
fn bus_arn(request: &AwsRequest, named: Option<&str>) -> String {
    let name = named.unwrap_or("default");
    if name.starts_with("arn:") {
        return name.to_owned();
    }
    let account = account_of(&request.principal);
    format!("arn:aws:events:{}:{account}:event-bus/{name}", request.region)
}

fn describe(state: &State, request: &AwsRequest) -> Result<Value, Refusal> {
    let arn = bus_arn(request, request.text("Name"));
    let name = arn.rsplit('/').next().unwrap_or_default();
    let Some(bus) = state.buses.get(&arn) else {
        let message = format!("Event bus {name} does not exist.");
        return Err(Refusal::new(400, "ResourceNotFoundException", message));
    };
    let statement = json!({
        "Effect": "Allow", "Action": "events:PutEvents", "Resource": arn,
        "Principal": { "AWS": bus.allowed },
    });
    let policy = json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string();
    let policy = (!bus.allowed.is_empty()).then_some(policy);
    Ok(json!({ "Name": name, "Arn": arn, "Policy": policy }))
}

fn put_events(
    state: &mut State,
    request: &AwsRequest,
    fault: Option<&AwsFault>,
) -> Result<Value, Refusal> {
    let entries = request.body["Entries"].as_array().map(Vec::as_slice).unwrap_or_default();
    check_limits(entries)?;
    entries.iter().try_for_each(|entry| check_policy(state, request, entry))?;
    let mut failed = 0;
    let mut answers = Vec::new();
    for (place, entry) in entries.iter().enumerate() {
        let scripted = fault.and_then(|fault| fault.of_entry(place));
        let put = match scripted {
            Some(code) => Err((code.to_owned(), "scripted".to_owned())),
            None => put_entry(state, request, entry),
        };
        answers.push(put.map_or_else(
            |(code, message)| {
                failed += 1;
                json!({ "ErrorCode": code, "ErrorMessage": message })
            },
            |event_id| json!({ "EventId": event_id }),
        ));
    }
    Ok(json!({ "FailedEntryCount": failed, "Entries": answers }))
}

/// A bus lets its own account in, and whom its policy names. That it may not exist says nobody.
fn check_policy(state: &State, request: &AwsRequest, entry: &Value) -> Result<(), Refusal> {
    let arn = bus_arn(request, entry["EventBusName"].as_str());
    let who = &request.principal;
    let lets_in = |bus: &Bus| account_of(&arn) == account_of(who) || bus.allowed.contains(who);
    if state.buses.get(&arn).is_none_or(lets_in) {
        return Ok(());
    }
    let message = format!(
        "User: {who} is not authorized to perform: events:PutEvents on resource: {arn} because no \
         resource-based policy allows the events:PutEvents action"
    );
    Err(Refusal::new(400, "AccessDeniedException", message))
}

/// Keeps one entry and gives its id. AWS accepts what is for an unknown bus, and drops it.
fn put_entry(
    state: &mut State,
    request: &AwsRequest,
    entry: &Value,
) -> Result<String, (String, String)> {
    let arn = bus_arn(request, entry["EventBusName"].as_str());
    let entry = read_entry(entry, request)?;
    let id = entry.event_id.clone();
    if let Some(bus) = state.buses.get_mut(&arn) {
        bus.entries.push(entry);
    }
    Ok(id)
}

fn check_limits(entries: &[Value]) -> Result<(), Refusal> {
    let invalid = |message: &str| Err(Refusal::new(400, "ValidationException", message));
    if entries.is_empty() || entries.len() > 10 {
        let bound = if entries.is_empty() {
            "greater than or equal to 1"
        } else {
            "less than or equal to 10"
        };
        let message = format!(
            "1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must \
             have length {bound}"
        );
        return invalid(&message);
    }
    let too_long = |name: &str, most: usize| {
        entries.iter().any(|entry| entry[name].as_str().is_some_and(|it| it.chars().count() > most))
    };
    if too_long("DetailType", 128) || too_long("TraceHeader", 500) {
        return invalid("1 validation error detected: Member must have a shorter length");
    }
    if entries.iter().map(size_of_entry).sum::<usize>() > MOST_BYTES {
        return invalid("Total size of the entries in the request is over the limit.");
    }
    Ok(())
}

/// The bytes of an entry as AWS counts them.
pub fn size_of_entry(entry: &Value) -> usize {
    let time = if entry["Time"].is_null() { 0 } else { 14 };
    let length = |value: &Value| value.as_str().map_or(0, str::len);
    let texts = ["Source", "DetailType", "Detail"].map(|name| length(&entry[name]));
    let resources = entry["Resources"].as_array().into_iter().flatten().map(length);
    time + texts.iter().sum::<usize>() + resources.sum::<usize>()
}

fn read_entry(entry: &Value, request: &AwsRequest) -> Result<StubEntry, (String, String)> {
    let text = |name: &str| entry[name].as_str().filter(|text| !text.is_empty());
    let required = |name: &str| {
        text(name).ok_or_else(|| {
            let message =
                format!("Parameter {name} is not valid. Reason: {name} is a required argument.");
            ("InvalidArgument".to_owned(), message)
        })
    };
    let (source, detail_type) = (required("Source")?, required("DetailType")?);
    let detail: Option<Value> = serde_json::from_str(required("Detail")?).ok();
    let malformed = || ("MalformedDetail".to_owned(), "Detail is malformed.".to_owned());
    let detail = detail.filter(Value::is_object).ok_or_else(malformed)?;
    if source.starts_with("aws.") {
        let message = "Not authorized for the source.".to_owned();
        return Err(("NotAuthorizedForSourceException".to_owned(), message));
    }
    let resources = entry["Resources"].as_array().into_iter().flatten();
    Ok(StubEntry {
        event_id: new_uuid(),
        source: source.to_owned(),
        detail_type: detail_type.to_owned(),
        detail,
        resources: resources.filter_map(Value::as_str).map(str::to_owned).collect(),
        time: entry["Time"].as_f64(),
        trace_header: text("TraceHeader").map(str::to_owned),
        principal: request.principal.clone(),
    })
}
