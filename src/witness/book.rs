//! What a witness knows: its key, its logs, and the tree of each that it has cosigned last.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use base64_simd::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize as _, Zeroizing};

use crate::event::{Blame, Fault, Timestamp};
use crate::keys::{KeyError, KeyFailure, NoteSigningKey};
use crate::transparency::{
    AddCheckpoint, LogNote, NoteKey, NoteSignature, SignedNote, TreeRoot, WitnessKey,
    WitnessRefusal, judge_checkpoint,
};
use crate::witness::book_file;

/// A witness in a directory of its own, which no two processes use at once.
pub struct WitnessBook {
    directory: PathBuf,
    signing: NoteSigningKey,
    key: WitnessKey,
    logs: Vec<NoteKey>,
    /// One request at a time reads what was cosigned last, and replaces it.
    turn: Mutex<()>,
    /// Held until the process ends.
    _in_use: File,
}

/// The key of a witness, as it is kept.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct KeptKey {
    name: String,
    /// PKCS#8 in base64.
    key: String,
}

/// Why a witness cannot begin, or does not cosign.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// Its directory cannot be used.
    #[error("cannot use {place}")]
    File {
        /// Which file or directory.
        place: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another process uses it.
    #[error("another witness uses {0}")]
    InUse(PathBuf),
    /// A file holds something else.
    #[error(
        "{0} is not what a witness has written; put it back from a copy that is no older than the witness's last cosignature, or begin a new witness in another directory"
    )]
    Damaged(PathBuf),
    /// It was begun under another name, which is a part of its key.
    #[error("the witness in this directory is called {0}")]
    OtherName(String),
    /// A name that no key can have.
    #[error("a witness's name has no spaces and no plus signs, like `witness.example.com/w1`")]
    NoName,
    /// The key cannot be made or used.
    #[error("the key of the witness cannot be made or used")]
    Key(#[source] KeyFailure),
    /// What was asked for may not be cosigned.
    #[error(transparent)]
    Refused(#[from] WitnessRefusal),
}

impl Blame for BookError {
    fn fault(&self) -> Fault {
        match self {
            Self::InUse(_) | Self::OtherName(_) | Self::NoName | Self::Refused(_) => Fault::Caller,
            Self::File { .. } | Self::Damaged(_) | Self::Key(_) => Fault::Ours,
        }
    }
}

impl WitnessBook {
    /// Opens a directory, which gets a key at the first time.
    ///
    /// # Errors
    ///
    /// The operator's turn: it has another name, or is in use. Ours: it cannot be read or written.
    pub fn open(directory: &Path, name: &str, logs: Vec<NoteKey>) -> Result<Self, BookError> {
        fs::create_dir_all(directory).map_err(failed(directory))?;
        let in_use = hold(&directory.join(".in-use"))?;
        let place = directory.join("witness-key.json");
        let signing = match book_file::read(&place).map_err(failed(&place))? {
            Some(text) => read_key(&Zeroizing::new(text), name, &place)?,
            None => make_key(name, &place)?,
        };
        let key = WitnessKey::new(name, signing.public()).ok_or(BookError::NoName)?;
        let directory = directory.to_owned();
        Ok(Self { directory, signing, key, logs, turn: Mutex::new(()), _in_use: in_use })
    }

    /// The public key, by which others know the witness.
    pub const fn key(&self) -> &WitnessKey {
        &self.key
    }

    /// Cosigns a checkpoint that follows the one that was cosigned last of its log; it is durable before
    /// anybody has the cosignature.
    ///
    /// # Errors
    ///
    /// The log's turn: it may not be cosigned. Ours: the disk.
    pub fn cosign(
        &self,
        request: &AddCheckpoint,
        now: Timestamp,
    ) -> Result<NoteSignature, BookError> {
        // Two requests at once must not both follow the same tree.
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut unread, mut before) = (None, None);
        let judged = judge_checkpoint(request, &self.logs, |note| {
            before = self.latest(&note.origin).unwrap_or_else(|error| {
                unread = Some(error);
                None
            });
            before
        });
        if let Some(error) = unread {
            return Err(error);
        }
        let note = judged?;
        let at = Timestamp::from_unix_seconds(now.unix_seconds());
        let text = &request.note.text;
        let signed = self.signing.sign(WitnessKey::cosigned(text, at).as_bytes());
        let signature = self.key.signature(at, &signed.map_err(BookError::Key)?);
        if before == Some(note.tree) {
            // It is durable already: whoever repeats a checkpoint costs no disk.
            return Ok(signature);
        }
        // Anybody can add lines to a note, more than can be read back or forged ones: they are not kept.
        let of_log = self.logs.iter().filter(|key| key.name() == note.origin);
        let mut of_log = of_log.filter(|key| key.verify(&request.note).is_ok());
        let of_log = of_log.find_map(|key| key.line_of(&request.note));
        let signatures = of_log.into_iter().chain([signature.clone()]).collect();
        let kept = SignedNote { text: text.clone(), signatures };
        let place = self.place_of(&note.origin);
        book_file::write(&place, &kept.to_string()).map_err(failed(&place))?;
        Ok(signature)
    }

    /// The tree of a log that was cosigned last.
    fn latest(&self, origin: &str) -> Result<Option<TreeRoot>, BookError> {
        let place = self.place_of(origin);
        let Some(text) = book_file::read(&place).map_err(failed(&place))? else { return Ok(None) };
        let read = text.parse().ok().filter(|note: &SignedNote| self.key.verify(note).is_ok());
        let note = read.and_then(|note| note.text.parse().ok());
        match note {
            Some(LogNote { origin: of, tree }) if of == origin => Ok(Some(tree)),
            _ => Err(BookError::Damaged(place)),
        }
    }

    /// Where the note of a log is that was cosigned last.
    fn place_of(&self, origin: &str) -> PathBuf {
        let digest: [u8; 32] = Sha256::digest(origin).into();
        let number = digest.first_chunk().map_or(0, |half| u128::from_be_bytes(*half));
        self.directory.join(format!("{number:032x}.note"))
    }
}

fn failed(place: &Path) -> impl Fn(io::Error) -> BookError {
    let place = place.to_owned();
    move |source| BookError::File { place: place.clone(), source }
}

fn hold(place: &Path) -> Result<File, BookError> {
    let mut options = OpenOptions::new();
    let file = options.create(true).append(true).mode(0o600).open(place).map_err(failed(place))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(BookError::InUse(place.to_owned())),
        Err(TryLockError::Error(source)) => Err(failed(place)(source)),
    }
}

fn read_key(text: &str, name: &str, place: &Path) -> Result<NoteSigningKey, BookError> {
    let damaged = || BookError::Damaged(place.to_owned());
    let kept: KeptKey = serde_json::from_str(text).map_err(|_| damaged())?;
    let key = Zeroizing::new(kept.key);
    if kept.name != name {
        return Err(BookError::OtherName(kept.name));
    }
    let der = Zeroizing::new(STANDARD.decode_to_vec(key.as_bytes()).map_err(|_| damaged())?);
    NoteSigningKey::from_pkcs8(&der).map_err(|_: KeyError| damaged())
}

fn make_key(name: &str, place: &Path) -> Result<NoteSigningKey, BookError> {
    let made = NoteSigningKey::generate().map_err(BookError::Key)?;
    WitnessKey::new(name, made.public()).ok_or(BookError::NoName)?;
    let key = STANDARD.encode_to_string(&*made.to_pkcs8().map_err(BookError::Key)?);
    let mut kept = KeptKey { name: name.to_owned(), key };
    // Texts always serialize.
    let text = Zeroizing::new(serde_json::to_string(&kept).unwrap_or_default());
    kept.key.zeroize();
    book_file::write(place, &text).map_err(failed(place))?;
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transparency::{HeldTree, ProofPlan, TreeHash};

    const ORIGIN: &str = "gateway.example/log";
    const NOW: Timestamp = Timestamp::from_unix_seconds(1_795_000_000);

    /// A true request of a log that had `old` leaves and has `size`.
    fn request(signing: &NoteSigningKey, (old, size): (u64, u64)) -> AddCheckpoint {
        let mut tree = HeldTree::empty();
        for number in 0..size {
            tree.push_hash(TreeHash::from_bytes([u8::try_from(number).unwrap(); 32]));
        }
        let text = LogNote { origin: ORIGIN.to_owned(), tree: tree.frontier.root() }.to_string();
        let key = NoteKey::new(ORIGIN, signing.public()).unwrap();
        let signature = key.signature(signing.sign(text.as_bytes()).unwrap());
        let plan = ProofPlan::consistency(old, size).unwrap();
        let proof = plan.assemble(&tree.all(plan.spans()).unwrap()).unwrap();
        AddCheckpoint { old, proof, note: SignedNote { text, signatures: vec![signature] } }
    }

    #[test]
    fn lines_that_strangers_add_to_a_note_keep_no_log_from_being_cosigned() {
        let directory = tempfile::tempdir().unwrap();
        let signing = NoteSigningKey::generate().unwrap();
        let logs = vec![NoteKey::new(ORIGIN, signing.public()).unwrap()];
        let book = WitnessBook::open(directory.path(), "witness.example/w", logs).unwrap();
        let others = (0..63).map(|number| format!("— other.example/{number} AAAAAAAAAAA="));
        let mut flooded = request(&signing, (0, 1));
        flooded.note.signatures.extend(others.map(|line| line.parse().unwrap()));
        let mut forged = request(&signing, (1, 2));
        forged.note.signatures.push(book.key().signature(NOW, &[7; 64]));

        for asked in [flooded, forged, request(&signing, (2, 2)), request(&signing, (2, 3))] {
            let cosigned = book.cosign(&asked, NOW).unwrap();
            let note = SignedNote { text: asked.note.text, signatures: vec![cosigned] };
            assert_eq!(book.key().verify(&note), Ok(NOW));
        }
        let other = request(&NoteSigningKey::generate().unwrap(), (3, 4));
        assert!(matches!(book.cosign(&other, NOW), Err(BookError::Refused(_))));
    }
}
