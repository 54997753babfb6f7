//! A consumer's private key, to open tokens with.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use aws_lc_rs::agreement;
use aws_lc_rs::encoding::{AsBigEndian, AsDer, Curve25519SeedBin, EcPrivateKeyBin, Pkcs8V1Der};
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap};
use aws_lc_rs::rsa::{
    KeyPair, KeyPairComponents, KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey,
    PrivateDecryptingKey, PublicKeyComponents,
};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::ambient::Secret;
use crate::keys::agreement::{Curve, Parties, agree};
use crate::keys::jwk::{self, Jwk};
use crate::keys::{ContentEncryption, ContentKey, KeyError, KeyFailure, KeyManagement};

const OFFERED: &str =
    "EC on P-256, P-384 or P-521, OKP on X25519, RSA of 2048 to 4096 bits, or oct with A256KW";

/// A kind of key pair that can be made here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OpeningKeyKind {
    /// EC on P-256.
    P256,
    /// EC on P-384.
    P384,
    /// EC on P-521.
    P521,
    /// OKP on X25519; the cheapest to seal for with a public key of this size.
    X25519,
    /// RSA with 2048 bits.
    Rsa2048,
}

impl OpeningKeyKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::P256, Self::P384, Self::P521, Self::X25519, Self::Rsa2048];
}

/// A consumer's private key.
pub struct OpeningKey {
    kid: String,
    private: Private,
    jwk: Secret,
    public: Option<Value>,
}

enum Private {
    Agreement(Curve, agreement::PrivateKey),
    Rsa(Box<OaepPrivateDecryptingKey>),
    Wrap(Zeroizing<[u8; 32]>),
}

impl OpeningKey {
    /// Makes a key pair from the entropy of the cryptographic library.
    ///
    /// # Errors
    ///
    /// Ours: the library could not make the key.
    pub fn generate(kind: OpeningKeyKind) -> Result<Self, KeyFailure> {
        let jwk = match kind {
            OpeningKeyKind::P256 => generate_agreement(Curve::P256),
            OpeningKeyKind::P384 => generate_agreement(Curve::P384),
            OpeningKeyKind::P521 => generate_agreement(Curve::P521),
            OpeningKeyKind::X25519 => generate_agreement(Curve::X25519),
            OpeningKeyKind::Rsa2048 => generate_rsa(),
        };
        jwk.and_then(|jwk| Self::read(&Jwk::from_members(jwk)).ok())
            .ok_or(KeyFailure("make a key pair"))
    }

    /// Reads the private key of one JWK.
    ///
    /// # Errors
    ///
    /// The caller's turn: the JWK is malformed, is for something else, or is of a kind that is not
    /// offered.
    pub fn from_json(bytes: &[u8]) -> Result<Self, KeyError> {
        match Jwk::read(bytes)?.as_slice() {
            [jwk] => Self::read(jwk),
            _ => Err(KeyError::Shape { limit: 1 }),
        }
    }

    /// Takes the wrapping key of a shared secret.
    pub(super) fn from_secret(kid: &str, secret: &[u8; 32]) -> Self {
        let jwk = json!({
            "kty": "oct", "use": "enc", "alg": KeyManagement::A256Kw.name(), "kid": kid,
            "k": jwk::encode(secret),
        });
        let private = Private::Wrap(Zeroizing::new(*secret));
        Self { kid: kid.to_owned(), private, jwk: Secret::new(jwk.to_string()), public: None }
    }

    fn read(jwk: &Jwk) -> Result<Self, KeyError> {
        jwk.fit_for(&jwk::OPENING)?;
        let alg = jwk.optional("alg")?;
        let refuse_other = |management: KeyManagement| match alg {
            Some(alg) if alg != management.name() => {
                Err(KeyError::Algorithm { expected: management.name() })
            }
            _ => Ok(()),
        };
        match jwk.text("kty")? {
            "oct" => {
                jwk.text("alg")?;
                refuse_other(KeyManagement::A256Kw)?;
                let bytes = jwk.exactly("k", 32)?;
                let mut secret = Zeroizing::new([0; 32]);
                secret.iter_mut().zip(bytes.iter()).for_each(|(byte, given)| *byte = *given);
                Ok(Self::from_secret(jwk.kid()?.ok_or(KeyError::Missing("kid"))?, &secret))
            }
            "RSA" => {
                refuse_other(KeyManagement::RsaOaep256)?;
                Self::read_rsa(jwk)
            }
            _ => {
                let curve = Curve::of(jwk)?.ok_or(KeyError::NotOffered { expected: OFFERED })?;
                refuse_other(KeyManagement::EcdhEs)?;
                Self::read_agreement(jwk, curve)
            }
        }
    }

    fn read_agreement(jwk: &Jwk, curve: Curve) -> Result<Self, KeyError> {
        let number = jwk.exactly("d", curve.length())?;
        let given = curve.public_key(jwk)?;
        let private = agreement::PrivateKey::from_private_key(curve.algorithm(), &number)
            .map_err(|_| KeyError::Invalid)?;
        let public = private.compute_public_key().map_err(|_| KeyError::Invalid)?;
        if given.as_ref() != public.as_ref() {
            return Err(KeyError::Invalid);
        }
        let kid = jwk.kid()?.map_or_else(|| curve.thumbprint(public.as_ref()), str::to_owned);
        let members = curve.public_members(public.as_ref());
        let secret = [("d", jwk::encode(&number))];
        Ok(Self::assemble(kid, Private::Agreement(curve, private), members, &secret))
    }

    fn read_rsa(jwk: &Jwk) -> Result<Self, KeyError> {
        let (n, e) = jwk::rsa_public(jwk)?;
        let components = KeyPairComponents {
            public_key: PublicKeyComponents { n: n.as_slice(), e: e.as_slice() },
            d: &**jwk.bytes("d")?,
            p: &**jwk.bytes("p")?,
            q: &**jwk.bytes("q")?,
            dP: &**jwk.bytes("dp")?,
            dQ: &**jwk.bytes("dq")?,
            qInv: &**jwk.bytes("qi")?,
        };
        let invalid = |_| KeyError::Invalid;
        let pair = KeyPair::from_components(&components).map_err(invalid)?;
        let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| KeyError::Invalid)?;
        let key = PrivateDecryptingKey::from_pkcs8(der.as_ref()).map_err(invalid)?;
        let key = OaepPrivateDecryptingKey::new(key).map_err(|_| KeyError::Invalid)?;
        let (n, e) = (jwk::encode(&n), jwk::encode(&e));
        let kid = match jwk.kid()? {
            Some(kid) => kid.to_owned(),
            None => jwk::thumbprint(&[("e", &e), ("kty", "RSA"), ("n", &n)]),
        };
        let members = json!({"kty": "RSA", "n": n, "e": e});
        let mut secret = Vec::new();
        for member in ["d", "p", "q", "dp", "dq", "qi"] {
            secret.push((member, jwk.text(member)?.to_owned()));
        }
        Ok(Self::assemble(kid, Private::Rsa(Box::new(key)), members, &secret))
    }

    fn assemble(
        kid: String,
        private: Private,
        mut public: Value,
        secret: &[(&'static str, String)],
    ) -> Self {
        if let Some(members) = public.as_object_mut() {
            members.extend([
                ("use".to_owned(), "enc".into()),
                ("alg".to_owned(), private.management().name().into()),
                ("kid".to_owned(), kid.as_str().into()),
            ]);
        }
        let mut whole = public.clone();
        if let Some(members) = whole.as_object_mut() {
            members.extend(
                secret.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into())),
            );
        }
        Self { kid, private, jwk: Secret::new(whole.to_string()), public: Some(public) }
    }

    /// Its name.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// How it finds the content key.
    pub fn management(&self) -> KeyManagement {
        self.private.management()
    }

    /// The public half, to be given to the gateway; nothing for a shared secret.
    pub fn public_jwk(&self) -> Option<&Value> {
        self.public.as_ref()
    }

    /// The whole key as a JWK, for its keeper.
    pub fn private_jwk(&self) -> &Secret {
        &self.jwk
    }

    /// The length that the second part of a token for this key must have, in bytes.
    pub fn encrypted_key_length(&self, encryption: ContentEncryption) -> usize {
        match &self.private {
            Private::Agreement(..) => 0,
            Private::Rsa(key) => key.key_size_bytes(),
            Private::Wrap(_) => encryption.key_length() + 8,
        }
    }

    /// Finds the content key of a token from its protected header and its second part.
    ///
    /// A second part that does not decrypt gives a random key, so that the failure shows only in
    /// the content and says nothing about the key (RFC 7516, section 11.5). Nothing is returned if
    /// the ephemeral key of the header is not on the curve of this key.
    pub fn content_key(
        &self,
        header: &Map<String, Value>,
        encrypted_key: &[u8],
        encryption: ContentEncryption,
    ) -> Option<ContentKey> {
        match &self.private {
            Private::Agreement(curve, mine) => {
                let Some(Value::Object(epk)) = header.get("epk") else { return None };
                let epk = Jwk::from_members(epk.clone());
                epk.refuse_private().ok()?;
                if Curve::of(&epk).ok()?? != *curve {
                    return None;
                }
                let peer = curve.public_key(&epk).ok()?;
                let parties =
                    Parties { producer: party(header, "apu")?, consumer: party(header, "apv")? };
                agree(mine, peer, encryption, &parties)
            }
            Private::Rsa(key) => {
                let mut plain = Zeroizing::new(vec![0; key.min_output_size()]);
                let found =
                    key.decrypt(&OAEP_SHA256_MGF1SHA256, encrypted_key, &mut plain, None).ok();
                recovered(found.as_deref(), encryption)
            }
            Private::Wrap(secret) => {
                let mut plain = Zeroizing::new([0; 40]);
                let kek = AesKek::new(&AES_256, secret.as_ref()).ok()?;
                let found = kek.unwrap(encrypted_key, plain.as_mut()).ok();
                recovered(found.as_deref(), encryption)
            }
        }
    }
}

/// The decrypted content key if it has the right length, else a random one.
fn recovered(found: Option<&[u8]>, encryption: ContentEncryption) -> Option<ContentKey> {
    // Made in either case, so that failure takes the same time.
    let random = ContentKey::random(encryption).ok()?;
    let Some(found) = found.filter(|found| found.len() == encryption.key_length()) else {
        return Some(random);
    };
    let mut bytes = Zeroizing::new([0; 32]);
    bytes.iter_mut().zip(found).for_each(|(byte, found)| *byte = *found);
    Some(ContentKey::new(bytes, encryption))
}

/// The party information of the header; empty if absent, nothing if malformed.
fn party(header: &Map<String, Value>, member: &str) -> Option<Vec<u8>> {
    match header.get(member) {
        None => Some(Vec::new()),
        Some(Value::String(text)) => base64_simd::URL_SAFE_NO_PAD.decode_to_vec(text).ok(),
        Some(_) => None,
    }
}

fn generate_agreement(curve: Curve) -> Option<Map<String, Value>> {
    let private = agreement::PrivateKey::generate(curve.algorithm()).ok()?;
    let public = private.compute_public_key().ok()?;
    let number = if curve == Curve::X25519 {
        let seed: Curve25519SeedBin<'_> = private.as_be_bytes().ok()?;
        jwk::encode(seed.as_ref())
    } else {
        let number: EcPrivateKeyBin<'_> = private.as_be_bytes().ok()?;
        jwk::encode(number.as_ref())
    };
    let mut jwk = curve.public_members(public.as_ref());
    jwk.as_object_mut()?.insert("d".to_owned(), number.into());
    match jwk {
        Value::Object(members) => Some(members),
        _ => None,
    }
}

/// Makes an RSA key; josekit takes the numbers out of its DER form.
fn generate_rsa() -> Option<Map<String, Value>> {
    let pair = KeyPair::generate(KeySize::Rsa2048).ok()?;
    let der: Pkcs8V1Der<'_> = pair.as_der().ok()?;
    let pair = josekit::jwk::alg::rsa::RsaKeyPair::from_der(der.as_ref()).ok()?;
    Some(pair.to_jwk_private_key().into())
}

impl Private {
    const fn management(&self) -> KeyManagement {
        match self {
            Self::Agreement(..) => KeyManagement::EcdhEs,
            Self::Rsa(_) => KeyManagement::RsaOaep256,
            Self::Wrap(_) => KeyManagement::A256Kw,
        }
    }
}

impl fmt::Debug for OpeningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpeningKey({} {})", self.management(), self.kid)
    }
}

/// A consumer's private keys, each found by its `kid`.
#[derive(Debug, Default)]
pub struct OpeningKeys(HashMap<String, OpeningKey>);

impl OpeningKeys {
    /// Reads a JWK or a JWK Set of private keys; keys of a set that are for something else or of
    /// an unknown kind are passed over.
    ///
    /// # Errors
    ///
    /// The caller's turn: the text is no key or set, a key of it is malformed, two have one name,
    /// or none opens tokens.
    pub fn from_json(bytes: &[u8]) -> Result<Self, KeyError> {
        let jwks = Jwk::read(bytes)?;
        let alone = jwks.len() == 1;
        let mut keys = HashMap::new();
        for jwk in &jwks {
            match OpeningKey::read(jwk) {
                Ok(key) if keys.contains_key(key.kid()) => return Err(KeyError::Repeated),
                Ok(key) => drop(keys.insert(key.kid().to_owned(), key)),
                Err(error) if !alone && jwk::may_be_skipped(&error) => {}
                Err(error) => return Err(error),
            }
        }
        if keys.is_empty() {
            return Err(KeyError::NoneUsable { purpose: jwk::OPENING.words });
        }
        Ok(Self(keys))
    }

    /// The key of a name.
    pub fn get(&self, kid: &str) -> Option<&OpeningKey> {
        self.0.get(kid)
    }

    /// The names of all keys, in order.
    pub fn kids(&self) -> impl Iterator<Item = &str> {
        let names: BTreeSet<&str> = self.0.keys().map(String::as_str).collect();
        names.into_iter()
    }
}

impl FromIterator<OpeningKey> for OpeningKeys {
    /// Collects keys; of two with one name the last stays.
    fn from_iter<I: IntoIterator<Item = OpeningKey>>(keys: I) -> Self {
        Self(keys.into_iter().map(|key| (key.kid().to_owned(), key)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{SealingKey, SharedSecret};

    fn header_of(established: &crate::keys::EstablishedKey) -> Map<String, Value> {
        let epk = established.ephemeral.as_ref().map(crate::keys::EphemeralKey::to_jwk);
        epk.into_iter().map(|epk| ("epk".to_owned(), epk)).collect()
    }

    #[test]
    fn the_agreement_of_the_rfc_example_derives_the_key_printed_there() {
        // RFC 7518, appendix C.
        let text = include_str!("../../tests/vectors/jose/rfc7518-c-ecdh-es.json");
        let vector: Value = serde_json::from_str(text).unwrap();
        let key = OpeningKey::from_json(vector["recipient"].to_string().as_bytes()).unwrap();

        let content =
            key.content_key(vector.as_object().unwrap(), &[], ContentEncryption::A128GCM).unwrap();

        assert_eq!(jwk::encode(content.as_bytes()), vector["derived"].as_str().unwrap());
    }

    #[test]
    fn every_kind_of_key_finds_the_content_key_that_its_public_half_established() {
        for kind in OpeningKeyKind::ALL {
            let key = OpeningKey::generate(kind).unwrap();
            let again = OpeningKey::from_json(key.private_jwk().expose().as_bytes()).unwrap();
            let sealing = SealingKey::from_jwk(key.public_jwk().unwrap()).unwrap();
            assert_eq!(sealing.public_jwk().as_ref(), key.public_jwk());
            assert_eq!(again.kid(), sealing.kid());
            for encryption in ContentEncryption::ALL {
                let established = sealing.establish(encryption).unwrap();
                let header = header_of(&established);
                let found =
                    again.content_key(&header, &established.encrypted_key, encryption).unwrap();

                assert_eq!(found.as_bytes(), established.content_key.as_bytes(), "{kind:?}");
                let length = again.encrypted_key_length(encryption);
                assert_eq!(length, established.encrypted_key.len());
            }
        }
    }

    #[test]
    fn a_shared_secret_wraps_and_unwraps_and_a_broken_wrap_gives_chance() {
        let secret = SharedSecret::generate(&crate::ambient::SystemEntropy);
        let encryption = ContentEncryption::A256GCM;
        let established = secret.sealing_key().establish(encryption).unwrap();
        let open = |wrapped: &[u8]| {
            let found = secret.opening_key().content_key(&Map::new(), wrapped, encryption);
            found.unwrap().as_bytes().to_vec()
        };

        assert_eq!(open(&established.encrypted_key), established.content_key.as_bytes());
        let mut broken = established.encrypted_key.clone();
        broken[0] ^= 1;
        assert_ne!(open(&broken), established.content_key.as_bytes());
        assert_ne!(open(&broken), open(&broken));
    }

    #[test]
    fn an_ephemeral_key_of_another_kind_or_off_the_curve_gives_nothing() {
        let key = OpeningKey::generate(OpeningKeyKind::P256).unwrap();
        let x25519 = OpeningKey::generate(OpeningKeyKind::X25519).unwrap();
        let encryption = ContentEncryption::A256GCM;
        let good = key.public_jwk().unwrap();
        let open = |key: &OpeningKey, epk: Value| {
            let header = Map::from_iter([("epk".to_owned(), epk)]);
            key.content_key(&header, &[], encryption).is_some()
        };
        let with = |member: &str, value: Value| {
            let mut epk = good.clone();
            epk[member] = value;
            epk
        };

        assert!(open(&key, good.clone()));
        assert!(!open(&key, x25519.public_jwk().unwrap().clone()));
        assert!(!open(&key, with("y", good["x"].clone())));
        assert!(!open(&key, with("x", json!("AA"))));
        assert!(!open(&key, with("crv", json!("P-384"))));
        assert!(!open(&key, with("d", good["x"].clone())));
        assert!(!open(&key, json!("epk")));
        // Points of low order (RFC 7748, section 6.1).
        for low in [[0_u8; 32], std::array::from_fn(|i| u8::from(i == 0))] {
            let epk = json!({"kty": "OKP", "crv": "X25519", "x": jwk::encode(&low)});
            assert!(!open(&x25519, epk.clone()));
            assert!(matches!(SealingKey::from_jwk(&epk), Err(KeyError::Invalid)));
        }
    }

    #[test]
    fn consumer_keys_in_the_forms_of_other_libraries_are_taken_and_bad_ones_are_not() {
        let key = OpeningKey::generate(OpeningKeyKind::P256).unwrap();
        let public = key.public_jwk().unwrap();
        let with = |changes: Value| {
            let mut jwk = public.clone();
            for (member, value) in changes.as_object().unwrap() {
                jwk[member] = value.clone();
            }
            SealingKey::from_jwk(&jwk)
        };

        for good in [
            json!({"key_ops": []}),
            json!({"key_ops": ["deriveBits"], "ext": true}),
            json!({"kid": "k".repeat(256)}),
        ] {
            let sealing = with(good).unwrap();
            assert!(sealing.public_jwk().unwrap().get("key_ops").is_none());
            assert!(sealing.public_jwk().unwrap().get("ext").is_none());
        }
        for bad in [
            json!({"d": public["x"]}),
            json!({"use": "sig"}),
            json!({"alg": "ECDH-ES+A256KW"}),
            json!({"alg": "RSA1_5"}),
            json!({"key_ops": ["sign"]}),
            json!({"key_ops": "deriveBits"}),
            json!({"kid": "k".repeat(257)}),
            json!({"kid": "a\nb"}),
            json!({"kid": 7}),
            json!({"crv": "secp256k1"}),
            json!({"crv": "P-521"}),
            json!({"x": public["y"]}),
            json!({"x": format!("{}=", public["x"].as_str().unwrap())}),
            json!({"kty": "OKP", "crv": "X448"}),
        ] {
            assert!(with(bad.clone()).is_err(), "{bad}");
        }
        let mut nameless = public.clone();
        nameless.as_object_mut().unwrap().remove("kid");
        assert_eq!(SealingKey::from_jwk(&nameless).unwrap().kid(), public["kid"]);
    }

    #[test]
    fn a_set_gives_the_keys_for_encryption_and_refuses_a_burnt_one() {
        let (left, right) = (
            OpeningKey::generate(OpeningKeyKind::P256).unwrap(),
            OpeningKey::generate(OpeningKeyKind::X25519).unwrap(),
        );
        let mut signing = left.public_jwk().unwrap().clone();
        signing["use"] = json!("sig");
        let set =
            |keys: Value| SealingKey::all_from_json(json!({"keys": keys}).to_string().as_bytes());
        let private: Value = serde_json::from_str(left.private_jwk().expose()).unwrap();

        let keys = set(json!([signing, right.public_jwk(), left.public_jwk()])).unwrap();
        let kids: Vec<&str> = keys.iter().map(SealingKey::kid).collect();
        assert_eq!(kids, [right.kid(), left.kid()]);
        assert!(matches!(set(json!([right.public_jwk(), private])), Err(KeyError::Private("d"))));
        assert!(matches!(set(json!([signing, signing])), Err(KeyError::NoneUsable { .. })));
        assert!(matches!(
            set(json!([left.public_jwk(), left.public_jwk()])),
            Err(KeyError::Repeated)
        ));
    }

    #[test]
    fn a_private_key_that_does_not_fit_its_public_half_is_refused() {
        let key = OpeningKey::generate(OpeningKeyKind::X25519).unwrap();
        let other = OpeningKey::generate(OpeningKeyKind::X25519).unwrap();
        let mut jwk: Value = serde_json::from_str(key.private_jwk().expose()).unwrap();
        jwk["x"] = other.public_jwk().unwrap()["x"].clone();

        assert!(matches!(
            OpeningKey::from_json(jwk.to_string().as_bytes()),
            Err(KeyError::Invalid)
        ));
        assert!(OpeningKeys::from_json(br#"{"keys":[]}"#).is_err());
        assert!(!format!("{key:?}").contains(jwk["d"].as_str().unwrap()));
    }

    #[test]
    fn another_algorithm_for_a_key_of_a_kind_is_told_with_the_one_that_is_expected() {
        for (kind, other, expected) in [
            (OpeningKeyKind::Rsa2048, "RSA-OAEP", "RSA-OAEP-256"),
            (OpeningKeyKind::Rsa2048, "RSA1_5", "RSA-OAEP-256"),
            (OpeningKeyKind::X25519, "ECDH-ES+A256KW", "ECDH-ES"),
        ] {
            let key = OpeningKey::generate(kind).unwrap();
            let mut private: Value = serde_json::from_str(key.private_jwk().expose()).unwrap();
            let mut public = key.public_jwk().unwrap().clone();
            (private["alg"], public["alg"]) = (json!(other), json!(other));
            let opening = OpeningKey::from_json(private.to_string().as_bytes()).unwrap_err();
            let sealing = SealingKey::from_jwk(&public).unwrap_err();
            for error in [opening, sealing] {
                let told = error.to_string();
                assert!(told.contains("`alg`") && told.ends_with(expected), "{other}: {told}");
                assert!(!told.contains("not for"), "{told}");
            }
        }
    }
}
