//! The text of a token: which characters, how many parts, and what each decodes to.

use base64_simd::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::event::json;

/// Splits a token into exactly `N` parts of base64url characters (RFC 8725, section 3.11 and on).
pub(super) fn parts<const N: usize>(token: &str, limit: usize) -> Option<[&str; N]> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if token.len() > limit || !token.bytes().all(allowed) {
        return None;
    }
    let mut parts = [""; N];
    let mut given = token.split('.');
    for part in &mut parts {
        *part = given.next()?;
    }
    given.next().is_none().then_some(parts)
}

/// Decodes canonical, unpadded base64url.
pub(super) fn decode(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode_to_vec(part).ok()
}

/// Decodes a part that is a JSON object, so strictly that every reader sees the same.
pub(super) fn object(part: &str, limits: json::Limits) -> Option<Map<String, Value>> {
    match json::read(&decode(part)?, limits).ok()? {
        Value::Object(members) => Some(members),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_form_of_a_part_is_decoded() {
        assert_eq!(decode("AQ").unwrap(), [1]);
        for part in ["AR", "A", "AQ==", "AQ\n", "A+", "A/"] {
            assert!(decode(part).is_none(), "{part}");
        }
    }

    #[test]
    fn a_token_has_exactly_its_parts_and_no_other_character() {
        assert_eq!(parts::<3>("a.b.c", 5), Some(["a", "b", "c"]));
        assert_eq!(parts::<3>("a..c", 5), Some(["a", "", "c"]));
        for token in ["a.b", "a.b.c.d", "a.b.c=", "a.b.c\n", " a.b.c", "a.b.{}", "a.b.ccc"] {
            assert!(parts::<3>(token, 6).is_none(), "{token}");
        }
    }
}
