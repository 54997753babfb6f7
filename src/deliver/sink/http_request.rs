//! What is sent to HTTP sinks: sealed events, challenges, and the question of consent.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::Method;

use crate::deliver::sink::content::body;
use crate::deliver::sink::{Parcel, SinkTarget};
use crate::event::{AttributeName, AttributeValue};
use crate::subscriptions::ContentMode;

/// One request to a sink.
#[derive(Clone)]
pub struct HttpRequest {
    /// `POST`, but for the question of consent.
    pub method: Method,
    /// The sink.
    pub target: Arc<SinkTarget>,
    /// Header names in lower case and their values, in order.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// The body's media type.
    pub content_type: &'static str,
    /// The body; usually the token.
    pub body: Bytes,
    /// Whether the body of a yes is more than words: a receipt or a nonce.
    pub awaits_proof: bool,
}

type Headers = Vec<(&'static str, String)>;

impl HttpRequest {
    /// Sends an event, at this second.
    pub(super) fn event(target: Arc<SinkTarget>, parcel: Parcel, now: i64) -> Self {
        let headers = event_headers(target.content_mode, &parcel, now);
        let extensions = extension_headers(target.content_mode, &parcel);
        let awaits_proof = target.gives_receipts;
        let mut request = Self { awaits_proof, ..Self::post(target, parcel, headers) };
        request.headers.extend(extensions);
        request
    }

    /// Sends a challenge, which shows less than an event, at this second.
    pub(super) fn challenge(target: Arc<SinkTarget>, parcel: Parcel, now: i64) -> Self {
        let mut headers = stamp(&parcel, now).to_vec();
        if target.content_mode.is_binary() {
            headers.extend(names(&parcel));
            headers.extend(shown(&parcel).map(|(name, value)| (name, value.to_owned())));
        }
        Self { awaits_proof: true, ..Self::post(target, parcel, headers) }
    }

    fn post(target: Arc<SinkTarget>, parcel: Parcel, headers: Headers) -> Self {
        let mode = target.content_mode;
        let (content_type, body) = (mode.media_type(), body(mode, parcel));
        let headers = headers.into_iter().map(|(name, value)| (Cow::Borrowed(name), value));
        let headers = headers.collect();
        let (method, awaits_proof) = (Method::POST, false);
        Self { method, target, headers, content_type, body, awaits_proof }
    }

    /// Sends a signed checkpoint, which is no event, under a media type of its own.
    pub(super) fn statement(target: Arc<SinkTarget>, token: String) -> Self {
        let content_type = "application/checkpoint+jwt";
        let (method, headers) = (Method::POST, Vec::new());
        Self { method, target, headers, content_type, body: token.into(), awaits_proof: false }
    }

    /// Asks whether events of this origin may be sent (CloudEvents webhooks, section 4.1).
    pub(super) fn consent(target: Arc<SinkTarget>, origin: &str) -> Self {
        let headers = vec![("webhook-request-origin".into(), origin.to_owned())];
        let content_type = ContentMode::Binary.media_type();
        let (method, body) = (Method::OPTIONS, Bytes::new());
        Self { method, target, headers, content_type, body, awaits_proof: false }
    }

    /// The value of a header, by its name in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }
}

/// What receivers of webhooks know a request by (Standard Webhooks): it stays the same when the
/// request is repeated, but for its time.
fn stamp(parcel: &Parcel, now: i64) -> [(&'static str, String); 2] {
    [("webhook-id", parcel.id.to_string()), ("webhook-timestamp", now.to_string())]
}

/// The clear attributes (CloudEvents HTTP binding, section 3.1.3) and the names that receivers of
/// webhooks look for.
fn event_headers(mode: ContentMode, parcel: &Parcel, now: i64) -> Headers {
    let mut headers = stamp(parcel, now).to_vec();
    headers.push(("sealway-attempt", parcel.attempt.to_string()));
    match mode {
        ContentMode::Binary => {}
        // A CloudEvent in JSON shows its attributes itself.
        ContentMode::Structured => return headers,
        // RFC 8935, section 2.1: refusals are explained in JSON.
        ContentMode::Set => {
            headers.push(("accept", "application/json".to_owned()));
            return headers;
        }
    }
    headers.extend(names(parcel));
    let plain = |header, name| parcel.attribute(name).map(|value| (header, value.to_owned()));
    headers.extend(plain("idempotency-key", "idempotencykey"));
    headers.extend(parcel.sequence.map(|sequence| ("ce-sequence", sequence.to_string())));
    headers.extend(parcel.replay.as_ref().map(|replay| ("sealway-replay", replay.to_string())));
    headers.extend(plain("traceparent", "traceparent"));
    headers.extend(shown(parcel).map(|(name, value)| (name, percent_encoded(value))));
    headers
}

/// The headers of the extension attributes that may be shown.
fn extension_headers(mode: ContentMode, parcel: &Parcel) -> Vec<(Cow<'static, str>, String)> {
    let shown = parcel.extensions.iter().filter(|_| mode.is_binary());
    let header = |(name, value): &(AttributeName, AttributeValue)| {
        (Cow::Owned(format!("ce-{name}")), percent_encoded(&value.to_string()))
    };
    shown.map(header).collect()
}

/// The headers that name a CloudEvent.
fn names(parcel: &Parcel) -> [(&'static str, String); 2] {
    [("ce-specversion", "1.0".to_owned()), ("ce-id", parcel.id.to_string())]
}

/// The headers of the attributes that may be shown.
fn shown(parcel: &Parcel) -> impl Iterator<Item = (&'static str, &str)> {
    parcel.attributes.iter().filter_map(|(name, value)| {
        let header = match *name {
            "source" => "ce-source",
            "type" => "ce-type",
            "subject" => "ce-subject",
            "time" => "ce-time",
            "dataschema" => "ce-dataschema",
            "idempotencykey" => "ce-idempotencykey",
            "traceparent" => "ce-traceparent",
            // In binary mode the content type is the header of that name, which is the token's.
            _ => return None,
        };
        Some((header, &**value))
    })
}

/// Encodes what a header cannot carry (CloudEvents HTTP binding, section 3.1.3.2).
fn percent_encoded(value: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(value.len());
    for character in value.chars() {
        if matches!(character, '!'..='~') && !matches!(character, '"' | '%') {
            encoded.push(character);
        } else {
            let mut bytes = [0; 4];
            for byte in character.encode_utf8(&mut bytes).bytes() {
                // Writing to a string cannot fail.
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::event::EventId;

    fn target(content_mode: ContentMode) -> Arc<SinkTarget> {
        let sink = "https://shop.example/hook".parse().unwrap();
        let timeout = Duration::from_secs(1);
        let (subscription, consumer) = ("shop".parse().unwrap(), "shop".parse().unwrap());
        let (credential, gives_receipts) = (None, false);
        Arc::new(SinkTarget {
            subscription,
            consumer,
            sink,
            credential,
            content_mode,
            gives_receipts,
            timeout,
        })
    }

    fn parcel(attributes: &[(&'static str, &str)]) -> Parcel {
        Parcel {
            id: EventId::from_parts(1, 7),
            name: None,
            attributes: attributes.iter().map(|(name, value)| (*name, (*value).into())).collect(),
            extensions: attributes
                .iter()
                .take(1)
                .map(|_| ("tenant".parse().unwrap(), AttributeValue::text("eu 1").unwrap()))
                .collect(),
            sequence: (!attributes.is_empty()).then_some(3),
            replay: (!attributes.is_empty()).then(|| "again".parse().unwrap()),
            attempt: 2,
            token: "a.b.c".to_owned(),
        }
    }

    fn lines(request: &HttpRequest) -> Vec<String> {
        let lines = request.headers.iter().map(|(name, value)| format!("{name}: {value}"));
        lines.chain([request.content_type.to_owned()]).collect()
    }

    const ATTRIBUTES: [(&str, &str); 7] = [
        ("source", "/shop"),
        ("type", "Order Created"),
        ("subject", "7"),
        ("time", "2026-11-21T20:17:00Z"),
        ("dataschema", "https://gw.example/x"),
        ("idempotencykey", "0101"),
        ("traceparent", "00-aa-bb-01"),
    ];

    #[test]
    fn in_binary_mode_what_may_be_shown_is_in_headers() {
        let id = EventId::from_parts(1, 7);
        let always = [
            format!("webhook-id: {id}"),
            "webhook-timestamp: 99".to_owned(),
            "sealway-attempt: 2".to_owned(),
            "ce-specversion: 1.0".to_owned(),
            format!("ce-id: {id}"),
        ];
        let shown = [
            "idempotency-key: 0101",
            "ce-sequence: 3",
            "sealway-replay: again",
            "traceparent: 00-aa-bb-01",
            "ce-source: /shop",
            "ce-type: Order%20Created",
            "ce-subject: 7",
            "ce-time: 2026-11-21T20:17:00Z",
            "ce-dataschema: https://gw.example/x",
            "ce-idempotencykey: 0101",
            "ce-traceparent: 00-aa-bb-01",
            "ce-tenant: eu%201",
        ];
        let event =
            |attributes| HttpRequest::event(target(ContentMode::Binary), parcel(attributes), 99);

        let request = event(&ATTRIBUTES);
        let all = always.iter().map(String::as_str).chain(shown).chain(["application/jwt"]);
        assert_eq!(lines(&request), all.collect::<Vec<_>>());
        assert_eq!((&request.method, &*request.body), (&Method::POST, &b"a.b.c"[..]));

        let hidden = always.iter().map(String::as_str).chain(["application/jwt"]);
        assert_eq!(lines(&event(&[])), hidden.collect::<Vec<_>>());
    }

    #[test]
    fn in_other_modes_the_headers_show_no_attributes() {
        let id = format!("webhook-id: {}", EventId::from_parts(1, 7));
        let event = |mode| lines(&HttpRequest::event(target(mode), parcel(&ATTRIBUTES), 99));
        let [timestamp, attempt] = ["webhook-timestamp: 99", "sealway-attempt: 2"];

        let structured = [&*id, timestamp, attempt, "application/cloudevents+json"];
        assert_eq!(event(ContentMode::Structured), structured);
        let accept = "accept: application/json";
        let set = [&*id, timestamp, attempt, accept, "application/secevent+jwt"];
        assert_eq!(event(ContentMode::Set), set);
    }

    #[test]
    fn a_challenge_and_the_question_of_consent_show_less() {
        let attributes = [("type", "challenge"), ("source", "https://gw.example/a%20b")];
        let challenge = |mode| {
            let request = HttpRequest::challenge(target(mode), parcel(&attributes), 99);
            assert_eq!(request.header("webhook-timestamp"), Some("99"));
            lines(&request)
        };
        let id = format!("ce-id: {}", EventId::from_parts(1, 7));
        let stamp = [
            format!("webhook-id: {}", EventId::from_parts(1, 7)),
            "webhook-timestamp: 99".to_owned(),
        ];
        let [webhook_id, timestamp] = [&*stamp[0], &*stamp[1]];
        let named = [
            webhook_id,
            timestamp,
            "ce-specversion: 1.0",
            &*id,
            "ce-type: challenge",
            "ce-source: https://gw.example/a%20b",
            "application/jwt",
        ];
        assert_eq!(challenge(ContentMode::Binary), named);
        let plain = |media_type| [webhook_id, timestamp, media_type];
        let structured = plain("application/cloudevents+json");
        assert_eq!(challenge(ContentMode::Structured), structured);
        assert_eq!(challenge(ContentMode::Set), plain("application/secevent+jwt"));

        let asked = HttpRequest::consent(target(ContentMode::Set), "gw.example");
        let question = ["webhook-request-origin: gw.example", "application/jwt"];
        assert_eq!(
            (&asked.method, lines(&asked)),
            (&Method::OPTIONS, question.map(Into::into).into())
        );
        assert!(asked.body.is_empty());
    }

    #[test]
    fn what_a_header_cannot_carry_is_percent_encoded() {
        assert_eq!(percent_encoded("Payment.Authorised"), "Payment.Authorised");
        assert_eq!(percent_encoded("Euro € 100%\""), "Euro%20%E2%82%AC%20100%25%22");
    }
}
