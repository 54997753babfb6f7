//! Signs receipts: the consumer's side of [`ReceiptReader`](crate::seal::ReceiptReader).

use serde_json::{Value, json};

use crate::event::{Timestamp, TokenDigest};
use crate::keys::{KeyFailure, SigningKey};
use crate::seal::Opened;
use crate::seal::receipt::RECEIPT_TYPE;

/// Signs that a token was received, with the chain value after its event where it has a place. Sign only what is
/// stored.
///
/// # Errors
///
/// Ours: the library could not sign.
pub fn sign_receipt(
    token: &str,
    opened: &Opened,
    (key, now): (&SigningKey, Timestamp),
) -> Result<String, KeyFailure> {
    let claims = opened.claims();
    let audience = match claims.get("aud") {
        // A list of one is the same as a text.
        Some(Value::Array(one)) => one.first().cloned().unwrap_or_default(),
        one => one.cloned().unwrap_or_default(),
    };
    let mut said = json!({
        "iss": audience, "aud": claims.get("iss"), "iat": now.unix_seconds(), "jti": opened.id(),
        "sub_id": claims.get("sub_id"), "token_sha256": TokenDigest::of(token).to_string(),
    });
    if let (Some(place), Some(after), Some(members)) =
        (opened.place(), opened.chain_after(), said.as_object_mut())
    {
        members.insert("seq".to_owned(), json!(place.sequence));
        members.insert("chain".to_owned(), json!(after.to_string()));
    }
    key.sign(RECEIPT_TYPE, said.to_string().as_bytes())
}
