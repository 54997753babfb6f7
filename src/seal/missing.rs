//! Names the key that a stored token takes and that is not there.
//!
//! [`open`](crate::seal::open()) says one thing only, because whoever sends a token could ask it questions. This is
//! for whoever looks into a store of its own, where nobody asks.

use serde_json::Value;

use crate::event::json;
use crate::seal::{OpenLimits, Opening, open, text};

/// A key that is not there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum MissingKey {
    /// The consumer's own, which decrypts.
    Own(String),
    /// The gateway's, which has signed, as far as the token says so.
    Issuer(String),
}

impl MissingKey {
    /// Its name.
    pub fn kid(&self) -> &str {
        match self {
            Self::Own(kid) | Self::Issuer(kid) => kid,
        }
    }
}

/// The key that a stored token takes and that is not there; nothing if something else is wrong with it.
pub fn missing_key(token: &str, opening: &Opening<'_>) -> Option<MissingKey> {
    let [header, ..] = text::parts::<5>(token, opening.limits.token)?;
    let header = text::object(header, json::Limits::new(opening.limits.outer_header, 8))?;
    let kid = header.get("kid").and_then(Value::as_str).filter(is_name)?;
    if opening.keys.get(kid).is_none() {
        return Some(MissingKey::Own(kid.to_owned()));
    }
    let (_, inner) = open::decrypt(token, opening)?;
    let signer = signer_of(std::str::from_utf8(&inner).ok()?)?;
    opening.issuer_keys.get(&signer).is_none().then_some(MissingKey::Issuer(signer))
}

/// The name of the key that a JWS says to be signed with; it is not believed.
pub fn signer_of(token: &str) -> Option<String> {
    let [header, ..] = text::parts::<3>(token, OpenLimits::default().token)?;
    let header = text::object(header, json::Limits::new(4096, 8))?;
    let kid = header.get("kid").and_then(Value::as_str).filter(is_name)?;
    Some(kid.to_owned())
}

/// Whether a name is short enough to be told.
fn is_name(kid: &&str) -> bool {
    kid.len() <= 256
}
