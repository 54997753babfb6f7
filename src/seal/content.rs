//! Encrypts and decrypts the content (RFC 7518, section 5), over aws-lc.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use subtle::ConstantTimeEq;

use crate::keys::{ContentEncryption, ContentKey};

/// The length of the authentication tag of all three algorithms, in bytes.
pub(super) const TAG_LENGTH: usize = 16;

fn gcm(key: &[u8], encryption: ContentEncryption) -> Option<LessSafeKey> {
    let algorithm = match encryption {
        ContentEncryption::A256GCM => &AES_256_GCM,
        ContentEncryption::A128GCM => &AES_128_GCM,
        ContentEncryption::A128CbcHs256 => return None,
    };
    UnboundKey::new(algorithm, key).ok().map(LessSafeKey::new)
}

/// Encrypts in place with AES-GCM and gives the tag; nothing if the key or vector is of another
/// algorithm.
pub(super) fn encrypt_gcm(
    (key, encryption): (&[u8], ContentEncryption),
    iv: [u8; 12],
    aad: &[u8],
    content: &mut [u8],
) -> Option<[u8; TAG_LENGTH]> {
    let nonce = Nonce::assume_unique_for_key(iv);
    let tag =
        gcm(key, encryption)?.seal_in_place_separate_tag(nonce, Aad::from(aad), content).ok()?;
    tag.as_ref().try_into().ok()
}

/// Decrypts; nothing if any part was altered. The lengths of vector and tag are checked first.
pub(super) fn decrypt(
    key: &ContentKey,
    iv: &[u8],
    aad: &[u8],
    mut content: Vec<u8>,
    tag: &[u8],
) -> Option<Vec<u8>> {
    let encryption = key.encryption();
    if iv.len() != encryption.iv_length() || tag.len() != TAG_LENGTH {
        return None;
    }
    if encryption == ContentEncryption::A128CbcHs256 {
        return decrypt_cbc(key.as_bytes(), iv, aad, content, tag);
    }
    let nonce = Nonce::try_assume_unique_for_key(iv).ok()?;
    gcm(key.as_bytes(), encryption)?
        .open_in_place_separate_tag(nonce, Aad::from(aad), tag, &mut content)
        .ok()?;
    Some(content)
}

/// A128CBC-HS256 (RFC 7518, section 5.2.2.2): the MAC before anything of the padding is looked at.
fn decrypt_cbc(
    key: &[u8],
    iv: &[u8],
    aad: &[u8],
    mut content: Vec<u8>,
    tag: &[u8],
) -> Option<Vec<u8>> {
    let (mac_key, cipher_key) = key.split_at_checked(16)?;
    let mut mac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, mac_key));
    let aad_bits = u64::try_from(aad.len()).ok()?.checked_mul(8)?;
    for part in [aad, iv, &content, &aad_bits.to_be_bytes()] {
        mac.update(part);
    }
    let whole = mac.sign();
    let expected = whole.as_ref().get(..TAG_LENGTH)?;
    if !bool::from(expected.ct_eq(tag)) {
        return None;
    }
    let iv: [u8; 16] = iv.try_into().ok()?;
    let cipher = UnboundCipherKey::new(&AES_128, cipher_key).ok()?;
    let cipher = PaddedBlockDecryptingKey::cbc_pkcs7(cipher).ok()?;
    let length =
        cipher.decrypt(&mut content, DecryptionContext::Iv128(FixedLength::from(iv))).ok()?.len();
    content.truncate(length);
    Some(content)
}
