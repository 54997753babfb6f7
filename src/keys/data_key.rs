//! Encrypts small secrets that the gateway keeps: AES-256-GCM under one key.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use crate::ambient::Entropy;
use crate::event::{Blame, Fault};

/// The key under which consumers' secrets rest in the registry.
///
/// A sealed secret is bound to a context, for example the name of the record that holds it, so that
/// it cannot be moved to another one. Its text form is unpadded base64url of nonce, ciphertext and
/// tag. One key may seal 2³² secrets (NIST SP 800-38D, section 8.3); a gateway seals a few per
/// subscription.
pub struct DataKey {
    bytes: Zeroizing<[u8; DataKey::LENGTH]>,
    key: RandomizedNonceKey,
}

/// A sealed secret that does not open: it was altered, moved, or sealed under another key.
#[derive(Debug, thiserror::Error)]
#[error("a stored secret does not open under the gateway's data key")]
pub struct DataKeyError;

impl Blame for DataKeyError {
    fn fault(&self) -> Fault {
        Fault::Ours
    }
}

impl DataKey {
    /// Length of the key in bytes.
    pub const LENGTH: usize = 32;

    /// Makes a new key.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new([0; Self::LENGTH]);
        entropy.fill(bytes.as_mut_slice());
        Self::from_bytes(bytes)
    }

    /// Takes the bytes of a key.
    #[expect(clippy::expect_used, reason = "the library refuses a wrong length only")]
    pub fn from_bytes(bytes: Zeroizing<[u8; Self::LENGTH]>) -> Self {
        let key = RandomizedNonceKey::new(&AES_256_GCM, bytes.as_slice())
            .expect("32 bytes are a key of AES-256");
        Self { bytes, key }
    }

    /// Shows the bytes to the code that keeps them.
    pub fn expose(&self) -> &[u8; Self::LENGTH] {
        &self.bytes
    }

    /// Encrypts a secret for one context.
    #[expect(
        clippy::expect_used,
        reason = "sealing fails only above 64 GiB or when the machine has no random bytes"
    )]
    pub fn seal(&self, context: &str, secret: &[u8]) -> String {
        let mut sealed = secret.to_vec();
        let nonce = self
            .key
            .seal_in_place_append_tag(Aad::from(context), &mut sealed)
            .expect("AES-256-GCM seals");
        sealed.splice(0..0, nonce.as_ref().iter().copied());
        base64_simd::URL_SAFE_NO_PAD.encode_to_string(sealed)
    }

    /// Decrypts a secret that was sealed for the same context.
    ///
    /// # Errors
    ///
    /// Ours: the text was altered or moved, or belongs to another key.
    pub fn open(&self, context: &str, sealed: &str) -> Result<Zeroizing<Vec<u8>>, DataKeyError> {
        let bytes = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(sealed).map_err(|_| DataKeyError)?;
        let (nonce, text) = bytes.split_first_chunk::<NONCE_LEN>().ok_or(DataKeyError)?;
        let mut text = Zeroizing::new(text.to_vec());
        let length = self
            .key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(context), &mut text)
            .map_err(|_| DataKeyError)?
            .len();
        text.truncate(length);
        Ok(text)
    }
}

impl DataKey {
    /// A name of this key that tells nothing of it, in base64url.
    pub fn fingerprint(&self) -> String {
        self.authenticate("fingerprint", b"")
    }

    /// A code, in base64url, that only a holder of this key can make for a text in one context.
    ///
    /// It is made under a key that is derived from this one for that use, so that what is sealed
    /// and what is authenticated never share a key.
    pub fn authenticate(&self, context: &str, text: &[u8]) -> String {
        base64_simd::URL_SAFE_NO_PAD.encode_to_string(self.code(context, text))
    }

    /// Whether a code was made by [`authenticate`](Self::authenticate) for this text and context,
    /// in constant time.
    pub fn is_authentic(&self, context: &str, text: &[u8], code: &str) -> bool {
        let expected = self.code(context, text);
        let code = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(code).unwrap_or_default();
        aws_lc_rs::constant_time::verify_slices_are_equal(expected.as_ref(), &code).is_ok()
    }

    /// Another key, which only a holder of this one can make: for what is sealed too often for one key.
    pub fn derived(&self, context: &str) -> Self {
        let code = self.code("derived key", context.as_bytes());
        let mut bytes = Zeroizing::new([0; Self::LENGTH]);
        // A code of SHA-256 is as long as a key.
        for (byte, of_code) in bytes.iter_mut().zip(code.as_ref()) {
            *byte = *of_code;
        }
        Self::from_bytes(bytes)
    }

    fn code(&self, context: &str, text: &[u8]) -> hmac::Tag {
        let own = hmac::Key::new(hmac::HMAC_SHA256, self.bytes.as_slice());
        let derived = hmac::sign(&own, format!("sealway {context}").as_bytes());
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()), text)
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ambient::SeededEntropy;

    fn key(seed: u64) -> DataKey {
        DataKey::generate(&SeededEntropy::new(seed))
    }

    #[test]
    fn a_secret_opens_under_its_key_and_in_its_context_only() {
        let sealed = key(1).seal("subscription/orders", b"hunter2");

        assert_eq!(key(1).open("subscription/orders", &sealed).unwrap().as_slice(), b"hunter2");
        assert!(key(1).open("subscription/other", &sealed).is_err());
        assert!(key(2).open("subscription/orders", &sealed).is_err());
    }

    #[test]
    fn a_derived_key_is_another_one_for_each_context_and_the_same_each_time() {
        let (derived, own) = (key(1).derived("a"), key(1));
        let sealed = derived.seal("x", b"y");

        assert!(own.derived("a").open("x", &sealed).is_ok());
        for other in [key(1), own.derived("b"), key(2).derived("a")] {
            assert!(other.open("x", &sealed).is_err());
        }
    }

    #[test]
    fn one_secret_never_looks_the_same_twice() {
        assert_ne!(key(1).seal("a", b"x"), key(1).seal("a", b"x"));
    }

    #[test]
    fn a_code_is_of_its_key_its_context_and_its_text() {
        let code = key(1).authenticate("here", b"text");

        assert!(key(1).is_authentic("here", b"text", &code));
        assert!(!key(2).is_authentic("here", b"text", &code));
        assert!(!key(1).is_authentic("there", b"text", &code));
        assert!(!key(1).is_authentic("here", b"texts", &code));
        assert!(!key(1).is_authentic("here", b"text", ""));
        assert_eq!(key(1).fingerprint(), key(1).fingerprint());
        assert_ne!(key(1).fingerprint(), key(2).fingerprint());
    }

    #[test]
    fn debug_hides_the_key() {
        assert_eq!(format!("{:?}", key(1)), "DataKey(…)");
    }

    proptest! {
        #[test]
        fn every_secret_comes_back(secret in proptest::collection::vec(any::<u8>(), 0..200)) {
            let sealed = key(3).seal("here", &secret);
            let opened = key(3).open("here", &sealed).unwrap();
            prop_assert_eq!(opened.as_slice(), secret.as_slice());
        }

        #[test]
        fn no_other_text_opens(text in "[A-Za-z0-9_-]{0,80}") {
            prop_assert!(key(3).open("here", &text).is_err());
        }
    }
}
