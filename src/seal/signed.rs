//! Checks the signed layer: a compact JWS of one type, by one issuer's keys.

use serde_json::{Map, Value};

use crate::event::{SubscriptionId, Timestamp, json};
use crate::keys::VerifyingKeys;
use crate::seal::OpenLimits;
use crate::seal::text;

/// Checks the header and the signature of a JWS and gives its claims, or nothing (checks 7 to 9).
pub(super) fn verify(
    token: &str,
    typ: &str,
    keys: &VerifyingKeys,
    limits: &OpenLimits,
) -> Option<Map<String, Value>> {
    let [header, payload, signature] = text::parts::<3>(token, limits.inflated.max(limits.token))?;
    let members = text::object(header, limits.of_inner_header())?;
    let text_of = |name: &str| members.get(name).and_then(Value::as_str);
    // `crit` names what must be understood, and nothing of that kind is; `b64` changes the payload.
    if members.contains_key("crit") || members.contains_key("b64") {
        return None;
    }
    let found = text_of("typ")?;
    if found.strip_prefix("application/").unwrap_or(found) != typ {
        return None;
    }
    let key = keys.get(text_of("kid")?)?;
    if text_of("alg")?.parse().ok() != Some(key.algorithm()) {
        return None;
    }
    let (message, _) = token.rsplit_once('.')?;
    if !key.verifies(message.as_bytes(), signature) {
        return None;
    }
    text::object(payload, json::Limits::new(limits.token, limits.depth))
}

/// When a statement about a subscription was made, and about which one.
pub(super) fn statement(claims: &Map<String, Value>) -> Option<(Timestamp, SubscriptionId)> {
    let issued = seconds(claims, "iat")?;
    let subject = claims.get("sub_id")?;
    if subject.get("format")? != "opaque" {
        return None;
    }
    let subscription = subject.get("id")?.as_str()?.parse().ok()?;
    Some((Timestamp::from_unix_seconds(issued), subscription))
}

/// A claim that is a number of seconds since the Unix epoch (RFC 7519, section 2), rounded down.
pub(super) fn seconds(claims: &Map<String, Value>, name: &str) -> Option<i64> {
    let value = claims.get(name)?;
    if let Some(whole) = value.as_i64() {
        return Some(whole);
    }
    let number = value.as_f64()?;
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
    (number.abs() < 1e15).then(|| number.floor() as i64)
}
