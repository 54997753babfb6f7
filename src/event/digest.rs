//! The digests of an event: the name of its content, what tells a repeat from a conflict, and what is
//! shown of it where its data is not.

use std::fmt;
use std::str::FromStr;

use md5::{Digest as _, Md5};

use crate::event::hexadecimal::write_hexadecimal;

/// Names the content of an event: the MD5 of its canonical bytes, in lower-case hex.
///
/// It is a name and never a proof, because two contents with one MD5 can be made at will; the
/// [`ContentDigest`] beside it tells a repeat from a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdempotencyKey([u8; 16]);

/// Tells the content of an event from any other: the SHA-256 of the same canonical bytes.
///
/// Whoever has it can tell by trying what was digested, so it stays inside of the gateway: what is
/// shown of an event is its [`EventDigest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentDigest([u8; 32]);

/// What stands for an event in chains, bundles and proofs.
///
/// Of form 2 it is an HMAC-SHA-256 under the event's [`Salt`](crate::event::Salt) over all of the
/// event ([`CloudEvent::salted_digest`](crate::event::CloudEvent::salted_digest)), which tells nothing
/// to who has not got the salt. Events of before there were salts have form 1, which is the
/// [`ContentDigest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventDigest([u8; 32]);

impl IdempotencyKey {
    /// The name that a canonical text gives.
    pub(crate) fn of(text: &str) -> Self {
        Self(Md5::digest(text).into())
    }
}

/// Form 1.
impl From<ContentDigest> for EventDigest {
    fn from(ContentDigest(content): ContentDigest) -> Self {
        Self(content)
    }
}

macro_rules! digest {
    ($name:ident, $length:literal) => {
        impl $name {
            /// Takes the bytes of the digest.
            pub const fn from_bytes(bytes: [u8; $length]) -> Self {
                Self(bytes)
            }

            /// Gives the bytes of the digest.
            pub const fn to_bytes(self) -> [u8; $length] {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hexadecimal(f, &self.0)
            }
        }

        impl FromStr for $name {
            type Err = DigestError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let refuse = || DigestError { expected: $length * 2, actual: text.len() };
                let digits = text.as_bytes();
                let lower = |b: &u8| b.is_ascii_digit() || (b'a'..=b'f').contains(b);
                if digits.len() != $length * 2 || !digits.iter().all(lower) {
                    return Err(refuse());
                }
                let mut bytes = [0; $length];
                for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
                    let pair = std::str::from_utf8(pair).map_err(|_| refuse())?;
                    *byte = u8::from_str_radix(pair, 16).map_err(|_| refuse())?;
                }
                Ok(Self(bytes))
            }
        }
    };
}

digest!(IdempotencyKey, 16);
digest!(ContentDigest, 32);
digest!(EventDigest, 32);

/// A text that is not a digest.
#[derive(Debug, thiserror::Error)]
#[error("expected {expected} lower-case hexadecimal digits, found {actual} characters")]
pub struct DigestError {
    expected: usize,
    actual: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_is_lower_case_hex_and_comes_back() {
        let key = IdempotencyKey::from_bytes([0xab; 16]);

        assert_eq!(key.to_string(), "ab".repeat(16));
        assert_eq!(key.to_string().parse::<IdempotencyKey>().unwrap(), key);
    }

    #[test]
    fn upper_case_signs_and_wrong_lengths_are_refused() {
        for text in ["AB".repeat(16), "+1".repeat(16), "ab".repeat(15), String::new()] {
            assert!(text.parse::<IdempotencyKey>().is_err(), "{text}");
        }
    }
}
