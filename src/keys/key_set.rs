//! A consumer's public keys, in its order of preference.

use crate::keys::{KeyError, SealingKey};

/// One or more public keys of one consumer, in its order of preference.
#[derive(Clone, Debug)]
pub struct KeySet {
    /// Never empty.
    keys: Vec<SealingKey>,
}

impl KeySet {
    /// The longest text of a set, in bytes.
    pub const LONGEST: usize = 64 * 1024;

    /// Reads a JWK, or a JWK Set of at most 32 keys, by the rules of [`SealingKey::all_from_json`].
    ///
    /// # Errors
    ///
    /// The caller's turn: the text is no key or set, a key of it is malformed or holds a private
    /// part, two have one name, or none can be sealed for.
    pub fn read(bytes: &[u8]) -> Result<Self, KeyError> {
        SealingKey::all_from_json(bytes).map(|keys| Self { keys })
    }

    /// The key to seal with now: the first that can be used. A consumer that rotates puts its new
    /// key in front, and opens with both until the last token for the old one has arrived.
    #[expect(clippy::indexing_slicing, reason = "a set has at least one key by construction")]
    pub fn current(&self) -> &SealingKey {
        &self.keys[0]
    }

    /// Every key that can be used, in order.
    pub fn keys(&self) -> &[SealingKey] {
        &self.keys
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn key(kid: &str) -> Value {
        let x = "3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08";
        json!({ "kty": "OKP", "crv": "X25519", "x": x, "kid": kid })
    }

    fn read(keys: &[Value]) -> Result<KeySet, KeyError> {
        KeySet::read(json!({ "keys": keys }).to_string().as_bytes())
    }

    #[test]
    fn the_first_key_that_can_be_used_is_the_current_one() {
        let mut signing = key("sig");
        signing["use"] = json!("sig");

        let set = read(&[signing, key("new"), key("old")]).unwrap();

        assert_eq!(set.current().kid(), "new");
        assert_eq!(set.keys().len(), 2);
    }

    #[test]
    fn an_empty_set_and_one_of_too_many_keys_are_refused() {
        let many: Vec<_> = (0..33).map(|n| key(&n.to_string())).collect();

        assert!(read(&[]).is_err());
        assert!(read(&many).is_err());
        assert_eq!(read(&many[..32]).unwrap().keys().len(), 32);
    }
}
