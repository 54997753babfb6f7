//! The fast path: writes an ECDH-ES token with AES-GCM without building a tree of its header.
//!
//! It saves an eighth of the cost at 1 KiB and more above. A differential test holds it against
//! the `josekit` path.

use std::fmt::Write as _;

use aws_lc_rs::rand;
use base64_simd::URL_SAFE_NO_PAD;

use crate::keys::{EphemeralKey, EstablishedKey, KeyManagement};
use crate::seal::content;

/// Writes a token in compact form (RFC 7516, section 7.1), encrypting the content in place. The
/// content is compressed already if `deflated` says so.
pub(super) fn write(
    kid: &str,
    established: &EstablishedKey,
    ephemeral: &EphemeralKey,
    (mut content, deflated): (Vec<u8>, bool),
) -> Option<String> {
    let key = &established.content_key;
    let mut header = String::with_capacity(400);
    // Writing to a string cannot fail.
    let _ = write!(
        header,
        r#"{{"alg":"{}","enc":"{}","kid":{},"cty":"JWT","epk":"#,
        KeyManagement::EcdhEs,
        key.encryption(),
        serde_json::Value::from(kid),
    );
    ephemeral.write_jwk(&mut header);
    header.push_str(if deflated { r#","zip":"DEF"}"# } else { "}" });

    let capacity = URL_SAFE_NO_PAD.encoded_length(header.len())
        + URL_SAFE_NO_PAD.encoded_length(content.len())
        + 48;
    let mut token = String::with_capacity(capacity);
    URL_SAFE_NO_PAD.encode_append(header.as_bytes(), &mut token);
    let mut iv = [0; 12];
    rand::fill(&mut iv).ok()?;
    // The header as it stands in the token is the additional authenticated data.
    let key = (key.as_bytes(), key.encryption());
    let tag = content::encrypt_gcm(key, iv, token.as_bytes(), &mut content)?;
    token.push_str("..");
    URL_SAFE_NO_PAD.encode_append(iv, &mut token);
    token.push('.');
    URL_SAFE_NO_PAD.encode_append(&content, &mut token);
    token.push('.');
    URL_SAFE_NO_PAD.encode_append(tag, &mut token);
    Some(token)
}
