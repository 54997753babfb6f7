//! The credential that a request shows, in each of the ways in which producers can send one.

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use base64_simd::STANDARD;
use zeroize::Zeroizing;

use crate::ambient::Secret;

/// The header of EventBridge's connections of the kind API key, and of many other senders.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// What a request shows to say who calls.
#[derive(Debug)]
pub enum ShownCredential {
    /// `Authorization: Bearer`: a caller's key, or an access token.
    Bearer(Secret),
    /// `x-api-key`: a caller's key.
    ApiKey(Secret),
    /// `Authorization: Basic` (RFC 7617).
    Basic(NamedKey),
}

/// A caller's name and what is said to be its key.
#[derive(Debug)]
pub struct NamedKey {
    /// The name.
    pub id: String,
    /// The key.
    pub key: Secret,
}

/// Why a request shows no credential that can be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShownError {
    /// It shows none.
    Missing,
    /// It shows one that was cut or altered, or of a kind that is not known.
    Unreadable,
    /// It shows several that differ: whoever is right, another part of the sender believes otherwise.
    Ambiguous,
}

/// Takes the one credential of a request. The same one may be shown in several ways.
pub fn shown(headers: &HeaderMap) -> Result<ShownCredential, ShownError> {
    let of_scheme = headers.get_all(AUTHORIZATION).iter().map(authorization);
    let keys = headers.get_all(API_KEY).iter().map(|value| {
        let key = text(value).filter(|key| !key.is_empty());
        key.map(|key| ShownCredential::ApiKey(Secret::new(key.to_owned())))
    });
    let mut all = of_scheme.chain(keys).map(|one| one.ok_or(ShownError::Unreadable));
    let first = all.next().ok_or(ShownError::Missing)?;
    all.try_fold(first?, |one, other| one.with(other?))
}

impl ShownCredential {
    /// Takes a second credential for the same one, if it is; the stricter of the two is kept.
    fn with(self, other: Self) -> Result<Self, ShownError> {
        if self.secret() != other.secret() {
            return Err(ShownError::Ambiguous);
        }
        match (self, other) {
            (Self::Basic(one), Self::Basic(other)) if one.id != other.id => {
                Err(ShownError::Ambiguous)
            }
            (named @ Self::Basic(_), _) | (_, named @ Self::Basic(_)) => Ok(named),
            (key @ Self::ApiKey(_), _) | (_, key @ Self::ApiKey(_)) => Ok(key),
            (one, _) => Ok(one),
        }
    }

    /// The secret part. Two of one request may be compared plainly: whoever measures sent both.
    fn secret(&self) -> &str {
        match self {
            Self::Bearer(secret) | Self::ApiKey(secret) => secret.expose(),
            Self::Basic(named) => named.key.expose(),
        }
    }
}

fn authorization(value: &HeaderValue) -> Option<ShownCredential> {
    let (scheme, rest) = text(value)?.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(ShownCredential::Bearer(Secret::new(rest.to_owned())));
    }
    if scheme.eq_ignore_ascii_case("basic") {
        basic(rest).map(ShownCredential::Basic)
    } else {
        None
    }
}

/// Reads the credentials of the Basic scheme (RFC 7617, section 2).
fn basic(encoded: &str) -> Option<NamedKey> {
    let decoded = Zeroizing::new(STANDARD.decode_to_vec(encoded).ok()?);
    let (id, key) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some(NamedKey { id: id.to_owned(), key: Secret::new(key.to_owned()) })
}

fn text(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok().map(str::trim)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(headers: &[(&'static str, &str)]) -> Result<String, ShownError> {
        let pairs = headers.iter().map(|(name, value)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        });
        let mut map = HeaderMap::new();
        pairs.for_each(|(name, value)| {
            map.append(name, value);
        });
        shown(&map).map(|credential| match credential {
            ShownCredential::Bearer(secret) => format!("bearer {}", secret.expose()),
            ShownCredential::ApiKey(secret) => format!("key {}", secret.expose()),
            ShownCredential::Basic(named) => format!("basic {} {}", named.id, named.key.expose()),
        })
    }

    fn basic_of(text: &str) -> String {
        format!("Basic {}", STANDARD.encode_to_string(text))
    }

    #[test]
    fn each_way_of_showing_a_credential_is_read() {
        let named = basic_of("shop:k:1");

        assert_eq!(read(&[("authorization", "Bearer k")]).unwrap(), "bearer k");
        assert_eq!(read(&[("authorization", "bearer  k ")]).unwrap(), "bearer k");
        assert_eq!(read(&[("x-api-key", "k")]).unwrap(), "key k");
        assert_eq!(read(&[("authorization", &named)]).unwrap(), "basic shop k:1");
        for nothing in ["Bearer", "Basic ?", "Basic c2hvcA==", "AWS4-HMAC-SHA256 x", "Digest x"] {
            let refused = read(&[("authorization", nothing)]);
            assert_eq!(refused, Err(ShownError::Unreadable), "{nothing}");
        }
        assert_eq!(read(&[]), Err(ShownError::Missing));
        assert_eq!(read(&[("x-api-key", "")]), Err(ShownError::Unreadable));
    }

    #[test]
    fn one_credential_may_be_shown_twice_and_two_may_not() {
        let (named, other) = (basic_of("shop:k"), basic_of("till:k"));
        let key = ("x-api-key", "k");

        assert_eq!(read(&[("authorization", &named), key]).unwrap(), "basic shop k");
        assert_eq!(read(&[("authorization", "Bearer k"), key]).unwrap(), "key k");
        for (one, another) in [("Bearer k", "Bearer l"), (&*named, "Bearer l"), (&*named, &*other)]
        {
            let both = [("authorization", one), ("authorization", another)];
            assert_eq!(read(&both), Err(ShownError::Ambiguous), "{one} {another}");
        }
        assert_eq!(read(&[key, ("x-api-key", "l")]), Err(ShownError::Ambiguous));
    }

    #[test]
    fn no_secret_is_shown() {
        let mut map = HeaderMap::new();
        map.insert(AUTHORIZATION, HeaderValue::from_str(&basic_of("shop:s3cret")).unwrap());

        assert!(!format!("{:?}", shown(&map)).contains("s3cret"));
    }

    proptest! {
        #[test]
        fn any_header_is_read_without_panic(
            value in "(Basic|Bearer|)[ ]?[ -~]{0,40}",
            key in proptest::option::of("[ -~]{0,20}"),
        ) {
            let mut map = HeaderMap::new();
            map.insert(AUTHORIZATION, HeaderValue::from_str(&value).unwrap());
            if let Some(key) = key {
                map.insert(API_KEY, HeaderValue::from_str(&key).unwrap());
            }
            let _ = shown(&map);
        }

        #[test]
        fn what_basic_encodes_is_read_back(id in "[a-z0-9.-]{1,20}", key in "[ -~]{0,40}") {
            let value = basic_of(&format!("{id}:{key}"));
            let shown = read(&[("authorization", &value)]);
            prop_assert_eq!(shown.unwrap(), format!("basic {} {}", id, key));
        }
    }
}
