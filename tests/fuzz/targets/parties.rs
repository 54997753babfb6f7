//! A gateway and a consumer whose keys are the same in every run.

use sealway::ambient::SeededEntropy;
use sealway::event::Timestamp;
use sealway::keys::{
    OpeningKeys, SealingKey, SharedSecret, SigningAlgorithm, SigningKey, VerifyingKey,
    VerifyingKeys,
};
use sealway::seal::Opening;

pub const ISSUER: &str = "https://events.example.com";
pub const AUDIENCE: &str = "shop";
pub const NOW: Timestamp = Timestamp::from_unix_seconds(1_795_282_931);

/// PKCS#8 of an Ed25519 key up to its 32 bytes (RFC 8410, section 7).
const PKCS8: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// Keys of these targets, and of nothing else.
pub struct Parties {
    pub signing: SigningKey,
    pub verifying: VerifyingKeys,
    pub sealing: SealingKey,
    pub opening: OpeningKeys,
}

impl Parties {
    /// A pair of keys for signing, and a shared secret for sealing.
    pub fn new() -> Self {
        let secret = SharedSecret::generate(&SeededEntropy::new(7));
        let der = [PKCS8.as_slice(), &[7; 32]].concat();
        let signing = SigningKey::from_pkcs8(SigningAlgorithm::EdDSA, &der).unwrap();
        let verifying = VerifyingKey::from_jwk(signing.public_jwk().unwrap()).unwrap();
        Self {
            signing,
            verifying: VerifyingKeys::from_iter([verifying]),
            sealing: secret.sealing_key(),
            opening: OpeningKeys::from_iter([secret.opening_key()]),
        }
    }

    /// What the consumer expects.
    pub fn expected(&self) -> Opening<'_> {
        Opening::new(&self.opening, &self.verifying, ISSUER, AUDIENCE, NOW)
    }
}
