//! Which check a token does not pass is told to whoever holds the keys, for each check.

use super::refusals::{claims, encrypt, sign};
use super::*;
use crate::seal::{open, refusal};

/// Changes of the outer header, of the inner one and of the claims; a null takes a member out.
struct Change {
    outside: Value,
    signing: Value,
    claims: Value,
}

fn changed(mut object: Value, changes: &Value) -> Value {
    let members = object.as_object_mut().unwrap();
    for (name, value) in changes.as_object().into_iter().flatten() {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    object
}

fn token(parties: &Parties, change: &Change) -> String {
    let header = json!({"alg": "ES256", "typ": "secevent+jwt", "kid": parties.signing.kid()});
    let inner = sign(
        parties,
        &changed(header, &change.signing),
        &changed(claims(), &change.claims).to_string(),
    );
    let outside = change.outside.as_object().map_or_else(|| json!({}), |members| json!(members));
    encrypt(parties, &outside, &inner)
}

#[test]
fn each_check_is_told_and_a_good_token_has_no_refusal() {
    let parties = Parties::usual();
    let now = NOW.unix_seconds();
    let outside = |outside: Value| Change { outside, signing: json!({}), claims: json!({}) };
    let signing = |signing: Value| Change { outside: json!({}), signing, claims: json!({}) };
    let of_claims = |claims: Value| Change { outside: json!({}), signing: json!({}), claims };
    assert_eq!(refusal(&token(&parties, &outside(json!({}))), &parties.opening()), None);
    for (change, words) in [
        (outside(json!({"crit": ["x"]})), "the header has `crit`"),
        (outside(json!({"cty": null})), "`cty` is missing"),
        (outside(json!({"zip": "GZ"})), "`zip` is \"GZ\""),
        (outside(json!({"kid": "other"})), "`kid` is \"other\": no key of yours"),
        (outside(json!({"enc": "A1"})), "`enc` is \"A1\""),
        (outside(json!({"alg": "RSA-OAEP-256"})), "`alg` is \"RSA-OAEP-256\", and your key"),
        (outside(json!({"iss": "https://other"})), "`iss` is one thing outside"),
        (signing(json!({"b64": false})), "the signed layer has `b64`"),
        (signing(json!({"typ": "JWT"})), "`typ` is \"JWT\""),
        (signing(json!({"kid": "old"})), "`kid` \"old\", which is not among the gateway's keys"),
        (signing(json!({"alg": "RS256"})), "`alg` of the signature is \"RS256\""),
        (of_claims(json!({"iss": "https://other"})), "`iss` is \"https://other\", and you believe"),
        (of_claims(json!({"aud": "other"})), "`aud` is \"other\", and you are"),
        (of_claims(json!({"aud": [AUDIENCE, "other"]})), "`aud` is ["),
        (of_claims(json!({"iat": null})), "`iat` is missing"),
        (of_claims(json!({"exp": null})), "`exp` is missing"),
        (of_claims(json!({"exp": now - 61})), "it expired"),
        (of_claims(json!({"nbf": now + 61})), "`nbf` is "),
        (of_claims(json!({"iat": now + 61})), "`iat` lies in the future"),
        (of_claims(json!({"jti": null})), "have not the shape of an event"),
        (of_claims(json!({"events": {}})), "have not the shape of an event"),
    ] {
        let token = token(&parties, &change);

        assert!(open(&token, &parties.opening()).is_err(), "{words}");
        let told = refusal(&token, &parties.opening()).expect(words);
        assert!(told.contains(words), "{told}, and not {words}");
    }
}

#[test]
fn what_was_altered_or_is_of_another_gateway_is_told_as_that() {
    let parties = Parties::usual();
    let good =
        token(&parties, &Change { outside: json!({}), signing: json!({}), claims: json!({}) });
    let mut altered = good.clone();
    altered.pop();
    altered.push(if good.ends_with('A') { 'Q' } else { 'A' });

    let told = refusal(&altered, &parties.opening()).unwrap();
    assert!(told.contains("does not open it"), "{told}");
    let told = refusal("a.b.c", &parties.opening()).unwrap();
    assert!(told.contains("no five parts"), "{told}");
    let strange = Opening { event_type: Some("another"), ..parties.opening() };
    let told = refusal(&good, &strange).unwrap();
    assert!(told.contains("`events` has \"e\", and you accept \"another\" only"), "{told}");
}
