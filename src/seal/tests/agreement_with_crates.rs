//! The crates' own readers open what is sealed, whichever path wrote it.

use josekit::jwe::{self, JweDecrypter};
use josekit::jwk::Jwk;
use jsonwebtoken::{DecodingKey, Validation};

use super::*;
use crate::keys::KeyManagement;
use crate::seal::{framework, open};

fn decrypter(management: KeyManagement, key: &OpeningKey) -> Box<dyn JweDecrypter> {
    let jwk = Jwk::from_bytes(key.private_jwk().expose()).unwrap();
    match management {
        KeyManagement::EcdhEs => Box::new(jwe::ECDH_ES.decrypter_from_jwk(&jwk).unwrap()),
        KeyManagement::RsaOaep256 => Box::new(jwe::RSA_OAEP_256.decrypter_from_jwk(&jwk).unwrap()),
        KeyManagement::A256Kw => Box::new(jwe::A256KW.decrypter_from_jwk(&jwk).unwrap()),
    }
}

#[test]
fn both_writers_make_tokens_that_both_readers_open_alike() {
    for kind in OpeningKeyKind::ALL {
        let opening = OpeningKey::generate(kind).unwrap();
        let sealing = SealingKey::from_jwk(opening.public_jwk().unwrap()).unwrap();
        let signing = SigningKey::generate(SigningAlgorithm::ES256).unwrap();
        let verifying = VerifyingKey::from_jwk(signing.public_jwk().unwrap()).unwrap();
        let decrypter = decrypter(sealing.management(), &opening);
        let parties = Parties {
            signing,
            issuer_keys: VerifyingKeys::from_iter([verifying]),
            sealing,
            keys: OpeningKeys::from_iter([opening]),
        };
        for content_encryption in ContentEncryption::ALL {
            let token = parties.token(&event(), with(content_encryption));
            let (inner, header) = jwe::deserialize_compact(&token, &*decrypter).unwrap();
            assert_eq!(header.content_type(), Some("JWT"));

            let established = parties.sealing.establish(content_encryption).unwrap();
            let (kid, management) = (parties.sealing.kid(), parties.sealing.management());
            let again = framework::write(kid, management, established, (&inner, false)).unwrap();

            let opened = open(&token, &parties.opening()).unwrap();
            assert_eq!(open(&again, &parties.opening()).unwrap(), opened);
            let (inner_again, header_again) =
                jwe::deserialize_compact(&again, &*decrypter).unwrap();
            assert_eq!(inner_again, inner);
            let members = |header: &jwe::JweHeader| {
                let mut members = header.claims_set().clone();
                members.remove("epk");
                members
            };
            assert_eq!(members(&header), members(&header_again));
        }
    }
}

#[test]
fn compressed_and_shared_secret_tokens_open_with_the_crate_too() {
    let secret = SharedSecret::generate(&SystemEntropy);
    let decrypter = decrypter(KeyManagement::A256Kw, &secret.opening_key());
    let parties = Parties::sharing_a_secret();
    let parties =
        Parties { signing: secret.signing_key(), sealing: secret.sealing_key(), ..parties };
    let large = json!({"data": "order ".repeat(600)});

    for compress in [false, true] {
        let token = parties.token(&large, Options { compress, ..Options::default() });
        let (inner, _) = jwe::deserialize_compact(&token, &*decrypter).unwrap();

        assert_eq!(inner, parties_inner(&secret, &large));
    }
}

/// HS256 is deterministic, so the signed token can be made again.
fn parties_inner(secret: &SharedSecret, event: &Value) -> Vec<u8> {
    let event = event.to_string();
    let event_type = cloudevent_type(ISSUER);
    let subscription: SubscriptionId = "orders".parse().unwrap();
    let claims = claims_of(&event, &event_type, &subscription).to_json();
    secret.signing_key().sign_event(&claims).unwrap().into_bytes()
}

#[test]
fn the_signing_crate_verifies_the_inner_token_by_itself() {
    for algorithm in [
        SigningAlgorithm::ES256,
        SigningAlgorithm::EdDSA,
        SigningAlgorithm::PS256,
        SigningAlgorithm::RS256,
    ] {
        let signing = SigningKey::generate(algorithm).unwrap();
        let token = signing.sign_event(br#"{"iss":"me","exp":4000000000}"#).unwrap();
        let jwk = serde_json::from_value(signing.public_jwk().unwrap().clone()).unwrap();
        let key = DecodingKey::from_jwk(&jwk).unwrap();
        let algorithm = algorithm.name().parse().unwrap();

        let data =
            jsonwebtoken::decode::<Value>(&token, &key, &Validation::new(algorithm)).unwrap();

        assert_eq!(data.claims["iss"], "me");
        assert_eq!(data.header.typ.as_deref(), Some("secevent+jwt"));
        assert_eq!(data.header.kid.as_deref(), Some(signing.kid()));
    }
}
