//! The secret that requests to a sink are signed with, as Standard Webhooks writes it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::subscriptions::SecretText;

/// What every secret begins with.
const PREFIX: &str = "whsec_";
/// Bytes of a key.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// Characters of the longest key in base64.
const LONGEST: usize = 88;

/// What each request to the sink is signed with, over its id, its time and its body, as Standard
/// Webhooks has it. It goes with every kind of authorization, and needs none.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hmac {
    /// `whsec_` and 24 to 64 random bytes in base64. A secret that is replaced signs beside the new
    /// one until the overlap is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretText>,
}

impl Hmac {
    /// The secret without what it begins with, if it is here.
    pub fn encoded_key(&self) -> Option<&str> {
        self.secret.as_ref().and_then(SecretText::text)?.strip_prefix(PREFIX)
    }

    /// The key of the secret; nothing if it is not here or not written as a secret is.
    pub fn key(&self) -> Option<Zeroizing<Vec<u8>>> {
        let encoded = self.encoded_key().filter(|encoded| encoded.len() <= LONGEST)?;
        let key = base64_simd::STANDARD.decode_to_vec(encoded).ok().map(Zeroizing::new)?;
        KEY_BYTES.contains(&key.len()).then_some(key)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(text: &str) -> Option<Vec<u8>> {
        Hmac { secret: Some(text.into()) }.key().map(|key| key.to_vec())
    }

    #[test]
    fn a_secret_is_a_prefix_and_24_to_64_bytes_in_base64() {
        // The example of the Standard Webhooks libraries.
        let example = key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert_eq!((example.len(), example[0]), (24, 0x31));
        for wrong in [
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa==",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa-_",
            " whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n",
        ] {
            assert_eq!(key(wrong), None, "{wrong}");
        }
        assert_eq!(Hmac { secret: None }.key(), None);
    }

    proptest! {
        #[test]
        fn every_key_of_a_good_length_is_read_and_no_other(
            bytes in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let text = format!("{PREFIX}{}", base64_simd::STANDARD.encode_to_string(&bytes));
            let expected = KEY_BYTES.contains(&bytes.len()).then_some(bytes);
            prop_assert_eq!(key(&text), expected);
        }

        #[test]
        fn any_text_can_be_looked_at(text in "(whsec_)?[A-Za-z0-9+/=\\PC]{0,100}") {
            prop_assert!(key(&text).is_none_or(|key| KEY_BYTES.contains(&key.len())));
        }
    }
}
