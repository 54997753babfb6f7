//! Cosignatures of witnesses, as C2SP tlog-cosignature has them: that at a moment this was the largest
//! tree of a log that the witness had seen, and one with all that it had seen before.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::event::Timestamp;
use crate::transparency::verifier_key::{VerifierKey, kind_of};
use crate::transparency::{NoteError, NoteSignature, SignedNote};

/// The type of a cosignature of version 1 by Ed25519.
const COSIGNATURE_TYPE: u8 = 4;
/// The types of keys for which this error says more than that they are others.
const LOG_TYPE: u8 = 1;
const ML_DSA_TYPE: u8 = 6;

/// The public key of a witness: its verifier key, for cosignatures of version 1.
///
/// Its text form is `name+id+key`, where the type of the key is 4.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WitnessKey(VerifierKey);

/// A text that is not the key of a witness that can be used here.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum WitnessKeyError {
    /// It is no key for notes.
    #[error("not the key of a witness: expected `name+id+key`")]
    Malformed,
    /// It signs notes, not cosignatures.
    #[error(
        "this key (of type 1) signs notes, as logs do; ask for the witness's key for cosignatures"
    )]
    OfLog,
    /// It is for cosignatures by ML-DSA.
    #[error(
        "cosignatures by ML-DSA-44 (type 6) are not known here; use the witness's key of type 4, for Ed25519"
    )]
    MlDsa,
    /// Its type is another one.
    #[error("keys of type {0} are not known here; use the witness's key of type 4, for Ed25519")]
    OtherType(u8),
}

impl WitnessKey {
    /// A public key of Ed25519 under a name, which has no spaces and no plus signs.
    pub fn new(name: &str, public: [u8; 32]) -> Option<Self> {
        VerifierKey::new(name, COSIGNATURE_TYPE, public).map(Self)
    }

    /// The name of the witness.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What a witness signs to cosign the text of a note at a moment.
    pub fn cosigned(text: &str, at: Timestamp) -> String {
        format!("cosignature/v1\ntime {}\n{text}", at.unix_seconds())
    }

    /// The signature that the private half has made over [`cosigned`](Self::cosigned).
    pub fn signature(&self, at: Timestamp, bytes: &[u8]) -> NoteSignature {
        let seconds = at.unix_seconds().to_be_bytes();
        NoteSignature::by(&self.0, [seconds.as_slice(), bytes].concat())
    }

    /// Verifies that the witness has cosigned a note; gives when, the last time. Signatures of others are
    /// not looked at.
    ///
    /// # Errors
    ///
    /// The sender's turn: it has not.
    pub fn verify(&self, note: &SignedNote) -> Result<Timestamp, NoteError> {
        let mut latest = None;
        for one in note.signatures_of(&self.0) {
            latest = latest.max(Some(self.verify_one(&note.text, one)?));
        }
        latest.ok_or(NoteError::Unsigned)
    }

    fn verify_one(&self, text: &str, one: &NoteSignature) -> Result<Timestamp, NoteError> {
        let (seconds, signature) = one.bytes().split_first_chunk().ok_or(NoteError::Forged)?;
        let seconds = i64::try_from(u64::from_be_bytes(*seconds)).map_err(|_| NoteError::Forged)?;
        let at = Timestamp::from_unix_seconds(seconds);
        // A date in a future that cannot be told is a false one.
        if at.unix_seconds() != seconds {
            return Err(NoteError::Forged);
        }
        let public = UnparsedPublicKey::new(&ED25519, &self.0.public);
        let signed = public.verify(Self::cosigned(text, at).as_bytes(), signature);
        signed.map(|()| at).map_err(|_| NoteError::Forged)
    }

    /// The lines of a note that say that they are by this witness.
    pub fn lines_of(&self, note: &SignedNote) -> Vec<NoteSignature> {
        note.signatures_of(&self.0).cloned().collect()
    }
}

impl fmt::Display for WitnessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for WitnessKey {
    type Err = WitnessKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match kind_of(text) {
            Some(COSIGNATURE_TYPE) => {
                VerifierKey::read(text).map(Self).ok_or(WitnessKeyError::Malformed)
            }
            Some(LOG_TYPE) => Err(WitnessKeyError::OfLog),
            Some(ML_DSA_TYPE) => Err(WitnessKeyError::MlDsa),
            Some(other) => Err(WitnessKeyError::OtherType(other)),
            None => Err(WitnessKeyError::Malformed),
        }
    }
}

impl Serialize for WitnessKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for WitnessKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
