//! Writes tokens with `josekit`: every key management and content encryption that is offered.
//!
//! The crate frames the token, and encrypts with CBC. Key management and GCM are ours, because
//! the keys are parsed already.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, LazyLock};

use josekit::JoseError;
use josekit::jwe::{
    self, JweAlgorithm, JweCompression, JweContentEncryption, JweContext, JweEncrypter, JweHeader,
};

use crate::keys::{ContentEncryption, EstablishedKey, KeyManagement};
use crate::seal::{OpenError, SealError, content};

static CONTEXT: LazyLock<JweContext> = LazyLock::new(|| {
    let mut context = JweContext::new();
    context.add_content_encryption(Box::new(Gcm(ContentEncryption::A256GCM)));
    context.add_content_encryption(Box::new(Gcm(ContentEncryption::A128GCM)));
    context.add_compression(Box::new(AlreadyDeflated));
    context
});

/// Writes a token in compact form. The content is compressed already if `deflated` says so.
pub(super) fn write(
    kid: &str,
    management: KeyManagement,
    established: EstablishedKey,
    (content, deflated): (&[u8], bool),
) -> Option<String> {
    let mut header = JweHeader::new();
    header.set_content_encryption(established.content_key.encryption().name());
    header.set_key_id(kid);
    header.set_content_type("JWT");
    if deflated {
        header.set_compression("DEF");
    }
    let encrypter = Established { management, key: Arc::new(established) };
    CONTEXT.serialize_compact(content, &header, &encrypter).ok()
}

/// Hands an established key to the crate.
#[derive(Clone)]
struct Established {
    management: KeyManagement,
    key: Arc<EstablishedKey>,
}

impl fmt::Debug for Established {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Established({})", self.management)
    }
}

impl JweEncrypter for Established {
    fn algorithm(&self) -> &dyn JweAlgorithm {
        match self.management {
            KeyManagement::EcdhEs => &jwe::ECDH_ES,
            KeyManagement::RsaOaep256 => &jwe::RSA_OAEP_256,
            KeyManagement::A256Kw => &jwe::A256KW,
        }
    }

    fn key_id(&self) -> Option<&str> {
        None
    }

    fn compute_content_encryption_key(
        &self,
        _: &dyn JweContentEncryption,
        _: &JweHeader,
        header: &mut JweHeader,
    ) -> Result<Option<Cow<'_, [u8]>>, JoseError> {
        if let Some(ephemeral) = &self.key.ephemeral {
            header.set_claim("epk", Some(ephemeral.to_jwk()))?;
        }
        Ok(Some(Cow::Borrowed(self.key.content_key.as_bytes())))
    }

    fn encrypt(
        &self,
        _: &[u8],
        _: &JweHeader,
        _: &mut JweHeader,
    ) -> Result<Option<Vec<u8>>, JoseError> {
        Ok(Some(self.key.encrypted_key.clone()).filter(|key| !key.is_empty()))
    }

    fn box_clone(&self) -> Box<dyn JweEncrypter> {
        Box::new(self.clone())
    }
}

/// AES-GCM over aws-lc. It only encrypts: tokens are opened without the crate.
#[derive(Clone, Debug)]
struct Gcm(ContentEncryption);

impl JweContentEncryption for Gcm {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn key_len(&self) -> usize {
        self.0.key_length()
    }

    fn iv_len(&self) -> usize {
        self.0.iv_length()
    }

    fn encrypt(
        &self,
        key: &[u8],
        iv: Option<&[u8]>,
        message: &[u8],
        aad: &[u8],
    ) -> Result<(Vec<u8>, Option<Vec<u8>>), JoseError> {
        let failure = || JoseError::InvalidJweFormat(SealError::Encrypt.into());
        let iv = iv.and_then(|iv| iv.try_into().ok()).ok_or_else(failure)?;
        let mut output = message.to_vec();
        let tag = content::encrypt_gcm((key, self.0), iv, aad, &mut output).ok_or_else(failure)?;
        Ok((output, Some(tag.to_vec())))
    }

    fn decrypt(
        &self,
        _: &[u8],
        _: Option<&[u8]>,
        _: &[u8],
        _: &[u8],
        _: Option<&[u8]>,
    ) -> Result<Vec<u8>, JoseError> {
        Err(JoseError::InvalidJweFormat(OpenError(None).into()))
    }

    fn box_clone(&self) -> Box<dyn JweContentEncryption> {
        Box::new(self.clone())
    }
}

/// Names the compression in the header; the content was compressed when that was found worth it.
#[derive(Clone, Debug)]
struct AlreadyDeflated;

impl JweCompression for AlreadyDeflated {
    fn name(&self) -> &'static str {
        "DEF"
    }

    fn compress(&self, message: &[u8]) -> Result<Vec<u8>, std::io::Error> {
        Ok(message.to_vec())
    }

    fn decompress(&self, _: &[u8]) -> Result<Vec<u8>, std::io::Error> {
        Err(std::io::Error::other(OpenError(None)))
    }

    fn box_clone(&self) -> Box<dyn JweCompression> {
        Box::new(self.clone())
    }
}
