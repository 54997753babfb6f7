//! One event as EventBridge takes it, and how large it is by AWS's count.

use aws_sdk_eventbridge::primitives::DateTime;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;

use crate::deliver::sink::content::structured;
use crate::deliver::sink::{AnswerKind, Parcel, SinkAnswer};
use crate::event::{EventBusArn, EventTime, OWN_SOURCE, TraceContext};

/// The most entries of one call.
pub(super) const MOST_ENTRIES: usize = 10;
/// The most bytes of the entries of one call.
pub(super) const MOST_BYTES: usize = 1024 * 1024;
/// What a `Time` counts for.
const TIME_BYTES: usize = 14;
/// The most characters of a `DetailType`.
const MOST_CHARACTERS: usize = 128;

/// One event, ready for PutEvents.
#[derive(Clone, PartialEq)]
pub(super) struct BusEntry {
    detail_type: String,
    detail: String,
    resource: String,
    /// Whole seconds since 1970: what EventBridge shows.
    time: Option<i64>,
    trace_header: Option<String>,
}

impl BusEntry {
    /// Takes a sealed event that came by a subscription, which is its resource.
    ///
    /// # Errors
    ///
    /// The answer to it, because EventBridge takes no such event.
    pub(super) fn new(parcel: Parcel, resource: String) -> Result<Self, SinkAnswer> {
        let detail_type = parcel.name.clone().unwrap_or_default();
        let length = detail_type.chars().count();
        if length == 0 || length > MOST_CHARACTERS {
            let problem = format!(
                "an event on a bus has a name of 1 to {MOST_CHARACTERS} characters, and this one's \
                 has {length}"
            );
            return Err(refused(AnswerKind::Refused, problem));
        }
        let time = parcel.attribute("time").and_then(|text| text.parse::<EventTime>().ok());
        let trace = parcel.attribute("traceparent").and_then(|text| text.parse().ok());
        let entry = Self {
            detail_type,
            resource,
            time: time.and_then(|time| time.epoch_seconds()?.try_into().ok()),
            trace_header: trace.map(|trace: TraceContext| trace.to_aws()),
            detail: structured(parcel),
        };
        let bytes = entry.bytes();
        if bytes > MOST_BYTES {
            let problem = format!("it has {bytes} bytes, and PutEvents takes {MOST_BYTES}");
            return Err(refused(AnswerKind::TooLarge, problem));
        }
        Ok(entry)
    }

    /// How large it is, as AWS counts.
    pub(super) fn bytes(&self) -> usize {
        let time = self.time.map_or(0, |_| TIME_BYTES);
        let texts = OWN_SOURCE.len() + self.detail_type.len() + self.detail.len();
        time + texts + self.resource.len()
    }

    /// The entry of a call.
    pub(super) fn for_bus(&self, bus: &EventBusArn) -> PutEventsRequestEntry {
        PutEventsRequestEntry::builder()
            .event_bus_name(bus.as_str())
            .source(OWN_SOURCE)
            .detail_type(&self.detail_type)
            .detail(&self.detail)
            .resources(&self.resource)
            .set_time(self.time.map(DateTime::from_secs))
            .set_trace_header(self.trace_header.clone())
            .build()
    }
}

/// How many of these entries the next call holds: one at least, if there is one.
pub(super) fn fitting<'a>(entries: impl IntoIterator<Item = &'a BusEntry>) -> usize {
    let mut bytes = 0_usize;
    let fits = |(count, entry): &(usize, &BusEntry)| {
        bytes = bytes.saturating_add(entry.bytes());
        *count == 0 || (*count < MOST_ENTRIES && bytes <= MOST_BYTES)
    };
    entries.into_iter().enumerate().take_while(fits).count()
}

fn refused(kind: AnswerKind, problem: String) -> SinkAnswer {
    SinkAnswer { detail: problem.into(), ..SinkAnswer::new(kind) }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::event::EventId;

    pub(in crate::deliver::sink::event_bus) fn parcel(name: &str, token: String) -> Parcel {
        Parcel {
            id: EventId::from_parts(1, 7),
            name: Some(name.to_owned()),
            attributes: vec![
                ("type", "com.shop.order.created.v1".to_owned()),
                ("time", "2026-11-21T20:17:00.123456789Z".to_owned()),
                ("traceparent", format!("00-{}-53995c3f42cd8ad8-01", "5759e988".repeat(4))),
            ],
            extensions: Vec::new(),
            sequence: Some(3),
            replay: None,
            attempt: 1,
            token: token.into(),
        }
    }

    fn entry(name: &str, token: String) -> Result<BusEntry, SinkAnswer> {
        BusEntry::new(parcel(name, token), "https://gw.example/subscriptions/a".to_owned())
    }

    #[test]
    fn an_entry_shows_the_name_and_the_clear_attributes_and_holds_the_token() {
        let bus = "arn:aws:events:eu-west-1:444455556666:event-bus/partner".parse().unwrap();
        let sent = entry("Order.Created", "a.b.c".to_owned()).unwrap().for_bus(&bus);

        assert_eq!(sent.event_bus_name(), Some(bus.as_str()));
        assert_eq!((sent.source(), sent.detail_type()), (Some("sealway"), Some("Order.Created")));
        assert_eq!(sent.resources(), ["https://gw.example/subscriptions/a"]);
        assert_eq!(sent.time(), Some(&DateTime::from_secs(1_795_292_220)));
        let trace = "Root=1-5759e988-5759e9885759e9885759e988;Parent=53995c3f42cd8ad8;Sampled=1";
        assert_eq!(sent.trace_header(), Some(trace));
        let detail: Value = serde_json::from_str(sent.detail().unwrap()).unwrap();
        assert_eq!(detail["type"], "com.shop.order.created.v1");
        assert_eq!((&detail["data"], &detail["sequence"]), (&json!("a.b.c"), &json!("3")));
    }

    #[test]
    fn what_no_bus_takes_is_refused_before_it_is_sent() {
        let long = "é".repeat(128);
        assert!(entry(&long, String::new()).is_ok());
        let refused = entry(&format!("{long}e"), String::new()).err().unwrap();
        assert_eq!(refused.kind, AnswerKind::Refused);
        assert!(refused.detail.contains("129"), "{}", refused.detail);
        assert_eq!(entry("", String::new()).err().unwrap().kind, AnswerKind::Refused);

        let rest = entry("A", String::new()).unwrap().bytes();
        let largest = entry("A", "t".repeat(MOST_BYTES - rest)).unwrap();
        assert_eq!(largest.bytes(), MOST_BYTES);
        let larger = entry("A", "t".repeat(MOST_BYTES - rest + 1)).err().unwrap();
        assert_eq!(larger.kind, AnswerKind::TooLarge);
        assert_eq!(&*larger.detail, "it has 1048577 bytes, and PutEvents takes 1048576");
    }

    #[test]
    fn a_time_that_aws_cannot_show_is_left_out() {
        let mut parcel = parcel("A", String::new());
        parcel.attributes.retain(|(name, _)| *name != "time");
        parcel.attributes.push(("time", "1969-12-31T23:59:59Z".to_owned()));
        let before = BusEntry::new(parcel, String::new()).unwrap();

        assert_eq!(before.time, None);
    }

    /// The size by a second way of counting: of what the SDK is given.
    fn counted(entry: &BusEntry) -> usize {
        let bus = "arn:aws:events:eu-west-1:444455556666:event-bus/partner".parse().unwrap();
        let sent = entry.for_bus(&bus);
        let text = |text: Option<&str>| text.unwrap_or_default().len();
        let time = if sent.time().is_some() { 14 } else { 0 };
        let resources: usize = sent.resources().iter().map(|one| text(Some(one))).sum();
        text(sent.source()) + text(sent.detail_type()) + text(sent.detail()) + resources + time
    }

    proptest! {
        // Each case serialises megabytes.
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn entries_are_counted_as_aws_counts_and_no_call_is_too_large(
            names in prop::collection::vec("\\PC{1,20}", 1..25),
            lengths in prop::collection::vec(0_usize..400_000, 25),
            timed in any::<bool>(),
        ) {
            let entries: Vec<BusEntry> = names.iter().zip(&lengths).map(|(name, length)| {
                let mut parcel = parcel(name, "t".repeat(*length));
                parcel.attributes.retain(|(name, _)| timed || *name != "time");
                BusEntry::new(parcel, "https://gw.example/subscriptions/é".to_owned()).unwrap()
            }).collect();
            let mut rest = &entries[..];
            while !rest.is_empty() {
                let (call, later) = rest.split_at(fitting(rest));
                let bytes: usize = call.iter().map(counted).sum();
                prop_assert!(!call.is_empty() && call.len() <= 10 && bytes <= 1_048_576);
                // One more would not have fitted.
                let next = later.first().map_or(0, counted);
                prop_assert!(later.is_empty() || call.len() == 10 || bytes + next > 1_048_576);
                rest = later;
            }
        }
    }
}
