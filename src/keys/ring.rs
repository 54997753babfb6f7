//! The gateway's signing keys, kept in a store and read without a lock.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwap;

use crate::ambient::Entropy;
use crate::event::Timestamp;
use crate::keys::documents;
use crate::keys::{
    DataKey, KeyAge, KeySession, KeyState, KeyStep, KeyStore, KeyTimes, Lifecycle, NoteSigningKey,
    PublishedKeys, RingError, RingKey, SigningAlgorithm, SigningKey,
};

/// The gateway's keys: which sign now, which can be checked, and what time and people change.
///
/// The gateway and the command line share one store. Each change is made on what the store holds at
/// that moment, and [`tick`](Self::tick), called every few seconds, brings in what the other did.
/// Calls that change or read the store block on the disk.
pub struct KeyRing {
    store: Arc<dyn KeyStore>,
    lifecycle: Lifecycle,
    current: ArcSwap<RingSnapshot>,
    /// Lets one change at a time replace the snapshot, so that none replaces a newer one.
    changing: Mutex<()>,
    /// The fingerprint of the data key that must be in the store beside the keys, once it is known.
    bound: OnceLock<String>,
}

/// One moment's keys.
struct RingSnapshot {
    keys: Vec<RingKey>,
    published: Arc<PublishedKeys>,
    generation: u64,
}

impl KeyRing {
    /// Reads the ring, and takes the steps that are due; at first start this makes its keys.
    ///
    /// # Errors
    ///
    /// Ours: the store failed, or a key in it cannot be used; the text says which, and what to do.
    pub fn open(
        store: Arc<dyn KeyStore>,
        lifecycle: Lifecycle,
        now: Timestamp,
    ) -> Result<Self, RingError> {
        let ring = Self::read(store, lifecycle)?;
        ring.tick(now)?;
        Ok(ring)
    }

    /// Reads the ring as it is and changes nothing.
    ///
    /// # Errors
    ///
    /// Ours, as for [`open`](Self::open).
    pub fn read(store: Arc<dyn KeyStore>, lifecycle: Lifecycle) -> Result<Self, RingError> {
        let keys = documents::load(store.as_ref(), store.session()?.as_mut())?;
        let current = ArcSwap::from_pointee(RingSnapshot::of(keys, 0));
        Ok(Self { store, lifecycle, current, changing: Mutex::new(()), bound: OnceLock::new() })
    }

    /// The key that signs with an algorithm now. Does not block.
    pub fn active(&self, algorithm: SigningAlgorithm) -> Option<SigningKey> {
        let snapshot = self.current.load();
        let signing = |key: &&RingKey| {
            key.age.algorithm == algorithm && key.age.times.state() == KeyState::Active
        };
        // After a crash in the middle of a hand-over there are two: the later one signs.
        let latest = snapshot.keys.iter().filter(signing).max_by_key(|key| key.age.times.activated);
        latest.map(|key| key.key.clone())
    }

    /// Every key that is not removed. Does not block.
    pub fn keys(&self) -> Vec<RingKey> {
        self.current.load().keys.clone()
    }

    /// The rules that the keys live by.
    pub const fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    /// Changes when a key was revoked: what was sealed under an earlier generation and still waits
    /// must be sealed again. Does not block.
    pub fn generation(&self) -> u64 {
        self.current.load().generation
    }

    /// The public key set. Does not block.
    pub fn jwks(&self) -> Arc<PublishedKeys> {
        Arc::clone(&self.current.load().published)
    }

    /// Brings in what others changed in the store and takes the steps that are due. Returns the
    /// steps taken.
    ///
    /// # Errors
    ///
    /// Ours: the store failed or a key in it cannot be used; the ring goes on with what it had.
    pub fn tick(&self, now: Timestamp) -> Result<Vec<KeyStep>, RingError> {
        self.change(now, |ages| Ok(self.lifecycle.due(ages, now)))
    }

    /// Starts a rotation: a successor is published and signs when its time has come, or `at_once`.
    /// Returns the steps taken; none if a successor is already published.
    ///
    /// # Errors
    ///
    /// The caller's turn: the algorithm is not configured. Ours: the store failed.
    pub fn rotate(
        &self,
        algorithm: SigningAlgorithm,
        at_once: bool,
        now: Timestamp,
    ) -> Result<Vec<KeyStep>, RingError> {
        if !self.lifecycle.algorithms.contains(&algorithm) {
            return Err(RingError::NotOffered(algorithm));
        }
        self.change(now, |ages| Ok(self.lifecycle.rotation(ages, algorithm, at_once)))
    }

    /// Removes a key at once, and lets a successor sign at once. Returns the steps taken.
    ///
    /// # Errors
    ///
    /// The caller's turn: there is no such key. Ours: the store failed.
    pub fn revoke(&self, kid: &str, now: Timestamp) -> Result<Vec<KeyStep>, RingError> {
        self.change(now, |ages| {
            let steps = self.lifecycle.revocation(ages, kid);
            steps.ok_or_else(|| RingError::Unknown(kid.to_owned()))
        })
    }

    /// The key for secrets at rest, if there is one.
    ///
    /// # Errors
    ///
    /// Ours: the store failed or the key in it is damaged.
    pub fn present_data_key(&self) -> Result<Option<DataKey>, RingError> {
        documents::data_key(self.store.as_ref(), self.store.session()?.as_mut())
    }

    /// Changes the store from now on only while this data key is in it: one that was emptied or
    /// replaced is told of, and gets no new keys. The first one that is named stays.
    pub fn bind_to(&self, data_key: &DataKey) {
        self.bound.get_or_init(|| data_key.fingerprint());
    }

    /// Tells a person where the data key is or should be.
    pub fn place_of_data_key(&self) -> String {
        self.store.place(documents::DATA_KEY)
    }

    /// Tells a person where a signing key is or should be.
    pub fn place_of(&self, kid: &str) -> String {
        self.store.place(&documents::name_of(kid))
    }

    /// The key for secrets at rest; made the first time it is asked for.
    ///
    /// # Errors
    ///
    /// Ours: the store failed or the key in it is damaged.
    pub fn data_key(&self, entropy: &dyn Entropy, now: Timestamp) -> Result<DataKey, RingError> {
        let mut session = self.store.session()?;
        if let Some(found) = documents::data_key(self.store.as_ref(), session.as_mut())? {
            return Ok(found);
        }
        let key = DataKey::generate(entropy);
        session.put(&documents::of_data_key(&key, now))?;
        Ok(key)
    }

    /// The key for signed notes, if there is one.
    ///
    /// # Errors
    ///
    /// Ours: the store failed or the key in it is damaged.
    pub fn present_note_key(&self) -> Result<Option<NoteSigningKey>, RingError> {
        documents::note_key(self.store.as_ref(), self.store.session()?.as_mut())
    }

    /// Tells a person where the note key is or should be.
    pub fn place_of_note_key(&self) -> String {
        self.store.place(documents::NOTE_KEY)
    }

    /// The key for signed notes; made the first time it is asked for.
    ///
    /// # Errors
    ///
    /// Ours: the store failed or the key in it is damaged.
    pub fn note_key(&self, now: Timestamp) -> Result<NoteSigningKey, RingError> {
        let mut session = self.store.session()?;
        if let Some(found) = documents::note_key(self.store.as_ref(), session.as_mut())? {
            return Ok(found);
        }
        let key = NoteSigningKey::generate()?;
        session.put(&documents::of_note_key(&key, now)?)?;
        Ok(key)
    }

    fn change(
        &self,
        now: Timestamp,
        plan: impl FnOnce(&[KeyAge]) -> Result<Vec<KeyStep>, RingError>,
    ) -> Result<Vec<KeyStep>, RingError> {
        let _turn = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut session = self.store.session()?;
        self.check_bound(session.as_mut())?;
        let mut keys = documents::load(self.store.as_ref(), session.as_mut())?;
        let ages: Vec<_> = keys.iter().map(|key| key.age.clone()).collect();
        let steps = plan(&ages)?;
        let outcome =
            steps.iter().try_for_each(|step| take(step, &mut keys, session.as_mut(), now));
        // Also after a failure: what was written before it already holds for every other process.
        let before = self.current.load();
        let generation = before.generation + u64::from(self.was_revoked(&before, &keys, now));
        self.current.store(Arc::new(RingSnapshot::of(keys, generation)));
        outcome.map(|()| steps)
    }

    /// Refuses a store that does not hold the data key any more to which this ring is bound.
    fn check_bound(&self, session: &mut dyn KeySession) -> Result<(), RingError> {
        let Some(bound) = self.bound.get() else { return Ok(()) };
        let found = documents::data_key(self.store.as_ref(), session)?;
        if found.is_some_and(|key| key.fingerprint() == *bound) {
            return Ok(());
        }
        Err(RingError::Replaced { place: self.place_of_data_key() })
    }

    /// Tells whether a key is gone that could still have signed something valid.
    fn was_revoked(&self, before: &RingSnapshot, keys: &[RingKey], now: Timestamp) -> bool {
        before.keys.iter().any(|old| {
            old.age.times.state() != KeyState::Published
                && !keys.iter().any(|key| key.age.kid == old.age.kid)
                && !self.lifecycle.outlived(&old.age, now)
        })
    }
}

impl RingSnapshot {
    fn of(keys: Vec<RingKey>, generation: u64) -> Self {
        let public = keys.iter().filter_map(|key| key.key.public_jwk());
        let published = Arc::new(PublishedKeys::of(public));
        Self { keys, published, generation }
    }
}

/// Takes one step, in the store first and then in `keys`.
fn take(
    step: &KeyStep,
    keys: &mut Vec<RingKey>,
    session: &mut dyn KeySession,
    now: Timestamp,
) -> Result<(), RingError> {
    match step {
        KeyStep::Publish(algorithm) | KeyStep::Start(algorithm) => {
            let key = SigningKey::generate(*algorithm)?;
            let activated = matches!(step, KeyStep::Start(_)).then_some(now);
            let times = KeyTimes { published: now, activated, retired: None };
            let age = KeyAge { kid: key.kid().to_owned(), algorithm: *algorithm, times };
            let key = RingKey { key, age };
            session.put(&key.document()?)?;
            keys.push(key);
        }
        KeyStep::Activate(kid) | KeyStep::Retire(kid) => {
            for key in keys.iter_mut().filter(|key| key.age.kid == *kid) {
                let mut changed = key.clone();
                let times = &mut changed.age.times;
                match step {
                    KeyStep::Retire(_) => times.retired = Some(now),
                    _ => times.activated = Some(now),
                }
                session.put(&changed.document()?)?;
                *key = changed;
            }
        }
        KeyStep::Remove(kid) => {
            session.remove(&documents::name_of(kid))?;
            keys.retain(|key| key.age.kid != *kid);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::Value;

    use super::*;
    use crate::ambient::SystemEntropy;
    use crate::event::{Blame as _, Fault};
    use crate::keys::{FileKeyStore, MemoryKeyStore};

    const ES256: SigningAlgorithm = SigningAlgorithm::ES256;
    const EDDSA: SigningAlgorithm = SigningAlgorithm::EdDSA;
    const START: Timestamp = Timestamp::from_unix_seconds(1_795_000_000);
    const DAY: Duration = Duration::from_hours(24);

    fn rules() -> Lifecycle {
        Lifecycle { algorithms: vec![ES256, EDDSA], ..crate::keys::Config::default().lifecycle() }
    }

    fn open(store: &Arc<MemoryKeyStore>) -> KeyRing {
        KeyRing::open(Arc::clone(store) as Arc<dyn KeyStore>, rules(), START).unwrap()
    }

    fn signer(ring: &KeyRing) -> String {
        ring.active(ES256).unwrap().kid().to_owned()
    }

    fn published(ring: &KeyRing) -> Vec<String> {
        let jwks: Value = serde_json::from_str(&ring.jwks().text).unwrap();
        let kid = |key: &Value| key["kid"].as_str().unwrap().to_owned();
        jwks["keys"].as_array().unwrap().iter().map(kid).collect()
    }

    #[test]
    fn the_first_start_makes_a_key_for_each_algorithm_and_the_next_finds_them() {
        let store = Arc::new(MemoryKeyStore::new());
        let first = open(&store);

        assert_eq!(first.keys().len(), 2);
        assert_eq!(first.active(EDDSA).unwrap().algorithm(), EDDSA);
        assert!(first.active(SigningAlgorithm::PS256).is_none());
        assert_eq!(published(&open(&store)), published(&first));
    }

    #[test]
    fn the_public_key_set_holds_public_members_only() {
        let ring = open(&Arc::new(MemoryKeyStore::new()));
        let jwks: Value = serde_json::from_str(&ring.jwks().text).unwrap();

        for key in jwks["keys"].as_array().unwrap() {
            let members: Vec<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
            let offered = ["alg", "crv", "kid", "kty", "use", "x", "y", "n", "e"];
            assert!(members.iter().all(|member| offered.contains(member)), "{members:?}");
            assert_eq!(key["use"], "sig");
        }
    }

    #[test]
    fn the_entity_tag_changes_with_the_key_set_only() {
        let ring = open(&Arc::new(MemoryKeyStore::new()));
        let first = ring.jwks();
        ring.tick(START).unwrap();
        assert_eq!(ring.jwks().etag, first.etag);

        ring.rotate(ES256, false, START).unwrap();

        assert_ne!(ring.jwks().etag, first.etag);
        assert!(first.etag.starts_with('"') && first.etag.ends_with('"'));
    }

    #[test]
    fn a_rotation_on_the_command_line_reaches_the_running_gateway() {
        let store = Arc::new(MemoryKeyStore::new());
        let (gateway, command_line) = (open(&store), open(&store));
        let old = signer(&gateway);

        command_line.rotate(ES256, false, START).unwrap();
        gateway.tick(START).unwrap();
        assert_eq!(published(&gateway).len(), 3);
        assert_eq!(signer(&gateway), old);

        gateway.tick(START.after(DAY)).unwrap();
        assert_ne!(signer(&gateway), old);
        assert!(published(&gateway).contains(&old), "what it signed can still be checked");
        assert_eq!(gateway.generation(), 0, "a rotation needs no sealing again");

        gateway.tick(START.after(DAY * 3)).unwrap();
        assert!(!published(&gateway).contains(&old));
        assert_eq!(gateway.generation(), 0);
    }

    #[test]
    fn a_revocation_takes_the_key_away_at_once_and_asks_for_sealing_again() {
        let store = Arc::new(MemoryKeyStore::new());
        let (gateway, command_line) = (open(&store), open(&store));
        let stolen = signer(&gateway);

        command_line.revoke(&stolen, START).unwrap();
        gateway.tick(START).unwrap();

        for ring in [&gateway, &command_line] {
            assert_ne!(signer(ring), stolen);
            assert!(!published(ring).contains(&stolen));
            assert_eq!(ring.generation(), 1);
        }
        assert!(matches!(gateway.revoke(&stolen, START), Err(RingError::Unknown(_))));
    }

    #[test]
    fn an_algorithm_that_is_not_configured_cannot_be_rotated() {
        let ring = open(&Arc::new(MemoryKeyStore::new()));

        let outcome = ring.rotate(SigningAlgorithm::RS256, false, START);

        assert_eq!(outcome.unwrap_err().fault(), Fault::Caller);
    }

    #[test]
    fn the_data_key_is_made_once() {
        let store = Arc::new(MemoryKeyStore::new());
        let sealed = open(&store).data_key(&SystemEntropy, START).unwrap().seal("a", b"secret");

        let later = open(&store).data_key(&SystemEntropy, START).unwrap();

        assert_eq!(later.open("a", &sealed).unwrap().as_slice(), b"secret");
    }

    #[test]
    fn the_note_key_is_made_once_and_is_no_key_of_the_set() {
        let store = Arc::new(MemoryKeyStore::new());
        let ring = open(&store);
        assert!(ring.present_note_key().unwrap().is_none());
        let made = ring.note_key(START).unwrap();

        let later = open(&store);

        assert_eq!(later.note_key(START).unwrap().public(), made.public());
        assert_eq!(later.present_note_key().unwrap().unwrap().public(), made.public());
        assert_eq!(later.keys().len(), 2);
        assert_eq!(published(&later), published(&ring));
    }

    #[test]
    fn a_store_that_is_emptied_under_a_running_gateway_gets_no_new_keys() {
        let store = Arc::new(MemoryKeyStore::new());
        let ring = open(&store);
        ring.bind_to(&ring.data_key(&SystemEntropy, START).unwrap());
        let kid = signer(&ring);
        let mut session = store.session().unwrap();
        let before = session.read().unwrap();
        for document in &before {
            session.remove(&document.name).unwrap();
        }
        drop(session);

        let refused = ring.tick(START).unwrap_err();

        assert!(matches!(refused, RingError::Replaced { .. }), "{refused}");
        assert!(store.session().unwrap().read().unwrap().is_empty());
        assert_eq!((signer(&ring), ring.generation()), (kid, 0), "it goes on with what it had");
        let mut session = store.session().unwrap();
        for document in &before {
            session.put(document).unwrap();
        }
        drop(session);
        assert_eq!(ring.tick(START).unwrap(), []);
    }

    #[test]
    fn a_damaged_foreign_or_exchanged_key_file_is_named_and_the_ring_goes_on_with_what_it_had() {
        let directory = tempfile::tempdir().unwrap();
        let store = FileKeyStore::open(directory.path(), None, &SystemEntropy).unwrap();
        let ring = KeyRing::open(Arc::new(store), rules(), START).unwrap();
        let kid = signer(&ring);
        let path = directory.path().join(format!("signing-{kid}.json"));
        let good = std::fs::read_to_string(&path).unwrap();
        let other = ring.active(EDDSA).unwrap().kid().to_owned();
        let other = directory.path().join(format!("signing-{other}.json"));
        let exchanged = std::fs::read_to_string(other).unwrap();

        for content in ["{", "{\"format\":1}", &good.replace("ES256", "EdDSA"), &exchanged] {
            std::fs::write(&path, content).unwrap();
            let error = ring.tick(START).unwrap_err().to_string();
            assert!(error.contains(path.to_str().unwrap()), "{error}");
            assert_eq!(signer(&ring), kid);
        }
        std::fs::write(&path, &good).unwrap();
        ring.tick(START).unwrap();

        std::fs::rename(&path, directory.path().join("mine.json")).unwrap();
        assert!(matches!(ring.tick(START), Err(RingError::Foreign { .. })));
    }
}
