//! What is sealed opens again, in every combination that is offered, and says the same.

use proptest::prelude::*;

use super::*;
use crate::event::{EventDigest, ReplayId, Salt};
use crate::seal::{SaltedClaims, inspect, open};

#[test]
fn every_offered_combination_opens_and_says_the_same() {
    let algorithms = [
        SigningAlgorithm::ES256,
        SigningAlgorithm::EdDSA,
        SigningAlgorithm::PS256,
        SigningAlgorithm::RS256,
    ];
    let mut pairs: Vec<Parties> = algorithms
        .into_iter()
        .flat_map(|algorithm| {
            OpeningKeyKind::ALL.into_iter().map(move |kind| Parties::new(algorithm, kind))
        })
        .collect();
    pairs.push(Parties::sharing_a_secret());
    let large = json!({"data": {"text": "order ".repeat(600)}});
    for parties in &pairs {
        for content_encryption in ContentEncryption::ALL {
            for compress in [false, true] {
                let token = parties.token(&large, Options { content_encryption, compress });

                let opened = open(&token, &parties.opening()).unwrap();

                assert_eq!(opened.event(), &large);
                let header = inspect(&token).unwrap();
                assert_eq!(header["enc"], content_encryption.name());
                assert_eq!(header.get("zip").is_some(), compress);
            }
        }
    }
}

#[test]
fn an_opened_token_gives_what_the_claims_said() {
    let parties = Parties::usual();
    let subscription: SubscriptionId = "orders".parse().unwrap();
    let replay: ReplayId = "again".parse().unwrap();
    let event_type = cloudevent_type(ISSUER);
    let live = claims_of("{}", &event_type, &subscription);
    let replayed = Claims { place: None, replay: Some(&replay), ..live };
    let open = |claims: &Claims<'_>| {
        let sealed = seal(claims, &parties.signing, &parties.sealing, &Options::default()).unwrap();
        assert!(!format!("{sealed:?}").contains(sealed.token()));
        open(sealed.token(), &parties.opening()).unwrap()
    };

    let opened = open(&live);
    assert_eq!(opened.id(), live.id.to_string());
    assert_eq!(opened.place(), live.place);
    assert_eq!(opened.event_type(), event_type);
    assert_eq!((opened.replay(), opened.event()), (None, &json!({})));
    assert_eq!(opened.claims()["sub_id"]["id"], "orders");
    let opened = open(&replayed);
    assert_eq!((opened.place(), opened.replay()), (None, Some("again")));
    assert_eq!(format!("{opened:?}"), format!("Opened({})", live.id));
}

#[test]
fn the_salt_and_the_version_come_back_and_say_which_digest_the_event_has() {
    let parties = Parties::usual();
    let subscription: SubscriptionId = "orders".parse().unwrap();
    let (event, event_type) = (event().to_string(), cloudevent_type(ISSUER));
    let plain = claims_of(&event, &event_type, &subscription);
    let salt = Salt::from_bytes([7; 16]);
    let salted = |version| Some(SaltedClaims { salt, publication_version: version });
    let opened = |claims: &Claims<'_>| {
        let sealed = seal(claims, &parties.signing, &parties.sealing, &Options::default());
        open(sealed.unwrap().token(), &parties.opening()).ok()
    };
    let escaped = r#"{"dataschema":"urn:x/1%200"}"#;
    for (event_text, version) in [(&*event, Some("1.0.0")), ("{}", None), (escaped, Some("1 0"))] {
        let claims = Claims { salted: salted(version), event: event_text, ..plain };
        let one = opened(&claims).unwrap();
        assert_eq!(one.salted(), claims.salted);
        let digest = EventDigest::of_token(one.event(), Some((salt, version)));
        assert_eq!((one.digest(), digest.is_some()), (digest, true));
        let place = claims.place.unwrap();
        assert_eq!(one.chain_after(), digest.map(|digest| place.previous.next(claims.id, digest)));
    }
    let unsalted = opened(&plain).unwrap();
    assert_eq!((unsalted.salted(), unsalted.digest()), (None, None), "no content of form 1");

    // The text of the event ends the event, and adds to the claims around it.
    for (added, opens) in [
        (r#""slt":"BwcHBwcHBwcHBwcHBwcHBw""#, true),
        (r#""slt":"BwcHBwcHBwcHBwcHBwcHBx""#, false),
        (r#""slt":"BwcHBwcHBwcHBwcHBwcHBw==""#, false),
        (r#""slt":"BwcH""#, false),
        (r#""slt":null"#, false),
        (r#""slt":7"#, false),
        (r#""slt":"BwcHBwcHBwcHBwcHBwcHBw","pub_ver":1"#, false),
    ] {
        let event = format!(r#"{{}}}},{added},"more":{{"of":1"#);
        assert_eq!(opened(&Claims { event: &event, ..plain }).is_some(), opens, "{added}");
    }
}

#[test]
fn the_outer_header_holds_nothing_that_readers_may_not_know() {
    for kind in OpeningKeyKind::ALL {
        let parties = Parties::new(SigningAlgorithm::ES256, kind);
        for content_encryption in ContentEncryption::ALL {
            let header = inspect(&parties.token(&event(), with(content_encryption))).unwrap();
            let mut expected = vec!["alg", "cty", "enc", "kid"];
            if kind != OpeningKeyKind::Rsa2048 {
                expected.push("epk");
            }
            let mut members: Vec<&str> =
                header.as_object().unwrap().keys().map(String::as_str).collect();
            members.sort_unstable();
            expected.sort_unstable();
            assert_eq!(members, expected);
            assert_eq!(header["cty"], "JWT");
            assert_eq!(header["kid"], parties.sealing.kid());
        }
    }
}

#[test]
fn no_two_tokens_share_a_key_or_a_vector() {
    for kind in [OpeningKeyKind::X25519, OpeningKeyKind::P256, OpeningKeyKind::Rsa2048] {
        let parties = Parties::new(SigningAlgorithm::EdDSA, kind);
        let (one, other) = (
            parties.token(&event(), Options::default()),
            parties.token(&event(), Options::default()),
        );
        let parts = |token: &str| token.split('.').map(str::to_owned).collect::<Vec<_>>();
        let (one, other) = (parts(&one), parts(&other));

        for part in [2, 3, 4] {
            assert_ne!(one[part], other[part]);
        }
        assert!(one[0] != other[0] || one[1] != other[1]);
    }
}

#[test]
fn small_events_and_events_that_do_not_shrink_are_not_compressed() {
    let parties = Parties::usual();
    let zip = |event: &Value| {
        let options = Options { compress: true, ..Options::default() };
        inspect(&parties.token(event, options)).unwrap().get("zip").cloned()
    };
    let small = json!({"data": "x".repeat(1900)});
    let large = json!({"data": "x".repeat(2100)});
    let larger_than_receivers_inflate = json!({"data": "x".repeat(100_000)});

    assert_eq!(zip(&small), None);
    assert_eq!(zip(&large), Some(json!("DEF")));
    assert_eq!(zip(&larger_than_receivers_inflate), None);
}

#[test]
fn the_newer_names_of_type_and_algorithm_are_accepted() {
    let parties = Parties::new(SigningAlgorithm::EdDSA, OpeningKeyKind::P256);
    let claims = refusals::claims();
    for (alg, typ) in [
        ("EdDSA", "secevent+jwt"),
        ("Ed25519", "secevent+jwt"),
        ("EdDSA", "application/secevent+jwt"),
    ] {
        let inner = refusals::sign(
            &parties,
            &json!({"alg": alg, "typ": typ, "kid": parties.signing.kid()}),
            &claims.to_string(),
        );
        assert!(open(&refusals::encrypt(&parties, &json!({}), &inner), &parties.opening()).is_ok());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_event_text_survives(text in ".{0,300}", compress in any::<bool>()) {
        let parties = Parties::usual();
        let event = json!({"data": {"text": text}});
        let token = parties.token(&event, Options { compress, ..Options::default() });
        let opened = open(&token, &parties.opening()).unwrap();
        prop_assert_eq!(opened.event(), &event);
    }
}
