//! Key agreement: the curves, the ephemeral key, and the derivation of the content key.

use std::fmt::Write as _;

use aws_lc_rs::agreement;
use aws_lc_rs::digest;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::keys::ContentEncryption;
use crate::keys::ContentKey;
use crate::keys::KeyError;
use crate::keys::jwk::{self, Jwk};

/// A curve on which keys are agreed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
    X25519,
}

impl Curve {
    /// Reads `kty` and `crv` of a JWK, or nothing if they name no curve of the list.
    pub(super) fn of(jwk: &Jwk) -> Result<Option<Self>, KeyError> {
        match jwk.text("kty")? {
            "EC" => Ok(match jwk.text("crv")? {
                "P-256" => Some(Self::P256),
                "P-384" => Some(Self::P384),
                "P-521" => Some(Self::P521),
                _ => None,
            }),
            "OKP" => Ok((jwk.text("crv")? == "X25519").then_some(Self::X25519)),
            _ => Ok(None),
        }
    }

    pub(super) const fn algorithm(self) -> &'static agreement::Algorithm {
        match self {
            Self::P256 => &agreement::ECDH_P256,
            Self::P384 => &agreement::ECDH_P384,
            Self::P521 => &agreement::ECDH_P521,
            Self::X25519 => &agreement::X25519,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
            Self::X25519 => "X25519",
        }
    }

    /// The length of a coordinate, and of the private number.
    pub(super) const fn length(self) -> usize {
        match self {
            Self::P256 | Self::X25519 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    /// Reads the public part of a JWK: full-length coordinates, on the curve.
    pub(super) fn public_key(self, jwk: &Jwk) -> Result<agreement::ParsedPublicKey, KeyError> {
        let x = jwk.exactly("x", self.length())?;
        let bytes = if self == Self::X25519 {
            x.to_vec()
        } else {
            let y = jwk.exactly("y", self.length())?;
            [&[4], x.as_slice(), y.as_slice()].concat()
        };
        let unparsed = agreement::UnparsedPublicKey::new(self.algorithm(), bytes);
        (&unparsed).try_into().map_err(|_| KeyError::Invalid)
    }

    /// The public members of a key as JSON, in the order of RFC 7638.
    pub(super) fn public_members(self, public: &[u8]) -> Value {
        let (x, y) = self.coordinates(public);
        match y {
            None => json!({"kty": "OKP", "crv": self.name(), "x": jwk::encode(x)}),
            Some(y) => json!({
                "kty": "EC", "crv": self.name(), "x": jwk::encode(x), "y": jwk::encode(y),
            }),
        }
    }

    /// The RFC 7638 thumbprint of a public key.
    pub(super) fn thumbprint(self, public: &[u8]) -> String {
        let (x, y) = self.coordinates(public);
        let x = jwk::encode(x);
        match y {
            None => jwk::thumbprint(&[("crv", self.name()), ("kty", "OKP"), ("x", &x)]),
            Some(y) => jwk::thumbprint(&[
                ("crv", self.name()),
                ("kty", "EC"),
                ("x", &x),
                ("y", &jwk::encode(y)),
            ]),
        }
    }

    /// Splits a raw or uncompressed public key.
    fn coordinates(self, public: &[u8]) -> (&[u8], Option<&[u8]>) {
        if self == Self::X25519 {
            return (public, None);
        }
        let point = public.get(1..).unwrap_or_default();
        let (x, y) = point.split_at_checked(self.length()).unwrap_or_default();
        (x, Some(y))
    }
}

/// The public half of a key that was made for one token.
pub struct EphemeralKey {
    curve: Curve,
    public: agreement::PublicKey,
}

impl EphemeralKey {
    pub(super) const fn new(curve: Curve, public: agreement::PublicKey) -> Self {
        Self { curve, public }
    }

    /// The value of `epk`.
    pub fn to_jwk(&self) -> Value {
        self.curve.public_members(self.public.as_ref())
    }

    /// Writes the value of `epk` at the end of a text.
    pub fn write_jwk(&self, text: &mut String) {
        let (x, y) = self.curve.coordinates(self.public.as_ref());
        let kty = if y.is_some() { "EC" } else { "OKP" };
        // Writing to a string cannot fail.
        let _ = write!(text, r#"{{"kty":"{kty}","crv":"{}","x":""#, self.curve.name());
        base64_simd::URL_SAFE_NO_PAD.encode_append(x, text);
        if let Some(y) = y {
            text.push_str(r#"","y":""#);
            base64_simd::URL_SAFE_NO_PAD.encode_append(y, text);
        }
        text.push_str(r#""}"#);
    }
}

/// The parties' information that goes into the derivation (RFC 7518, section 4.6.1).
#[derive(Default)]
pub(super) struct Parties {
    pub(super) producer: Vec<u8>,
    pub(super) consumer: Vec<u8>,
}

/// Agrees on a content key (RFC 7518, section 4.6), or nothing if the peer's key is no good.
pub(super) fn agree(
    mine: &agreement::PrivateKey,
    peer: agreement::ParsedPublicKey,
    encryption: ContentEncryption,
    parties: &Parties,
) -> Option<ContentKey> {
    agreement::agree(mine, peer, (), |secret| {
        // A low-order point gives zero (RFC 7748, section 6.1).
        let zero = secret.iter().fold(0, |bits, byte| bits | byte) == 0;
        if zero { Err(()) } else { Ok(derive(secret, encryption, parties)) }
    })
    .ok()
}

/// The Concat KDF with SHA-256. No key here is longer than the digest, so one round is enough.
fn derive(secret: &[u8], encryption: ContentEncryption, parties: &Parties) -> ContentKey {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(&1_u32.to_be_bytes());
    hash.update(secret);
    for field in [encryption.name().as_bytes(), &parties.producer, &parties.consumer] {
        hash.update(&length_of(field));
        hash.update(field);
    }
    let bits: u32 = if encryption.key_length() == 16 { 128 } else { 256 };
    hash.update(&bits.to_be_bytes());
    let mut bytes = Zeroizing::new([0; 32]);
    bytes.iter_mut().zip(hash.finish().as_ref()).for_each(|(byte, derived)| *byte = *derived);
    ContentKey::new(bytes, encryption)
}

fn length_of(field: &[u8]) -> [u8; 4] {
    // The fields come out of a header of at most 4 KiB.
    u32::try_from(field.len()).unwrap_or(u32::MAX).to_be_bytes()
}
