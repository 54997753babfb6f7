//! Opens tokens: thirteen checks, always in this order, and one error that says nothing of keys.
//!
//! The order matters. Lengths and names are checked before a key is touched, the encryption before
//! the signature, the signature before a claim is believed. The error is one, because a sender who
//! learns which check failed can ask the key questions (RFC 7516, section 11.5). What a token says that was
//! opened and contradicts itself is told: only its issuer can have made it.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::event::json;
use crate::event::{Blame, Fault, Timestamp};
use crate::keys::{ContentEncryption, OpeningKeys, VerifyingKeys};
use crate::seal::signed::seconds;
use crate::seal::{ClaimFault, OpenLimits, Opened, compression, content, signed, text};

/// The `typ` of a token that carries an event (RFC 8417, section 2.3).
const EVENT_TYPE: &str = "secevent+jwt";

/// A token that was not opened; why is said only where both layers were good and the issuer contradicts itself.
#[derive(Debug, thiserror::Error)]
#[error("the token cannot be opened{}", .0.map_or_else(String::new, |fault| format!(": {fault}")))]
pub struct OpenError(pub(super) Option<ClaimFault>);

impl OpenError {
    /// What its issuer has signed that cannot be believed; nothing where it is not known who made it.
    pub const fn claim(&self) -> Option<ClaimFault> {
        self.0
    }
}

impl Blame for OpenError {
    fn fault(&self) -> Fault {
        Fault::Caller
    }
}

/// Tells whether a `jti` was seen before; the second argument is the token's `exp`, in seconds,
/// until which the answer must be remembered.
pub type Seen<'a> = &'a dyn Fn(&str, Option<i64>) -> bool;

/// What a consumer expects of its tokens.
#[derive(Clone, Copy)]
pub struct Opening<'a> {
    /// The consumer's private keys.
    pub keys: &'a OpeningKeys,
    /// The issuer's public keys.
    pub issuer_keys: &'a VerifyingKeys,
    /// The only `iss` that is accepted.
    pub issuer: &'a str,
    /// The consumer's own name, which must be in `aud`.
    pub audience: &'a str,
    /// The only member of `events` that is accepted; nothing: any.
    pub event_type: Option<&'a str>,
    /// The present moment.
    pub now: Timestamp,
    /// How far the clocks of both sides may differ.
    pub leeway: Duration,
    /// Whether the token was stored when it arrived: it is then judged at its own `iat` instead of
    /// the present, so that its `exp` may have passed since. Its `iat` may not lie ahead either way.
    pub stored: bool,
    /// How much is read.
    pub limits: OpenLimits,
    /// Remembers which tokens were seen; nothing: repeats are not refused here.
    pub seen: Option<Seen<'a>>,
}

impl<'a> Opening<'a> {
    /// Expects any event from an issuer to an audience, with a leeway of 60 seconds.
    pub fn new(
        keys: &'a OpeningKeys,
        issuer_keys: &'a VerifyingKeys,
        issuer: &'a str,
        audience: &'a str,
        now: Timestamp,
    ) -> Self {
        Self {
            keys,
            issuer_keys,
            issuer,
            audience,
            event_type: None,
            now,
            leeway: Duration::from_mins(1),
            stored: false,
            limits: OpenLimits::default(),
            seen: None,
        }
    }
}

impl fmt::Debug for Opening<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opening({} for {})", self.issuer, self.audience)
    }
}

/// Decrypts a token, verifies it, and checks every claim that it must have.
///
/// # Errors
///
/// The sender's turn: the token is not one that this consumer may believe. There is one error for
/// every reason, but for [what its issuer has signed](OpenError::claim) and cannot be true.
pub fn open(token: &str, opening: &Opening<'_>) -> Result<Opened, OpenError> {
    let (claims, payload) = signed_claims(token, opening).ok_or(OpenError(None))?;
    // 10, its first part: a date that is ahead.
    let issued = seconds(&claims, "iat");
    if issued.is_some_and(|issued| issued > opening.now.after(opening.leeway).unix_seconds()) {
        return Err(OpenError(Some(ClaimFault::Future)));
    }
    let opened = opened(claims, &payload, opening)?;
    // 13: seen before?
    if opening.seen.is_some_and(|seen| seen(opened.id(), seconds_of(&opened, "exp"))) {
        return Err(OpenError(None));
    }
    Ok(opened)
}

/// Checks 1 to 9: the claims that the issuer has signed for this audience, and their text.
fn signed_claims(token: &str, opening: &Opening<'_>) -> Option<(Map<String, Value>, Vec<u8>)> {
    let (header, inner) = decrypt(token, opening)?;
    // 7 to 9: a signed token, of the right type, by a key of the issuer.
    let inner = std::str::from_utf8(&inner).ok()?;
    let claims = signed::verify(inner, EVENT_TYPE, opening.issuer_keys, &opening.limits)?;
    // 2, what could not be told before: claims repeated outside must be those inside.
    let replicated = ["iss", "aud", "sub"];
    if replicated
        .iter()
        .any(|name| header.contains_key(*name) && header.get(*name) != claims.get(*name))
    {
        return None;
    }
    check_parties(&claims, opening.issuer, opening.audience)?;
    let payload = text::decode(inner.split('.').nth(1)?)?;
    Some((claims, payload))
}

/// Checks 10 to 12: when, what, and whether it agrees with itself.
fn opened(
    claims: Map<String, Value>,
    payload: &[u8],
    opening: &Opening<'_>,
) -> Result<Opened, OpenError> {
    let refused = || OpenError(None);
    check_times(&claims, opening).ok_or_else(refused)?;
    let opened = Opened::from_checked(claims).ok_or_else(refused)?;
    if opening.event_type.is_some_and(|expected| expected != opened.event_type()) {
        return Err(refused());
    }
    match ClaimFault::of(&opened, payload) {
        None => Ok(opened),
        fault => Err(OpenError(fault)),
    }
}

fn seconds_of(opened: &Opened, name: &str) -> Option<i64> {
    opened.claims().as_object().and_then(|claims| seconds(claims, name))
}

/// The encrypted layer: checks 1 to 6. Gives the outer header and the plaintext.
pub(super) fn decrypt(token: &str, opening: &Opening<'_>) -> Option<(Map<String, Value>, Vec<u8>)> {
    let limits = &opening.limits;
    // 1: the text.
    let [protected, encrypted_key, iv, ciphertext, tag] = text::parts::<5>(token, limits.token)?;
    // 2: the header, against the key that it names.
    let header = text::object(protected, json::Limits::new(limits.outer_header, 8))?;
    let text_of = |name: &str| header.get(name).and_then(Value::as_str);
    if header.contains_key("crit") || text_of("cty")? != "JWT" {
        return None;
    }
    let deflated = match header.get("zip") {
        None => false,
        Some(Value::String(zip)) if zip == "DEF" && limits.inflated > 0 => true,
        Some(_) => return None,
    };
    let kid = text_of("kid").filter(|kid| kid.len() <= 256)?;
    let key = opening.keys.get(kid)?;
    let encryption: ContentEncryption = text_of("enc")?.parse().ok()?;
    if text_of("alg")? != key.management().name() {
        return None;
    }
    // 3: the lengths, before a key is used.
    let encrypted_key = text::decode(encrypted_key)?;
    let (iv, tag) = (text::decode(iv)?, text::decode(tag)?);
    let ciphertext = text::decode(ciphertext)?;
    if encrypted_key.len() != key.encrypted_key_length(encryption)
        || iv.len() != encryption.iv_length()
        || tag.len() != content::TAG_LENGTH
        || (encryption == ContentEncryption::A128CbcHs256 && !ciphertext.len().is_multiple_of(16))
    {
        return None;
    }
    // 4: the content key.
    let content_key = key.content_key(&header, &encrypted_key, encryption)?;
    // 5: the content.
    let plain = content::decrypt(&content_key, &iv, protected.as_bytes(), ciphertext, &tag)?;
    // 6: its compression.
    let plain = if deflated { compression::inflate(&plain, limits.inflated)? } else { plain };
    Some((header, plain))
}

/// Check 10: when.
fn check_times(claims: &Map<String, Value>, opening: &Opening<'_>) -> Option<()> {
    let latest = |moment: Timestamp| moment.after(opening.leeway).unix_seconds();
    let earliest = |moment: Timestamp| moment.before(opening.leeway).unix_seconds();
    let issued = seconds(claims, "iat")?;
    let moment = if opening.stored { Timestamp::from_unix_seconds(issued) } else { opening.now };
    if let Some(age) = opening.limits.age
        && issued < earliest(moment.before(age))
    {
        return None;
    }
    // Always there: a token that never ends is one that a leaked key could replay for ever.
    seconds(claims, "exp").filter(|expires| *expires > earliest(moment))?;
    if claims.contains_key("nbf") {
        seconds(claims, "nbf").filter(|begins| *begins <= latest(moment))?;
    }
    Some(())
}

/// `iss` is the issuer, and `aud` is the audience alone, exactly: a list of one is the same (RFC 7519,
/// section 4.1.3).
pub(super) fn check_parties(
    claims: &Map<String, Value>,
    issuer: &str,
    audience: &str,
) -> Option<()> {
    let is_ours = is_addressed(claims, issuer, audience)
        && claims.get("aud")?.as_array().is_none_or(|several| several.len() == 1);
    is_ours.then_some(())
}

/// `iss` is the issuer, and `aud` is the audience or holds it, as the libraries of consumers may write it.
pub(super) fn is_addressed(claims: &Map<String, Value>, issuer: &str, audience: &str) -> bool {
    let is_named = match claims.get("aud") {
        Some(Value::String(one)) => one == audience,
        Some(Value::Array(several)) => {
            several.iter().all(Value::is_string) && several.iter().any(|one| one == audience)
        }
        _ => false,
    };
    is_named && claims.get("iss").and_then(Value::as_str) == Some(issuer)
}
