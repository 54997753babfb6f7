//! Signed notes, as C2SP signed-note has them: a text, and below it who has signed it.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64_simd::STANDARD;

use crate::transparency::verifier_key::{VerifierKey, is_name};

/// A longer note is not read.
const LONGEST: usize = 64 * 1024;
/// A note with more signatures is not read; the specification asks for at least 16.
const MOST_SIGNATURES: usize = 64;
/// What a line with a signature begins with.
const DASH: &str = "\u{2014} ";
/// The type of a signature by Ed25519 over the text.
const ED25519_TYPE: u8 = 1;

/// The public key of whoever signs notes: a verifier key.
///
/// Its text form is that of Go's checksum database, `name+id+key`: the id are 8 hexadecimal digits, the
/// key is base64 of its type and its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteKey(VerifierKey);

/// A text that is not a key for notes of Ed25519.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a key for signed notes: expected `name+id+key`, for Ed25519")]
pub struct NoteKeyError;

/// A signature below a note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    name: String,
    id: [u8; 4],
    bytes: Vec<u8>,
}

/// A text with signatures; nobody has looked at them yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedNote {
    /// What is signed, with the end of its last line.
    pub text: String,
    /// Who says that they have signed it.
    pub signatures: Vec<NoteSignature>,
}

/// Why a note is not believed.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum NoteError {
    /// It has another form.
    #[error("this is no signed note")]
    Malformed,
    /// It has no signature of the key.
    #[error("the key has not signed this note")]
    Unsigned,
    /// It has one that the key has not made.
    #[error("the signature is not that of the key that it names")]
    Forged,
}

impl NoteKey {
    /// A public key of Ed25519 under a name, which has no spaces and no plus signs.
    pub fn new(name: &str, public: [u8; 32]) -> Option<Self> {
        VerifierKey::new(name, ED25519_TYPE, public).map(Self)
    }

    /// The name of whoever has it.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The signature that the private half has made over a text.
    pub fn signature(&self, bytes: Vec<u8>) -> NoteSignature {
        NoteSignature::by(&self.0, bytes)
    }

    /// The first line of a note that says to be by this key.
    pub fn line_of(&self, note: &SignedNote) -> Option<NoteSignature> {
        note.signatures_of(&self.0).next().cloned()
    }

    /// Verifies that the key has signed a note. Signatures of others are not looked at.
    ///
    /// # Errors
    ///
    /// The sender's turn: it has not.
    pub fn verify(&self, note: &SignedNote) -> Result<(), NoteError> {
        let mut own = note.signatures_of(&self.0);
        let public = UnparsedPublicKey::new(&ED25519, &self.0.public);
        let first = own.next().ok_or(NoteError::Unsigned)?;
        std::iter::once(first).chain(own).try_for_each(|one| {
            let signed = public.verify(note.text.as_bytes(), &one.bytes);
            signed.map_err(|_| NoteError::Forged)
        })
    }
}

impl NoteSignature {
    /// What a key has signed, as a line below the note.
    pub(super) fn by(key: &VerifierKey, bytes: Vec<u8>) -> Self {
        Self { name: key.name.clone(), id: key.id(), bytes }
    }

    /// The bytes behind the id of the key.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl SignedNote {
    /// The lines that say that they are by a key.
    pub(super) fn signatures_of(&self, key: &VerifierKey) -> impl Iterator<Item = &NoteSignature> {
        let (name, id) = (key.name.clone(), key.id());
        self.signatures.iter().filter(move |one| one.name == name && one.id == id)
    }
}

impl fmt::Display for NoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for NoteKey {
    type Err = NoteKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = VerifierKey::read(text).filter(|key| key.kind == ED25519_TYPE);
        read.map(Self).ok_or(NoteKeyError)
    }
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = STANDARD.encode_to_string([&self.id, self.bytes.as_slice()].concat());
        write!(f, "{DASH}{} {bytes}", self.name)
    }
}

impl FromStr for NoteSignature {
    type Err = NoteError;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let (name, bytes) = line
            .strip_prefix(DASH)
            .and_then(|rest| rest.split_once(' '))
            .filter(|(name, _)| is_name(name))
            .ok_or(NoteError::Malformed)?;
        let bytes = STANDARD.decode_to_vec(bytes).map_err(|_| NoteError::Malformed)?;
        match bytes.split_first_chunk::<4>() {
            Some((id, signature)) if !signature.is_empty() => {
                Ok(Self { name: name.to_owned(), id: *id, bytes: signature.to_vec() })
            }
            _ => Err(NoteError::Malformed),
        }
    }
}

impl fmt::Display for SignedNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| writeln!(f, "{signature}"))
    }
}

impl FromStr for SignedNote {
    type Err = NoteError;

    fn from_str(note: &str) -> Result<Self, Self::Err> {
        let is_text = |c: char| !c.is_ascii_control() || c == '\n';
        if note.len() > LONGEST || !note.chars().all(is_text) {
            return Err(NoteError::Malformed);
        }
        let (text, lines) = note.rsplit_once("\n\n").ok_or(NoteError::Malformed)?;
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Malformed)?;
        let signatures = lines.split('\n').take(MOST_SIGNATURES + 1).map(str::parse);
        let signatures: Vec<_> = signatures.collect::<Result<_, _>>()?;
        if signatures.len() > MOST_SIGNATURES {
            return Err(NoteError::Malformed);
        }
        Ok(Self { text: format!("{text}\n"), signatures })
    }
}
