//! Holds the claims of a token against each other and against the event inside: an issuer that contradicts
//! itself is not believed.

use serde_json::{Map, Value};

use crate::event::number::crossing_text;
use crate::event::{EventTime, decode_segment};
use crate::seal::Opened;

/// What is wrong with a token that its issuer has signed: only the issuer can have made it so, and whoever
/// passes it on learns nothing about keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ClaimFault {
    /// It is dated ahead.
    #[error("`iat` lies in the future")]
    Future,
    /// A replay has no place.
    #[error("it has a place, `seq`, and is of a replay, `rpl`")]
    PlacedReplay,
    /// It is about something else than a subscription.
    #[error("`sub_id` is not a subscription of the format `opaque`")]
    Subject,
    /// The event occurred at another time.
    #[error("`toe` is not the second of the event's `time`")]
    OccurredAt,
    /// The event keeps to another version.
    #[error("`pub_ver` is not the version at the end of the event's `dataschema`")]
    PublicationVersion,
    /// Two readers could compute two digests.
    #[error("a number is not written in its one canonical text")]
    Number,
}

impl ClaimFault {
    /// What is wrong with the claims of a token, whose payload is this text.
    pub(super) fn of(opened: &Opened, payload: &[u8]) -> Option<Self> {
        let claims = opened.claims().as_object()?;
        if opened.place().is_some() && opened.replay().is_some() {
            return Some(Self::PlacedReplay);
        }
        if claims.get("sub_id").is_some_and(|subject| !is_subscription(subject)) {
            return Some(Self::Subject);
        }
        if !tells_its_time(claims, opened.event()) {
            return Some(Self::OccurredAt);
        }
        if !tells_its_version(opened) {
            return Some(Self::PublicationVersion);
        }
        let is_canonical = is_spelled_canonically(payload) && has_canonical_numbers(opened.event());
        (!is_canonical).then_some(Self::Number)
    }
}

fn is_subscription(subject: &Value) -> bool {
    subject.get("format").is_some_and(|format| format == "opaque")
        && subject.get("id").is_some_and(Value::is_string)
}

/// An event without a `time` has nothing to compare with; one of before 1970 has no `toe`.
fn tells_its_time(claims: &Map<String, Value>, event: &Value) -> bool {
    let Some(time) = event.get("time") else { return true };
    let time: Option<EventTime> = time.as_str().and_then(|time| time.parse().ok());
    let Some(time) = time else { return false };
    match claims.get("toe") {
        None => time.epoch_seconds().is_none(),
        Some(told) => told.as_u64().is_some_and(|told| Some(told) == time.epoch_seconds()),
    }
}

/// `pub_ver` stands beside `slt`, and is what `dataschema` ends with.
fn tells_its_version(opened: &Opened) -> bool {
    let Some(salted) = opened.salted() else { return opened.claims().get("pub_ver").is_none() };
    let dataschema = opened.event().get("dataschema").and_then(Value::as_str);
    let version = dataschema.and_then(|address| address.rsplit_once('/'));
    let version = version.map(|(_, version)| decode_segment(version));
    salted.publication_version == version.as_deref()
}

/// Whether no number of a JSON text has an exponent that the reader of JSON would write otherwise: it makes
/// `1E5` and `1e5` the same as `1e+5`.
fn is_spelled_canonically(payload: &[u8]) -> bool {
    let mut rest = payload.iter().copied();
    while let Some(byte) = rest.next() {
        match byte {
            b'"' => skip_text(&mut rest),
            // Outside of texts this letter is in numbers alone.
            b'E' => return false,
            b'0'..=b'9' => {
                let exponent = rest.clone().take(2).collect::<Vec<u8>>();
                if matches!(exponent.as_slice(), [b'e', b'0'..=b'9']) {
                    return false;
                }
            }
            _ => {}
        }
    }
    true
}

/// Goes on behind the end of a text.
fn skip_text(rest: &mut impl Iterator<Item = u8>) {
    while let Some(byte) = rest.next() {
        match byte {
            b'\\' => drop(rest.next()),
            b'"' => return,
            _ => {}
        }
    }
}

fn has_canonical_numbers(value: &Value) -> bool {
    match value {
        Value::Number(number) => {
            crossing_text(number.as_str()).is_ok_and(|text| text == number.as_str())
        }
        Value::Array(items) => items.iter().all(has_canonical_numbers),
        Value::Object(members) => members.values().all(has_canonical_numbers),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::event::canonical;

    #[test]
    fn a_number_has_one_spelling() {
        for good in ["[1e+21]", "[1e-7,0,-1.5]", r#"["1E5","\"1e5",{"e":1,"E":2}]"#, "[true,false]"]
        {
            assert!(is_spelled_canonically(good.as_bytes()), "{good}");
        }
        for bad in ["[1E5]", "[1e5]", "[1.5e5]", "[1E+21]", "[1E-7]", r#"{"a":"\\","b":1e5}"#] {
            assert!(!is_spelled_canonically(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn a_number_has_one_text() {
        let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        for good in ["0", "[300]", r#"{"a":1e+21}"#, "1152921504606846976", "789.34"] {
            assert!(has_canonical_numbers(&read(good)), "{good}");
        }
        for bad in ["-0", "[300.0]", r#"{"a":[1e+5]}"#, "789.34000000000003", "0.10", "1e+400"] {
            assert!(!has_canonical_numbers(&read(bad)), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_canonical_is_believed(number in any::<f64>().prop_filter("JSON has no others", |number| number.is_finite()), text: String) {
            let event = json!({ "number": number, "text": text });
            let canonical = canonical(&event).unwrap();
            let read: Value = serde_json::from_str(&canonical).unwrap();
            prop_assert!(is_spelled_canonically(canonical.as_bytes()));
            prop_assert!(has_canonical_numbers(&read));
        }

        #[test]
        fn any_bytes_are_looked_at_without_panic(bytes: Vec<u8>) {
            let _ = is_spelled_canonically(&bytes);
        }
    }
}
