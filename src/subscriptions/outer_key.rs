//! The key that stands outside of tokens in the place of the idempotency key of an event.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use crate::ambient::Entropy;
use crate::event::{IdempotencyKey, SubscriptionId, write_hexadecimal};
use crate::keys::{DataKey, DataKeyError};

/// Bytes of a secret: as many as HMAC-SHA-256 makes use of without hashing it first.
const SECRET_BYTES: usize = 32;

/// What stands for an idempotency key outside of tokens: for one subscription, equal keys have equal
/// ones, and nobody without its secret can tell of which key, or content, one was made.
///
/// The first 16 bytes of HMAC-SHA-256 over the 16 bytes of the key, as 32 lower-case hexadecimal
/// digits: the form that the key itself has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OuterKey([u8; 16]);

impl fmt::Display for OuterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hexadecimal(f, &self.0)
    }
}

/// The secret under which the outer keys of one subscription are made. It is made once and never
/// changes, also not with the document, so that what consumers have kept of it goes on to be equal.
pub struct OuterKeySecret(Zeroizing<[u8; SECRET_BYTES]>);

impl OuterKeySecret {
    /// Makes a new one.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
        entropy.fill(bytes.as_mut_slice());
        Self(bytes)
    }

    /// The outer key of an idempotency key.
    pub fn outer_key(&self, key: IdempotencyKey) -> OuterKey {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, self.0.as_slice());
        let code = hmac::sign(&secret, &key.to_bytes());
        let mut outer = [0; 16];
        outer.iter_mut().zip(code.as_ref()).for_each(|(byte, of_code)| *byte = *of_code);
        OuterKey(outer)
    }

    /// Encrypts it for the subscription that it belongs to, to be kept with it.
    pub fn seal(&self, id: &SubscriptionId, data_key: &DataKey) -> String {
        data_key.seal(&context(id), self.0.as_slice())
    }
}

/// Shows nothing of it.
impl fmt::Debug for OuterKeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OuterKeySecret(…)")
    }
}

/// The secret of a subscription, still encrypted.
#[derive(Clone)]
pub struct SealedOuterKeySecret {
    subscription: SubscriptionId,
    sealed: Arc<str>,
}

impl SealedOuterKeySecret {
    pub(super) fn new(subscription: SubscriptionId, sealed: &str) -> Self {
        Self { subscription, sealed: sealed.into() }
    }

    /// Decrypts it.
    ///
    /// # Errors
    ///
    /// Ours: it was altered or moved, or the data key is another.
    pub fn open(&self, data_key: &DataKey) -> Result<OuterKeySecret, DataKeyError> {
        let text = data_key.open(&context(&self.subscription), &self.sealed)?;
        let bytes = <[u8; SECRET_BYTES]>::try_from(text.as_slice()).map_err(|_| DataKeyError)?;
        Ok(OuterKeySecret(Zeroizing::new(bytes)))
    }
}

/// Shows nothing of it, not even encrypted.
impl fmt::Debug for SealedOuterKeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedOuterKeySecret(of {})", self.subscription)
    }
}

/// Binds an encrypted secret to its subscription, so that it cannot be moved to another.
fn context(id: &SubscriptionId) -> String {
    format!("subscription/{id}/outer-key")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ambient::SeededEntropy;

    fn secret(seed: u64) -> OuterKeySecret {
        OuterKeySecret::generate(&SeededEntropy::new(seed))
    }

    fn key() -> impl Strategy<Value = IdempotencyKey> {
        any::<[u8; 16]>().prop_map(IdempotencyKey::from_bytes)
    }

    #[test]
    fn it_is_the_beginning_of_an_hmac_in_the_form_of_a_key() {
        // As OpenSSL makes it:
        // printf '\1%.0s' {1..16} | openssl dgst -sha256 -mac HMAC -macopt hexkey:0707…07
        let secret = OuterKeySecret(Zeroizing::new([7; SECRET_BYTES]));
        let outer = secret.outer_key(IdempotencyKey::from_bytes([1; 16]));
        assert_eq!(outer.to_string(), "139ce5e99f636d2ce9bde16251fe8417");
    }

    #[test]
    fn a_secret_opens_under_its_data_key_and_for_its_subscription_only() {
        let data_key = |seed| DataKey::generate(&SeededEntropy::new(seed));
        let (mine, other) = ("mine".parse().unwrap(), "other".parse().unwrap());
        let sealed = secret(1).seal(&mine, &data_key(2));
        let open = |id: &SubscriptionId, seed| {
            SealedOuterKeySecret::new(id.clone(), &sealed).open(&data_key(seed))
        };

        assert_eq!(open(&mine, 2).unwrap().0, secret(1).0);
        assert!(open(&mine, 3).is_err() && open(&other, 2).is_err());
        let short = data_key(2).seal(&context(&mine), b"short");
        assert!(SealedOuterKeySecret::new(mine, &short).open(&data_key(2)).is_err());
    }

    #[test]
    fn debug_shows_nothing() {
        let sealed = SealedOuterKeySecret::new("a".parse().unwrap(), "text");
        assert_eq!(
            format!("{:?} {sealed:?}", secret(1)),
            "OuterKeySecret(…) SealedOuterKeySecret(of a)"
        );
    }

    proptest! {
        #[test]
        fn equal_keys_are_equal_outside_and_other_keys_or_secrets_are_not(
            (one, other) in (key(), key()),
            (mine, yours) in (any::<u64>(), any::<u64>()),
        ) {
            prop_assume!(one != other && mine != yours);
            let outer = secret(mine).outer_key(one);
            prop_assert_eq!(outer, secret(mine).outer_key(one));
            prop_assert_ne!(outer, secret(mine).outer_key(other));
            prop_assert_ne!(outer, secret(yours).outer_key(one));
            let shown = outer.to_string();
            prop_assert_ne!(&shown, &one.to_string());
            // Whoever reads a key reads this as well.
            prop_assert!(shown.parse::<IdempotencyKey>().is_ok());
        }
    }
}
