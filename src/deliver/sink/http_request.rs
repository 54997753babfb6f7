//! What is sent to HTTP sinks: sealed events, challenges, and the question of consent.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, InvalidHeaderName, InvalidHeaderValue};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::deliver::sink::content::body;
use crate::deliver::sink::{Parcel, SinkTarget};
use crate::seal::TokenText;
use crate::subscriptions::ContentMode;

/// One request to a sink.
#[derive(Clone)]
pub struct HttpRequest {
    /// `POST`, but for the question of consent.
    pub method: Method,
    /// The sink.
    pub target: Arc<SinkTarget>,
    /// Its headers, the media type of the body among them.
    pub headers: HeaderMap,
    /// The body; usually the token.
    pub body: Bytes,
    /// Whether the body of a yes is more than words: a receipt or a nonce.
    pub awaits_proof: bool,
}

/// Why a header cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum UnsendableHeader {
    /// It has no possible name.
    #[error(transparent)]
    Name(#[from] InvalidHeaderName),
    /// It has no possible value.
    #[error(transparent)]
    Value(#[from] InvalidHeaderValue),
}

impl HttpRequest {
    /// Sends an event, at this second.
    pub(super) fn event(
        target: Arc<SinkTarget>,
        parcel: Parcel,
        now: i64,
    ) -> Result<Self, UnsendableHeader> {
        let mut headers = Headers::of(target.content_mode.media_type());
        headers.event(target.content_mode, &parcel, now)?;
        let awaits_proof = target.gives_receipts;
        Ok(Self { awaits_proof, ..Self::post(target, parcel, headers) })
    }

    /// Sends a challenge, which shows less than an event, at this second.
    pub(super) fn challenge(
        target: Arc<SinkTarget>,
        parcel: Parcel,
        now: i64,
    ) -> Result<Self, UnsendableHeader> {
        let mut headers = Headers::of(target.content_mode.media_type());
        headers.stamp(&parcel, now)?;
        if target.content_mode.is_binary() {
            headers.names(&parcel)?;
            shown(&parcel).try_for_each(|(name, value)| headers.put(name, value))?;
        }
        Ok(Self { awaits_proof: true, ..Self::post(target, parcel, headers) })
    }

    fn post(target: Arc<SinkTarget>, parcel: Parcel, headers: Headers) -> Self {
        let body = body(target.content_mode, parcel);
        let (method, headers) = (Method::POST, headers.map);
        Self { method, target, headers, body, awaits_proof: false }
    }

    /// Sends a signed checkpoint, which is no event, under a media type of its own.
    pub(super) fn statement(target: Arc<SinkTarget>, token: TokenText) -> Self {
        let headers = Headers::of("application/checkpoint+jwt").map;
        let (method, body) = (Method::POST, token.into());
        Self { method, target, headers, body, awaits_proof: false }
    }

    /// Asks whether events of this origin may be sent (CloudEvents webhooks, section 4.1).
    pub(super) fn consent(target: Arc<SinkTarget>, origin: &str) -> Result<Self, UnsendableHeader> {
        let mut headers = Headers::of(ContentMode::Binary.media_type());
        headers.put("webhook-request-origin", origin)?;
        let (method, body) = (Method::OPTIONS, Bytes::new());
        Ok(Self { method, target, headers: headers.map, body, awaits_proof: false })
    }

    /// The value of a header, by its name in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// Headers that are written one after another, each value without a text of its own.
struct Headers {
    map: HeaderMap,
    /// Where a value is written before it is one.
    value: String,
}

/// As many headers as an event has, with those that a client adds.
const USUAL: usize = 20;

impl Headers {
    fn of(content_type: &'static str) -> Self {
        let mut map = HeaderMap::with_capacity(USUAL);
        map.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self { map, value: String::with_capacity(128) }
    }

    fn put(&mut self, name: &'static str, value: &str) -> Result<(), UnsendableHeader> {
        self.map.append(HeaderName::from_static(name), HeaderValue::from_str(value)?);
        Ok(())
    }

    fn write(
        &mut self,
        name: &'static str,
        value: fmt::Arguments<'_>,
    ) -> Result<(), UnsendableHeader> {
        self.value.clear();
        // Writing to a string cannot fail.
        let _ = self.value.write_fmt(value);
        self.map.append(HeaderName::from_static(name), HeaderValue::from_str(&self.value)?);
        Ok(())
    }

    fn encode(&mut self, name: HeaderName, value: &str) -> Result<(), UnsendableHeader> {
        self.value.clear();
        percent_encode(&mut self.value, value);
        self.map.append(name, HeaderValue::from_str(&self.value)?);
        Ok(())
    }

    /// What receivers of webhooks know a request by (Standard Webhooks): it stays the same when the
    /// request is repeated, but for its time.
    fn stamp(&mut self, parcel: &Parcel, now: i64) -> Result<(), UnsendableHeader> {
        self.write("webhook-id", format_args!("{}", parcel.id))?;
        self.write("webhook-timestamp", format_args!("{now}"))
    }

    /// The headers that name a CloudEvent.
    fn names(&mut self, parcel: &Parcel) -> Result<(), UnsendableHeader> {
        let version = HeaderName::from_static("ce-specversion");
        self.map.append(version, HeaderValue::from_static("1.0"));
        self.write("ce-id", format_args!("{}", parcel.id))
    }

    /// The clear attributes (CloudEvents HTTP binding, section 3.1.3) and the names that receivers of
    /// webhooks look for.
    fn event(
        &mut self,
        mode: ContentMode,
        parcel: &Parcel,
        now: i64,
    ) -> Result<(), UnsendableHeader> {
        self.stamp(parcel, now)?;
        self.write("sealway-attempt", format_args!("{}", parcel.attempt))?;
        match mode {
            ContentMode::Binary => {}
            // A CloudEvent in JSON shows its attributes itself.
            ContentMode::Structured => return Ok(()),
            // RFC 8935, section 2.1: refusals are explained in JSON.
            ContentMode::Set => {
                self.map.append(ACCEPT, HeaderValue::from_static("application/json"));
                return Ok(());
            }
        }
        self.names(parcel)?;
        if let Some(key) = parcel.attribute("idempotencykey") {
            self.put("idempotency-key", key)?;
        }
        if let Some(sequence) = parcel.sequence {
            self.write("ce-sequence", format_args!("{sequence}"))?;
        }
        if let Some(replay) = &parcel.replay {
            self.put("sealway-replay", replay.as_str())?;
        }
        if let Some(trace) = parcel.attribute("traceparent") {
            self.put("traceparent", trace)?;
        }
        for (name, value) in shown(parcel) {
            self.encode(HeaderName::from_static(name), value)?;
        }
        for (name, value) in &parcel.extensions {
            let name = HeaderName::try_from(format!("ce-{name}"))?;
            self.encode(name, &value.to_string())?;
        }
        Ok(())
    }
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
fn percent_encode(encoded: &mut String, value: &str) {
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
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::event::{AttributeValue, EventId};

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
            token: "a.b.c".to_owned().into(),
        }
    }

    fn lines(request: &HttpRequest) -> Vec<String> {
        let line = |(name, value): (&HeaderName, &HeaderValue)| match value.to_str().unwrap() {
            media_type if name == CONTENT_TYPE => media_type.to_owned(),
            value => format!("{name}: {value}"),
        };
        let (media_types, others): (Vec<_>, Vec<_>) =
            request.headers.iter().partition(|(name, _)| *name == CONTENT_TYPE);
        others.into_iter().chain(media_types).map(line).collect()
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
        let event = |attributes| {
            HttpRequest::event(target(ContentMode::Binary), parcel(attributes), 99).unwrap()
        };

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
        let event =
            |mode| lines(&HttpRequest::event(target(mode), parcel(&ATTRIBUTES), 99).unwrap());
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
            let request = HttpRequest::challenge(target(mode), parcel(&attributes), 99).unwrap();
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

        let asked = HttpRequest::consent(target(ContentMode::Set), "gw.example").unwrap();
        let question = ["webhook-request-origin: gw.example", "application/jwt"];
        assert_eq!(
            (&asked.method, lines(&asked)),
            (&Method::OPTIONS, question.map(Into::into).into())
        );
        assert!(asked.body.is_empty());
    }

    #[test]
    fn what_a_header_cannot_carry_is_percent_encoded() {
        let percent_encoded = |value| {
            let mut encoded = String::new();
            percent_encode(&mut encoded, value);
            encoded
        };
        assert_eq!(percent_encoded("Payment.Authorised"), "Payment.Authorised");
        assert_eq!(percent_encoded("Euro € 100%\""), "Euro%20%E2%82%AC%20100%25%22");
    }
}
