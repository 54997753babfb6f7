//! The public key set: what everyone needs to check a token, and nothing more.

use aws_lc_rs::digest;
use serde_json::{Value, json};

/// A JWK Set as it is served at `/.well-known/jwks.json` (RFC 7517, section 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedKeys {
    /// The JSON text.
    pub text: String,
    /// The entity tag, with its quotes: equal for equal texts.
    pub etag: String,
}

impl PublishedKeys {
    /// How long others may keep it. Far shorter than the time for which a key is published before it
    /// signs, so that nobody meets a key that its copy does not hold.
    pub const CACHE_CONTROL: &'static str = "public, max-age=600";

    /// Writes a set of public keys, in the order given.
    pub(super) fn of<'a>(keys: impl Iterator<Item = &'a Value>) -> Self {
        Self::of_text(json!({ "keys": keys.collect::<Vec<_>>() }).to_string())
    }

    /// Names a text.
    pub(super) fn of_text(text: String) -> Self {
        let hash = digest::digest(&digest::SHA256, text.as_bytes());
        let hash = base64_simd::URL_SAFE_NO_PAD.encode_to_string(hash.as_ref());
        let etag = format!("\"{hash}\"");
        Self { text, etag }
    }
}
