//! Verifies AWS Signature Version 4 on requests to the embedded bus.
//!
//! Equal signatures are legitimate: an SDK that repeats a request within the same second signs the
//! same bytes. What a signature may bring that was seen before is decided in `seen_signatures`.
//!
//! Whoever knows an access key id can have a signature calculated, so what is hashed for it is bounded
//! and hashed as it is read.

use std::fmt::Write as _;
use std::time::Duration;

use http::HeaderMap;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

use crate::event::Timestamp;
use crate::source::aws::keys::SERVICE;
use crate::source::aws::{AccessKeys, AwsErrorKind, Call, Identity, Refused};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const TERMINATOR: &str = "aws4_request";
/// How far the moment of a signature may be from now.
pub(super) const ALLOWED_SKEW: Duration = Duration::from_mins(5);
/// The most headers that a signature may cover, of which SDKs sign ten, and the most bytes of their
/// names and values.
const MOST_SIGNED_HEADERS: usize = 64;
const MOST_SIGNED_BYTES: usize = 16 * 1024;
const BASIC_FORMAT: &[BorrowedFormatItem<'_>] =
    format_description!("[year][month][day]T[hour][minute][second]Z");

const MISMATCH: &str = "The request signature we calculated does not match the signature you \
    provided. Check your AWS Secret Access Key and signing method. Consult the service \
    documentation for details.";
const UNKNOWN_TOKEN: &str = "The security token included in the request is invalid.";

/// A signature that was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Signed {
    /// The moment that it names, in seconds since the epoch.
    pub(super) at: u64,
    /// The first half of the digest of its text.
    pub(super) signature: [u8; 16],
}

/// Finds out who sent a request.
///
/// # Errors
///
/// The caller's turn: the request is not signed with one of our keys, or not now, or not whole.
pub(super) fn verify(
    call: &Call<'_>,
    keys: &AccessKeys,
    now: Timestamp,
) -> Result<(Identity, Signed), Refused> {
    let (claim, signed_at) = presented(call.headers, now)?;
    let body_hash = hex(&Sha256::digest(call.body));
    check_declared_hash(call.headers, &body_hash)?;

    let canonical = canonical_hash(call, &claim, &body_hash)?;
    let text = format!(
        "{ALGORITHM}\n{}\n{}/{}/{SERVICE}/{TERMINATOR}\n{}",
        claim.time,
        claim.date,
        claim.region,
        hex(&canonical)
    );
    let (identity, expected) = keys
        .sign(claim.access_key, (claim.date, signed_at), claim.region, &text)
        .ok_or_else(|| Refused::new(AwsErrorKind::UnrecognizedClient, UNKNOWN_TOKEN))?;
    if bool::from(expected.as_bytes().ct_eq(claim.signature.as_bytes())) {
        let signature = Sha256::digest(&expected).first_chunk().copied().unwrap_or_default();
        Ok((identity, Signed { at: signed_at, signature }))
    } else {
        Err(invalid(MISMATCH))
    }
}

/// Refuses what its headers alone show to be wrong, so that no stranger's body is read.
///
/// # Errors
///
/// As for [`verify`], but for the signature itself.
pub(super) fn check_headers(
    headers: &HeaderMap,
    keys: &AccessKeys,
    now: Timestamp,
) -> Result<(), Refused> {
    let (claim, _) = presented(headers, now)?;
    if keys.knows(claim.access_key) {
        Ok(())
    } else {
        Err(Refused::new(AwsErrorKind::UnrecognizedClient, UNKNOWN_TOKEN))
    }
}

/// What a request claims, and the moment it says that it was signed.
fn presented(headers: &HeaderMap, now: Timestamp) -> Result<(Claim<'_>, u64), Refused> {
    let claim = Claim::read(headers)?;
    if headers.contains_key("x-amz-security-token") {
        return Err(Refused::new(
            AwsErrorKind::UnrecognizedClient,
            format!(
                "{UNKNOWN_TOKEN} This gateway takes its own long-lived access keys only, without \
                 X-Amz-Security-Token."
            ),
        ));
    }
    let signed_at = check_time(&claim, now)?;
    check_signed_headers(&claim, headers)?;
    Ok((claim, signed_at))
}

/// The access key id that a request claims, verified or not; empty if it claims none.
pub(super) fn claimed_access_key(headers: &HeaderMap) -> &str {
    Claim::read(headers).map_or("", |claim| claim.access_key)
}

fn invalid(message: impl Into<String>) -> Refused {
    Refused::new(AwsErrorKind::InvalidSignature, message)
}

/// What the `Authorization` and `X-Amz-Date` headers say.
struct Claim<'a> {
    access_key: &'a str,
    date: &'a str,
    region: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
    time: &'a str,
}

impl<'a> Claim<'a> {
    fn read(headers: &'a HeaderMap) -> Result<Self, Refused> {
        let authorization = headers.get(http::header::AUTHORIZATION).ok_or_else(|| {
            Refused::new(AwsErrorKind::MissingAuthenticationToken, "Missing Authentication Token")
        })?;
        let incomplete = |message| Refused::new(AwsErrorKind::IncompleteSignature, message);
        let (algorithm, parameters) = authorization
            .to_str()
            .ok()
            .and_then(|text| text.trim().split_once(' '))
            .ok_or_else(|| incomplete("Authorization header is not readable.".to_owned()))?;
        if algorithm != ALGORITHM {
            return Err(incomplete(format!(
                "Unsupported AWS 'algorithm': only {ALGORITHM} is accepted."
            )));
        }
        let mut missing = String::new();
        let mut parameter = |name: &str| {
            let found = parameters
                .split(',')
                .find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
                .filter(|value| !value.is_empty());
            if found.is_none() {
                let _ = write!(missing, "Authorization header requires '{name}' parameter. ");
            }
            found.unwrap_or_default()
        };
        let credential = parameter("Credential");
        let signature = parameter("Signature");
        let signed_headers = parameter("SignedHeaders");
        let time = headers.get("x-amz-date").and_then(|time| time.to_str().ok());
        if time.is_none() {
            missing.push_str("Authorization header requires existence of a 'X-Amz-Date' header. ");
        }
        let (Some(time), true) = (time, missing.is_empty()) else {
            return Err(incomplete(missing.trim_end().to_owned()));
        };
        let scope: Vec<&str> = credential.splitn(6, '/').collect();
        let [access_key, date, region, service, terminator] = scope.as_slice() else {
            return Err(incomplete(
                "Credential must have exactly 5 slash-delimited elements, e.g. \
                 keyid/date/region/service/term."
                    .to_owned(),
            ));
        };
        if *service != SERVICE {
            return Err(invalid(format!(
                "Credential should be scoped to correct service: '{SERVICE}'."
            )));
        }
        if *terminator != TERMINATOR {
            return Err(invalid(format!(
                "Credential should be scoped with a valid terminator: '{TERMINATOR}'."
            )));
        }
        Ok(Self { access_key, date, region, signed_headers, signature, time })
    }
}

/// Checks that the request was signed now, and gives the moment in seconds since the epoch.
fn check_time(claim: &Claim<'_>, now: Timestamp) -> Result<u64, Refused> {
    let signed = PrimitiveDateTime::parse(claim.time, BASIC_FORMAT)
        .map_err(|_| {
            let message = "Date must be in ISO-8601 'basic format', for example 20261121T201700Z.";
            Refused::new(AwsErrorKind::IncompleteSignature, message)
        })?
        .assume_utc();
    if claim.time.get(..8) != Some(claim.date) {
        return Err(invalid(format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from \
             HTTP: '{}' != '{}'.",
            claim.date, claim.time
        )));
    }
    let basic = |moment: Timestamp| {
        OffsetDateTime::from_unix_timestamp(moment.unix_seconds())
            .ok()
            .and_then(|moment| moment.format(BASIC_FORMAT).ok())
            .unwrap_or_default()
    };
    let moment = Timestamp::from_unix_seconds(signed.unix_timestamp());
    let (earliest, latest) = (now.before(ALLOWED_SKEW), now.after(ALLOWED_SKEW));
    if moment < earliest {
        return Err(invalid(format!(
            "Signature expired: {} is now earlier than {} ({} - 5 min.)",
            claim.time,
            basic(earliest),
            basic(now)
        )));
    }
    if moment > latest {
        return Err(invalid(format!(
            "Signature not yet current: {} is still later than {} ({} + 5 min.)",
            claim.time,
            basic(latest),
            basic(now)
        )));
    }
    u64::try_from(signed.unix_timestamp())
        .map_err(|_| invalid("Signature expired: it is dated before 1970."))
}

/// What decides who asks for what must be signed; hints such as `amz-sdk-request` need not be. What is
/// signed is named once, in order, as every signer names it.
fn check_signed_headers(claim: &Claim<'_>, headers: &HeaderMap) -> Result<(), Refused> {
    let names = claim.signed_headers.split(';');
    if !names.clone().is_sorted_by(|one, next| one < next) {
        return Err(invalid("'SignedHeaders' must be sorted, and name each header once."));
    }
    let bytes = |name: &str| {
        let values = headers.get_all(name).iter().map(|value| value.len() + 1);
        name.len() + values.sum::<usize>()
    };
    if names.clone().count() > MOST_SIGNED_HEADERS
        || names.clone().map(bytes).sum::<usize>() > MOST_SIGNED_BYTES
    {
        return Err(invalid(format!(
            "'SignedHeaders' may name {MOST_SIGNED_HEADERS} headers of {MOST_SIGNED_BYTES} bytes in \
             all; sign fewer."
        )));
    }
    let is_signed = |name: &str| names.clone().any(|signed| signed == name);
    if !is_signed("host") {
        return Err(invalid(
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
        ));
    }
    for name in ["x-amz-date", "x-amz-target"] {
        if headers.contains_key(name) && !is_signed(name) {
            return Err(invalid(format!(
                "'{name}' must be a 'SignedHeader' in the AWS Authorization."
            )));
        }
    }
    Ok(())
}

/// Checks the hash that the client declares, if it does; a body must not go unsigned.
fn check_declared_hash(headers: &HeaderMap, actual: &str) -> Result<(), Refused> {
    match headers.get("x-amz-content-sha256") {
        Some(declared) if declared.as_bytes() != actual.as_bytes() => Err(invalid(
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        )),
        _ => Ok(()),
    }
}

/// The SHA-256 of the canonical request, which is hashed as it is read.
fn canonical_hash(
    call: &Call<'_>,
    claim: &Claim<'_>,
    body_hash: &str,
) -> Result<[u8; 32], Refused> {
    let mut text = Sha256::new();
    for part in [call.method, "\n", call.path, "\n"] {
        text.update(part);
    }
    hash_query(&mut text, call.query);
    text.update("\n");
    for name in claim.signed_headers.split(';') {
        text.update(name);
        text.update(":");
        let mut values = call.headers.get_all(name).iter().peekable();
        if values.peek().is_none() {
            // HTTP/2 carries the host as a pseudo header.
            let authority = call.authority.filter(|_| name == "host").ok_or_else(|| {
                invalid("A header that 'SignedHeaders' names is not part of the request.")
            })?;
            text.update(authority);
        }
        for (at, value) in values.enumerate() {
            let value = std::str::from_utf8(value.as_bytes()).map_err(|_| invalid(MISMATCH))?;
            if at > 0 {
                text.update(",");
            }
            hash_words(&mut text, value);
        }
        text.update("\n");
    }
    for part in ["\n", claim.signed_headers, "\n", body_hash] {
        text.update(part);
    }
    Ok(text.finalize().into())
}

/// Adds the words of a header's value with one space between them.
fn hash_words(text: &mut Sha256, value: &str) {
    for (at, word) in value.split([' ', '\t']).filter(|word| !word.is_empty()).enumerate() {
        if at > 0 {
            text.update(" ");
        }
        text.update(word);
    }
}

/// Adds the parameters, sorted; clients have percent-encoded them already.
fn hash_query(text: &mut Sha256, query: &str) {
    let mut parameters: Vec<(&str, &str)> = query
        .split('&')
        .filter(|parameter| !parameter.is_empty())
        .map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
        .collect();
    parameters.sort_unstable();
    for (at, (name, value)) in parameters.into_iter().enumerate() {
        if at > 0 {
            text.update("&");
        }
        for part in [name, "=", value] {
            text.update(part);
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
#[path = "signature_tests.rs"]
mod tests;
