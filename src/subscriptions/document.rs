//! A subscription as people write it: the CloudEvents Subscriptions API object, in JSON or YAML.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::{ConsumerId, SubscriptionId, SubscriptionName};
use crate::subscriptions::{JwksText, SinkCredential};

/// What a consumer asks for. Members that CloudEvents Subscriptions 1.0 names keep its names.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SubscriptionDocument {
    /// The id of the subscription, which never changes: seed of its chain, and `sub_id` in tokens.
    /// The gateway makes one; only an operator may choose one. Where another caller gives it without
    /// a `name`, it is taken for the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub id: Option<SubscriptionId>,
    /// What its consumer calls it, once among its own; the id if missing. It never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub name: Option<SubscriptionName>,
    /// Who receives the events: the scope `consume:<consumer>` lets a caller manage it.
    #[schemars(with = "String")]
    pub consumer: ConsumerId,
    /// Only events of these types: `Payment.Authorised`, `Payment.*` for everything below
    /// `Payment`, `*` for all. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// Only events that pass every one of these filters: the dialects `exact`, `prefix`, `suffix`,
    /// `all`, `any`, `not`, and `pattern` (an Amazon EventBridge event pattern over the
    /// CloudEvent).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Value>,
    /// The address that events are posted to, or the ARN of the event bus that they are put on;
    /// missing if the protocol is `PULL`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink: Option<String>,
    /// How the gateway shows itself to the sink; without it, the token alone says who sent it.
    #[serde(
        default,
        deserialize_with = "crate::subscriptions::credential::read",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<SinkCredential>")]
    pub sinkcredential: Option<Box<SinkCredential>>,
    /// How events travel: `HTTP` posts them to the sink, `EVENTBRIDGE` puts them on an event bus,
    /// `PULL` lets the consumer fetch them.
    #[serde(default)]
    pub protocol: Protocol,
    /// How events are sealed and delivered.
    pub config: Settings,
}

impl SubscriptionDocument {
    /// The name that it gives, as such or as id.
    pub fn given_name(&self) -> Option<SubscriptionName> {
        self.name.clone().or_else(|| self.id.as_ref().map(SubscriptionId::as_name))
    }

    /// The `aud` of its tokens.
    pub fn audience(&self) -> String {
        self.config.audience.clone().unwrap_or_else(|| self.consumer.to_string())
    }

    /// What is kept in the clear and shown: everything but the secrets of the sink's credential, and the
    /// one content mode that a bus knows.
    pub fn without_secrets(&self) -> Self {
        let shown = self.sinkcredential.as_ref().map(|credential| credential.without_secrets());
        let sinkcredential = shown.map(Box::new);
        let mut kept = Self { sinkcredential, ..self.clone() };
        if kept.protocol == Protocol::EventBridge {
            kept.config.content_mode = ContentMode::Structured;
        }
        kept
    }
}

/// How events travel to the consumer.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
pub enum Protocol {
    /// The CloudEvents HTTP protocol binding.
    #[default]
    #[serde(rename = "HTTP")]
    Http,
    /// PutEvents of Amazon EventBridge, on a bus that the operator lets the consumer name.
    #[serde(rename = "EVENTBRIDGE")]
    EventBridge,
    /// The consumer fetches its events and says which it has; there is no sink.
    #[serde(rename = "PULL")]
    Pull,
}

/// How events are sealed for a subscription and delivered to it.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// What events are sealed for: exactly one of `jwks`, `jwksUri` and `sharedSecret`.
    pub keys: KeySettings,
    /// The `aud` of the tokens; the consumer's name if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// Signed receipts, in the answers of the sink or, with the protocol PULL, beside acknowledgements; none
    /// are asked for if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipts: Option<Box<ReceiptSettings>>,
    /// The algorithm of the signature: one that the gateway has keys for; its first one if missing.
    /// With a shared secret it is always `HS256`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// The content encryption: `A256GCM`, `A128GCM` or `A128CBC-HS256`; `A256GCM` if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<String>,
    /// Compress events of 2 KiB and more where that saves a fifth. Do not use it for events that
    /// mix secrets with text that a stranger chooses: their length would tell.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub compress: bool,
    /// How many attempts may be in flight at once, 1 to 256; the gateway's default if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 256))]
    pub parallel: Option<u16>,
    /// How many attempts may be made per second, 1 to 100,000; the gateway's default if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub rate: Option<u32>,
    /// How many times an event is tried again, 0 to 185; as the gateway's schedule says if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 185))]
    pub maximum_retry_attempts: Option<u32>,
    /// How old an event may become before it is given up, in seconds, 60 to 604,800; any age if
    /// missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 60, max = 604_800))]
    pub maximum_event_age: Option<u32>,
    /// How much may wait that was never offered; beyond it, the oldest become dead letters. As the
    /// gateway is set if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backlog: Option<BacklogSettings>,
    /// After how many permanent refusals (400, 401, 403, 404, 405, 413, 415, 422) an event is given
    /// up; as the gateway's schedule says if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 185))]
    pub give_up_after_refusals: Option<u32>,
    /// The order of events: `none`, or `subject` for one after the other within each subject.
    #[serde(default)]
    pub ordering: Ordering,
    /// What happens with the later events of a subject when one is given up, with
    /// `ordering: subject` only: `block` (if missing) keeps them until the dead letter is redriven
    /// and delivered, or dismissed; `skip` goes on without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_dead_letter: Option<OnDeadLetter>,
    /// How a token travels to the sink: `binary`, `structured` or `set`; on an event bus always
    /// `structured`.
    #[serde(default)]
    pub content_mode: ContentMode,
    /// Which CloudEvents attributes stand outside of the token: `all` that may, or the `id` alone.
    /// Where a CloudEvent has to have a source and a type, in structured mode and on an event bus,
    /// `id` shows the issuer and `sealway.sealed`.
    #[serde(default)]
    pub attributes: ClearAttributes,
    /// When the sink is asked to prove itself for the first time: `now` (if missing), or `later`, when
    /// someone asks for it (`POST …/verify`).
    #[serde(default, skip_serializing_if = "FirstHandshake::is_now")]
    pub verify: FirstHandshake,
    /// Where it begins: `latest` for events from now on, `earliest` for the oldest that the log still has
    /// and its consumer may hear, or the ULID of the first event wanted.
    #[serde(default = "latest")]
    pub start: String,
}

fn latest() -> String {
    "latest".to_owned()
}

/// When a sink is asked to prove itself for the first time.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FirstHandshake {
    /// At once; where the answer shows a shared secret, a moment after it.
    #[default]
    Now,
    /// When someone asks for it.
    Later,
}

impl FirstHandshake {
    /// Tells whether it is the one that needs no word.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    const fn is_now(&self) -> bool {
        matches!(self, Self::Now)
    }
}

/// The order of events.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ordering {
    /// None is promised: attempts run side by side, and a retry comes later.
    #[default]
    None,
    /// The events of a subject come in the order of the log.
    Subject,
}

/// What happens with the later events of a subject when one is given up.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDeadLetter {
    /// They wait until someone has decided.
    #[default]
    Block,
    /// They go on without it.
    Skip,
}

/// How a token travels to the sink.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ContentMode {
    /// The body is the token and attributes are headers (CloudEvents HTTP binding, section 3.1).
    #[default]
    Binary,
    /// The body is a CloudEvent in JSON whose data is the token (section 3.2).
    Structured,
    /// The body is the token, as a Security Event Token is pushed (RFC 8935).
    Set,
}

impl ContentMode {
    /// The media type of the body.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Binary => "application/jwt",
            Self::Structured => "application/cloudevents+json",
            Self::Set => "application/secevent+jwt",
        }
    }

    /// Tells whether it is the one that needs no word.
    pub const fn is_binary(self) -> bool {
        matches!(self, Self::Binary)
    }
}

/// How much may wait for a subscription that is paused, pending or behind.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BacklogSettings {
    /// How long an event may wait, in seconds, 60 to 31,536,000, or what the operator allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 60, max = 31_536_000))]
    pub maximum_age: Option<u32>,
    /// How many events may wait, 1 to 1,000,000, or what the operator allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub maximum_events: Option<u32>,
}

/// Which attributes travel in the clear, beside the token.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ClearAttributes {
    /// Every context attribute that may stand there, as the content mode has it; an outer key for the
    /// idempotency key.
    #[default]
    All,
    /// The id only; with it what a CloudEvent has to have, of the gateway's own.
    Id,
}

/// What events are sealed for.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeySettings {
    /// A JWK Set with the consumer's public keys; the first one that can be used is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Value>")]
    pub jwks: Option<JwksText>,
    /// Where the consumer serves its JWK Set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// Let the gateway make two secret keys and show them once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shared_secret: bool,
}

/// The receipts that a consumer signs: exactly one of `jwks` and `jwksUri` says with which keys.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReceiptSettings {
    /// A JWK Set with the consumer's public keys for receipts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Value>")]
    pub jwks: Option<JwksText>,
    /// Where the consumer serves that set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// An answer without a valid receipt counts as a failed attempt, and an event that is acknowledged
    /// without one is not acknowledged.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_bus_is_shown_the_one_mode_that_it_knows_whether_or_not_it_was_said() {
        let kept = |protocol: &str, config: Value| {
            let document = json!({ "consumer": "shop", "protocol": protocol, "config": config });
            serde_json::from_value::<SubscriptionDocument>(document).unwrap().without_secrets()
        };
        let said = json!({ "keys": {}, "contentMode": "structured" });

        let bus = kept("EVENTBRIDGE", json!({ "keys": {} }));

        assert_eq!(bus.config.content_mode, ContentMode::Structured);
        assert_eq!(bus, kept("EVENTBRIDGE", said), "so `sealway apply` has nothing to replace");
        assert_eq!(kept("HTTP", json!({ "keys": {} })).config.content_mode, ContentMode::Binary);
    }
}
