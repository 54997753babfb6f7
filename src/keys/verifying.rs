//! Keys that check signatures: an issuer's public keys, found by `kid`.

use std::collections::HashMap;
use std::fmt;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey};
use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value, json};

use crate::keys::jwk::{self, Jwk};
use crate::keys::{KeyError, SigningAlgorithm, install};

const OFFERED: &str = "EC on P-256, OKP on Ed25519, or RSA of 2048 to 4096 bits with `alg`";

/// One key that checks signatures of one algorithm.
#[derive(Clone)]
pub struct VerifyingKey {
    kid: String,
    thumbprint: String,
    algorithm: SigningAlgorithm,
    signature_length: usize,
    key: DecodingKey,
    /// The members of its JWK that make the key; empty for a secret.
    public: Map<String, Value>,
}

impl VerifyingKey {
    /// Takes the public key of a JWK.
    ///
    /// # Errors
    ///
    /// The caller's turn: the JWK is malformed, holds a private part, is for something else, or is
    /// of a kind that is not offered.
    pub fn from_jwk(jwk: &Value) -> Result<Self, KeyError> {
        match jwk {
            Value::Object(members) => Self::read(&Jwk::from_members(members.clone())),
            _ => Err(KeyError::Shape { limit: 1 }),
        }
    }

    /// Takes the MAC key of a shared secret.
    pub(super) fn from_secret(kid: &str, secret: &[u8]) -> Self {
        install();
        Self {
            kid: kid.to_owned(),
            thumbprint: String::new(),
            algorithm: SigningAlgorithm::HS256,
            signature_length: 32,
            key: DecodingKey::from_secret(secret),
            public: Map::new(),
        }
    }

    fn read(jwk: &Jwk) -> Result<Self, KeyError> {
        install();
        jwk.refuse_private()?;
        jwk.fit_for(&jwk::VERIFYING)?;
        let alg = jwk.optional("alg")?.map(str::parse::<SigningAlgorithm>).transpose();
        let alg = alg.map_err(|_| KeyError::NotOffered { expected: OFFERED })?;
        let invalid = |_| KeyError::Invalid;
        let (algorithm, signature_length, key, members) = match jwk.text("kty")? {
            "EC" if jwk.text("crv")? == "P-256" => {
                let point =
                    [&[4], jwk.exactly("x", 32)?.as_slice(), jwk.exactly("y", 32)?.as_slice()]
                        .concat();
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point)
                    .parse()
                    .map_err(invalid)?;
                let (x, y) = (jwk.text("x")?, jwk.text("y")?);
                let key = DecodingKey::from_ec_components(x, y).map_err(|_| KeyError::Invalid)?;
                let members = vec![("crv", "P-256"), ("kty", "EC"), ("x", x), ("y", y)];
                (SigningAlgorithm::ES256, 64, key, members)
            }
            "OKP" if jwk.text("crv")? == "Ed25519" => {
                UnparsedPublicKey::new(&ED25519, jwk.exactly("x", 32)?.as_slice())
                    .parse()
                    .map_err(invalid)?;
                let x = jwk.text("x")?;
                let key = DecodingKey::from_ed_components(x).map_err(|_| KeyError::Invalid)?;
                (
                    SigningAlgorithm::EdDSA,
                    64,
                    key,
                    vec![("crv", "Ed25519"), ("kty", "OKP"), ("x", x)],
                )
            }
            "RSA" => {
                let (modulus, exponent) = jwk::rsa_public(jwk)?;
                // One key, one algorithm: an RSA key must say which.
                let algorithm = alg.ok_or(KeyError::Missing("alg"))?;
                if !matches!(algorithm, SigningAlgorithm::PS256 | SigningAlgorithm::RS256) {
                    return Err(KeyError::Contradiction("alg"));
                }
                let key = DecodingKey::from_rsa_raw_components(&modulus, &exponent);
                let members = vec![("e", jwk.text("e")?), ("kty", "RSA"), ("n", jwk.text("n")?)];
                (algorithm, modulus.len(), key, members)
            }
            _ => return Err(KeyError::NotOffered { expected: OFFERED }),
        };
        if alg.is_some_and(|alg| alg != algorithm) {
            return Err(KeyError::Contradiction("alg"));
        }
        let thumbprint = jwk::thumbprint(&members);
        let kid = jwk.kid()?.map_or_else(|| thumbprint.clone(), str::to_owned);
        let public =
            members.into_iter().map(|(name, text)| (name.to_owned(), json!(text))).collect();
        Ok(Self { kid, thumbprint, algorithm, signature_length, key, public })
    }

    /// Reads the MAC key of a shared secret: `oct`, HS256, 32 bytes or more.
    fn read_secret(jwk: &Jwk) -> Result<Self, KeyError> {
        if jwk.text("alg")? != SigningAlgorithm::HS256.name() {
            return Err(KeyError::Algorithm { expected: SigningAlgorithm::HS256.name() });
        }
        let secret = jwk.bytes("k")?;
        if secret.len() < 32 {
            return Err(KeyError::Malformed("k"));
        }
        let kid = jwk.kid()?.ok_or(KeyError::Missing("kid"))?;
        Ok(Self::from_secret(kid, &secret))
    }

    /// Its name.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Its RFC 7638 thumbprint; empty for a secret.
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// Its public JWK, with its name and algorithm; null for a secret.
    pub fn to_jwk(&self) -> Value {
        if self.public.is_empty() {
            return Value::Null;
        }
        let mut jwk = self.public.clone();
        jwk.insert("kid".to_owned(), json!(self.kid));
        jwk.insert("alg".to_owned(), json!(self.algorithm.name()));
        Value::Object(jwk)
    }

    /// Its one algorithm.
    pub fn algorithm(&self) -> SigningAlgorithm {
        self.algorithm
    }

    /// Tells whether a signature, in canonical unpadded base64url, is this key's over a message.
    pub fn verifies(&self, message: &[u8], signature: &str) -> bool {
        let length = base64_simd::URL_SAFE_NO_PAD.decoded_length(signature.as_bytes());
        length.is_ok_and(|length| length == self.signature_length)
            && jsonwebtoken::crypto::verify(
                signature,
                message,
                &self.key,
                self.algorithm.of_crate(),
            )
            .unwrap_or(false)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({} {})", self.algorithm, self.kid)
    }
}

/// The keys of one issuer, each found by its `kid`.
#[derive(Clone, Debug, Default)]
pub struct VerifyingKeys(HashMap<String, VerifyingKey>);

impl VerifyingKeys {
    /// Reads a JWK or a JWK Set of public keys; keys of a set that are for something else or of an
    /// unknown kind are passed over.
    ///
    /// # Errors
    ///
    /// The caller's turn: the text is no key or set, a key of it is malformed or holds a private
    /// part, two have one name, or none checks signatures.
    pub fn from_json(bytes: &[u8]) -> Result<Self, KeyError> {
        Self::read(bytes, VerifyingKey::read)
    }

    /// Reads a JWK or a JWK Set that may also hold the MAC key of a shared secret. Only for what a
    /// keeper of secrets hands over, never for what is fetched.
    ///
    /// # Errors
    ///
    /// The caller's turn, as for [`from_json`](Self::from_json).
    pub fn from_json_with_secrets(bytes: &[u8]) -> Result<Self, KeyError> {
        Self::read(bytes, |jwk| {
            if jwk.text("kty")? == "oct" {
                VerifyingKey::read_secret(jwk)
            } else {
                VerifyingKey::read(jwk)
            }
        })
    }

    fn read(
        bytes: &[u8],
        read: impl Fn(&Jwk) -> Result<VerifyingKey, KeyError>,
    ) -> Result<Self, KeyError> {
        let jwks = Jwk::read(bytes)?;
        let alone = jwks.len() == 1;
        let mut keys = Self::default();
        for jwk in &jwks {
            match read(jwk) {
                Ok(key) => keys.insert(key)?,
                Err(error) if !alone && jwk::may_be_skipped(&error) => {}
                Err(error) => return Err(error),
            }
        }
        if keys.0.is_empty() {
            return Err(KeyError::NoneUsable { purpose: jwk::VERIFYING.words });
        }
        Ok(keys)
    }

    /// Adds a key.
    ///
    /// # Errors
    ///
    /// The caller's turn: there is a key of that name already.
    pub fn insert(&mut self, key: VerifyingKey) -> Result<(), KeyError> {
        if self.0.contains_key(&key.kid) {
            return Err(KeyError::Repeated);
        }
        self.0.insert(key.kid.clone(), key);
        Ok(())
    }

    /// The RFC 7638 thumbprints of the public keys among them, which follow from the keys alone: a
    /// name is whatever the set says.
    pub fn thumbprints(&self) -> Vec<String> {
        let prints = self.0.values().map(|key| key.thumbprint.clone());
        let mut prints: Vec<String> = prints.filter(|print| !print.is_empty()).collect();
        prints.sort();
        prints
    }

    /// The name of a public key that is not its RFC 7638 thumbprint, if there is one.
    pub fn misnamed(&self) -> Option<&str> {
        let mut keys = self.0.values();
        let found = keys.find(|key| !key.public.is_empty() && key.kid != key.thumbprint);
        found.map(VerifyingKey::kid)
    }

    /// A JWK Set of the public keys among them, in the order of their names.
    pub fn to_jwks(&self) -> Value {
        let mut keys: Vec<&VerifyingKey> =
            self.0.values().filter(|key| !key.public.is_empty()).collect();
        keys.sort_by_key(|key| &key.kid);
        json!({ "keys": keys.into_iter().map(VerifyingKey::to_jwk).collect::<Vec<_>>() })
    }

    /// Adds the keys of another set, which may hold the same ones.
    ///
    /// # Errors
    ///
    /// The caller's turn: a key of the other set has the name of another key of this one.
    pub fn join(&mut self, other: Self) -> Result<(), KeyError> {
        let clashes = |key: &VerifyingKey| {
            self.get(&key.kid).is_some_and(|own| own.thumbprint != key.thumbprint)
        };
        if other.0.values().any(clashes) {
            return Err(KeyError::Repeated);
        }
        self.0.extend(other.0);
        Ok(())
    }

    /// Those that another set does not hold.
    pub fn without(&self, other: &Self) -> impl Iterator<Item = &VerifyingKey> {
        self.0.values().filter(|key| other.get(&key.kid).is_none())
    }

    /// The key of a name.
    pub fn get(&self, kid: &str) -> Option<&VerifyingKey> {
        self.0.get(kid)
    }
}

impl FromIterator<VerifyingKey> for VerifyingKeys {
    /// Collects keys; of two with one name the last stays.
    fn from_iter<I: IntoIterator<Item = VerifyingKey>>(keys: I) -> Self {
        Self(keys.into_iter().map(|key| (key.kid.clone(), key)).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::keys::SigningKey;

    #[test]
    fn what_a_key_signs_its_public_half_verifies() {
        for algorithm in [
            SigningAlgorithm::ES256,
            SigningAlgorithm::EdDSA,
            SigningAlgorithm::PS256,
            SigningAlgorithm::RS256,
        ] {
            let key = SigningKey::generate(algorithm).unwrap();
            let public = VerifyingKey::from_jwk(key.public_jwk().unwrap()).unwrap();
            let token = key.sign("test+jwt", b"{}").unwrap();
            let (message, signature) = token.rsplit_once('.').unwrap();

            assert_eq!((public.kid(), public.algorithm()), (key.kid(), algorithm));
            let set: VerifyingKeys = [public.clone()].into_iter().collect();
            let again = VerifyingKeys::from_json(set.to_jwks().to_string().as_bytes()).unwrap();
            assert_eq!(again.get(key.kid()).unwrap().thumbprint, public.thumbprint);
            assert!(public.verifies(message.as_bytes(), signature));
            assert!(!public.verifies(b"another message", signature));
            assert!(!public.verifies(message.as_bytes(), ""));
            assert!(!public.verifies(message.as_bytes(), signature.get(4..).unwrap()));
        }
    }

    #[test]
    fn private_foreign_and_ambiguous_keys_are_refused() {
        let key = SigningKey::generate(SigningAlgorithm::PS256).unwrap();
        let jwk = key.public_jwk().unwrap();
        let with = |member: &str, value: Value| {
            let mut jwk = jwk.clone();
            jwk[member] = value;
            VerifyingKey::from_jwk(&jwk).unwrap_err()
        };

        assert!(matches!(with("d", json!("AQAB")), KeyError::Private("d")));
        assert!(matches!(with("use", json!("enc")), KeyError::Purpose { member: "use", .. }));
        assert!(matches!(with("key_ops", json!(["sign"])), KeyError::Purpose { .. }));
        assert!(matches!(with("alg", json!("ES256")), KeyError::Contradiction("alg")));
        assert!(matches!(with("alg", json!("none")), KeyError::NotOffered { .. }));
        assert!(matches!(with("kid", json!("")), KeyError::Malformed("kid")));
        assert!(matches!(with("n", json!("AQAB")), KeyError::NotOffered { .. }));
        assert!(matches!(with("e", json!("AQ")), KeyError::Malformed("e")));
        assert!(matches!(with("kty", json!("oct")), KeyError::NotOffered { .. }));
        let mut silent = jwk.clone();
        silent.as_object_mut().unwrap().remove("alg");
        assert!(matches!(VerifyingKey::from_jwk(&silent), Err(KeyError::Missing("alg"))));
    }

    #[test]
    fn a_set_passes_over_what_it_need_not_know_and_never_takes_a_secret() {
        let key = SigningKey::generate(SigningAlgorithm::ES256).unwrap();
        let public = key.public_jwk().unwrap();
        let unknown = json!({"kty": "AKP", "alg": "ML-DSA-44"});
        let secret = json!({
            "kty": "oct", "alg": "HS256", "kid": "m", "k": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        });
        let set = |keys: Value| json!({"keys": keys}).to_string();

        let keys = VerifyingKeys::from_json(set(json!([unknown, public])).as_bytes()).unwrap();
        assert!(keys.get(key.kid()).is_some());
        let twice = set(json!([public, public]));
        assert!(matches!(VerifyingKeys::from_json(twice.as_bytes()), Err(KeyError::Repeated)));
        let with_secret = set(json!([public, secret]));
        assert!(matches!(
            VerifyingKeys::from_json(with_secret.as_bytes()),
            Err(KeyError::Private("k"))
        ));
        let keys = VerifyingKeys::from_json_with_secrets(with_secret.as_bytes()).unwrap();
        assert!(keys.get("m").is_some());
        assert_eq!(keys.to_jwks()["keys"].as_array().unwrap().len(), 1, "a secret stays inside");
    }

    #[test]
    fn sets_are_joined_unless_one_name_is_of_two_keys() {
        let [one, other] = [(); 2].map(|()| SigningKey::generate(SigningAlgorithm::ES256).unwrap());
        let named = |key: &SigningKey, kid: &str| {
            let mut jwk = key.public_jwk().unwrap().clone();
            jwk["kid"] = json!(kid);
            VerifyingKeys::from_json(jwk.to_string().as_bytes()).unwrap()
        };
        let mut keys = named(&one, "a");

        keys.join(named(&one, "a")).unwrap();
        keys.join(named(&other, "b")).unwrap();
        assert!(matches!(keys.join(named(&other, "a")), Err(KeyError::Repeated)));

        let missing: Vec<_> = keys.without(&named(&one, "a")).map(VerifyingKey::kid).collect();
        assert_eq!(missing, ["b"]);
        assert_eq!(keys.to_jwks()["keys"][1]["kid"], "b");
    }
}
