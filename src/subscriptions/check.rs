//! Checks every part of a document that does not depend on the gateway.

use std::sync::Arc;

use url::Url;

use crate::event::{ArnError, EventBusArn, EventId};
use crate::keys::{ConsumerKeys, KeySet, SigningAlgorithm, VerifyingKeys};
use crate::route::Filter;
use crate::subscriptions::bounds::{address, within};
use crate::subscriptions::credential_rules;
use crate::subscriptions::{
    ContentMode, FirstHandshake, Invalid, KeySettings, Ordering, Protocol, ReceiptSettings,
    ReceiptTerms, Settings, SubscriptionDocument,
};

/// The parts of a document that were checked.
pub(super) struct CheckedParts {
    pub(super) sink: Option<Url>,
    pub(super) keys: CheckedKeys,
    pub(super) receipts: Option<Box<ReceiptTerms>>,
    pub(super) audience: String,
    pub(super) signature: Option<SigningAlgorithm>,
}

/// What a document asks to be sealed for.
pub(super) enum CheckedKeys {
    Public(ConsumerKeys),
    SharedSecret,
}

/// Checks every part of a document that does not depend on the gateway, but for its wish: that is
/// checked when it is compiled.
pub(super) fn check(document: &SubscriptionDocument) -> Result<CheckedParts, Invalid> {
    let settings = &document.config;
    within("/config/parallel", settings.parallel.map(u32::from), 1, 256)?;
    within("/config/rate", settings.rate, 1, 100_000)?;
    within("/config/maximumRetryAttempts", settings.maximum_retry_attempts, 0, 185)?;
    within("/config/maximumEventAge", settings.maximum_event_age, 60, 604_800)?;
    if settings.on_dead_letter.is_some() && settings.ordering == Ordering::None {
        let problem = "leave it out, or set `ordering` to subject: without order nothing waits";
        return Err(Invalid::new("/config/onDeadLetter", problem));
    }
    let backlog = settings.backlog.unwrap_or_default();
    within("/config/backlog/maximumAge", backlog.maximum_age, 60, 31_536_000)?;
    within("/config/backlog/maximumEvents", backlog.maximum_events, 1, 1_000_000)?;
    within("/config/giveUpAfterRefusals", settings.give_up_after_refusals, 1, 185)?;
    if let Some(encryption) = &settings.encryption
        && !["A256GCM", "A128GCM", "A128CBC-HS256"].contains(&encryption.as_str())
    {
        return Err(Invalid::new("/config/encryption", "use A256GCM, A128GCM or A128CBC-HS256"));
    }
    let is_named = ["earliest", "latest"].contains(&&*settings.start);
    if !is_named && settings.start.parse::<EventId>().is_err() {
        let problem = "use `latest`, `earliest` or the ULID of an event";
        return Err(Invalid::new("/config/start", problem));
    }
    let audience = document.audience();
    if audience.is_empty() || audience.len() > 1024 {
        return Err(Invalid::new("/config/audience", "use 1 to 1024 bytes"));
    }
    let sink = sink(document)?;
    match (&document.sinkcredential, &sink) {
        (Some(credential), Some(sink)) => credential_rules::check(credential, sink)?,
        (Some(_), None) => {
            return Err(Invalid::new("/sinkcredential", "leave it out: there is no sink"));
        }
        (None, _) => {}
    }
    Ok(CheckedParts {
        sink,
        keys: check_keys(&settings.keys)?,
        receipts: settings.receipts.as_deref().map(check_receipts).transpose()?.map(Box::new),
        audience,
        signature: signature(document)?,
    })
}

/// Refuses a filter that is too expensive to be made anew; what is kept is not asked again.
pub(super) fn check_price(document: &SubscriptionDocument) -> Result<(), Invalid> {
    Filter::priced(&document.types, &document.filters)
        .map(drop)
        .map_err(|error| Invalid::new("/filters", &error.to_string()))
}

/// The address of a sink, where the protocol has one.
fn sink(document: &SubscriptionDocument) -> Result<Option<Url>, Invalid> {
    let refuse = |problem: &str| Err(Invalid::new("/sink", problem));
    match (document.protocol, &document.sink) {
        (Protocol::Http, Some(sink)) => address("/sink", sink).map(Some),
        (Protocol::Http, None) => {
            refuse("give the address of the sink, or set `protocol` to PULL to fetch events")
        }
        (Protocol::EventBridge, Some(sink)) => event_bus(document, sink).map(Some),
        (Protocol::EventBridge, None) => {
            refuse("give the ARN of the event bus, arn:aws:events:REGION:ACCOUNT:event-bus/NAME")
        }
        (Protocol::Pull, Some(_)) => {
            refuse("leave it out: a subscription with the protocol PULL has no sink")
        }
        (Protocol::Pull, None) => without_attempts(&document.config).map(|()| None),
    }
}

/// The bus of a subscription that asks of it only what a bus can do: it answers with nothing of its
/// consumer's.
fn event_bus(document: &SubscriptionDocument, sink: &str) -> Result<Url, Invalid> {
    let bus: EventBusArn =
        sink.parse().map_err(|error: ArnError| Invalid::new("/sink", &error.to_string()))?;
    let settings = &document.config;
    let impossible = [
        (
            "/sinkcredential",
            document.sinkcredential.is_some(),
            "leave it out: the gateway shows itself to AWS as the role that its operator has listed",
        ),
        (
            "/config/receipts",
            settings.receipts.is_some(),
            "leave it out: an event bus answers without a receipt of its consumer's",
        ),
        (
            "/config/contentMode",
            settings.content_mode == ContentMode::Set,
            "use `structured`, or leave it out: what travels on a bus is a CloudEvent in JSON",
        ),
    ];
    match impossible.iter().find(|(_, given, _)| *given) {
        Some((pointer, _, problem)) => Err(Invalid::new(pointer, problem)),
        None => Url::parse(bus.as_str()).map_err(|e| Invalid::new("/sink", &e.to_string())),
    }
}

/// Refuses settings of attempts, which nobody makes for a consumer that fetches its events.
fn without_attempts(settings: &Settings) -> Result<(), Invalid> {
    let given = [
        ("/config/parallel", settings.parallel.is_some()),
        ("/config/rate", settings.rate.is_some()),
        ("/config/ordering", settings.ordering != Ordering::None),
        ("/config/maximumRetryAttempts", settings.maximum_retry_attempts.is_some()),
        ("/config/maximumEventAge", settings.maximum_event_age.is_some()),
        ("/config/giveUpAfterRefusals", settings.give_up_after_refusals.is_some()),
        ("/config/contentMode", !settings.content_mode.is_binary()),
        ("/config/verify", settings.verify == FirstHandshake::Later),
    ];
    match given.iter().find(|(_, given)| *given) {
        Some((pointer, _)) => {
            Err(Invalid::new(pointer, "leave it out: the protocol PULL makes no attempts"))
        }
        None => Ok(()),
    }
}

fn signature(document: &SubscriptionDocument) -> Result<Option<SigningAlgorithm>, Invalid> {
    let pointer = "/config/signature";
    let Some(name) = &document.config.signature else { return Ok(None) };
    let algorithm = name
        .parse::<SigningAlgorithm>()
        .map_err(|_| Invalid::new(pointer, "use ES256, EdDSA, PS256 or RS256"))?;
    let symmetric = algorithm == SigningAlgorithm::HS256;
    if symmetric != document.config.keys.shared_secret {
        return Err(Invalid::new(pointer, "HS256 goes with a shared secret, and only with one"));
    }
    Ok(Some(algorithm))
}

fn check_keys(keys: &KeySettings) -> Result<CheckedKeys, Invalid> {
    match (&keys.jwks, &keys.jwks_uri, keys.shared_secret) {
        (Some(jwks), None, false) => {
            let set = KeySet::read(jwks.as_str().as_bytes())
                .map_err(|error| Invalid::new("/config/keys/jwks", &error.to_string()))?;
            Ok(CheckedKeys::Public(ConsumerKeys::Inline(Arc::new(set))))
        }
        (None, Some(uri), false) => address("/config/keys/jwksUri", uri)
            .map(|uri| CheckedKeys::Public(ConsumerKeys::Remote(uri))),
        (None, None, true) => Ok(CheckedKeys::SharedSecret),
        _ => Err(Invalid::new("/config/keys", "give exactly one of jwks, jwksUri, sharedSecret")),
    }
}

fn check_receipts(settings: &ReceiptSettings) -> Result<ReceiptTerms, Invalid> {
    let keys = match (&settings.jwks, &settings.jwks_uri) {
        (Some(jwks), None) => VerifyingKeys::from_json(jwks.as_str().as_bytes())
            .map(|set| ConsumerKeys::Inline(Arc::new(set)))
            .map_err(|error| Invalid::new("/config/receipts/jwks", &error.to_string()))?,
        (None, Some(uri)) => ConsumerKeys::Remote(address("/config/receipts/jwksUri", uri)?),
        _ => {
            let problem = "give exactly one of jwks and jwksUri";
            return Err(Invalid::new("/config/receipts", problem));
        }
    };
    Ok(ReceiptTerms { keys, required: settings.required })
}
