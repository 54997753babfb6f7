//! Keys as consumers publish and operators keep them.

use serde_json::Value;

use sealway::keys::{
    KeySet, OpeningKey, OpeningKeys, SealingKey, SharedSecret, VerifyingKey, VerifyingKeys,
};

use super::tells_no_secret;

/// A key is read or refused, and a refusal repeats nothing of it.
pub fn keys(input: &[u8]) {
    if let Err(error) = KeySet::read(input) {
        tells_no_secret(&error);
    }
    match SealingKey::all_from_json(input) {
        Ok(keys) => tells_no_secret(&format!("{keys:?}")),
        Err(error) => tells_no_secret(&error),
    }
    if let Err(error) = VerifyingKeys::from_json(input) {
        tells_no_secret(&error);
    }
    if let Err(error) = VerifyingKeys::from_json_with_secrets(input) {
        tells_no_secret(&error);
    }
    match OpeningKey::from_json(input) {
        Ok(key) => {
            let again = OpeningKey::from_json(key.private_jwk().expose().as_bytes()).unwrap();
            assert_eq!(again.kid(), key.kid());
        }
        Err(error) => tells_no_secret(&error),
    }
    if let Err(error) = OpeningKeys::from_json(input) {
        tells_no_secret(&error);
    }
    if let Ok(secret) = SharedSecret::from_jwks(input) {
        let again = SharedSecret::from_jwks(secret.to_jwks().expose().as_bytes()).unwrap();
        assert_eq!(again.to_jwks().expose(), secret.to_jwks().expose());
    }
    let Ok(jwk) = serde_json::from_slice::<Value>(input) else { return };
    if let Ok(key) = VerifyingKey::from_jwk(&jwk) {
        assert!(!key.verifies(b"message", "AAAA"));
    }
    let _ = SealingKey::from_jwk(&jwk);
}
