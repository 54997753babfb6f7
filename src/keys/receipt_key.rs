//! A consumer's private key for receipts, as a JWK of its own.

use aws_lc_rs::encoding::{AsBigEndian as _, EcPrivateKeyBin};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use serde_json::{Value, json};
use zeroize::{Zeroize as _, Zeroizing};

use crate::ambient::Secret;
use crate::keys::jwk::{self, Jwk};
use crate::keys::provider::PrivateKey;
use crate::keys::{KeyError, KeyFailure, SigningAlgorithm, SigningKey};

const OFFERED: &str = "a private key, EC on P-256 or OKP on Ed25519";

/// Makes a key pair on P-256: the private JWK, for its keeper.
///
/// # Errors
///
/// Ours: the library could not make the key.
pub fn generate_receipt_key() -> Result<Secret, KeyFailure> {
    let failure = |_| KeyFailure("make a key for receipts");
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failure)?;
    let number: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().map_err(failure)?;
    let number = Zeroizing::new(jwk::encode(number.as_ref()));
    let key = SigningKey::of_named_pair(SigningAlgorithm::ES256, PrivateKey::Ecdsa(pair), None);
    let mut jwk = key.public_jwk().cloned().unwrap_or_default();
    if let Some(members) = jwk.as_object_mut() {
        members.insert("d".to_owned(), json!(number.as_str()));
    }
    let text = Secret::new(jwk.to_string());
    if let Some(Value::String(number)) = jwk.get_mut("d") {
        number.zeroize();
    }
    Ok(text)
}

/// Reads a private JWK for receipts; its `kid`, or without one its RFC 7638 thumbprint, is the name under which
/// the gateway has its public half.
///
/// # Errors
///
/// The caller's turn: the JWK is malformed, has no private part, is for something else, or is of a kind that is
/// not offered.
pub fn read_receipt_key(bytes: &[u8]) -> Result<SigningKey, KeyError> {
    let jwks = Jwk::read(bytes)?;
    let [jwk] = jwks.as_slice() else { return Err(KeyError::Shape { limit: 1 }) };
    jwk.fit_for(&jwk::SIGNING)?;
    let invalid = |_| KeyError::Invalid;
    let (algorithm, key) = match (jwk.text("kty")?, jwk.optional("crv")?) {
        ("EC", Some("P-256")) => {
            let (x, y) = (jwk.exactly("x", 32)?, jwk.exactly("y", 32)?);
            let point = [&[4], x.as_slice(), y.as_slice()].concat();
            let pair = EcdsaKeyPair::from_private_key_and_public_key(
                &ECDSA_P256_SHA256_FIXED_SIGNING,
                &jwk.exactly("d", 32)?,
                &point,
            );
            (SigningAlgorithm::ES256, PrivateKey::Ecdsa(pair.map_err(invalid)?))
        }
        ("OKP", Some("Ed25519")) => {
            let (seed, public) = (jwk.exactly("d", 32)?, jwk.exactly("x", 32)?);
            let pair = Ed25519KeyPair::from_seed_and_public_key(&seed, &public).map_err(invalid)?;
            (SigningAlgorithm::EdDSA, PrivateKey::Ed25519(pair))
        }
        _ => return Err(KeyError::NotOffered { expected: OFFERED }),
    };
    if jwk.optional("alg")?.is_some_and(|alg| alg != algorithm.name()) {
        return Err(KeyError::Algorithm { expected: algorithm.name() });
    }
    Ok(SigningKey::of_named_pair(algorithm, key, jwk.kid()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::VerifyingKeys;

    fn made() -> Value {
        serde_json::from_str(generate_receipt_key().unwrap().expose()).unwrap()
    }

    fn public(mut jwk: Value) -> VerifyingKeys {
        jwk.as_object_mut().unwrap().remove("d");
        VerifyingKeys::from_json(jwk.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn what_it_signs_is_verified_under_its_name() {
        let mut jwk = made();
        jwk["kid"] = json!("pen");
        let key = read_receipt_key(jwk.to_string().as_bytes()).unwrap();

        assert_eq!((key.kid(), key.algorithm()), ("pen", SigningAlgorithm::ES256));
        let signed = key.sign("receipt+jwt", b"{}").unwrap();
        let (message, signature) = signed.rsplit_once('.').unwrap();
        let keys = public(jwk);
        assert!(keys.get("pen").unwrap().verifies(message.as_bytes(), signature));
    }

    #[test]
    fn a_key_without_a_name_has_its_thumbprint() {
        let mut jwk = made();
        let kid = jwk["kid"].as_str().unwrap().to_owned();
        jwk.as_object_mut().unwrap().remove("kid");

        assert_eq!(read_receipt_key(jwk.to_string().as_bytes()).unwrap().kid(), kid);
    }

    #[test]
    fn a_key_for_something_else_or_without_its_private_part_is_refused() {
        let other = made();
        for (member, value) in [
            ("use", json!("enc")),
            ("alg", json!("ECDH-ES")),
            ("crv", json!("P-384")),
            ("x", other["x"].clone()),
            ("d", other["d"].clone()),
            ("d", Value::Null),
        ] {
            let mut jwk = made();
            jwk[member] = value;
            assert!(read_receipt_key(jwk.to_string().as_bytes()).is_err(), "{member}");
        }
    }
}
