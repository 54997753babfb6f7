//! Reads JWKs (RFC 7517) strictly, and names them (RFC 7638).

use aws_lc_rs::digest;
use base64_simd::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use zeroize::{Zeroize as _, Zeroizing};

use crate::event::json;
use crate::keys::KeyError;

/// How many keys one set may hold.
pub(super) const MAX_KEYS: usize = 32;
const LIMITS: json::Limits = json::Limits::new(64 * 1024, 8);
const MAX_KID: usize = 256;
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// One JWK whose members are read on demand.
pub(super) struct Jwk(Map<String, Value>);

/// A private part does not outlive its JWK in memory.
impl Drop for Jwk {
    fn drop(&mut self) {
        for member in PRIVATE_MEMBERS {
            if let Some(Value::String(text)) = self.0.get_mut(member) {
                text.zeroize();
            }
        }
    }
}

impl Jwk {
    /// Reads a JWK, or all the keys of a JWK Set, in their order.
    pub(super) fn read(bytes: &[u8]) -> Result<Vec<Self>, KeyError> {
        let shape = || KeyError::Shape { limit: MAX_KEYS };
        let Value::Object(mut object) = json::read(bytes, LIMITS)? else { return Err(shape()) };
        let Some(keys) = object.remove("keys") else { return Ok(vec![Self(object)]) };
        let Value::Array(keys) = keys else { return Err(shape()) };
        if keys.is_empty() || keys.len() > MAX_KEYS {
            return Err(shape());
        }
        let object = |key| match key {
            Value::Object(members) => Ok(Self(members)),
            _ => Err(shape()),
        };
        keys.into_iter().map(object).collect()
    }

    /// Takes a header member that is a JWK.
    pub(super) fn from_members(members: Map<String, Value>) -> Self {
        Self(members)
    }

    /// A text member that may be missing.
    pub(super) fn optional(&self, member: &'static str) -> Result<Option<&str>, KeyError> {
        match self.0.get(member) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(KeyError::Malformed(member)),
        }
    }

    /// A text member that must be there.
    pub(super) fn text(&self, member: &'static str) -> Result<&str, KeyError> {
        self.optional(member)?.ok_or(KeyError::Missing(member))
    }

    /// A member of bytes in canonical, unpadded base64url.
    pub(super) fn bytes(&self, member: &'static str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        URL_SAFE_NO_PAD
            .decode_to_vec(self.text(member)?)
            .map(Zeroizing::new)
            .map_err(|_| KeyError::Malformed(member))
    }

    /// A member of exactly so many bytes.
    pub(super) fn exactly(
        &self,
        member: &'static str,
        length: usize,
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let bytes = self.bytes(member)?;
        if bytes.len() == length { Ok(bytes) } else { Err(KeyError::Malformed(member)) }
    }

    /// Refuses a key that holds a private part where a public key is meant.
    pub(super) fn refuse_private(&self) -> Result<(), KeyError> {
        match PRIVATE_MEMBERS.into_iter().find(|member| self.0.contains_key(*member)) {
            Some(member) => Err(KeyError::Private(member)),
            None => Ok(()),
        }
    }

    /// Checks `use` and `key_ops` (RFC 7517, sections 4.2 and 4.3): absent, or fit for the purpose.
    pub(super) fn fit_for(&self, purpose: &Purpose) -> Result<(), KeyError> {
        let refuse = |member| KeyError::Purpose { member, purpose: purpose.words };
        if self.optional("use")?.is_some_and(|value| value != purpose.value_of_use) {
            return Err(refuse("use"));
        }
        match self.0.get("key_ops") {
            None => Ok(()),
            // Web Crypto exports the public half of an agreement key with an empty list.
            Some(Value::Array(operations)) if operations.is_empty() => Ok(()),
            Some(Value::Array(operations)) => {
                let fits = |operation: &Value| {
                    operation.as_str().is_some_and(|name| purpose.operations.contains(&name))
                };
                if operations.iter().any(fits) { Ok(()) } else { Err(refuse("key_ops")) }
            }
            Some(_) => Err(KeyError::Malformed("key_ops")),
        }
    }

    /// The `kid` that the key was given, 1 to 256 printable ASCII characters.
    pub(super) fn kid(&self) -> Result<Option<&str>, KeyError> {
        let Some(kid) = self.optional("kid")? else { return Ok(None) };
        let printable = kid.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        if kid.is_empty() || kid.len() > MAX_KID || !printable {
            return Err(KeyError::Malformed("kid"));
        }
        Ok(Some(kid))
    }
}

/// What a key is wanted for, in the words of RFC 7517.
pub(super) struct Purpose {
    pub(super) words: &'static str,
    value_of_use: &'static str,
    operations: &'static [&'static str],
}

/// Encrypting to a consumer.
pub(super) const SEALING: Purpose = Purpose {
    words: "encryption",
    value_of_use: "enc",
    operations: &["deriveKey", "deriveBits", "wrapKey", "encrypt"],
};

/// Decrypting as the consumer.
pub(super) const OPENING: Purpose = Purpose {
    words: "decryption",
    value_of_use: "enc",
    operations: &["deriveKey", "deriveBits", "unwrapKey", "decrypt"],
};

/// Checking signatures.
pub(super) const SIGNING: Purpose =
    Purpose { words: "signing", value_of_use: "sig", operations: &["sign"] };
pub(super) const VERIFYING: Purpose =
    Purpose { words: "verification", value_of_use: "sig", operations: &["verify"] };

/// Tells whether a set may hold such a key beside the wanted ones (RFC 7517, section 5): one for
/// another purpose or of another kind is passed over, a wrong or burnt one is not.
pub(super) fn may_be_skipped(error: &KeyError) -> bool {
    matches!(
        error,
        KeyError::Purpose { .. } | KeyError::Algorithm { .. } | KeyError::NotOffered { .. }
    )
}

/// The thumbprint over members that are given in lexicographic order (RFC 7638, section 3).
pub(super) fn thumbprint(members: &[(&str, &str)]) -> String {
    let members: Vec<String> =
        members.iter().map(|(name, value)| format!(r#""{name}":"{value}""#)).collect();
    let text = format!("{{{}}}", members.join(","));
    encode(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

/// Unpadded base64url.
pub(super) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode_to_string(bytes)
}

/// Checks an RSA public key: 2048 to 4096 bits, an odd exponent of at least 3, no leading zeros.
pub(super) fn rsa_public(jwk: &Jwk) -> Result<(Vec<u8>, Vec<u8>), KeyError> {
    let (modulus, exponent) = (jwk.bytes("n")?, jwk.bytes("e")?);
    let bits =
        modulus.first().map_or(0, |first| modulus.len() * 8 - first.leading_zeros() as usize);
    if modulus.first() == Some(&0) {
        return Err(KeyError::Malformed("n"));
    }
    if !(2048..=4096).contains(&bits) {
        return Err(KeyError::NotOffered { expected: "an RSA key of 2048 to 4096 bits" });
    }
    let odd = exponent.last().is_some_and(|last| last % 2 == 1);
    let one = exponent.as_slice() == [1];
    if !odd || one || exponent.first() == Some(&0) || exponent.len() > 4 {
        return Err(KeyError::Malformed("e"));
    }
    Ok((modulus.to_vec(), exponent.to_vec()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::keys::{OpeningKeys, SealingKey, SharedSecret, VerifyingKeys};

    /// Offers a text to everything that reads keys.
    fn offer(text: &str) -> [bool; 5] {
        let bytes = text.as_bytes();
        [
            SealingKey::all_from_json(bytes).is_ok(),
            OpeningKeys::from_json(bytes).is_ok(),
            VerifyingKeys::from_json(bytes).is_ok(),
            VerifyingKeys::from_json_with_secrets(bytes).is_ok(),
            SharedSecret::from_jwks(bytes).is_ok(),
        ]
    }

    proptest! {
        #[test]
        fn arbitrary_text_is_never_a_key_and_never_panics(text in ".{0,200}") {
            prop_assert_eq!(offer(&text), [false; 5]);
        }

        #[test]
        fn members_of_any_form_never_panic(
            kty in "EC|OKP|RSA|oct|AKP",
            crv in "P-256|P-384|P-521|X25519|Ed25519|X448",
            alg in proptest::option::of("ES256|ECDH-ES|HS256|A256KW|RS256|none"),
            values in proptest::collection::vec("[A-Za-z0-9_-]{0,90}", 6),
        ) {
            let mut jwk = json!({"kty": kty, "crv": crv, "kid": "k"});
            if let Some(alg) = alg {
                jwk["alg"] = json!(alg);
            }
            for (member, value) in ["x", "y", "d", "n", "e", "k"].into_iter().zip(values) {
                if !value.is_empty() {
                    jwk[member] = json!(value);
                }
            }
            offer(&jwk.to_string());
            offer(&json!({"keys": [jwk]}).to_string());
        }
    }

    #[test]
    fn the_thumbprint_of_the_rfc_example_is_the_one_printed_there() {
        // RFC 7638, section 3.1.
        let text = include_str!("../../tests/vectors/jose/rfc7638-rsa.json");
        let vector: Value = serde_json::from_str(text).unwrap();
        let member = |name: &str| vector["jwk"][name].as_str().unwrap();

        let print = thumbprint(&[("e", member("e")), ("kty", member("kty")), ("n", member("n"))]);

        assert_eq!(print, vector["thumbprint"].as_str().unwrap());
    }

    #[test]
    fn a_set_holds_1_to_32_objects() {
        let set = |keys: &str| format!(r#"{{"keys":[{keys}]}}"#);
        assert_eq!(Jwk::read(set("{},{}").as_bytes()).unwrap().len(), 2);
        assert_eq!(Jwk::read(b"{\"kty\":\"EC\"}").unwrap().len(), 1);
        let many = vec!["{}"; 33].join(",");
        for text in [set(""), set("1"), set(&many), r#"{"keys":{}}"#.to_owned(), "[]".to_owned()] {
            assert!(matches!(Jwk::read(text.as_bytes()), Err(KeyError::Shape { .. })), "{text}");
        }
        assert!(matches!(Jwk::read(br#"{"kty":"EC","kty":"EC"}"#), Err(KeyError::Json(_))));
    }
}
