//! The salt of an event, without which its digest tells nothing.

use std::fmt;
use std::str::FromStr;

/// 16 random bytes that the log gives an event, for its consumers only.
///
/// Its text form is unpadded base64url. `Debug` does not show it, and there is no `Display`: with it
/// and the digest, contents can be guessed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt([u8; Self::LENGTH]);

impl Salt {
    /// How many bytes it has.
    pub const LENGTH: usize = 16;

    /// Takes the bytes of a salt.
    pub const fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }

    /// Gives the bytes of the salt.
    pub const fn to_bytes(self) -> [u8; Self::LENGTH] {
        self.0
    }

    /// Its text form, for the token.
    pub fn to_text(self) -> String {
        base64_simd::URL_SAFE_NO_PAD.encode_to_string(self.0)
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt")
    }
}

/// A text that is not a salt.
#[derive(Debug, thiserror::Error)]
#[error("not a salt: expected 22 characters of unpadded base64url")]
pub struct SaltError;

impl FromStr for Salt {
    type Err = SaltError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(text).map_err(|_| SaltError)?;
        bytes.try_into().map(Self).map_err(|_| SaltError)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_text_is_refused_or_is_the_one_of_its_salt(
            text in prop_oneof!["\\PC{0,30}", "[A-Za-z0-9_-]{22}"],
        ) {
            if let Ok(salt) = text.parse::<Salt>() {
                prop_assert_eq!(salt.to_text(), text);
            }
        }
    }

    #[test]
    fn the_text_form_comes_back_and_nothing_shows_it_unasked() {
        let salt = Salt::from_bytes([0xfb; 16]);

        assert_eq!(salt.to_text(), "-_v7-_v7-_v7-_v7-_v7-w");
        assert_eq!(salt.to_text().parse::<Salt>().unwrap(), salt);
        assert_eq!(format!("{salt:?}"), "Salt");
    }

    #[test]
    fn another_length_or_another_text_for_the_same_bytes_is_no_salt() {
        for text in [
            "",
            "-_v7",
            "-_v7-_v7-_v7-_v7-_v7-w==",
            "-_v7-_v7-_v7-_v7-_v7-x",
            "+/v7+/v7+/v7+/v7+/v7+w",
        ] {
            assert!(text.parse::<Salt>().is_err(), "{text}");
        }
        assert!(Salt::from_str(&"A".repeat(23)).is_err());
    }
}
