//! The algorithms that are offered, and no others.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the inner token is signed (RFC 7518, section 3; RFC 8037).
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    Deserialize,
    Eq,
    Hash,
    JsonSchema,
    Ord,
    PartialEq,
    PartialOrd,
    Serialize,
)]
pub enum SigningAlgorithm {
    /// ECDSA on P-256 with SHA-256.
    #[default]
    ES256,
    /// Ed25519; the cheapest for events up to about 2 KiB.
    EdDSA,
    /// RSASSA-PSS with SHA-256.
    PS256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// HMAC with SHA-256; in shared-secret mode only.
    HS256,
}

impl SigningAlgorithm {
    /// Every algorithm, the default first.
    pub const ALL: [Self; 5] = [Self::ES256, Self::EdDSA, Self::PS256, Self::RS256, Self::HS256];

    /// The value of `alg`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ES256 => "ES256",
            Self::EdDSA => "EdDSA",
            Self::PS256 => "PS256",
            Self::RS256 => "RS256",
            Self::HS256 => "HS256",
        }
    }

    pub(super) const fn of_crate(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::ES256 => jsonwebtoken::Algorithm::ES256,
            Self::EdDSA => jsonwebtoken::Algorithm::EdDSA,
            Self::PS256 => jsonwebtoken::Algorithm::PS256,
            Self::RS256 => jsonwebtoken::Algorithm::RS256,
            Self::HS256 => jsonwebtoken::Algorithm::HS256,
        }
    }
}

/// How the consumer's key carries the content key (RFC 7518, section 4).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum KeyManagement {
    /// Direct agreement with a fresh ephemeral key, on an EC or X25519 key.
    EcdhEs,
    /// RSAES-OAEP with SHA-256 for hash and mask.
    RsaOaep256,
    /// AES key wrap with a shared secret of 32 bytes.
    A256Kw,
}

impl KeyManagement {
    /// The value of `alg`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EcdhEs => "ECDH-ES",
            Self::RsaOaep256 => "RSA-OAEP-256",
            Self::A256Kw => "A256KW",
        }
    }
}

/// How the content is encrypted (RFC 7518, section 5).
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
pub enum ContentEncryption {
    /// AES-GCM with a key of 256 bits.
    #[default]
    A256GCM,
    /// AES-GCM with a key of 128 bits.
    A128GCM,
    /// AES-CBC with HMAC SHA-256, for receivers that have nothing else.
    #[serde(rename = "A128CBC-HS256")]
    A128CbcHs256,
}

impl ContentEncryption {
    /// Every algorithm, the default first.
    pub const ALL: [Self; 3] = [Self::A256GCM, Self::A128GCM, Self::A128CbcHs256];

    /// The value of `enc`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::A256GCM => "A256GCM",
            Self::A128GCM => "A128GCM",
            Self::A128CbcHs256 => "A128CBC-HS256",
        }
    }

    /// The length of the content key, in bytes.
    pub const fn key_length(self) -> usize {
        match self {
            Self::A256GCM | Self::A128CbcHs256 => 32,
            Self::A128GCM => 16,
        }
    }

    /// The length of the initialization vector, in bytes.
    pub const fn iv_length(self) -> usize {
        match self {
            Self::A256GCM | Self::A128GCM => 12,
            Self::A128CbcHs256 => 16,
        }
    }
}

/// A name that is none of the offered algorithms.
#[derive(Debug, thiserror::Error)]
#[error("not an algorithm that is offered: expected one of {offered}")]
pub struct AlgorithmError {
    offered: &'static str,
}

impl FromStr for SigningAlgorithm {
    type Err = AlgorithmError;

    /// Reads a value of `alg`; `Ed25519` is the newer name of `EdDSA` on that curve (RFC 9864).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "Ed25519" {
            return Ok(Self::EdDSA);
        }
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == text)
            .ok_or(AlgorithmError { offered: "ES256, EdDSA, PS256, RS256, HS256" })
    }
}

impl FromStr for ContentEncryption {
    type Err = AlgorithmError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == text)
            .ok_or(AlgorithmError { offered: "A256GCM, A128GCM, A128CBC-HS256" })
    }
}

impl fmt::Display for SigningAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for KeyManagement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for ContentEncryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_offered_names_are_read() {
        for algorithm in SigningAlgorithm::ALL {
            assert_eq!(algorithm.name().parse::<SigningAlgorithm>().unwrap(), algorithm);
            assert_eq!(serde_json::to_value(algorithm).unwrap(), algorithm.name());
        }
        for algorithm in ContentEncryption::ALL {
            assert_eq!(algorithm.name().parse::<ContentEncryption>().unwrap(), algorithm);
            assert_eq!(serde_json::to_value(algorithm).unwrap(), algorithm.name());
        }
        assert_eq!("Ed25519".parse::<SigningAlgorithm>().unwrap(), SigningAlgorithm::EdDSA);
        for name in ["none", "None", "es256", "HS512", "ES256K", ""] {
            assert!(name.parse::<SigningAlgorithm>().is_err(), "{name}");
        }
        assert!("A256CBC-HS512".parse::<ContentEncryption>().is_err());
    }
}
