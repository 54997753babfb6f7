//! Encrypts key documents under a passphrase: PBKDF2 makes the key, AES-256-GCM does the rest.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::pbkdf2;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::ambient::{Entropy, Secret};
use crate::keys::DataKey;

/// Rounds for new files: what OWASP asks of PBKDF2 with HMAC-SHA-256.
const ROUNDS: NonZeroU32 = NonZeroU32::new(600_000).unwrap();
/// More rounds than this in a file is damage, and would hold the start up for seconds.
const MOST_ROUNDS: u32 = 10_000_000;
const FUNCTION: &str = "PBKDF2-HMAC-SHA256";
const CIPHER: &str = "A256GCM";

/// An encrypted document as it stands in a file.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PassphraseEnvelope {
    encrypted: Encrypted,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Encrypted {
    derivation: String,
    rounds: u32,
    salt: String,
    cipher: String,
    text: String,
}

/// Opens and makes envelopes with one passphrase.
///
/// A derivation costs a tenth of a second by design, so all files written by one process share a
/// salt, and each derived key is kept.
pub(super) struct Passphrase {
    secret: Secret,
    derived: Mutex<BTreeMap<(String, NonZeroU32), Arc<DataKey>>>,
    salt: String,
}

impl Passphrase {
    pub(super) fn new(secret: Secret, entropy: &dyn Entropy) -> Self {
        let mut salt = [0; 16];
        entropy.fill(&mut salt);
        let salt = base64_simd::URL_SAFE_NO_PAD.encode_to_string(salt);
        Self { secret, derived: Mutex::default(), salt }
    }

    /// Encrypts a document; its name is bound in, so that two files cannot be exchanged.
    pub(super) fn wrap(&self, name: &str, text: &str) -> PassphraseEnvelope {
        // A salt that an earlier run chose saves a derivation, and is as good as a new one.
        let known = self.known().keys().next().cloned();
        let (salt, rounds) = known.unwrap_or_else(|| (self.salt.clone(), ROUNDS));
        let key = self.derive(&salt, rounds);
        self.known().insert((salt.clone(), rounds), Arc::clone(&key));
        PassphraseEnvelope {
            encrypted: Encrypted {
                derivation: FUNCTION.to_owned(),
                rounds: rounds.get(),
                salt,
                cipher: CIPHER.to_owned(),
                text: key.seal(name, text.as_bytes()),
            },
        }
    }

    /// Decrypts a document, or nothing if passphrase, name or envelope are not the right ones.
    pub(super) fn unwrap(
        &self,
        name: &str,
        envelope: &PassphraseEnvelope,
    ) -> Option<Zeroizing<String>> {
        let Encrypted { derivation, rounds, salt, cipher, text } = &envelope.encrypted;
        if derivation != FUNCTION || cipher != CIPHER || *rounds > MOST_ROUNDS {
            return None;
        }
        let rounds = NonZeroU32::new(*rounds)?;
        let key = self.derive(salt, rounds);
        let opened = key.open(name, text).ok()?;
        // A derivation that opened nothing is not kept: its salt may come from a damaged file.
        self.known().insert((salt.clone(), rounds), key);
        std::str::from_utf8(&opened).ok().map(|text| Zeroizing::new(text.to_owned()))
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, NonZeroU32), Arc<DataKey>>> {
        self.derived.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn derive(&self, salt: &str, rounds: NonZeroU32) -> Arc<DataKey> {
        if let Some(key) = self.known().get(&(salt.to_owned(), rounds)) {
            return Arc::clone(key);
        }
        let mut bytes = Zeroizing::new([0; DataKey::LENGTH]);
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            rounds,
            salt.as_bytes(),
            self.secret.expose().as_bytes(),
            bytes.as_mut_slice(),
        );
        Arc::new(DataKey::from_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient::SeededEntropy;

    fn passphrase(text: &str) -> Passphrase {
        Passphrase::new(Secret::new(text.to_owned()), &SeededEntropy::new(1))
    }

    #[test]
    fn an_envelope_opens_with_its_passphrase_and_under_its_name_only() {
        let envelope = passphrase("correct horse").wrap("signing-a", "{\"d\":1}");
        let text = serde_json::to_string(&envelope).unwrap();
        assert!(!text.contains("\\\"d\\\""));
        let envelope: PassphraseEnvelope = serde_json::from_str(&text).unwrap();

        let opened = passphrase("correct horse").unwrap("signing-a", &envelope).unwrap();
        assert_eq!(opened.as_str(), "{\"d\":1}");
        assert!(passphrase("correct horse").unwrap("signing-b", &envelope).is_none());
        assert!(passphrase("wrong horse").unwrap("signing-a", &envelope).is_none());
    }

    #[test]
    fn unknown_functions_and_absurd_rounds_are_refused_before_any_work() {
        let make = |edit: fn(&mut Encrypted)| {
            let mut envelope = PassphraseEnvelope {
                encrypted: Encrypted {
                    derivation: FUNCTION.to_owned(),
                    rounds: 1,
                    salt: "c2FsdA".to_owned(),
                    cipher: CIPHER.to_owned(),
                    text: String::new(),
                },
            };
            edit(&mut envelope.encrypted);
            passphrase("p").unwrap("n", &envelope)
        };

        assert!(make(|e| e.derivation = "MD5".to_owned()).is_none());
        assert!(make(|e| e.cipher = "RC4".to_owned()).is_none());
        assert!(make(|e| e.rounds = u32::MAX).is_none());
        assert!(make(|e| e.rounds = 0).is_none());
        assert!(make(|e| e.text = "AAAA".to_owned()).is_none());
    }
}
