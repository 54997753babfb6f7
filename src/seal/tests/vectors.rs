//! Examples that the RFCs print.

use super::*;
use crate::seal::{content, text};

fn vector(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn the_example_of_ecdh_es_with_cbc_decrypts() {
    let vector = vector(include_str!("../../../tests/vectors/jose/rfc7520-5.5-ecdh-es-cbc.json"));
    let key = OpeningKey::from_json(vector["key"].to_string().as_bytes()).unwrap();
    let [protected, encrypted_key, iv, ciphertext, tag] =
        text::parts::<5>(vector["compact"].as_str().unwrap(), 10_000).unwrap();
    let header = text::object(protected, crate::event::json::Limits::default()).unwrap();
    let encryption = ContentEncryption::A128CbcHs256;
    let bytes = |part: &str| text::decode(part).unwrap();

    let content_key = key.content_key(&header, &bytes(encrypted_key), encryption).unwrap();
    assert_eq!(content_key.as_bytes(), bytes(vector["cek"].as_str().unwrap()));
    let plain = content::decrypt(
        &content_key,
        &bytes(iv),
        protected.as_bytes(),
        bytes(ciphertext),
        &bytes(tag),
    );

    assert_eq!(plain.unwrap(), vector["plaintext"].as_str().unwrap().as_bytes());
}

#[test]
fn the_signed_examples_verify_and_fail_when_altered() {
    let vectors = vector(include_str!("../../../tests/vectors/jose/rfc-signatures.json"));
    for vector in vectors["examples"].as_array().unwrap() {
        let mut jwk = vector["jwk"].clone();
        jwk["alg"] = vector["alg"].clone();
        jwk["kid"] = json!("example");
        let keys = VerifyingKeys::from_json_with_secrets(jwk.to_string().as_bytes()).unwrap();
        let compact = vector["compact"].as_str().unwrap();
        let (message, signature) = compact.rsplit_once('.').unwrap();
        let key = keys.get("example").unwrap();

        assert!(key.verifies(message.as_bytes(), signature), "{}", vector["origin"]);
        assert!(!key.verifies(&message.as_bytes()[1..], signature), "{}", vector["origin"]);
    }
}
