//! Where keys rest between runs: the seam, and the store that forgets.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

use crate::event::{Blame, Fault};

/// One secret document of the key ring, for example one signing key with its times.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyDocument {
    /// Its name: letters, digits, `-` and `_`.
    pub name: String,
    /// Its text, wiped when dropped.
    pub text: Zeroizing<String>,
}

impl fmt::Debug for KeyDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyDocument({}, …)", self.name)
    }
}

/// Keeps key documents durably and in secret.
///
/// The calls block on the disk: run them where blocking is allowed.
pub trait KeyStore: Send + Sync {
    /// Takes the store for one reading or change; nobody else, in this process or another, can
    /// change it until the session is dropped.
    ///
    /// # Errors
    ///
    /// Ours: the store cannot be reached or is not safe to use.
    fn session(&self) -> Result<Box<dyn KeySession + '_>, StoreError>;

    /// Tells a person where a document is, for messages.
    fn place(&self, name: &str) -> String;
}

/// The store in one hand.
pub trait KeySession {
    /// Reads all documents, in order of their names.
    ///
    /// # Errors
    ///
    /// Ours: a document is unreadable, damaged, open to others, or needs a passphrase. None is ever
    /// left out in silence.
    fn read(&mut self) -> Result<Vec<KeyDocument>, StoreError>;

    /// Writes one document durably, whole or not at all, over an older one of the same name.
    ///
    /// # Errors
    ///
    /// Ours: the store failed; the older document still stands.
    fn put(&mut self, document: &KeyDocument) -> Result<(), StoreError>;

    /// Removes one document durably; removing what is not there succeeds.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    fn remove(&mut self, name: &str) -> Result<(), StoreError>;
}

/// Why a key store could not be used; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Others on the machine can read or change what must be private.
    #[error("{} is open to other users (mode {mode:04o}): run `chmod {wanted:o} {}`", path.display(), path.display())]
    TooOpen {
        /// The file or directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// The bits it must have.
        wanted: u32,
    },
    /// The file system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A file that is not what the gateway wrote.
    #[error("{} is damaged ({reason}): restore it from a backup, or move it out of the directory to go on without this key", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An encrypted file, and no passphrase.
    #[error("{} is encrypted: set `keys.passphrase` to where its passphrase is kept", path.display())]
    NeedsPassphrase {
        /// The file.
        path: PathBuf,
    },
    /// An encrypted file that the passphrase does not open.
    #[error("{} does not open with this passphrase: either `keys.passphrase` is wrong or the file is damaged", path.display())]
    WrongPassphrase {
        /// The file.
        path: PathBuf,
    },
}

impl Blame for StoreError {
    fn fault(&self) -> Fault {
        match self {
            // A mode or a setting, which whoever runs the gateway changes.
            Self::TooOpen { .. } | Self::NeedsPassphrase { .. } | Self::WrongPassphrase { .. } => {
                Fault::Caller
            }
            Self::Io { .. } | Self::Damaged { .. } => Fault::Ours,
        }
    }
}

/// Keeps keys in memory, for tests and for trying things out.
#[derive(Debug, Default)]
pub struct MemoryKeyStore {
    documents: Mutex<BTreeMap<String, KeyDocument>>,
}

impl MemoryKeyStore {
    /// Starts empty.
    pub fn new() -> Self {
        Self::default()
    }
}

impl KeyStore for MemoryKeyStore {
    fn session(&self) -> Result<Box<dyn KeySession + '_>, StoreError> {
        Ok(Box::new(self.documents.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    fn place(&self, name: &str) -> String {
        format!("key `{name}` in memory")
    }
}

impl KeySession for MutexGuard<'_, BTreeMap<String, KeyDocument>> {
    fn read(&mut self) -> Result<Vec<KeyDocument>, StoreError> {
        Ok(self.values().cloned().collect())
    }

    fn put(&mut self, document: &KeyDocument) -> Result<(), StoreError> {
        self.insert(document.name.clone(), document.clone());
        Ok(())
    }

    fn remove(&mut self, name: &str) -> Result<(), StoreError> {
        BTreeMap::remove(self, name);
        Ok(())
    }
}

/// What every key store does.
#[cfg(test)]
pub(super) mod conformance {
    use super::*;

    fn document(name: &str, text: &str) -> KeyDocument {
        KeyDocument { name: name.to_owned(), text: Zeroizing::new(text.to_owned()) }
    }

    /// Holds an empty store against the promises of [`KeyStore`].
    pub(crate) fn holds(store: &dyn KeyStore) {
        assert!(store.session().unwrap().read().unwrap().is_empty());

        let (first, second) = (document("b", "{\"n\":1}"), document("a-_9", "{\"n\":2}"));
        store.session().unwrap().put(&first).unwrap();
        store.session().unwrap().put(&second).unwrap();
        assert_eq!(
            store.session().unwrap().read().unwrap(),
            [second.clone(), first],
            "documents come back whole, in order of their names"
        );

        let mut session = store.session().unwrap();
        let newer = document("b", "{\"n\":3}");
        session.put(&newer).unwrap();
        assert_eq!(session.read().unwrap(), [second.clone(), newer], "a session reads its writes");
        session.remove("b").unwrap();
        session.remove("b").unwrap();
        drop(session);
        assert_eq!(store.session().unwrap().read().unwrap(), [second], "what is removed is gone");
        assert!(store.place("a-_9").contains("a-_9"));

        std::thread::scope(|scope| {
            for writer in 0..4 {
                scope.spawn(move || {
                    for _ in 0..5 {
                        let mut session = store.session().unwrap();
                        let count = session.read().unwrap().len();
                        session.put(&document(&format!("c{count}"), &writer.to_string())).unwrap();
                    }
                });
            }
        });
        let count = store.session().unwrap().read().unwrap().len();
        assert_eq!(count, 21, "sessions do not overlap: a lost update would repeat a name");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_store_keeps_its_promises() {
        conformance::holds(&MemoryKeyStore::new());
    }

    #[test]
    fn debug_hides_the_text() {
        let text = Zeroizing::new("hunter2".to_owned());
        let document = KeyDocument { name: "a".to_owned(), text };

        assert_eq!(format!("{document:?}"), "KeyDocument(a, …)");
    }
}
