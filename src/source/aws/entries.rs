//! Reads and checks the entries of `PutEvents`, in the order and the words of AWS.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::event::{EventTime, EventTimeError, SentDigest, Timestamp, TraceContext, json};
use crate::source::aws::answer::EntryResult;
use crate::source::aws::entry_time::read_time;
use crate::source::aws::operations::{Buses, parse};
use crate::source::aws::unreadable::{EntryFault, UnreadableEntry, wrong_member};
use crate::source::aws::{AwsErrorKind, Identity, Refused};
use crate::source::received::is_own_source;
use crate::source::{Config, Envelope, Received, UnknownBus};

const MAX_ENTRIES: usize = 10;
const MAX_DETAIL_TYPE: usize = 128;
const MAX_TRACE_HEADER: usize = 500;
/// What a `Time` counts for, whatever it is.
const TIME_SIZE: usize = 14;

/// An entry that passed every check which needs no contract.
pub(super) struct PutEntry {
    pub source: String,
    pub detail_type: String,
    pub detail: Map<String, Value>,
    pub resources: Vec<String>,
    pub time: Option<EventTime>,
    pub trace: Option<TraceContext>,
}

impl PutEntry {
    /// Puts the entry into the envelope that rules and targets of AWS would see.
    pub(super) fn into_received(
        self,
        (id, repeatable): (String, bool),
        header_trace: Option<TraceContext>,
        (config, now): (&Config, Timestamp),
    ) -> Received {
        Received {
            envelope: Envelope {
                id,
                source: self.source,
                detail_type: self.detail_type,
                time: self.time.unwrap_or_else(|| now.into()),
                account: Some(config.account.clone()),
                region: Some(config.region.clone()),
                replay_name: None,
                resources: self.resources,
                detail: Value::Object(self.detail),
            },
            repeatable,
            traceparent: self.trace.or(header_trace).map(|trace| trace.to_string()),
        }
    }
}

/// What is to be done with an entry.
pub(super) enum Checked {
    /// Offer it to the gateway.
    Take(Box<PutEntry>),
    /// Answer an event id and forget it: its bus does not exist, and the settings say so.
    Drop,
    /// Answer why it is wrong.
    Fail(EntryResult),
    /// No event can be made of it.
    Unreadable(UnreadableEntry),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutEvents<'a> {
    #[serde(borrow, default, deserialize_with = "a_few")]
    entries: Option<Vec<&'a RawValue>>,
    endpoint_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Raw<'a> {
    source: Option<String>,
    detail_type: Option<String>,
    detail: Option<String>,
    event_bus_name: Option<String>,
    resources: Option<Vec<String>>,
    // Kept as text, because SDKs send more digits than binary64 carries.
    #[serde(borrow)]
    time: Option<&'a RawValue>,
    trace_header: Option<String>,
}

/// Reads the body of `PutEvents` and checks every entry.
///
/// # Errors
///
/// The caller's turn: the request as a whole breaks a constraint, so no entry was looked at.
pub(super) fn read(
    body: &[u8],
    identity: &Identity,
    buses: &Buses,
    config: &Config,
) -> Result<Vec<Checked>, Refused> {
    let request: PutEvents<'_> = parse(body)?;
    if request.endpoint_id.is_some() {
        return Err(Refused::new(
            AwsErrorKind::Validation,
            "Parameter EndpointId is not valid. Reason: this gateway has no global endpoints; \
             leave EndpointId out.",
        ));
    }
    let texts = request.entries.unwrap_or_default();
    let entries = texts.iter().enumerate().map(read_entry).collect::<Result<Vec<_>, _>>()?;
    check_constraints(&entries)?;
    let time = |entry: &Result<Raw<'_>, EntryResult>| entry.as_ref().map_or(Ok(None), Raw::time);
    let times = entries.iter().map(time).collect::<Result<Vec<_>, _>>()?;
    if entries.iter().flatten().map(Raw::size).sum::<usize>() >= config.max_entries.bytes() {
        return Err(Refused::new(
            AwsErrorKind::Validation,
            "Total size of the entries in the request is over the limit.",
        ));
    }
    let check = |((entry, time), text): ((Result<Raw<'_>, EntryResult>, _), &&RawValue)| {
        let entry = entry.map_err(EntryFault::from);
        entry
            .and_then(|raw| check_entry(raw, time, identity, buses, config))
            .unwrap_or_else(|fault| Checked::Unreadable(fault.of(text.get())))
    };
    Ok(entries.into_iter().zip(times).zip(&texts).map(check).collect())
}

/// The digest of each entry of `PutEvents`: of its JSON object, from the first character to the last.
pub(super) fn sent_digests(body: &[u8]) -> Vec<SentDigest> {
    let entries = parse::<PutEvents<'_>>(body).ok().and_then(|request| request.entries);
    let of = |entry: &RawValue| SentDigest::of(entry.get().as_bytes());
    entries.unwrap_or_default().into_iter().map(of).collect()
}

/// Reads one entry by itself. One that repeats a member or holds half a surrogate pair, which AWS
/// lets pass, fails alone.
///
/// # Errors
///
/// The caller's turn: a member is of the wrong type. AWS refuses the whole request for that.
fn read_entry<'a>(
    (at, text): (usize, &&'a RawValue),
) -> Result<Result<Raw<'a>, EntryResult>, Refused> {
    let wrong_type = || {
        let problem = wrong_member(text.get(), at + 1);
        let message = format!("The request body cannot be read: {problem}.");
        Err(Refused::new(AwsErrorKind::Serialization, message))
    };
    // The library would take a list for the members in their order.
    if !text.get().starts_with('{') {
        return wrong_type();
    }
    let error = match serde_json::from_str(text.get()) {
        Ok(raw) => return Ok(Ok(raw)),
        Err(error) => error,
    };
    // The library has one kind of error for both; its text is fixed where it begins so.
    if error.is_data() && !error.to_string().starts_with("duplicate field") {
        return wrong_type();
    }
    let problem = if error.is_data() { "a member is repeated" } else { "a text is not Unicode" };
    let message = format!("The entry cannot be read: {problem}, at column {}.", error.column());
    Ok(Err(EntryResult::failed("InvalidArgument", message)))
}

/// Reads entries up to one more than are allowed, which is enough to refuse them, and passes over
/// the rest: a request of tiny entries would take many times its own size.
fn a_few<'de: 'a, 'a, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Vec<&'a RawValue>>, D::Error> {
    from.deserialize_option(Few)
}

struct Few;

impl<'de> Visitor<'de> for Few {
    type Value = Option<Vec<&'de RawValue>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of entries")
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_seq(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while entries.len() <= MAX_ENTRIES
            && let Some(entry) = items.next_element()?
        {
            entries.push(entry);
        }
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Some(entries))
    }
}

/// Collects what breaks the constraints of the API model, which AWS reports before all else.
fn check_constraints(entries: &[Result<Raw<'_>, EntryResult>]) -> Result<(), Refused> {
    let mut errors = Vec::new();
    let mut violated = |what: String, rule: &str| {
        errors.push(format!("Value{what} failed to satisfy constraint: Member must {rule}"));
    };
    if entries.is_empty() {
        violated(" '[]' at 'entries'".into(), "have length greater than or equal to 1");
    }
    if entries.len() > MAX_ENTRIES {
        let rule = "have length less than or equal to 10";
        violated(" '[...]' at 'entries'".into(), rule);
    }
    for (at, entry) in entries.iter().enumerate() {
        let Ok(entry) = entry else { continue };
        let mut member = |name, rule: &str| {
            violated(format!(" at 'entries.{}.member.{name}'", at + 1), rule);
        };
        if characters(entry.detail_type.as_ref()) > MAX_DETAIL_TYPE {
            member("detailType", "have length less than or equal to 128");
        }
        if characters(entry.trace_header.as_ref()) > MAX_TRACE_HEADER {
            member("traceHeader", "have length less than or equal to 500");
        }
        if entry.event_bus_name.as_deref().is_some_and(|bus| !Buses::is_name_or_arn(bus)) {
            let pattern = r"satisfy regular expression pattern: (arn:aws[\w-]*:events:[a-z]+-[a-z]+-[\w-]+:[0-9]{12}:event-bus\/)?[\.\-_A-Za-z0-9]+";
            member("eventBusName", pattern);
        }
    }
    if errors.is_empty() {
        return Ok(());
    }
    let plural = if errors.len() == 1 { "" } else { "s" };
    let message =
        format!("{} validation error{plural} detected: {}", errors.len(), errors.join("; "));
    Err(Refused::new(AwsErrorKind::Validation, message))
}

fn characters(text: Option<&String>) -> usize {
    text.map_or(0, |text| text.chars().count())
}

/// Checks one entry by itself; an error if no event can be made of it.
fn check_entry(
    raw: Raw<'_>,
    time: Option<Result<EventTime, EventTimeError>>,
    identity: &Identity,
    buses: &Buses,
    config: &Config,
) -> Result<Checked, EntryFault> {
    let (source, detail_type, detail) = raw.required()?;
    let time = time.transpose().map_err(wrong_time)?;
    let detail = read_detail(&detail, config.json_limits())?;
    // AWS keeps this prefix for itself, and its SDKs' users count on that; so does the gateway with
    // its own name.
    if source.starts_with("aws.") || is_own_source(&source) || !identity.may_publish_as(&source) {
        let message = "Not authorized for the source.";
        return Ok(Checked::Fail(EntryResult::failed("NotAuthorizedForSourceException", message)));
    }
    let bus = raw.event_bus_name.as_deref().unwrap_or("default");
    if !buses.has(bus) {
        return Ok(match config.unknown_bus {
            UnknownBus::Drop => Checked::Drop,
            UnknownBus::Refuse => Checked::Fail(EntryResult::failed(
                "ResourceNotFoundException",
                format!("Event bus {bus} does not exist."),
            )),
        });
    }
    let trace = raw.trace_header.and_then(|header| TraceContext::from_aws(&header).ok());
    let resources = raw.resources.unwrap_or_default();
    Ok(Checked::Take(Box::new(PutEntry { source, detail_type, detail, resources, time, trace })))
}

impl Raw<'_> {
    /// Takes the three arguments that must be there, in the order in which AWS asks for them.
    fn required(&self) -> Result<(String, String, String), EntryResult> {
        let take = |name: &str, value: &Option<String>| {
            value.clone().filter(|value| !value.is_empty()).ok_or_else(|| {
                let message = format!(
                    "Parameter {name} is not valid. Reason: {name} is a required argument."
                );
                EntryResult::failed("InvalidArgument", message)
            })
        };
        Ok((
            take("Source", &self.source)?,
            take("DetailType", &self.detail_type)?,
            take("Detail", &self.detail)?,
        ))
    }

    /// What the entry counts for, by the formula of the AWS user guide.
    fn size(&self) -> usize {
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let time = if self.time.is_some() { TIME_SIZE } else { 0 };
        let resources = self.resources.iter().flatten().map(String::len).sum::<usize>();
        time + length(&self.source) + length(&self.detail_type) + length(&self.detail) + resources
    }

    /// Reads the time; one that AWS cannot read either costs the request, another its own entry.
    fn time(&self) -> Result<Option<Result<EventTime, EventTimeError>>, Refused> {
        let refuse = || {
            let message = "Time is not valid: expected a number of seconds since 1970 or an \
                           RFC 3339 text, of the years 0000 to 9999.";
            Refused::new(AwsErrorKind::Serialization, message)
        };
        self.time.map(|raw| read_time(raw.get()).ok_or_else(refuse)).transpose()
    }
}

fn wrong_time(error: EventTimeError) -> EntryResult {
    let message = format!("Parameter Time is not valid. Reason: Time {}.", error.problem());
    EntryResult::failed("InvalidArgument", message)
}

/// Reads a detail strictly. What AWS would refuse too is answered in its words; where only we are
/// stricter, the reason follows.
fn read_detail(text: &str, limits: json::Limits) -> Result<Map<String, Value>, EntryFault> {
    const MALFORMED: &str = "Detail is malformed.";
    let malformed = |message| EntryResult::failed("MalformedDetail", message);
    match json::read_event(text.as_bytes(), limits) {
        Ok(Value::Object(detail)) => Ok(detail),
        Ok(_) => {
            let reason = "it is not a JSON object".to_owned();
            Err(EntryFault::with_reason(malformed(MALFORMED.to_owned()), reason))
        }
        Err(error) => {
            let is_json = serde_json::from_str::<IgnoredAny>(text).is_ok();
            Err(if is_json && text.trim_start().starts_with('{') {
                malformed(format!("{MALFORMED} Reason: {error}.")).into()
            } else {
                EntryFault::with_reason(malformed(MALFORMED.to_owned()), error.to_string())
            })
        }
    }
}

#[cfg(test)]
#[path = "entries_tests.rs"]
mod tests;
