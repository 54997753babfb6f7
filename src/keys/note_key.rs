//! The key that signs what is said of the log to everybody: checkpoints of its tree.

use std::fmt;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use zeroize::Zeroizing;

use crate::keys::{KeyError, KeyFailure};

/// An Ed25519 key for signed notes (C2SP signed-note).
///
/// It is a part of the log's identity: whoever verifies has its public half from before, and a log
/// with another one is another log to them. So it is made once and turns with nothing.
pub struct NoteSigningKey(Ed25519KeyPair);

impl NoteSigningKey {
    /// Makes a key from the entropy of the cryptographic library.
    ///
    /// # Errors
    ///
    /// Ours: the library could not make the key.
    pub fn generate() -> Result<Self, KeyFailure> {
        Ed25519KeyPair::generate().map(Self).map_err(|_| KeyFailure("make a note key"))
    }

    /// Reads a private key in PKCS#8 DER (RFC 5208), as [`to_pkcs8`](Self::to_pkcs8) gives it.
    ///
    /// # Errors
    ///
    /// The caller's turn: the bytes are no private key of Ed25519.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        Ed25519KeyPair::from_pkcs8(der).map(Self).map_err(|_| KeyError::Invalid)
    }

    /// The private key in PKCS#8 DER, for its keeper.
    ///
    /// # Errors
    ///
    /// Ours: the library could not write the key.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, KeyFailure> {
        let der = self.0.to_pkcs8v1().map_err(|_| KeyFailure("write a note key"))?;
        Ok(Zeroizing::new(der.as_ref().to_vec()))
    }

    /// The public key (RFC 8032, section 5.1.5).
    pub fn public(&self) -> [u8; 32] {
        // A public key of Ed25519 always has 32 bytes.
        self.0.public_key().as_ref().try_into().unwrap_or_default()
    }

    /// The public key as the log names it: unpadded base64url.
    pub fn fingerprint(&self) -> String {
        base64_simd::URL_SAFE_NO_PAD.encode_to_string(self.public())
    }

    /// Signs a text (RFC 8032, section 5.1.6).
    ///
    /// # Errors
    ///
    /// Ours: the library could not sign.
    pub fn sign(&self, text: &[u8]) -> Result<Vec<u8>, KeyFailure> {
        let signature = self.0.try_sign(text).map_err(|_| KeyFailure("sign a note"))?;
        Ok(signature.as_ref().to_vec())
    }
}

/// Shows the public half only.
impl fmt::Debug for NoteSigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NoteSigningKey({})", self.fingerprint())
    }
}
