//! The digest of a token, by which a receipt names what was received.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// The SHA-256 of the characters of a token. Its text form is unpadded base64url.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// The digest of a token in compact form.
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// The digest of bytes.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Takes the bytes of a digest.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Gives the bytes of the digest.
    pub const fn to_bytes(self) -> [u8; 32] {
        self.0
    }
}

impl fmt::Display for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64_simd::URL_SAFE_NO_PAD.encode_to_string(self.0))
    }
}

/// A text that is not the digest of a token.
#[derive(Debug, thiserror::Error)]
#[error("not a token's digest: expected 43 characters of unpadded base64url")]
pub struct TokenDigestError;

impl FromStr for TokenDigest {
    type Err = TokenDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes =
            base64_simd::URL_SAFE_NO_PAD.decode_to_vec(text).map_err(|_| TokenDigestError)?;
        bytes.try_into().map(Self).map_err(|_| TokenDigestError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_comes_back_and_only_the_canonical_one() {
        let digest = TokenDigest::of("");

        assert_eq!(digest.to_string(), "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU");
        assert_eq!(digest.to_string().parse::<TokenDigest>().unwrap(), digest);
        for text in ["", "47DE", "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFV"] {
            assert!(text.parse::<TokenDigest>().is_err(), "{text}");
        }
    }
}
