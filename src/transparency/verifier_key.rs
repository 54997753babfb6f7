//! The text form of keys that verify notes, as C2SP signed-note has them: `name+id+key`.

use std::fmt;

use base64_simd::STANDARD;
use sha2::{Digest, Sha256};

/// A name, the type of its signatures, and a public key of Ed25519.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct VerifierKey {
    pub(super) name: String,
    pub(super) kind: u8,
    pub(super) public: [u8; 32],
}

/// Whether a text is the name of a key: no spaces and no plus signs.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}

/// The type of the key in a text, whatever its length; nothing if that is no key for notes.
pub(super) fn kind_of(text: &str) -> Option<u8> {
    let (_, rest) = text.split_once('+').filter(|(name, _)| is_name(name))?;
    let (_, key) = rest.split_once('+')?;
    STANDARD.decode_to_vec(key).ok()?.first().copied()
}

impl VerifierKey {
    pub(super) fn new(name: &str, kind: u8, public: [u8; 32]) -> Option<Self> {
        is_name(name).then(|| Self { name: name.to_owned(), kind, public })
    }

    /// The first bytes of a hash of all of it, by which signatures name it.
    pub(super) fn id(&self) -> [u8; 4] {
        let hash = Sha256::new_with_prefix(&self.name)
            .chain_update([b'\n', self.kind])
            .chain_update(self.public)
            .finalize();
        let [a, b, c, d, ..]: [u8; 32] = hash.into();
        [a, b, c, d]
    }

    /// Reads what [`Display`](fmt::Display) writes, with the id of its key and no other.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (name, rest) = text.split_once('+')?;
        let (_, key) = rest.split_once('+')?;
        let key = STANDARD.decode_to_vec(key).ok()?;
        let (kind, public) = key.split_first()?;
        let read = Self::new(name, *kind, public.try_into().ok()?)?;
        (read.to_string() == text).then_some(read)
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = STANDARD.encode_to_string([&[self.kind], self.public.as_slice()].concat());
        write!(f, "{}+{:08x}+{key}", self.name, u32::from_be_bytes(self.id()))
    }
}
