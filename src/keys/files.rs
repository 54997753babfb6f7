//! Keys as files: one JSON file per key, for the owner's eyes only, each replaced whole.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown,
};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

use crate::ambient::{Entropy, Secret};
use crate::keys::passphrase::{Passphrase, PassphraseEnvelope};
use crate::keys::{KeyDocument, KeySession, KeyStore, StoreError};

/// A key file is a few kilobytes; more is damage.
const LONGEST_FILE: u64 = 64 * 1024;
const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;
const OTHERS: u32 = 0o077;
const EXTENSION: &str = "json";
const LOCK: &str = ".lock";

/// Keeps each key document in `NAME.json` of one directory.
///
/// The directory has mode 0700 and the files 0600; anything more open is refused by name. With a
/// passphrase the documents are encrypted. Those that an earlier run left plain, or under a former
/// passphrase, are written anew the first time the store is read. Files that do not end in `.json`
/// are not touched.
pub struct FileKeyStore {
    directory: PathBuf,
    passphrase: Option<Passphrase>,
    former: Option<Passphrase>,
    /// Excludes the threads of this process; the lock file excludes the others.
    turn: Mutex<()>,
}

impl FileKeyStore {
    /// Opens the directory, and makes it if it is not there.
    ///
    /// # Errors
    ///
    /// Ours: the directory cannot be made, or other users may look into it.
    pub fn open(
        directory: &Path,
        passphrase: Option<Secret>,
        entropy: &dyn Entropy,
    ) -> Result<Self, StoreError> {
        let store = Self {
            directory: directory.to_owned(),
            passphrase: passphrase.map(|secret| Passphrase::new(secret, entropy)),
            former: None,
            turn: Mutex::new(()),
        };
        if !directory.exists() {
            DirBuilder::new()
                .recursive(true)
                .mode(DIRECTORY_MODE)
                .create(directory)
                .map_err(failed("make the directory", directory))?;
        } else if store.names()?.is_empty() {
            // A fresh checkout brings the directory with the mode that git gave it, and no key yet
            // that anyone could have read.
            fs::set_permissions(directory, Permissions::from_mode(DIRECTORY_MODE))
                .map_err(failed("make private the directory", directory))?;
        }
        closed_to_others(directory, DIRECTORY_MODE)?;
        Ok(store)
    }

    /// Reads also what an earlier run encrypted under a former passphrase.
    pub fn with_former(mut self, former: Option<Secret>, entropy: &dyn Entropy) -> Self {
        self.former = former.map(|secret| Passphrase::new(secret, entropy));
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        // Not `with_extension`, which would take a part of a name with a dot for its ending.
        self.directory.join(format!("{name}.{EXTENSION}"))
    }

    /// The text of a document, and whether its file is encrypted, or plain, as it should be.
    fn decrypted(
        &self,
        name: &str,
        text: Zeroizing<String>,
    ) -> Result<(Zeroizing<String>, bool), StoreError> {
        let Ok(envelope) = serde_json::from_str::<PassphraseEnvelope>(&text) else {
            return Ok((text, self.passphrase.is_none()));
        };
        let opens =
            |with: &Option<Passphrase>| with.as_ref().and_then(|one| one.unwrap(name, &envelope));
        if let Some(text) = opens(&self.passphrase) {
            return Ok((text, true));
        }
        if let Some(text) = opens(&self.former) {
            return Ok((text, false));
        }
        let path = self.path(name);
        Err(match (&self.passphrase, &self.former) {
            (None, None) => StoreError::NeedsPassphrase { path },
            _ => StoreError::WrongPassphrase { path },
        })
    }

    fn names(&self) -> Result<Vec<String>, StoreError> {
        let refuse = || failed("list the directory", &self.directory);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(refuse())? {
            let path = entry.map_err(refuse())?.path();
            if path.extension().is_some_and(|extension| extension == EXTENSION) {
                let name = path.file_stem().and_then(|stem| stem.to_str());
                let reason = "its name is not one that the gateway gives";
                let name = name.ok_or(StoreError::Damaged { path: path.clone(), reason })?;
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }
}

impl KeyStore for FileKeyStore {
    fn session(&self) -> Result<Box<dyn KeySession + '_>, StoreError> {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        closed_to_others(&self.directory, DIRECTORY_MODE)?;
        let path = self.directory.join(LOCK);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(FILE_MODE)
            .open(&path)
            .map_err(failed("open the lock file", &path))?;
        give_to_owner(&lock, &path, &self.directory)?;
        lock.lock().map_err(failed("lock", &path))?;
        Ok(Box::new(FileSession { store: self, _lock: lock, _turn: turn }))
    }

    fn place(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}

/// Fields are dropped in order: the file lock first, then this process's turn.
struct FileSession<'a> {
    store: &'a FileKeyStore,
    _lock: File,
    _turn: MutexGuard<'a, ()>,
}

impl KeySession for FileSession<'_> {
    fn read(&mut self) -> Result<Vec<KeyDocument>, StoreError> {
        let mut documents = Vec::new();
        for name in self.store.names()? {
            let path = self.store.path(&name);
            let text = read_private(&path)?;
            let (text, as_wanted) = self.store.decrypted(&name, text)?;
            let document = KeyDocument { name, text };
            if !as_wanted {
                self.put(&document)?;
            }
            documents.push(document);
        }
        Ok(documents)
    }

    fn put(&mut self, document: &KeyDocument) -> Result<(), StoreError> {
        let path = self.store.path(&document.name);
        let text = match &self.store.passphrase {
            None => document.text.clone(),
            Some(passphrase) => {
                let envelope = passphrase.wrap(&document.name, &document.text);
                Zeroizing::new(serde_json::json!(envelope).to_string())
            }
        };
        let temporary = self.store.directory.join(format!(".{}.new", document.name));
        write_private(&temporary, text.as_bytes(), &self.store.directory)?;
        fs::rename(&temporary, &path).map_err(failed("put in place", &path))?;
        sync_directory(&self.store.directory)
    }

    fn remove(&mut self, name: &str) -> Result<(), StoreError> {
        let path = self.store.path(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            outcome => {
                outcome.map_err(failed("remove", &path))?;
                sync_directory(&self.store.directory)
            }
        }
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { action, path, source }
}

fn closed_to_others(path: &Path, wanted: u32) -> Result<(), StoreError> {
    let metadata = fs::metadata(path).map_err(failed("look at", path))?;
    check_mode(&metadata, path, wanted)
}

fn check_mode(metadata: &Metadata, path: &Path, wanted: u32) -> Result<(), StoreError> {
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & OTHERS == 0 {
        return Ok(());
    }
    Err(StoreError::TooOpen { path: path.to_owned(), mode, wanted })
}

/// Makes a file its directory's owner's: what root makes on the command line would otherwise be
/// closed to the gateway, which could then read no key at all.
fn give_to_owner(file: &File, path: &Path, directory: &Path) -> Result<(), StoreError> {
    let owner = fs::metadata(directory).map_err(failed("look at", directory))?;
    let made = file.metadata().map_err(failed("look at", path))?;
    if made.uid() == owner.uid() {
        return Ok(());
    }
    fchown(file, Some(owner.uid()), Some(owner.gid()))
        .map_err(failed("give to the owner of the directory", path))
}

fn read_private(path: &Path) -> Result<Zeroizing<String>, StoreError> {
    let damaged = |reason| StoreError::Damaged { path: path.to_owned(), reason };
    let file = File::open(path).map_err(failed("read", path))?;
    // Of what was opened, which the name may not mean any more.
    check_mode(&file.metadata().map_err(failed("look at", path))?, path, FILE_MODE)?;
    let mut text = Zeroizing::new(String::new());
    let read = file.take(LONGEST_FILE + 1).read_to_string(&mut text);
    match read {
        Ok(_) if text.len() as u64 > LONGEST_FILE => Err(damaged("longer than any key")),
        Ok(0) => Err(damaged("empty")),
        Ok(_) => Ok(text),
        Err(error) if error.kind() == ErrorKind::InvalidData => Err(damaged("not UTF-8")),
        Err(error) => Err(failed("read", path)(error)),
    }
}

fn write_private(path: &Path, bytes: &[u8], directory: &Path) -> Result<(), StoreError> {
    // What a crash left under this name may be open to others or a link: start from nothing.
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(failed("clear away", path)(error));
        }
        _ => {}
    }
    let mut file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(FILE_MODE)
        .open(path)
        .map_err(failed("make", path))?;
    give_to_owner(&file, path, directory)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed("write", path))
}

/// Makes a rename or a removal durable.
fn sync_directory(directory: &Path) -> Result<(), StoreError> {
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(failed("sync the directory", directory))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient::SystemEntropy;
    use crate::keys::store::conformance;

    fn open(directory: &Path, passphrase: Option<&str>) -> Result<FileKeyStore, StoreError> {
        let passphrase = passphrase.map(|text| Secret::new(text.to_owned()));
        FileKeyStore::open(directory, passphrase, &SystemEntropy)
    }

    fn read(directory: &Path, passphrase: Option<&str>) -> Result<Vec<KeyDocument>, StoreError> {
        open(directory, passphrase)?.session()?.read()
    }

    fn put(directory: &Path, passphrase: Option<&str>, name: &str, text: &str) {
        let text = Zeroizing::new(text.to_owned());
        let store = open(directory, passphrase).unwrap();
        store.session().unwrap().put(&KeyDocument { name: name.to_owned(), text }).unwrap();
    }

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_file_store_keeps_its_promises_plain_and_encrypted() {
        let root = tempfile::tempdir().unwrap();
        conformance::holds(&open(&root.path().join("plain/keys"), None).unwrap());
        conformance::holds(&open(&root.path().join("sealed"), Some("correct horse")).unwrap());
    }

    #[test]
    fn a_fresh_directory_and_its_files_are_for_the_owner_only() {
        let root = tempfile::tempdir().unwrap();
        chmod(root.path(), 0o755);
        put(root.path(), None, "a", "{}");

        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(root.path()), 0o700);
        assert_eq!(mode(&root.path().join("a.json")), 0o600);
        assert_eq!(mode(&root.path().join(".lock")), 0o600);
    }

    #[test]
    fn what_is_made_belongs_to_the_owner_of_the_directory_whoever_makes_it() {
        let root = tempfile::tempdir().unwrap();
        // Only root can make files for another user; for anyone else the owner is the same.
        let _ = std::os::unix::fs::chown(root.path(), Some(12_345), None);
        let owner = fs::metadata(root.path()).unwrap().uid();
        put(root.path(), None, "a", "{}");

        for name in ["a.json", ".lock"] {
            assert_eq!(fs::metadata(root.path().join(name)).unwrap().uid(), owner, "{name}");
        }
    }

    #[test]
    fn what_others_can_read_is_refused_with_the_command_that_closes_it() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), None, "a", "{}");
        let file = root.path().join("a.json");

        chmod(&file, 0o640);
        let error = read(root.path(), None).unwrap_err().to_string();
        assert!(error.contains(&format!("chmod 600 {}", file.display())), "{error}");

        chmod(&file, 0o600);
        chmod(root.path(), 0o711);
        let error = read(root.path(), None).unwrap_err().to_string();
        assert!(error.contains(&format!("chmod 700 {}", root.path().display())), "{error}");
    }

    #[test]
    fn an_empty_or_oversized_or_binary_file_is_refused_by_name_and_never_left_out() {
        let long = vec![b' '; 70_000];
        for content in [b"".as_slice(), &long, b"\xff\xfe"] {
            let root = tempfile::tempdir().unwrap();
            put(root.path(), None, "good", "{}");
            put(root.path(), None, "bad", "{}");
            fs::write(root.path().join("bad.json"), content).unwrap();

            let error = read(root.path(), None).unwrap_err();

            assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
            assert!(error.to_string().contains("bad.json"), "{error}");
        }
    }

    #[test]
    fn an_encrypted_key_needs_its_passphrase_and_shows_nothing_without() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), Some("one"), "a", r#"{"d":"private"}"#);

        let on_disk = fs::read_to_string(root.path().join("a.json")).unwrap();
        assert!(!on_disk.contains("private"));
        assert_eq!(read(root.path(), Some("one")).unwrap()[0].text.as_str(), r#"{"d":"private"}"#);
        assert!(matches!(read(root.path(), None), Err(StoreError::NeedsPassphrase { .. })));
        assert!(matches!(read(root.path(), Some("two")), Err(StoreError::WrongPassphrase { .. })));
    }

    #[test]
    fn a_plain_key_is_encrypted_when_a_passphrase_comes() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), None, "a", r#"{"d":"private"}"#);

        assert_eq!(read(root.path(), Some("one")).unwrap()[0].text.as_str(), r#"{"d":"private"}"#);

        let on_disk = fs::read_to_string(root.path().join("a.json")).unwrap();
        assert!(!on_disk.contains("private"));
    }

    #[test]
    fn a_former_passphrase_is_replaced_or_taken_away() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), Some("one"), "a", r#"{"d":"private"}"#);
        let secret = |text: &str| Some(Secret::new(text.to_owned()));
        let turn = |to, from| {
            let store = open(root.path(), to).unwrap().with_former(from, &SystemEntropy);
            store.session().unwrap().read().map(|found| found[0].text.to_string())
        };

        assert!(turn(Some("two"), secret("wrong")).is_err());
        assert_eq!(turn(Some("two"), secret("one")).unwrap(), r#"{"d":"private"}"#);
        assert_eq!(turn(Some("two"), None).unwrap(), r#"{"d":"private"}"#);
        assert_eq!(turn(None, secret("two")).unwrap(), r#"{"d":"private"}"#);
        let on_disk = fs::read_to_string(root.path().join("a.json")).unwrap();
        assert_eq!(on_disk, r#"{"d":"private"}"#);
    }

    #[test]
    fn what_a_crash_left_half_written_is_neither_read_nor_in_the_way() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), None, "a", "{}");
        fs::write(root.path().join(".a.new"), "{\"half").unwrap();

        assert_eq!(read(root.path(), None).unwrap().len(), 1);
        put(root.path(), None, "a", "{\"n\":2}");
        assert_eq!(read(root.path(), None).unwrap()[0].text.as_str(), "{\"n\":2}");
    }
}
