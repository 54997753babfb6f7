//! What arrives asynchronously and cannot be read: kept as bytes before its producer is answered.

use axum::http::HeaderMap;

use crate::api::outcome::{SetAside, Settled};
use crate::api::{Caller, Code, Problem};
use crate::event::Violation;
use crate::source::intake::{Unreadable, UnreadableItem, told_id};
use crate::source::{Admit, AdmitRefusal, KeptHeaders, Unparsed};

/// Describes a body that cannot be read, as the quarantine keeps it.
pub(super) fn unparsed(
    caller: &Caller,
    headers: &HeaderMap,
    body: &[u8],
    error: &Unreadable,
) -> Unparsed {
    describe(caller, KeptHeaders::of(headers), body, error)
}

/// Describes an item of a batch that cannot be read, so that it can be released alone.
pub(super) fn unparsed_item(
    caller: &Caller,
    headers: &HeaderMap,
    item: &UnreadableItem,
) -> Unparsed {
    describe(caller, KeptHeaders::of_item(headers), &item.raw, &item.error)
}

fn describe(caller: &Caller, headers: KeptHeaders, body: &[u8], error: &Unreadable) -> Unparsed {
    let problem = Problem::unreadable(error);
    Unparsed {
        producer: caller.producer(),
        id: told_id(&headers.to_map(), body),
        headers,
        body: body.to_vec(),
        reason: Violation {
            pointer: error.pointer(),
            code: problem.code().text().to_owned(),
            message: problem.detail().unwrap_or_default().to_owned(),
        },
    }
}

/// Makes durable what cannot be read, and says of each what became of it, in the order given.
pub(super) async fn set_aside(
    batch: Vec<Unparsed>,
    admit: &dyn Admit,
) -> Vec<Result<Settled, AdmitRefusal>> {
    let reasons: Vec<Violation> = batch.iter().map(|unparsed| unparsed.reason.clone()).collect();
    let entries = admit.set_aside(batch).await;
    let settle = |(reason, entry): (Violation, Result<u64, AdmitRefusal>)| {
        let code = Code::from_text(&reason.code).unwrap_or(Code::InvalidEvent).text();
        entry.map(|entry| Settled::SetAside(SetAside::new(entry, code, reason.message)))
    };
    reasons.into_iter().zip(entries).map(settle).collect()
}

#[cfg(test)]
mod tests {
    use axum::http::header::CONTENT_TYPE;

    use super::*;
    use crate::event::Timestamp;
    use crate::source::{Config, intake};

    #[test]
    fn an_attribute_that_is_wrong_is_named_as_a_place() {
        let caller = Caller::for_test("shop", ["publish:*".parse().unwrap()].into());
        let content_type = "application/cloudevents+json".parse().unwrap();
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, content_type)]);
        let body = br#"{"specversion":"1.0","id":"e1"}"#;
        let read = intake::read(&headers, body, &Config::default(), Timestamp::EPOCH);
        let error = read.unwrap_err();

        let unparsed = unparsed(&caller, &headers, body, &error);

        assert_eq!(
            (&*unparsed.reason.pointer, &*unparsed.reason.code),
            ("/source", "invalid-event")
        );
        assert_eq!(unparsed.id.as_deref(), Some("e1"));
        assert_eq!(unparsed.producer.to_string(), "caller `shop`");
        assert_eq!(unparsed.body, body);
    }
}
