//! The digest of an event as its producer sent it, by which a signed answer names what it answers.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// The SHA-256 of an entry of a request, byte for byte. Its text form is unpadded base64url.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SentDigest([u8; 32]);

impl SentDigest {
    /// The digest of an entry that is one piece of the body.
    pub fn of(entry: &[u8]) -> Self {
        Self(Sha256::digest(entry).into())
    }

    /// The digest of an entry that stands in several pieces, one after the other.
    pub fn of_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Sha256::new();
        pieces.into_iter().for_each(|piece| hash.update(piece));
        Self(hash.finalize().into())
    }
}

impl fmt::Display for SentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64_simd::URL_SAFE_NO_PAD.encode_to_string(self.0))
    }
}

/// A text that is not the digest of an entry.
#[derive(Debug, thiserror::Error)]
#[error("not the digest of an entry: expected 43 characters of unpadded base64url")]
pub struct SentDigestError;

impl FromStr for SentDigest {
    type Err = SentDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes =
            base64_simd::URL_SAFE_NO_PAD.decode_to_vec(text).map_err(|_| SentDigestError)?;
        bytes.try_into().map(Self).map_err(|_| SentDigestError)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pieces_have_the_digest_of_the_whole() {
        let whole = SentDigest::of(b"{\"id\":1}");

        assert_eq!(SentDigest::of_pieces([&b"{\"id\""[..], b":1}"]), whole);
        assert_eq!(SentDigest::of(b"").to_string(), "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU");
    }

    proptest! {
        #[test]
        fn every_text_is_refused_or_is_the_one_of_its_digest(
            text in prop_oneof!["\\PC{0,50}", "[A-Za-z0-9_-]{43}"],
        ) {
            if let Ok(digest) = text.parse::<SentDigest>() {
                prop_assert_eq!(digest.to_string(), text);
            }
        }
    }
}
