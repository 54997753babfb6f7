//! Everything that must not open, and always with the same words.

use std::cell::RefCell;
use std::collections::HashSet;

use base64_simd::URL_SAFE_NO_PAD;
use proptest::prelude::*;

use super::*;
use crate::seal::{ClaimFault, OpenLimits, compression, content, inspect, open};

fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode_to_string(bytes)
}

/// Claims that open, to be spoiled.
pub(super) fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "iat": NOW.unix_seconds(),
        "exp": NOW.unix_seconds() + 3600, "jti": "01", "events": {"e": {}},
    })
}

/// Signs any text under any header.
pub(super) fn sign(parties: &Parties, header: &Value, claims: &str) -> String {
    let message = format!("{}.{}", base64(header.to_string()), base64(claims));
    let signature = parties.signing.sign_message(message.as_bytes()).unwrap();
    format!("{message}.{signature}")
}

fn inner_header(parties: &Parties) -> Value {
    json!({"alg": "ES256", "typ": "secevent+jwt", "kid": parties.signing.kid()})
}

/// Encrypts any text under any changes of the header, with AES-GCM.
pub(super) fn encrypt(parties: &Parties, changes: &Value, inner: &str) -> String {
    encrypt_bytes(parties, changes, inner.as_bytes())
}

fn encrypt_bytes(parties: &Parties, changes: &Value, inner: &[u8]) -> String {
    let encryption = ContentEncryption::A256GCM;
    let established = parties.sealing.establish(encryption).unwrap();
    let mut header = json!({
        "alg": "ECDH-ES", "enc": "A256GCM", "cty": "JWT", "kid": parties.sealing.kid(),
        "epk": established.ephemeral.as_ref().unwrap().to_jwk(),
    });
    for (member, value) in changes.as_object().unwrap() {
        if value.is_null() {
            header.as_object_mut().unwrap().remove(member);
        } else {
            header[member] = value.clone();
        }
    }
    encrypt_raw(&header.to_string(), established.content_key.as_bytes(), inner)
}

fn encrypt_raw(header: &str, key: &[u8], inner: &[u8]) -> String {
    let protected = base64(header);
    let mut text = inner.to_vec();
    let key = (key, ContentEncryption::A256GCM);
    let tag = content::encrypt_gcm(key, [9; 12], protected.as_bytes(), &mut text).unwrap();
    format!("{protected}..{}.{}.{}", base64([9; 12]), base64(text), base64(tag))
}

fn refused(token: &str, opening: &Opening<'_>) -> bool {
    match open(token, opening) {
        Ok(_) => false,
        Err(error) => {
            let claim = error.claim().map_or_else(String::new, |fault| format!(": {fault}"));
            assert_eq!(error.to_string(), format!("the token cannot be opened{claim}"));
            true
        }
    }
}

#[test]
fn the_forgeries_below_differ_from_good_tokens_in_one_thing_only() {
    let parties = Parties::usual();
    let inner = sign(&parties, &inner_header(&parties), &claims().to_string());

    assert!(open(&encrypt(&parties, &json!({}), &inner), &parties.opening()).is_ok());
}

#[test]
fn a_token_that_was_altered_in_any_part_is_refused() {
    let mut all: Vec<Parties> =
        OpeningKeyKind::ALL.map(|kind| Parties::new(SigningAlgorithm::ES256, kind)).into();
    all.push(Parties::sharing_a_secret());
    for parties in &all {
        for content_encryption in ContentEncryption::ALL {
            let token = parties.token(&event(), with(content_encryption));
            let parts: Vec<&str> = token.split('.').collect();
            for part in 0..5 {
                for change in [String::new(), "A".repeat(16), format!("{}AAAA", parts[part])] {
                    let mut altered = parts.clone();
                    altered[part] = &change;
                    if altered == parts {
                        continue;
                    }
                    assert!(refused(&altered.join("."), &parties.opening()), "part {part}");
                }
                let mut bytes = URL_SAFE_NO_PAD.decode_to_vec(parts[part]).unwrap();
                for at in 0..bytes.len() {
                    bytes[at] ^= 1;
                    let change = base64(&bytes);
                    bytes[at] ^= 1;
                    let mut altered = parts.clone();
                    altered[part] = &change;
                    // Half of the time is spent here, so only some places of long parts.
                    if at < 4 || at % 29 == 0 {
                        assert!(refused(&altered.join("."), &parties.opening()), "part {part}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_short_tag_is_refused_whatever_its_length() {
    for content_encryption in ContentEncryption::ALL {
        let parties = Parties::usual();
        let token = parties.token(&event(), with(content_encryption));
        let (rest, tag) = token.rsplit_once('.').unwrap();
        let tag = URL_SAFE_NO_PAD.decode_to_vec(tag).unwrap();
        for length in 0..16 {
            let short = format!("{rest}.{}", base64(&tag[..length]));
            assert!(refused(&short, &parties.opening()), "{length}");
        }
        let long = format!("{rest}.{}", base64([tag.as_slice(), &[0]].concat()));
        assert!(refused(&long, &parties.opening()));
    }
}

#[test]
fn an_outer_header_that_is_not_as_agreed_is_refused() {
    let parties = Parties::usual();
    let inner = sign(&parties, &inner_header(&parties), &claims().to_string());
    for changes in [
        json!({"alg": "dir"}),
        json!({"alg": "RSA-OAEP-256"}),
        json!({"alg": "ecdh-es"}),
        json!({"alg": null}),
        json!({"enc": "A128GCM"}),
        json!({"enc": "A256CBC-HS512"}),
        json!({"enc": 1}),
        json!({"cty": null}),
        json!({"cty": "jwt"}),
        json!({"cty": "JSON"}),
        json!({"kid": null}),
        json!({"kid": "another"}),
        json!({"kid": ["01"]}),
        json!({"crit": ["exp"], "exp": 1}),
        json!({"crit": []}),
        json!({"zip": "DEF"}),
        json!({"zip": "GZ"}),
        json!({"zip": true}),
        json!({"epk": null}),
        json!({"apu": "QWxpY2U"}),
        json!({"apv": 7}),
        json!({"iss": "https://other.example.com"}),
        json!({"aud": "another"}),
        json!({"sub": "someone"}),
        json!({"pad": "x".repeat(4096)}),
    ] {
        assert!(refused(&encrypt(&parties, &changes, &inner), &parties.opening()), "{changes}");
    }
    let repeated = encrypt(&parties, &json!({"iss": ISSUER, "aud": AUDIENCE}), &inner);
    assert!(open(&repeated, &parties.opening()).is_ok());
}

#[test]
fn repeated_members_and_other_tricks_with_json_are_refused() {
    let parties = Parties::usual();
    let inner = sign(&parties, &inner_header(&parties), &claims().to_string());
    let established = parties.sealing.establish(ContentEncryption::A256GCM).unwrap();
    let header = |extra: &str| {
        let epk = established.ephemeral.as_ref().unwrap().to_jwk();
        format!(
            r#"{{"alg":"ECDH-ES","enc":"A256GCM","cty":"JWT","kid":"{}","epk":{epk}{extra}}}"#,
            parties.sealing.kid()
        )
    };
    let token =
        |header: &str| encrypt_raw(header, established.content_key.as_bytes(), inner.as_bytes());

    assert!(open(&token(&header("")), &parties.opening()).is_ok());
    assert!(refused(&token(&header(r#","alg":"ECDH-ES""#)), &parties.opening()));
    assert!(refused(&token(&format!("[{}]", header(""))), &parties.opening()));
    assert!(refused(&token(&format!("{}x", header(""))), &parties.opening()));

    let text = claims().to_string();
    let body = text.strip_suffix('}').unwrap();
    for claims in [
        format!(r#"{body},"aud":"{AUDIENCE}"}}"#),
        format!(r#"{body},"x":{}1{}}}"#, "[".repeat(81), "]".repeat(81)),
        format!("{text} x"),
        "[]".to_owned(),
        String::new(),
    ] {
        let inner = sign(&parties, &inner_header(&parties), &claims);
        assert!(refused(&encrypt(&parties, &json!({}), &inner), &parties.opening()), "{claims}");
    }
}

#[test]
fn an_inner_token_without_a_true_signature_is_refused() {
    let parties = Parties::usual();
    let stranger = Parties::usual();
    let text = claims().to_string();
    let good = sign(&parties, &inner_header(&parties), &text);
    let (message, _) = good.rsplit_once('.').unwrap();
    let kid = parties.signing.kid();
    let none = json!({"alg": "none", "typ": "secevent+jwt", "kid": kid});
    let unsigned = format!("{}.{}.", base64(none.to_string()), base64(&text));
    let nested = encrypt(&parties, &json!({}), &good);
    // The public key as the secret of a MAC: the oldest trick of all.
    let public = parties.signing.public_jwk().unwrap().to_string();
    let header = json!({"alg": "HS256", "typ": "secevent+jwt", "kid": kid});
    let confused = format!("{}.{}", base64(header.to_string()), base64(&text));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, public.as_bytes());
    let mac = aws_lc_rs::hmac::sign(&key, confused.as_bytes());
    let confused = format!("{confused}.{}", base64(mac));

    let zero = base64([0; 64]);
    for inner in [
        unsigned.as_str(),
        &text,
        &nested,
        &confused,
        &sign(&stranger, &inner_header(&parties), &text),
        &sign(&stranger, &inner_header(&stranger), &text),
        &format!("{message}."),
        &format!("{message}.{zero}"),
        &format!("{good}.AAAA"),
        &format!("{good} "),
        "",
    ] {
        assert!(refused(&encrypt(&parties, &json!({}), inner), &parties.opening()), "{inner}");
    }
    // A signed token that was never encrypted, and one that is not text.
    assert!(refused(&good, &parties.opening()));
    assert!(refused(&encrypt_bytes(&parties, &json!({}), b"\xff\xfe"), &parties.opening()));
}

#[test]
fn an_inner_header_that_is_not_as_agreed_is_refused() {
    let parties = Parties::usual();
    for (member, value) in [
        ("alg", json!("EdDSA")),
        ("alg", json!("none")),
        ("alg", json!(null)),
        ("typ", json!("JWT")),
        ("typ", json!(null)),
        ("typ", json!("checkpoint+jwt")),
        ("kid", json!("another")),
        ("kid", json!(null)),
        ("crit", json!(["b64"])),
        ("b64", json!(false)),
        ("pad", json!("x".repeat(2048))),
    ] {
        let mut header = inner_header(&parties);
        header[member] = value;
        let inner = sign(&parties, &header, &claims().to_string());
        assert!(refused(&encrypt(&parties, &json!({}), &inner), &parties.opening()), "{header}");
    }
    // A key that is named only in the header is never used.
    let stranger = Parties::usual();
    let mut header = inner_header(&stranger);
    header["jwk"] = stranger.signing.public_jwk().unwrap().clone();
    let inner = sign(&stranger, &header, &claims().to_string());
    assert!(refused(&encrypt(&parties, &json!({}), &inner), &parties.opening()));
}

#[test]
fn claims_that_are_not_for_us_now_are_refused() {
    let parties = Parties::usual();
    let now = NOW.unix_seconds();
    let opens = |changes: &Value, opening: &Opening<'_>| {
        let mut claims = claims();
        for (member, value) in changes.as_object().unwrap() {
            claims[member] = value.clone();
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(member);
            }
        }
        let inner = sign(&parties, &inner_header(&parties), &claims.to_string());
        !refused(&encrypt(&parties, &json!({}), &inner), opening)
    };
    let previous = ChainValue::from_bytes([7; 32]).to_string();
    for good in [
        json!({"aud": [AUDIENCE]}),
        json!({"iat": now + 60}),
        json!({"exp": now - 59}),
        json!({"exp": 1_000_000_000_000_i64}),
        json!({"nbf": now + 60}),
        json!({"iat": 0.5}),
        json!({"seq": 1, "prv": previous}),
    ] {
        assert!(opens(&good, &parties.opening()), "{good}");
    }
    for bad in [
        json!({"iss": "https://events.example.com/"}),
        json!({"iss": [ISSUER]}),
        json!({"iss": null}),
        json!({"aud": "https://shop.example.net"}),
        json!({"aud": ["another"]}),
        json!({"aud": ["another", AUDIENCE]}),
        json!({"aud": [AUDIENCE, 7]}),
        json!({"aud": null}),
        json!({"iat": now + 61}),
        json!({"iat": "now"}),
        json!({"iat": null}),
        json!({"exp": now - 60}),
        json!({"exp": "never"}),
        json!({"exp": null}),
        json!({"nbf": now + 61}),
        json!({"nbf": true}),
        json!({"jti": null}),
        json!({"jti": ""}),
        json!({"jti": 1}),
        json!({"events": null}),
        json!({"events": {}}),
        json!({"events": {"a": {}, "b": {}}}),
        json!({"events": {"a": "b"}}),
        json!({"events": [{}]}),
        json!({"seq": 1}),
        json!({"prv": previous}),
        json!({"seq": 0, "prv": previous}),
        json!({"seq": -1, "prv": previous}),
        json!({"seq": 1, "prv": "short"}),
        json!({"rpl": 1}),
    ] {
        assert!(!opens(&bad, &parties.opening()), "{bad}");
    }
    let aged =
        OpenLimits { age: Some(std::time::Duration::from_hours(1)), ..OpenLimits::default() };
    let young = Opening { limits: aged, event_type: Some("e"), ..parties.opening() };
    assert!(opens(&json!({"iat": now - 3660}), &young));
    assert!(!opens(&json!({"iat": now - 3661}), &young));
    assert!(!opens(&json!({"events": {"another": {}}}), &young));
}

#[test]
fn what_the_issuer_has_signed_and_cannot_be_true_is_told() {
    let parties = Parties::usual();
    let previous = ChainValue::from_bytes([7; 32]).to_string();
    let event = |event: Value| json!({"events": {"e": event}});
    let schema = json!({"dataschema": "https://x.example/schemas/a/B/1.0.0"});
    let salt = "BwcHBwcHBwcHBwcHBwcHBw";
    let cases = [
        (json!({"iat": NOW.unix_seconds() + 61}), Some(ClaimFault::Future)),
        (json!({"seq": 1, "prv": previous, "rpl": "x"}), Some(ClaimFault::PlacedReplay)),
        (json!({"sub_id": {"format": "opaque", "id": "orders"}}), None),
        (json!({"sub_id": {"format": "email", "id": "orders"}}), Some(ClaimFault::Subject)),
        (json!({"sub_id": "orders"}), Some(ClaimFault::Subject)),
        (json!({"toe": 7}), None),
        (event(json!({"time": "1969-12-31T23:59:59.9Z"})), None),
        (event(json!({"time": "1970-01-01T00:00:07.9Z"})), Some(ClaimFault::OccurredAt)),
        (json!({"toe": 7, "events": {"e": {"time": "1970-01-01T00:00:07.9Z"}}}), None),
        (
            json!({"toe": 8, "events": {"e": {"time": "1970-01-01T00:00:07.9Z"}}}),
            Some(ClaimFault::OccurredAt),
        ),
        (
            json!({"toe": 7.0, "events": {"e": {"time": "1970-01-01T00:00:07.9Z"}}}),
            Some(ClaimFault::OccurredAt),
        ),
        (event(json!({"time": 7})), Some(ClaimFault::OccurredAt)),
        (event(schema.clone()), None),
        (
            json!({"pub_ver": "1.0.0", "events": {"e": schema}}),
            Some(ClaimFault::PublicationVersion),
        ),
        (json!({"slt": salt, "pub_ver": "1.0.0", "events": {"e": schema}}), None),
        (json!({"slt": salt, "events": {"e": schema}}), Some(ClaimFault::PublicationVersion)),
        (json!({"slt": salt, "pub_ver": "1.0.0"}), Some(ClaimFault::PublicationVersion)),
        (
            json!({"slt": salt, "pub_ver": "1.0.1", "events": {"e": schema}}),
            Some(ClaimFault::PublicationVersion),
        ),
    ];
    for (changes, fault) in cases {
        let mut claims = claims();
        for (member, value) in changes.as_object().unwrap() {
            claims[member] = value.clone();
        }
        let inner = sign(&parties, &inner_header(&parties), &claims.to_string());
        let opened = open(&encrypt(&parties, &json!({}), &inner), &parties.opening());
        assert_eq!(opened.err().map(|error| error.claim()), fault.map(Some), "{changes}");
    }
}

#[test]
fn a_number_that_is_not_in_its_one_text_is_not_opened() {
    let parties = Parties::usual();
    let told = |number: &str| {
        let body = claims().to_string();
        let body = body.replace(r#"{"e":{}}"#, &format!(r#"{{"e":{{"data":[{number}]}}}}"#));
        assert!(body.contains(number));
        let inner = sign(&parties, &inner_header(&parties), &body);
        let opened = open(&encrypt(&parties, &json!({}), &inner), &parties.opening());
        opened.err().map(|error| error.claim())
    };
    for good in ["0", "300", "1e+21", "1e-7", "1152921504606846976", "-0.5"] {
        assert_eq!(told(good), None, "{good}");
    }
    for bad in ["-0", "300.0", "3e2", "1E+21", "1e21", "789.34000000000003", "0.10", "-0.0"] {
        assert_eq!(told(bad), Some(Some(ClaimFault::Number)), "{bad}");
    }
}

#[test]
fn a_stored_token_is_judged_at_its_own_time() {
    let parties = Parties::usual();
    let (now, later) = (NOW.unix_seconds(), NOW.after(std::time::Duration::from_hours(1_000)));
    let stored = Opening { now: later, stored: true, ..parties.opening() };
    let opens = |changes: &Value, opening: &Opening<'_>| {
        let mut claims = claims();
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let inner = sign(&parties, &inner_header(&parties), &claims.to_string());
        !refused(&encrypt(&parties, &json!({}), &inner), opening)
    };

    assert!(!opens(&json!({}), &Opening { stored: false, ..stored }));
    assert!(opens(&json!({}), &stored));
    assert!(opens(&json!({"exp": now - 59, "nbf": now + 60}), &stored));
    assert!(!opens(&json!({"exp": now - 60}), &stored));
    assert!(!opens(&json!({"nbf": now + 61}), &stored));
    assert!(!opens(&json!({"iat": later.unix_seconds() + 61, "exp": 2_000_000_000}), &stored));
}

#[test]
fn another_consumer_another_issuer_and_a_later_day_cannot_open() {
    let parties = Parties::usual();
    let stranger = Parties::usual();
    let token = parties.token(&event(), Options::default());
    let later = Timestamp::from_unix_seconds(1_795_369_331 + 60);

    assert!(open(&token, &parties.opening()).is_ok());
    assert!(refused(&token, &Opening { keys: &stranger.keys, ..parties.opening() }));
    assert!(refused(&token, &Opening { issuer_keys: &stranger.issuer_keys, ..parties.opening() }));
    assert!(refused(&token, &Opening { issuer: "https://evil.example", ..parties.opening() }));
    assert!(refused(&token, &Opening { audience: "another", ..parties.opening() }));
    assert!(refused(&token, &Opening { event_type: Some("another"), ..parties.opening() }));
    assert!(refused(&token, &Opening { now: later, ..parties.opening() }));
    assert!(refused(&token, &Opening { now: Timestamp::EPOCH, ..parties.opening() }));
}

#[test]
fn a_consumer_cannot_pass_our_signed_event_on_to_another() {
    let (parties, victim) = (Parties::usual(), Parties::usual());
    let inner = sign(&parties, &inner_header(&parties), &claims().to_string());
    let forwarded = encrypt(&victim, &json!({}), &inner);
    let opening = Opening { issuer_keys: &parties.issuer_keys, ..victim.opening() };

    assert!(open(&forwarded, &opening).is_ok(), "both have one name in this test");
    assert!(refused(&forwarded, &Opening { audience: "the victim", ..opening }));
}

#[test]
fn a_repeat_is_refused_where_the_consumer_remembers() {
    let parties = Parties::usual();
    let token = parties.token(&event(), Options::default());
    let memory = RefCell::new(HashSet::new());
    let seen = |id: &str, expires: Option<i64>| {
        assert_eq!(expires, Some(1_795_369_331));
        !memory.borrow_mut().insert(id.to_owned())
    };
    let opening = Opening { seen: Some(&seen), ..parties.opening() };

    assert!(open(&token, &opening).is_ok());
    assert!(refused(&token, &opening));
    assert!(refused(token.get(1..).unwrap(), &opening));
    assert_eq!(memory.borrow().len(), 1);
}

#[test]
fn tokens_that_are_too_long_or_inflate_too_far_are_refused() {
    let parties = Parties::usual();
    let large = json!({"data": "x".repeat(50_000)});
    let plain = parties.token(&large, Options::default());
    let small = parties.token(&large, Options { compress: true, ..Options::default() });
    let limited = |token: usize, inflated: usize| Opening {
        limits: OpenLimits { token, inflated, ..OpenLimits::default() },
        ..parties.opening()
    };

    assert!(open(&plain, &limited(plain.len(), 0)).is_ok());
    assert!(refused(&plain, &limited(plain.len() - 1, 0)));
    assert!(small.len() < plain.len() / 10);
    assert!(open(&small, &limited(plain.len(), 90_000)).is_ok());
    assert!(refused(&small, &limited(plain.len(), 60_000)));
    assert!(refused(&small, &limited(plain.len(), 0)));
    let bomb = compression::deflate_if_worth_it(4096, &vec![b'a'; 128_000]).unwrap();
    assert!(refused(&encrypt_bytes(&parties, &json!({"zip": "DEF"}), &bomb), &parties.opening()));
}

#[test]
fn the_header_is_read_without_a_key_and_only_from_tokens() {
    let parties = Parties::usual();
    let token = parties.token(&event(), Options::default());

    assert_eq!(inspect(&token).unwrap()["alg"], "ECDH-ES");
    for text in ["", "a.b.c", "....", token.get(1..).unwrap(), &token.replace('.', "=")] {
        assert!(inspect(text).is_err(), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn arbitrary_text_never_panics_and_never_opens(text in ".{0,200}") {
        let parties = fixed();
        prop_assert!(refused(&text, &parties.0.opening()));
        prop_assert!(refused(&text, &parties.1.opening()));
    }

    #[test]
    fn text_of_five_parts_never_panics_and_never_opens(
        parts in proptest::collection::vec("[A-Za-z0-9_-]{0,40}", 5),
    ) {
        let text = parts.join(".");
        prop_assert!(refused(&text, &fixed().0.opening()));
    }

    #[test]
    fn a_true_header_with_arbitrary_parts_never_panics_and_never_opens(
        parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..70), 4),
        secret in any::<bool>(),
    ) {
        let (parties, token) = if secret { (&fixed().1, &fixed().3) } else { (&fixed().0, &fixed().2) };
        let (header, _) = token.split_once('.').unwrap();
        let parts: Vec<String> = parts.iter().map(base64).collect();
        let altered = format!("{header}.{}", parts.join("."));
        prop_assert!(refused(&altered, &parties.opening()));
    }

    #[test]
    fn no_single_character_can_change(at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_.=-]") {
        for (parties, token) in [(&fixed().0, &fixed().2), (&fixed().1, &fixed().3)] {
            let at = at.index(token.len());
            let mut altered = token.clone();
            altered.replace_range(at..=at, &to);
            if altered != *token {
                prop_assert!(refused(&altered, &parties.opening()));
            }
        }
    }
}

/// Keys and tokens that the properties share, because keys are dear to make.
fn fixed() -> &'static (Parties, Parties, String, String) {
    static FIXED: std::sync::OnceLock<(Parties, Parties, String, String)> =
        std::sync::OnceLock::new();
    FIXED.get_or_init(|| {
        let (pair, secret) = (Parties::usual(), Parties::sharing_a_secret());
        let token = pair.token(&event(), Options::default());
        let other = secret.token(&event(), with(ContentEncryption::A128CbcHs256));
        (pair, secret, token, other)
    })
}
