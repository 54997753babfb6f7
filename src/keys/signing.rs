//! A key that signs tokens, parsed once.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, RsaKeyPair};
use base64_simd::URL_SAFE_NO_PAD;
use jsonwebtoken::Header;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::keys::jwk;
use crate::keys::provider::{Handle, PrivateKey};
use crate::keys::{KeyError, KeyFailure, SigningAlgorithm};

/// A private key with its one algorithm and its name, the RFC 7638 thumbprint.
///
/// Clones share the parsed key.
#[derive(Clone)]
pub struct SigningKey(Arc<Inner>);

struct Inner {
    algorithm: SigningAlgorithm,
    kid: String,
    public: Option<Value>,
    handle: Handle,
    event_header: String,
}

/// The `typ` of a token that carries an event (RFC 8417, section 2.3).
const EVENT_TYPE: &str = "secevent+jwt";

impl SigningKey {
    /// Makes a key from the entropy of the cryptographic library; RSA keys have 2048 bits.
    ///
    /// # Errors
    ///
    /// Ours: the library could not make the key, or HS256 was asked for, whose key is a
    /// [`SharedSecret`](crate::keys::SharedSecret).
    pub fn generate(algorithm: SigningAlgorithm) -> Result<Self, KeyFailure> {
        let failure = |_| KeyFailure("make a signing key");
        let key = match algorithm {
            SigningAlgorithm::ES256 => PrivateKey::Ecdsa(
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failure)?,
            ),
            SigningAlgorithm::EdDSA => {
                PrivateKey::Ed25519(Ed25519KeyPair::generate().map_err(failure)?)
            }
            SigningAlgorithm::PS256 | SigningAlgorithm::RS256 => {
                PrivateKey::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).map_err(failure)?)
            }
            SigningAlgorithm::HS256 => return Err(KeyFailure("make a secret that nobody shares")),
        };
        Ok(Self::of_pair(algorithm, key))
    }

    /// Reads a private key in PKCS#8 DER (RFC 5208), as [`to_pkcs8`](Self::to_pkcs8) gives it.
    ///
    /// # Errors
    ///
    /// The caller's turn: the bytes are no private key for this algorithm.
    pub fn from_pkcs8(algorithm: SigningAlgorithm, der: &[u8]) -> Result<Self, KeyError> {
        let invalid = |_| KeyError::Invalid;
        let key = match algorithm {
            SigningAlgorithm::ES256 => PrivateKey::Ecdsa(
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).map_err(invalid)?,
            ),
            SigningAlgorithm::EdDSA => {
                PrivateKey::Ed25519(Ed25519KeyPair::from_pkcs8(der).map_err(invalid)?)
            }
            SigningAlgorithm::PS256 | SigningAlgorithm::RS256 => {
                let pair = RsaKeyPair::from_pkcs8(der).map_err(invalid)?;
                if !(256..=512).contains(&pair.public_modulus_len()) {
                    return Err(KeyError::NotOffered { expected: "RSA of 2048 to 4096 bits" });
                }
                PrivateKey::Rsa(pair)
            }
            SigningAlgorithm::HS256 => {
                return Err(KeyError::NotOffered { expected: "an algorithm with a key pair" });
            }
        };
        Ok(Self::of_pair(algorithm, key))
    }

    /// Takes the MAC key of a shared secret, for HS256.
    pub(super) fn from_secret(kid: &str, secret: &[u8; 32]) -> Self {
        let key = PrivateKey::Hmac(Box::new(hmac::Key::new(hmac::HMAC_SHA256, secret)));
        Self::assemble(SigningAlgorithm::HS256, kid.to_owned(), None, key)
    }

    fn of_pair(algorithm: SigningAlgorithm, key: PrivateKey) -> Self {
        Self::of_named_pair(algorithm, key, None)
    }

    /// The same under the name that its keeper has given it.
    pub(super) fn of_named_pair(
        algorithm: SigningAlgorithm,
        key: PrivateKey,
        name: Option<&str>,
    ) -> Self {
        let (thumbprint, mut public) = public_members(&key);
        let kid = name.map_or(thumbprint, str::to_owned);
        for (member, value) in [("use", "sig"), ("alg", algorithm.name()), ("kid", &kid)] {
            if let Some(members) = public.as_object_mut() {
                members.insert(member.to_owned(), value.into());
            }
        }
        Self::assemble(algorithm, kid, Some(public), key)
    }

    fn assemble(
        algorithm: SigningAlgorithm,
        kid: String,
        public: Option<Value>,
        key: PrivateKey,
    ) -> Self {
        let event_header = header(algorithm, &kid, EVENT_TYPE);
        let handle = Handle::new(algorithm, key);
        Self(Arc::new(Inner { algorithm, kid, public, handle, event_header }))
    }

    /// The private key in PKCS#8 DER, for its keeper; nothing for HS256.
    ///
    /// # Errors
    ///
    /// Ours: the library could not write the key.
    pub fn to_pkcs8(&self) -> Result<Option<Zeroizing<Vec<u8>>>, KeyFailure> {
        let failure = |_| KeyFailure("write a signing key");
        let der = match self.0.handle.key() {
            PrivateKey::Ecdsa(pair) => pair.to_pkcs8v1().map_err(failure)?.as_ref().to_vec(),
            PrivateKey::Ed25519(pair) => pair.to_pkcs8v1().map_err(failure)?.as_ref().to_vec(),
            PrivateKey::Rsa(pair) => {
                let der: Pkcs8V1Der<'_> = pair.as_der().map_err(failure)?;
                der.as_ref().to_vec()
            }
            PrivateKey::Hmac(_) => return Ok(None),
        };
        Ok(Some(Zeroizing::new(der)))
    }

    /// Its name: the RFC 7638 thumbprint, or what the shared secret calls it.
    pub fn kid(&self) -> &str {
        &self.0.kid
    }

    /// Its one algorithm.
    pub fn algorithm(&self) -> SigningAlgorithm {
        self.0.algorithm
    }

    /// The public key for a JWKS, with `use`, `alg` and `kid`; nothing for HS256.
    pub fn public_jwk(&self) -> Option<&Value> {
        self.0.public.as_ref()
    }

    /// Signs claims as a compact JWS (RFC 7515, section 7.1) of a `typ`.
    ///
    /// # Errors
    ///
    /// Ours: the library could not sign.
    pub fn sign(&self, typ: &str, claims: &[u8]) -> Result<String, KeyFailure> {
        if typ == EVENT_TYPE {
            return self.sign_under(&self.0.event_header, claims);
        }
        self.sign_under(&header(self.0.algorithm, &self.0.kid, typ), claims)
    }

    /// Signs claims as a token that carries an event, `typ` `secevent+jwt`.
    ///
    /// # Errors
    ///
    /// Ours: the library could not sign.
    pub fn sign_event(&self, claims: &[u8]) -> Result<String, KeyFailure> {
        self.sign_under(&self.0.event_header, claims)
    }

    /// The signature over any message, in unpadded base64url.
    pub(crate) fn sign_message(&self, message: &[u8]) -> Result<String, KeyFailure> {
        self.0.handle.sign(message).map_err(|_| KeyFailure("sign a token"))
    }

    fn sign_under(&self, header: &str, claims: &[u8]) -> Result<String, KeyFailure> {
        // Room for the signature of RSA with 4096 bits, so that the text is never moved.
        let capacity = header.len() + URL_SAFE_NO_PAD.encoded_length(claims.len()) + 700;
        let mut token = String::with_capacity(capacity);
        token.push_str(header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_append(claims, &mut token);
        let signature = self.sign_message(token.as_bytes())?;
        token.push('.');
        token.push_str(&signature);
        Ok(token)
    }
}

/// The first part of a token, as `jsonwebtoken` writes it.
fn header(algorithm: SigningAlgorithm, kid: &str, typ: &str) -> String {
    let mut header = Header::new(algorithm.of_crate());
    header.typ = Some(typ.to_owned());
    header.kid = Some(kid.to_owned());
    // A header of texts always serializes.
    jwk::encode(&serde_json::to_vec(&header).unwrap_or_default())
}

/// The RFC 7638 thumbprint of a key and its public members; both empty for a shared secret.
fn public_members(key: &PrivateKey) -> (String, Value) {
    match key {
        PrivateKey::Ecdsa(pair) => {
            let point = pair.public_key().as_ref();
            let (x, y) =
                point.get(1..).unwrap_or_default().split_at_checked(32).unwrap_or_default();
            let (x, y) = (jwk::encode(x), jwk::encode(y));
            let members = [("crv", "P-256"), ("kty", "EC"), ("x", &x), ("y", &y)];
            (jwk::thumbprint(&members), json!({"kty": "EC", "crv": "P-256", "x": x, "y": y}))
        }
        PrivateKey::Ed25519(pair) => {
            let x = jwk::encode(pair.public_key().as_ref());
            let members = [("crv", "Ed25519"), ("kty", "OKP"), ("x", &x)];
            (jwk::thumbprint(&members), json!({"kty": "OKP", "crv": "Ed25519", "x": x}))
        }
        PrivateKey::Rsa(pair) => {
            let public = pair.public_key();
            let n = jwk::encode(public.modulus().big_endian_without_leading_zero());
            let e = jwk::encode(public.exponent().big_endian_without_leading_zero());
            let members = [("e", e.as_str()), ("kty", "RSA"), ("n", &n)];
            (jwk::thumbprint(&members), json!({"kty": "RSA", "n": n, "e": e}))
        }
        PrivateKey::Hmac(_) => (String::new(), Value::Null),
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({} {})", self.0.algorithm, self.0.kid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_its_keeper_and_never_prints_itself() {
        for algorithm in [SigningAlgorithm::ES256, SigningAlgorithm::EdDSA, SigningAlgorithm::PS256]
        {
            let key = SigningKey::generate(algorithm).unwrap();

            let der = key.to_pkcs8().unwrap().unwrap();
            let again = SigningKey::from_pkcs8(algorithm, &der).unwrap();

            assert_eq!(again.public_jwk(), key.public_jwk());
            assert_eq!(again.kid().len(), 43);
            assert_eq!(format!("{key:?}"), format!("SigningKey({algorithm} {})", key.kid()));
            let public = key.public_jwk().unwrap();
            assert_eq!((&public["use"], &public["alg"]), (&json!("sig"), &json!(algorithm)));
            assert!(public.get("d").is_none());
        }
    }

    #[test]
    fn a_key_for_another_algorithm_is_refused() {
        let key = SigningKey::generate(SigningAlgorithm::EdDSA).unwrap();
        let der = key.to_pkcs8().unwrap().unwrap();

        assert!(SigningKey::from_pkcs8(SigningAlgorithm::ES256, &der).is_err());
        assert!(SigningKey::from_pkcs8(SigningAlgorithm::RS256, &der).is_err());
        assert!(SigningKey::from_pkcs8(SigningAlgorithm::EdDSA, &der[1..]).is_err());
        assert!(SigningKey::generate(SigningAlgorithm::HS256).is_err());
    }
}
