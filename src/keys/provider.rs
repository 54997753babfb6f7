//! Teaches `jsonwebtoken` to sign with keys that are parsed once.
//!
//! The crate parses the private key anew for each token, which is a third of the cost of ES256 and
//! over half of RSA. Its provider is replaceable, and an `EncodingKey` holds bytes that nobody
//! checks: ours hold a handle, and the provider looks up the parsed key behind it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Once, PoisonError, RwLock};

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256};
use aws_lc_rs::signature::{RsaEncoding, RsaKeyPair};
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, aws_lc};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::signature::{self, Signer};
use jsonwebtoken::{Algorithm, EncodingKey};

use crate::keys::SigningAlgorithm;

/// A private key, parsed.
pub(super) enum PrivateKey {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
    Hmac(Box<hmac::Key>),
}

struct ParsedKey {
    algorithm: SigningAlgorithm,
    key: PrivateKey,
}

static PARSED: LazyLock<RwLock<HashMap<u64, Arc<ParsedKey>>>> = LazyLock::new(RwLock::default);
static NEXT: AtomicU64 = AtomicU64::new(1);
static PROVIDER: LazyLock<CryptoProvider> = LazyLock::new(|| CryptoProvider {
    signer_factory: signer_for,
    ..aws_lc::DEFAULT_PROVIDER.clone()
});

/// Makes aws-lc the one cryptographic library of this process, for tokens and for TLS.
///
/// Programs call it first thing; keys call it too, and every call after the first does nothing.
pub fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An embedding program may have chosen a provider for TLS before us; that one stays.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        if PROVIDER.install_default().is_err() {
            tracing::error!("another crypto provider is installed for tokens; signing will fail");
        }
    });
}

/// Keeps a parsed key where the provider finds it, until dropped.
pub(super) struct Handle {
    number: u64,
    encoding: EncodingKey,
    parsed: Arc<ParsedKey>,
}

impl Handle {
    pub(super) fn new(algorithm: SigningAlgorithm, key: PrivateKey) -> Self {
        install();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let bytes = [MARK, &number.to_be_bytes()].concat();
        let encoding = match algorithm {
            SigningAlgorithm::ES256 => EncodingKey::from_ec_der(&bytes),
            SigningAlgorithm::EdDSA => EncodingKey::from_ed_der(&bytes),
            SigningAlgorithm::PS256 | SigningAlgorithm::RS256 => EncodingKey::from_rsa_der(&bytes),
            SigningAlgorithm::HS256 => EncodingKey::from_secret(&bytes),
        };
        let parsed = Arc::new(ParsedKey { algorithm, key });
        let mut table = PARSED.write().unwrap_or_else(PoisonError::into_inner);
        table.insert(number, Arc::clone(&parsed));
        Self { number, encoding, parsed }
    }

    pub(super) fn key(&self) -> &PrivateKey {
        &self.parsed.key
    }

    /// Signs and gives the signature as unpadded base64url.
    pub(super) fn sign(&self, message: &[u8]) -> Result<String, Error> {
        jsonwebtoken::crypto::sign(message, &self.encoding, self.parsed.algorithm.of_crate())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        PARSED.write().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

const MARK: &[u8] = b"sealway signing key handle\0";

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the crate asks for this signature")]
fn signer_for(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    let Some(number) = key.as_bytes().strip_prefix(MARK) else {
        return (aws_lc::DEFAULT_PROVIDER.signer_factory)(algorithm, key);
    };
    let number = number.try_into().map(u64::from_be_bytes).unwrap_or_default();
    let table = PARSED.read().unwrap_or_else(PoisonError::into_inner);
    match table.get(&number) {
        Some(parsed) if parsed.algorithm.of_crate() == *algorithm => {
            Ok(Box::new(ParsedSigner(Arc::clone(parsed))))
        }
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    }
}

struct ParsedSigner(Arc<ParsedKey>);

impl JwtSigner for ParsedSigner {
    fn algorithm(&self) -> Algorithm {
        self.0.algorithm.of_crate()
    }
}

impl Signer<Vec<u8>> for ParsedSigner {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        match &self.0.key {
            PrivateKey::Ecdsa(key) => key
                .sign(&SystemRandom::new(), message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(signature::Error::from_source),
            PrivateKey::Ed25519(key) => key
                .try_sign(message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(signature::Error::from_source),
            PrivateKey::Rsa(key) => {
                let padding: &'static dyn RsaEncoding = match self.0.algorithm {
                    SigningAlgorithm::PS256 => &RSA_PSS_SHA256,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(padding, &SystemRandom::new(), message, &mut signature)
                    .map(|()| signature)
                    .map_err(signature::Error::from_source)
            }
            PrivateKey::Hmac(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_signs_with_its_one_algorithm_and_only_while_it_lives() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
        let handle = Handle::new(SigningAlgorithm::HS256, PrivateKey::Hmac(Box::new(key)));
        let encoding = handle.encoding.clone();

        assert!(jsonwebtoken::crypto::sign(b"message", &encoding, Algorithm::HS256).is_ok());
        assert!(jsonwebtoken::crypto::sign(b"message", &encoding, Algorithm::HS512).is_err());
        drop(handle);
        assert!(jsonwebtoken::crypto::sign(b"message", &encoding, Algorithm::HS256).is_err());
    }

    #[test]
    fn keys_that_are_not_ours_still_sign_as_the_crate_does() {
        install();
        install();
        let stock = EncodingKey::from_secret(&[7; 32]);
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
        let ours = Handle::new(SigningAlgorithm::HS256, PrivateKey::Hmac(Box::new(key)));

        let expected = jsonwebtoken::crypto::sign(b"message", &stock, Algorithm::HS256).unwrap();

        assert_eq!(ours.sign(b"message").unwrap(), expected);
    }
}
