//! The signed record of an incarnation: that a restore has begun it, what survived, and what was known of
//! the log before.

use serde_json::{Value, json};

use crate::event::Timestamp;
use crate::keys::{KeyFailure, SigningKey, VerifyingKeys};
use crate::seal::{OpenError, OpenLimits, signed};
use crate::transparency::Incarnation;

const INCARNATION_TYPE: &str = "incarnation+jwt";

/// Signs a record as a compact JWS with the `typ` `incarnation+jwt`; it is for everybody.
///
/// # Errors
///
/// Ours: the cryptographic library failed.
pub fn sign_incarnation(
    incarnation: &Incarnation,
    (issuer, now): (&str, Timestamp),
    key: &SigningKey,
) -> Result<String, KeyFailure> {
    // Texts and numbers always serialize.
    let mut claims = json!(incarnation);
    if let Some(claims) = claims.as_object_mut() {
        claims.insert("iss".to_owned(), issuer.into());
        claims.insert("iat".to_owned(), now.unix_seconds().into());
    }
    key.sign(INCARNATION_TYPE, claims.to_string().as_bytes())
}

/// Whom a reader of records believes.
#[derive(Clone, Copy, Debug)]
pub struct IncarnationReader<'a> {
    /// The issuer's public keys.
    pub issuer_keys: &'a VerifyingKeys,
    /// The only `iss` that is accepted.
    pub issuer: &'a str,
    /// No record is from after this moment.
    pub latest: Timestamp,
}

impl IncarnationReader<'_> {
    /// Verifies a record.
    ///
    /// # Errors
    ///
    /// The sender's turn: this is not a record that may be believed.
    pub fn read(&self, token: &str) -> Result<Incarnation, OpenError> {
        self.verified(token).ok_or(OpenError(None))
    }

    fn verified(&self, token: &str) -> Option<Incarnation> {
        let limits = OpenLimits::default();
        let mut claims = signed::verify(token, INCARNATION_TYPE, self.issuer_keys, &limits)?;
        let issued = signed::seconds(&claims, "iat")?;
        if claims.remove("iss")? != self.issuer || issued > self.latest.unix_seconds() {
            return None;
        }
        claims.remove("iat");
        // What is not known here may change what the rest means: nothing of it is believed.
        let read: Incarnation = serde_json::from_value(Value::Object(claims)).ok()?;
        read.is_sound().then_some(read)
    }
}
