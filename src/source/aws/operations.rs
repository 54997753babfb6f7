//! The operations that store nothing: `DescribeEventBus`, `ListEventBuses`, `TestEventPattern`.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::event::json::{Limits, read};
use crate::route::{EventTree, MatchOutcome, Pattern};
use crate::source::Config;
use crate::source::aws::{AwsErrorKind, Refused};
use crate::source::config::is_bus_name;

/// Reads the JSON body of an operation. Unknown members are ignored, as AWS does.
///
/// # Errors
///
/// The caller's turn: the body is not that JSON. The message gives the place and repeats nothing.
pub(super) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| {
        // The library's words for a wrong type repeat the value, which is data.
        let problem = if error.is_data() {
            "a member is of the wrong type or repeated"
        } else if error.is_eof() {
            "the JSON is cut short"
        } else {
            "this is not JSON in UTF-8"
        };
        let message = format!(
            "The request body cannot be read: {problem} at line {}, column {}.",
            error.line(),
            error.column()
        );
        Refused::new(AwsErrorKind::Serialization, message)
    })
}

/// The embedded buses, by name and ARN.
pub(super) struct Buses {
    names: Vec<String>,
    region: String,
    account: String,
}

impl Buses {
    pub(super) fn new(config: &Config) -> Self {
        let mut names = config.buses.clone();
        names.sort();
        names.dedup();
        Self { names, region: config.region.clone(), account: config.account.clone() }
    }

    /// Whether a text can name a bus in `PutEvents`, known or not.
    pub(super) fn is_name_or_arn(text: &str) -> bool {
        Arn::read(text).map_or_else(|| is_bus_name(text), |arn| arn.is_valid())
    }

    /// Whether a name, or an ARN in our account and region, is that of a bus.
    pub(super) fn has(&self, name_or_arn: &str) -> bool {
        self.find(name_or_arn).is_some()
    }

    fn find(&self, name_or_arn: &str) -> Option<&str> {
        let name = match Arn::read(name_or_arn) {
            Some(arn) if arn.account == self.account && arn.region == self.region => arn.bus,
            Some(_) => return None,
            None => name_or_arn,
        };
        self.names.iter().map(String::as_str).find(|bus| *bus == name)
    }

    fn describe(&self, name: &str) -> Value {
        let arn = format!("arn:aws:events:{}:{}:event-bus/{name}", self.region, self.account);
        json!({ "Name": name, "Arn": arn })
    }
}

/// `arn:<partition>:events:<region>:<account>:event-bus/<bus>`.
struct Arn<'a> {
    partition: &'a str,
    region: &'a str,
    account: &'a str,
    bus: &'a str,
}

impl<'a> Arn<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let ["arn", partition, "events", region, account, resource] = parts.as_slice() else {
            return None;
        };
        let bus = resource.strip_prefix("event-bus/")?;
        Some(Self { partition, region, account, bus })
    }

    fn is_valid(&self) -> bool {
        let word = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        };
        self.partition.starts_with("aws")
            && word(self.partition)
            && word(self.region)
            && self.account.len() == 12
            && self.account.bytes().all(|b| b.is_ascii_digit())
            && is_bus_name(self.bus)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DescribeEventBus {
    name: Option<String>,
}

/// Answers `DescribeEventBus`.
pub(super) fn describe_event_bus(body: &[u8], buses: &Buses) -> Result<String, Refused> {
    let request: DescribeEventBus = parse(body)?;
    let asked = request.name.as_deref().unwrap_or("default");
    let name = buses.find(asked).ok_or_else(|| {
        Refused::new(AwsErrorKind::ResourceNotFound, format!("Event bus {asked} does not exist."))
    })?;
    Ok(buses.describe(name).to_string())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListEventBuses {
    name_prefix: Option<String>,
    next_token: Option<String>,
    limit: Option<usize>,
}

/// Answers `ListEventBuses`; the token of the next page is the name that it starts with.
pub(super) fn list_event_buses(body: &[u8], buses: &Buses) -> Result<String, Refused> {
    const MOST: usize = 100;
    let request: ListEventBuses = parse(body)?;
    let limit = request.limit.unwrap_or(MOST);
    if !(1..=MOST).contains(&limit) {
        return Err(Refused::new(
            AwsErrorKind::Validation,
            format!(
                "1 validation error detected: Value '{limit}' at 'limit' failed to satisfy \
                 constraint: Member must have value between 1 and {MOST}"
            ),
        ));
    }
    let prefix = request.name_prefix.as_deref().unwrap_or_default();
    let start = request.next_token.as_deref().unwrap_or_default();
    let mut names =
        buses.names.iter().filter(|name| name.starts_with(prefix) && name.as_str() >= start);
    let page: Vec<Value> = names.by_ref().take(limit).map(|name| buses.describe(name)).collect();
    let mut answer = json!({ "EventBuses": page });
    if let (Some(next), Some(answer)) = (names.next(), answer.as_object_mut()) {
        answer.insert("NextToken".into(), next.as_str().into());
    }
    Ok(answer.to_string())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TestEventPattern {
    event: Option<String>,
    event_pattern: Option<String>,
}

/// Members that AWS asks of an event under test: its reference names `resources` too, and its answers
/// show that none is needed.
const MANDATORY: [&str; 6] = ["id", "account", "source", "time", "region", "detail-type"];
/// Its words for an event that lacks one, or is no JSON object.
const INVALID_EVENT: &str = "Parameter Event is not valid.";

/// The most steps that a test of a pattern may take: hundreds of times what a pattern takes of an
/// ordinary event.
const TEST_STEPS: u64 = 2_000_000;

/// Answers `TestEventPattern`.
///
/// It may be work for tens of milliseconds, and others must not wait for it.
pub(super) fn test_event_pattern(body: &[u8], limits: Limits) -> Result<String, Refused> {
    let request: TestEventPattern = parse(body)?;
    let take = |name: &str, value: Option<String>| {
        value.ok_or_else(|| {
            let message = format!(
                "1 validation error detected: Value at '{name}' failed to satisfy constraint: \
                 Member must not be null"
            );
            Refused::new(AwsErrorKind::Validation, message)
        })
    };
    let pattern = take("eventPattern", request.event_pattern)?;
    let event = take("event", request.event)?;
    let pattern = Pattern::priced(&pattern).map_err(|error| {
        // AWS's first line alone: SDKs and their tests compare it, and ours would only be longer.
        let reason = error.message.lines().next().unwrap_or_default();
        let message = format!("Event pattern is not valid. Reason: {reason}");
        Refused::new(AwsErrorKind::InvalidEventPattern, message)
    })?;
    let invalid = |message: String| Refused::new(AwsErrorKind::Validation, message);
    let tree = read(event.as_bytes(), limits).map_err(|error| {
        // What AWS refuses too has its words; where only the gateway is so strict, it says why.
        invalid(match serde_json::from_str::<IgnoredAny>(&event) {
            Ok(_) => format!("{INVALID_EVENT} Reason: {error}."),
            Err(_) => INVALID_EVENT.to_owned(),
        })
    })?;
    if MANDATORY.iter().any(|name| tree.get(name).is_none()) {
        return Err(invalid(INVALID_EVENT.to_owned()));
    }
    match pattern.decide(&EventTree::of(&tree), TEST_STEPS) {
        MatchOutcome::Undecided => Err(invalid(format!(
            "The event pattern is too complex for this event: to tell whether it matches takes more \
             than {TEST_STEPS} steps."
        ))),
        outcome => Ok(json!({ "Result": outcome == MatchOutcome::Matches }).to_string()),
    }
}
