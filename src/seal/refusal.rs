//! Says which check a token does not pass, for whoever holds the keys on a machine of their own.
//!
//! Never for a sender: who learns which check failed can ask the key questions (RFC 7516, section 11.5).
//! [`open`](crate::seal::open()) has one answer for that reason. The checks here are those of `open`, in
//! its order, and the first that fails is told.

use serde_json::{Map, Value};

use crate::event::{Timestamp, json};
use crate::keys::ContentEncryption;
use crate::seal::open::{check_parties, decrypt};
use crate::seal::signed::seconds;
use crate::seal::{Opening, open, signed, text};

type Members = Map<String, Value>;

/// Which check a token does not pass, in words; nothing if it is opened.
pub fn refusal(token: &str, opening: &Opening<'_>) -> Option<String> {
    let error = open(token, opening).err()?;
    if let Some(fault) = error.claim() {
        return Some(fault.to_string());
    }
    let found = of_outside(token, opening).or_else(|| of_inside(token, opening));
    Some(found.unwrap_or_else(|| {
        "the claims have not the shape of an event: `jti`, one member of `events`, `seq` with `prv`".to_owned()
    }))
}

/// The encrypted layer: checks 1 to 6.
fn of_outside(token: &str, opening: &Opening<'_>) -> Option<String> {
    let limits = &opening.limits;
    let Some([protected, ..]) = text::parts::<5>(token, limits.token) else {
        return Some(format!(
            "the token is no five parts of at most {} bytes together",
            limits.token
        ));
    };
    let Some(header) = text::object(protected, json::Limits::new(limits.outer_header, 8)) else {
        return Some("the header of the encrypted layer is no JSON object in base64url".to_owned());
    };
    of_encrypting_header(&header, opening).or_else(|| {
        decrypt(token, opening).is_none().then(|| {
            format!(
                "the key with the `kid` {} does not open it: it was sealed for another key of that name, or \
                 was altered, cut or packed beyond the limits on its way",
                shown(&header, "kid")
            )
        })
    })
}

fn of_encrypting_header(header: &Members, opening: &Opening<'_>) -> Option<String> {
    let text_of = |name: &str| header.get(name).and_then(Value::as_str);
    if header.contains_key("crit") {
        return Some("the header has `crit`, of which nothing is understood".to_owned());
    }
    if text_of("cty") != Some("JWT") {
        return Some(format!("`cty` is {}, and not \"JWT\"", shown(header, "cty")));
    }
    if header.get("zip").is_some_and(|zip| zip != "DEF") {
        return Some(format!("`zip` is {}, and not \"DEF\"", shown(header, "zip")));
    }
    let kid = text_of("kid").filter(|kid| kid.len() <= 256);
    let Some(key) = kid.and_then(|kid| opening.keys.get(kid)) else {
        return Some(format!(
            "`kid` is {}: no key of yours has that name, or, without one, that thumbprint; yours are {}",
            shown(header, "kid"),
            listed(opening.keys.kids())
        ));
    };
    if text_of("enc").and_then(|enc| enc.parse::<ContentEncryption>().ok()).is_none() {
        return Some(format!("`enc` is {}, which is not known", shown(header, "enc")));
    }
    let management = key.management().name();
    (text_of("alg") != Some(management)).then(|| {
        format!(
            "`alg` is {}, and your key {} is for {management}",
            shown(header, "alg"),
            Value::from(key.kid())
        )
    })
}

/// The signed layer and its claims: checks 7 to 13.
fn of_inside(token: &str, opening: &Opening<'_>) -> Option<String> {
    let (header, inner) = decrypt(token, opening)?;
    let inner = String::from_utf8(inner).ok();
    let no_token = || "what was encrypted is no signed token".to_owned();
    let Some(inner) = inner else { return Some(no_token()) };
    let limits = &opening.limits;
    let parts = text::parts::<3>(&inner, limits.inflated.max(limits.token));
    let Some([signing_header, _, _]) = parts else { return Some(no_token()) };
    let Some(members) = text::object(signing_header, limits.of_inner_header()) else {
        return Some("the header of the signed layer is no JSON object in base64url".to_owned());
    };
    if let Some(found) = of_signing_header(&members, opening) {
        return Some(found);
    }
    let Some(claims) = signed::verify(&inner, "secevent+jwt", opening.issuer_keys, limits) else {
        return Some(format!(
            "the signature does not verify with the gateway's key {}: it was altered, or these are the keys \
             of another gateway",
            shown(&members, "kid")
        ));
    };
    of_parties(&header, &claims, opening).or_else(|| of_claims(&claims, opening))
}

fn of_signing_header(members: &Members, opening: &Opening<'_>) -> Option<String> {
    if let Some(name) = ["crit", "b64"].into_iter().find(|name| members.contains_key(*name)) {
        return Some(format!("the signed layer has `{name}`, of which nothing is understood"));
    }
    let text_of = |name: &str| members.get(name).and_then(Value::as_str);
    let typ = text_of("typ").map(|typ| typ.strip_prefix("application/").unwrap_or(typ));
    if typ != Some("secevent+jwt") {
        let found = shown(members, "typ");
        return Some(format!("`typ` is {found}, and not \"secevent+jwt\": it carries no event"));
    }
    let Some(key) = text_of("kid").and_then(|kid| opening.issuer_keys.get(kid)) else {
        return Some(format!(
            "it is signed under the `kid` {}, which is not among the gateway's keys that you gave: fetch them \
             anew, or keep those of the time of the token",
            shown(members, "kid")
        ));
    };
    let algorithm = key.algorithm();
    (text_of("alg").and_then(|alg| alg.parse().ok()) != Some(algorithm)).then(|| {
        format!(
            "`alg` of the signature is {}, and that key is for {algorithm}",
            shown(members, "alg")
        )
    })
}

fn of_parties(header: &Members, claims: &Members, opening: &Opening<'_>) -> Option<String> {
    let differs =
        |name: &&str| header.contains_key(*name) && header.get(*name) != claims.get(*name);
    if let Some(name) = ["iss", "aud", "sub"].into_iter().find(|name| differs(name)) {
        return Some(format!("`{name}` is one thing outside of the encryption and another inside"));
    }
    if check_parties(claims, opening.issuer, opening.audience).is_some() {
        return None;
    }
    if claims.get("iss").and_then(Value::as_str) != Some(opening.issuer) {
        return Some(format!(
            "`iss` is {}, and you believe {} only",
            shown(claims, "iss"),
            Value::from(opening.issuer)
        ));
    }
    Some(format!(
        "`aud` is {}, and you are {}",
        shown(claims, "aud"),
        Value::from(opening.audience)
    ))
}

fn of_claims(claims: &Members, opening: &Opening<'_>) -> Option<String> {
    let (now, leeway) = (opening.now, opening.leeway.as_secs());
    let moment = |seconds: i64| Timestamp::from_unix_seconds(seconds);
    let Some(issued) = seconds(claims, "iat") else { return Some("`iat` is missing".to_owned()) };
    let Some(expires) = seconds(claims, "exp") else { return Some("`exp` is missing".to_owned()) };
    let judged = if opening.stored { moment(issued) } else { now };
    if expires <= judged.before(opening.leeway).unix_seconds() {
        return Some(format!(
            "it expired: `exp` is {}, and it is judged at {judged}, with {leeway} seconds of leeway; judge a \
             stored token at a moment of its own with `--at`",
            moment(expires)
        ));
    }
    let begins = claims.contains_key("nbf").then(|| seconds(claims, "nbf"));
    if begins.is_some_and(|begins| {
        begins.is_none_or(|begins| begins > judged.after(opening.leeway).unix_seconds())
    }) {
        return Some(format!("`nbf` is {}, and it is judged at {judged}", shown(claims, "nbf")));
    }
    if let Some(age) = opening.limits.age
        && issued < judged.before(age).before(opening.leeway).unix_seconds()
    {
        return Some(format!("`iat` is {}, longer ago than is accepted", moment(issued)));
    }
    let kinds = claims.get("events").and_then(Value::as_object);
    let kind = kinds.and_then(|kinds| kinds.keys().next());
    let expected = opening.event_type.filter(|expected| kind.is_some_and(|kind| kind != expected));
    expected.map(|expected| {
        let found = Value::from(kind.map_or("", String::as_str));
        format!("`events` has {found}, and you accept {} only", Value::from(expected))
    })
}

/// A member as it stands there, which may be anything.
fn shown(members: &Members, name: &str) -> String {
    match members.get(name) {
        None => "missing".to_owned(),
        Some(value) => value.to_string().chars().take(300).collect(),
    }
}

fn listed<'a>(kids: impl Iterator<Item = &'a str>) -> String {
    let kids: Vec<_> = kids.map(|kid| Value::from(kid).to_string()).collect();
    kids.join(", ")
}
