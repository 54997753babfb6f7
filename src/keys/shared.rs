//! Shared-secret mode: two random keys that the gateway makes for one consumer.
//!
//! The consumer could make tokens to itself with them, so this mode proves nothing to a third
//! party.

use std::fmt;

use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::ambient::Entropy;
use crate::ambient::Secret;
use crate::keys::jwk::{self, Jwk};
use crate::keys::{
    KeyError, KeyManagement, OpeningKey, SealingKey, SigningAlgorithm, SigningKey, VerifyingKey,
};

/// Two keys of 32 bytes: one signs with HS256, the other wraps content keys with A256KW.
#[derive(Clone)]
pub struct SharedSecret {
    mac: Half,
    wrap: Half,
}

#[derive(Clone)]
struct Half {
    kid: String,
    key: Zeroizing<[u8; 32]>,
}

impl Half {
    fn generate(entropy: &dyn Entropy) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        entropy.fill(key.as_mut());
        // The name is random too: a digest of the key would let a thief test guesses.
        let mut name = [0; 12];
        entropy.fill(&mut name);
        Self { kid: jwk::encode(&name), key }
    }

    fn read(jwk: &Jwk) -> Result<Self, KeyError> {
        if jwk.text("kty")? != "oct" {
            return Err(KeyError::NotOffered { expected: "a key of type oct" });
        }
        let bytes = jwk.exactly("k", 32)?;
        let mut key = Zeroizing::new([0; 32]);
        key.iter_mut().zip(bytes.iter()).for_each(|(byte, given)| *byte = *given);
        Ok(Self { kid: jwk.kid()?.ok_or(KeyError::Missing("kid"))?.to_owned(), key })
    }

    fn to_jwk(&self, purpose: &str, alg: &str) -> Value {
        let key = jwk::encode(self.key.as_ref());
        json!({"kty": "oct", "use": purpose, "alg": alg, "kid": self.kid, "k": key})
    }
}

impl SharedSecret {
    /// Makes both keys.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        Self { mac: Half::generate(entropy), wrap: Half::generate(entropy) }
    }

    /// Reads the JWK Set that [`to_jwks`](Self::to_jwks) wrote.
    ///
    /// # Errors
    ///
    /// The caller's turn: the set does not hold exactly one HS256 and one A256KW key of 32 bytes.
    pub fn from_jwks(bytes: &[u8]) -> Result<Self, KeyError> {
        let keys = Jwk::read(bytes)?;
        let half = |alg: &str| {
            let mut fitting = keys
                .iter()
                .filter(|key| matches!(key.optional("alg"), Ok(Some(name)) if name == alg));
            match (fitting.next(), fitting.next()) {
                (Some(key), None) => Half::read(key),
                _ => Err(KeyError::Shape { limit: 2 }),
            }
        };
        let (mac, wrap) =
            (half(SigningAlgorithm::HS256.name())?, half(KeyManagement::A256Kw.name())?);
        if mac.kid == wrap.kid {
            return Err(KeyError::Repeated);
        }
        Ok(Self { mac, wrap })
    }

    /// Both keys as a JWK Set, for the consumer and for the keeper.
    pub fn to_jwks(&self) -> Secret {
        let mac = self.mac.to_jwk("sig", SigningAlgorithm::HS256.name());
        let wrap = self.wrap.to_jwk("enc", KeyManagement::A256Kw.name());
        Secret::new(json!({"keys": [mac, wrap]}).to_string())
    }

    /// The key that signs.
    pub fn signing_key(&self) -> SigningKey {
        SigningKey::from_secret(&self.mac.kid, &self.mac.key)
    }

    /// The key that checks what the other signed.
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey::from_secret(&self.mac.kid, self.mac.key.as_ref())
    }

    /// The key that seals.
    pub fn sealing_key(&self) -> SealingKey {
        SealingKey::from_secret(&self.wrap.kid, &self.wrap.key)
    }

    /// The key that opens what the other sealed.
    pub fn opening_key(&self) -> OpeningKey {
        OpeningKey::from_secret(&self.wrap.kid, &self.wrap.key)
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedSecret({}, {})", self.mac.kid, self.wrap.kid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient::SeededEntropy;

    #[test]
    fn a_secret_survives_its_keeper_and_never_prints_itself() {
        let secret = SharedSecret::generate(&SeededEntropy::new(1));
        let jwks = secret.to_jwks();

        let again = SharedSecret::from_jwks(jwks.expose().as_bytes()).unwrap();

        assert_eq!(again.to_jwks().expose(), jwks.expose());
        assert!(!format!("{secret:?}").contains(&jwk::encode(secret.mac.key.as_ref())));
        assert_ne!(secret.mac.key.as_ref(), secret.wrap.key.as_ref());
    }

    #[test]
    fn a_set_without_both_keys_or_with_short_ones_is_refused() {
        let secret = SharedSecret::generate(&SeededEntropy::new(1));
        let jwks: Value = serde_json::from_str(secret.to_jwks().expose()).unwrap();
        let with =
            |keys: Value| SharedSecret::from_jwks(json!({"keys": keys}).to_string().as_bytes());
        let mut short = jwks["keys"].clone();
        short[0]["k"] = json!("AAAA");

        assert!(with(json!([jwks["keys"][0]])).is_err());
        assert!(with(json!([jwks["keys"][0], jwks["keys"][0]])).is_err());
        assert!(matches!(with(short), Err(KeyError::Malformed("k"))));
    }
}
