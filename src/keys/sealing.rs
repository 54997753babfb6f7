//! A consumer's key, to encrypt to.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::agreement;
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap};
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicKeyComponents};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::keys::agreement::{Curve, EphemeralKey, Parties, agree};
use crate::keys::jwk::{self, Jwk};
use crate::keys::{ContentEncryption, ContentKey, KeyError, KeyFailure, KeyManagement};

const OFFERED: &str =
    "EC on P-256, P-384 or P-521, OKP on X25519, or RSA of 2048 to 4096 bits, for encryption";

/// What is said when the library fails with a consumer's key.
const FAILURE: KeyFailure = KeyFailure("encrypt to a consumer's key");

/// A content key together with what lets the consumer find it.
pub struct EstablishedKey {
    /// The key for the content.
    pub content_key: ContentKey,
    /// The second part of the token; empty for ECDH-ES.
    pub encrypted_key: Vec<u8>,
    /// The header member `epk`; for ECDH-ES only.
    pub ephemeral: Option<EphemeralKey>,
}

/// A consumer's key, checked and parsed once. Clones share it.
#[derive(Clone)]
pub struct SealingKey(Arc<Inner>);

struct Inner {
    kid: String,
    recipient: Recipient,
    /// JSON, because a tree would take a kilobyte of each key.
    public: Option<Box<str>>,
}

enum Recipient {
    Agreement(Curve, agreement::ParsedPublicKey),
    Rsa(OaepPublicEncryptingKey),
    Wrap(Zeroizing<[u8; 32]>),
}

impl SealingKey {
    /// Reads the public key of one JWK and tries it out.
    ///
    /// # Errors
    ///
    /// The caller's turn: the JWK is malformed, holds a private part, is for something else, or is
    /// of a kind that is not offered.
    pub fn from_json(bytes: &[u8]) -> Result<Self, KeyError> {
        match Jwk::read(bytes)?.as_slice() {
            [jwk] => Self::read(jwk),
            _ => Err(KeyError::Shape { limit: 1 }),
        }
    }

    /// Reads the public key of one JWK that is parsed already, and tries it out.
    ///
    /// # Errors
    ///
    /// The caller's turn, as for [`from_json`](Self::from_json).
    pub fn from_jwk(jwk: &Value) -> Result<Self, KeyError> {
        match jwk {
            Value::Object(members) => Self::read(&Jwk::from_members(members.clone())),
            _ => Err(KeyError::Shape { limit: 1 }),
        }
    }

    /// Reads a JWK, or a JWK Set; keys of a set that are for something else or of an unknown kind
    /// are passed over (RFC 7517, section 5). At least one key is returned, in the set's order.
    ///
    /// # Errors
    ///
    /// The caller's turn: the text is no key or set, a key of it is malformed or holds a private
    /// part, two have one name, or none is for encryption.
    pub fn all_from_json(bytes: &[u8]) -> Result<Vec<Self>, KeyError> {
        let jwks = Jwk::read(bytes)?;
        let alone = jwks.len() == 1;
        let mut keys: Vec<Self> = Vec::new();
        for jwk in &jwks {
            match Self::read(jwk) {
                Ok(key) if keys.iter().any(|other| other.kid() == key.kid()) => {
                    return Err(KeyError::Repeated);
                }
                Ok(key) => keys.push(key),
                Err(error) if !alone && jwk::may_be_skipped(&error) => {}
                Err(error) => return Err(error),
            }
        }
        if keys.is_empty() {
            return Err(KeyError::NoneUsable { purpose: jwk::SEALING.words });
        }
        Ok(keys)
    }

    /// Takes the wrapping key of a shared secret, for A256KW.
    pub(super) fn from_secret(kid: &str, secret: &[u8; 32]) -> Self {
        let recipient = Recipient::Wrap(Zeroizing::new(*secret));
        Self(Arc::new(Inner { kid: kid.to_owned(), recipient, public: None }))
    }

    fn read(jwk: &Jwk) -> Result<Self, KeyError> {
        jwk.refuse_private()?;
        jwk.fit_for(&jwk::SEALING)?;
        let (recipient, mut public, thumbprint) = if jwk.text("kty")? == "RSA" {
            let (modulus, exponent) = jwk::rsa_public(jwk)?;
            let (n, e) = (jwk::encode(&modulus), jwk::encode(&exponent));
            let components = PublicKeyComponents { n: modulus, e: exponent };
            let key = components.try_into().map_err(|_| KeyError::Invalid)?;
            let key = OaepPublicEncryptingKey::new(key).map_err(|_| KeyError::Invalid)?;
            let print = jwk::thumbprint(&[("e", &e), ("kty", "RSA"), ("n", &n)]);
            (Recipient::Rsa(key), json!({"kty": "RSA", "n": n, "e": e}), print)
        } else {
            let curve = Curve::of(jwk)?.ok_or(KeyError::NotOffered { expected: OFFERED })?;
            let key = curve.public_key(jwk)?;
            let public = curve.public_members(key.as_ref());
            let print = curve.thumbprint(key.as_ref());
            (Recipient::Agreement(curve, key), public, print)
        };
        let management = recipient.management();
        if jwk.optional("alg")?.is_some_and(|alg| alg != management.name()) {
            return Err(KeyError::Algorithm { expected: management.name() });
        }
        let kid = jwk.kid()?.map_or(thumbprint, str::to_owned);
        if let Some(members) = public.as_object_mut() {
            members.extend([
                ("use".to_owned(), "enc".into()),
                ("alg".to_owned(), management.name().into()),
                ("kid".to_owned(), kid.as_str().into()),
            ]);
        }
        let key = Self(Arc::new(Inner { kid, recipient, public: Some(public.to_string().into()) }));
        // A point off its curve or of low order shows when the key is used.
        key.establish(ContentEncryption::default()).map_err(|_| KeyError::Invalid)?;
        Ok(key)
    }

    /// Its name: the consumer's own, or the RFC 7638 thumbprint.
    pub fn kid(&self) -> &str {
        &self.0.kid
    }

    /// How it carries the content key.
    pub fn management(&self) -> KeyManagement {
        self.0.recipient.management()
    }

    /// The public key with only the members that matter; nothing for a shared secret.
    pub fn public_jwk(&self) -> Option<Value> {
        serde_json::from_str(self.0.public.as_deref()?).ok()
    }

    /// Makes the content key of one token: by agreement with a fresh ephemeral key, or at random
    /// and encrypted to the consumer.
    ///
    /// # Errors
    ///
    /// Ours: the cryptographic library failed.
    pub fn establish(&self, encryption: ContentEncryption) -> Result<EstablishedKey, KeyFailure> {
        let failure = |_| FAILURE;
        match &self.0.recipient {
            Recipient::Agreement(curve, peer) => agreed(*curve, peer.clone(), encryption),
            Recipient::Rsa(key) => {
                let content_key = ContentKey::random(encryption)?;
                let mut encrypted_key = vec![0; key.ciphertext_size()];
                let plain = content_key.as_bytes();
                key.encrypt(&OAEP_SHA256_MGF1SHA256, plain, &mut encrypted_key, None)
                    .map_err(failure)?;
                Ok(EstablishedKey { content_key, encrypted_key, ephemeral: None })
            }
            Recipient::Wrap(secret) => {
                let content_key = ContentKey::random(encryption)?;
                let mut encrypted_key = vec![0; encryption.key_length() + 8];
                AesKek::new(&AES_256, secret.as_ref())
                    .and_then(|kek| {
                        kek.wrap(content_key.as_bytes(), &mut encrypted_key).map(|_| ())
                    })
                    .map_err(failure)?;
                Ok(EstablishedKey { content_key, encrypted_key, ephemeral: None })
            }
        }
    }
}

/// A content key that is agreed with a consumer's key and a fresh one of ours.
fn agreed(
    curve: Curve,
    peer: agreement::ParsedPublicKey,
    encryption: ContentEncryption,
) -> Result<EstablishedKey, KeyFailure> {
    let failure = |_| FAILURE;
    let mine = agreement::PrivateKey::generate(curve.algorithm()).map_err(failure)?;
    let public = mine.compute_public_key().map_err(failure)?;
    let content_key = agree(&mine, peer, encryption, &Parties::default())
        .ok_or(KeyFailure("agree with a consumer's key"))?;
    let ephemeral = Some(EphemeralKey::new(curve, public));
    Ok(EstablishedKey { content_key, encrypted_key: Vec::new(), ephemeral })
}

/// By name and public members: the consumer chooses the name. Secret ones have a name of ours.
impl PartialEq for SealingKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.kid == other.0.kid && self.0.public == other.0.public
    }
}

impl Recipient {
    const fn management(&self) -> KeyManagement {
        match self {
            Self::Agreement(..) => KeyManagement::EcdhEs,
            Self::Rsa(_) => KeyManagement::RsaOaep256,
            Self::Wrap(_) => KeyManagement::A256Kw,
        }
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey({} {})", self.management(), self.0.kid)
    }
}
