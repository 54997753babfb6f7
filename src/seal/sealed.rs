//! Seals: signs the claims, then encrypts them to the consumer.

use std::fmt;

use crate::keys::{ContentEncryption, SealingKey, SigningKey};
use crate::seal::{Claims, SealError, TokenText, compact, compression, framework};

/// How a subscription wants its tokens.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Options {
    /// How the content is encrypted.
    pub content_encryption: ContentEncryption,
    /// Whether large events are compressed; off unless asked for, because a length can tell
    /// something of a secret that stands beside text an attacker chose (RFC 8725, section 3.6).
    pub compress: bool,
}

/// A token that only its consumer can read. `Debug` shows its length only.
#[derive(Clone, Eq, PartialEq)]
pub struct Sealed(TokenText);

impl Sealed {
    /// The token in compact form.
    pub fn token(&self) -> &str {
        &self.0
    }

    /// The token, shared.
    pub fn shared(&self) -> TokenText {
        self.0.clone()
    }

    /// Gives the token away.
    pub fn into_token(self) -> String {
        self.0.into()
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} characters)", self.0.len())
    }
}

/// Signs the claims, then encrypts them to the consumer's key, with a fresh content key.
///
/// # Errors
///
/// Ours: the cryptographic library failed.
pub fn seal(
    claims: &Claims<'_>,
    signing: &SigningKey,
    sealing: &SealingKey,
    options: &Options,
) -> Result<Sealed, SealError> {
    let inner = signing.sign_event(&claims.to_json())?.into_bytes();
    let small = options
        .compress
        .then(|| compression::deflate_if_worth_it(claims.event.len(), &inner))
        .flatten();
    let deflated = small.is_some();
    encrypt((small.unwrap_or(inner), deflated), sealing, options.content_encryption)
}

fn encrypt(
    (content, deflated): (Vec<u8>, bool),
    sealing: &SealingKey,
    encryption: ContentEncryption,
) -> Result<Sealed, SealError> {
    let established = sealing.establish(encryption)?;
    let token = match &established.ephemeral {
        Some(ephemeral) if encryption != ContentEncryption::A128CbcHs256 => {
            compact::write(sealing.kid(), &established, ephemeral, (content, deflated))
        }
        _ => {
            let content = (content.as_slice(), deflated);
            framework::write(sealing.kid(), sealing.management(), established, content)
        }
    };
    token.map(|token| Sealed(token.into())).ok_or(SealError::Encrypt)
}
