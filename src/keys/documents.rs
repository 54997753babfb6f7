//! What stands in the key documents, and reading it with suspicion.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::event::Timestamp;
use crate::keys::{
    DataKey, KeyAge, KeyDocument, KeySession, KeyStore, KeyTimes, NoteSigningKey, RingError,
    SigningAlgorithm, SigningKey,
};

const SIGNING_PREFIX: &str = "signing-";
pub(super) const DATA_KEY: &str = "data-key";
pub(super) const NOTE_KEY: &str = "note-key";
const FORMAT: u8 = 1;

/// A signing key of the ring with its place in life.
#[derive(Clone, Debug)]
pub struct RingKey {
    /// The key itself.
    pub key: SigningKey,
    /// Its name, algorithm and times.
    pub age: KeyAge,
}

/// A signing key as the store keeps it.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct SigningDocument {
    format: u8,
    algorithm: SigningAlgorithm,
    /// PKCS#8 DER in base64url.
    private: String,
    times: KeyTimes,
}

/// The data key or the note key as the store keeps it.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct SingleDocument {
    format: u8,
    created: Timestamp,
    /// Bytes, or PKCS#8 DER, in base64url.
    private: String,
}

impl Drop for SigningDocument {
    fn drop(&mut self) {
        self.private.zeroize();
    }
}

impl Drop for SingleDocument {
    fn drop(&mut self) {
        self.private.zeroize();
    }
}

/// The name of a signing key's document.
pub(super) fn name_of(kid: &str) -> String {
    format!("{SIGNING_PREFIX}{kid}")
}

/// Reads every signing key, and makes sure that every other document is one of ours and whole.
pub(super) fn load(
    store: &dyn KeyStore,
    session: &mut dyn KeySession,
) -> Result<Vec<RingKey>, RingError> {
    let mut keys = Vec::new();
    for document in session.read()? {
        let place = || store.place(&document.name);
        if let Some(kid) = document.name.strip_prefix(SIGNING_PREFIX) {
            keys.push(RingKey::read(kid, &document, place)?);
        } else if document.name == DATA_KEY {
            read_data_key(&document, place)?;
        } else if document.name == NOTE_KEY {
            read_note_key(&document, place)?;
        } else {
            return Err(RingError::Foreign { place: place() });
        }
    }
    // Oldest first, so that the key set and lists read as a history.
    keys.sort_by(|a, b| {
        let order = |key: &RingKey| (key.age.algorithm, key.age.times.published);
        order(a).cmp(&order(b)).then_with(|| a.age.kid.cmp(&b.age.kid))
    });
    Ok(keys)
}

impl RingKey {
    fn read(
        kid: &str,
        document: &KeyDocument,
        place: impl Fn() -> String,
    ) -> Result<Self, RingError> {
        let damaged = |reason| RingError::Damaged { place: place(), reason };
        let (read, der) = opened(document, |read: &SigningDocument| (read.format, &read.private))
            .map_err(damaged)?;
        let key = SigningKey::from_pkcs8(read.algorithm, &der)
            .map_err(|source| RingError::Unusable { place: place(), source })?;
        if key.kid() != kid {
            return Err(damaged("its name is not the thumbprint of its key"));
        }
        let age = KeyAge { kid: kid.to_owned(), algorithm: read.algorithm, times: read.times };
        Ok(Self { key, age })
    }

    /// What the store keeps of it.
    pub(super) fn document(&self) -> Result<KeyDocument, RingError> {
        let der = self.key.to_pkcs8()?.unwrap_or_default();
        let private = base64_simd::URL_SAFE_NO_PAD.encode_to_string(der.as_slice());
        let (algorithm, times) = (self.age.algorithm, self.age.times);
        let content = SigningDocument { format: FORMAT, algorithm, private, times };
        Ok(document(&name_of(&self.age.kid), &content))
    }
}

/// The data key of a store that has one.
pub(super) fn data_key(
    store: &dyn KeyStore,
    session: &mut dyn KeySession,
) -> Result<Option<DataKey>, RingError> {
    let documents = session.read()?;
    let found = documents.iter().find(|document| document.name == DATA_KEY);
    found.map(|document| read_data_key(document, || store.place(DATA_KEY))).transpose()
}

/// What the store keeps of the data key.
pub(super) fn of_data_key(key: &DataKey, created: Timestamp) -> KeyDocument {
    let private = base64_simd::URL_SAFE_NO_PAD.encode_to_string(key.expose());
    document(DATA_KEY, &SingleDocument { format: FORMAT, created, private })
}

/// The note key of a store that has one.
pub(super) fn note_key(
    store: &dyn KeyStore,
    session: &mut dyn KeySession,
) -> Result<Option<NoteSigningKey>, RingError> {
    let documents = session.read()?;
    let found = documents.iter().find(|document| document.name == NOTE_KEY);
    found.map(|document| read_note_key(document, || store.place(NOTE_KEY))).transpose()
}

/// What the store keeps of the note key.
pub(super) fn of_note_key(
    key: &NoteSigningKey,
    created: Timestamp,
) -> Result<KeyDocument, RingError> {
    let private = base64_simd::URL_SAFE_NO_PAD.encode_to_string(key.to_pkcs8()?.as_slice());
    Ok(document(NOTE_KEY, &SingleDocument { format: FORMAT, created, private }))
}

fn document(name: &str, content: &impl Serialize) -> KeyDocument {
    // Texts and numbers always serialize.
    let mut text = Zeroizing::new(serde_json::to_string_pretty(content).unwrap_or_default());
    text.push('\n');
    KeyDocument { name: name.to_owned(), text }
}

/// Reads a document and the private bytes in it, or says how it is damaged.
fn opened<T: DeserializeOwned>(
    document: &KeyDocument,
    parts: impl Fn(&T) -> (u8, &str),
) -> Result<(T, Zeroizing<Vec<u8>>), &'static str> {
    let read: T =
        serde_json::from_str(&document.text).map_err(|_| "not the JSON that the gateway writes")?;
    let (format, private) = parts(&read);
    if format != FORMAT {
        return Err("written by a newer version");
    }
    let private = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(private);
    let private = private.map_err(|_| "its key is not base64url")?;
    Ok((read, Zeroizing::new(private)))
}

fn read_data_key(document: &KeyDocument, place: impl Fn() -> String) -> Result<DataKey, RingError> {
    let damaged = |reason| RingError::Damaged { place: place(), reason };
    let (_, bytes) =
        opened(document, |read: &SingleDocument| (read.format, &read.private)).map_err(damaged)?;
    let bytes: [u8; DataKey::LENGTH] =
        bytes.as_slice().try_into().map_err(|_| damaged("its key has the wrong length"))?;
    Ok(DataKey::from_bytes(Zeroizing::new(bytes)))
}

fn read_note_key(
    document: &KeyDocument,
    place: impl Fn() -> String,
) -> Result<NoteSigningKey, RingError> {
    let damaged = |reason| RingError::Damaged { place: place(), reason };
    let (_, der) =
        opened(document, |read: &SingleDocument| (read.format, &read.private)).map_err(damaged)?;
    NoteSigningKey::from_pkcs8(&der)
        .map_err(|source| RingError::Unusable { place: place(), source })
}
