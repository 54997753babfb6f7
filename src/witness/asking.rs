//! Asks the witnesses of the settings to cosign the tree over the log, again and again.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Mutex as Turn;
use url::Url;

use crate::ambient::Clock;
use crate::egress::GuardedClients;
use crate::event::Timestamp;
use crate::eventlog::{LogError, LogTree, Registry, WitnessConfig};
use crate::keys::{KeyFailure, NoteSigningKey};
use crate::telemetry::{Metric, Metrics, error_chain};
use crate::transparency::{LogNote, NoteKey, NoteSignature, SignedNote, TreeRoot, WitnessKey};
use crate::witness::exchange::{AskError, AskedWitness, ask};
use crate::witness::kept::{Cosigned, KeptNotes};

/// What is cosigned is served for so many intervals before the newest tree alone is.
const FRESH: u32 = 10;
/// A witness that fails is asked at least once in this time.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// What asking takes.
pub struct WitnessesParts<'a> {
    /// Whom to ask.
    pub witnesses: &'a [WitnessConfig],
    /// How often.
    pub interval: Duration,
    /// Which log.
    pub origin: String,
    /// Signs for it.
    pub note_key: Arc<NoteSigningKey>,
    /// The tree over it.
    pub tree: Arc<dyn LogTree>,
    /// Keeps what was cosigned.
    pub registry: Arc<dyn Registry>,
    /// Dials allowed addresses.
    pub clients: GuardedClients,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// The witnesses of a log, and what they have cosigned.
pub struct Witnesses {
    asked: Vec<AskedWitness>,
    keys: Vec<WitnessKey>,
    interval: Duration,
    origin: String,
    note_key: Arc<NoteSigningKey>,
    tree: Arc<dyn LogTree>,
    registry: Arc<dyn Registry>,
    clients: GuardedClients,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    kept: KeptNotes,
    /// How each of them fails.
    failures: Mutex<Vec<Failures>>,
    /// One round at a time, and whether the last could be kept.
    round: Turn<bool>,
}

/// How a witness fails, since when it last did not.
#[derive(Clone, Copy, Default)]
struct Failures {
    count: u32,
    word: Option<&'static str>,
    until: Option<Timestamp>,
}

/// Why there is no checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointNoteError {
    /// The tree cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The key does not sign.
    #[error("the checkpoint cannot be signed")]
    Key(#[source] KeyFailure),
}

impl Witnesses {
    /// Takes up what was cosigned before, as far as it is of the log as it is.
    ///
    /// # Errors
    ///
    /// Ours: the log cannot be read.
    pub async fn open(parts: WitnessesParts<'_>) -> Result<Self, LogError> {
        let WitnessesParts { witnesses, origin, registry, tree, .. } = parts;
        let keys: Vec<_> = witnesses.iter().map(|witness| witness.key.clone()).collect();
        let kept = KeptNotes::read(&*registry, &origin, &keys).await?;
        let this = Self {
            asked: witnesses.iter().map(asked).collect(),
            failures: Mutex::new(vec![Failures::default(); keys.len()]),
            keys,
            interval: parts.interval,
            origin,
            note_key: parts.note_key,
            tree,
            registry,
            clients: parts.clients,
            clock: parts.clock,
            metrics: parts.metrics,
            kept,
            round: Turn::new(true),
        };
        this.forget_other_histories().await?;
        Ok(this)
    }

    /// Forgets what was cosigned of a tree that the log does not have: it was set back, and its registry
    /// was not.
    async fn forget_other_histories(&self) -> Result<(), LogError> {
        let now = self.tree.tree_head().await?.tree;
        for (at, cosigned) in self.kept.all().into_iter().enumerate() {
            let Some(Cosigned { tree, .. }) = cosigned else { continue };
            if tree.size > now.size || self.tree.tree_root(tree.size).await? != tree {
                self.kept.set(at, None);
            }
        }
        Ok(())
    }

    /// Asks for ever; does nothing where there are no witnesses.
    pub async fn run(&self) {
        if self.asked.is_empty() {
            return std::future::pending().await;
        }
        loop {
            self.ask_all().await;
            self.clock.sleep(self.interval).await;
        }
    }

    /// The newest checkpoint with all its cosignatures; nothing if none is from the last ten intervals.
    pub fn newest(&self) -> Option<SignedNote> {
        let oldest = self.clock.now().before(self.interval * FRESH);
        let all = self.kept.all().into_iter().flatten().filter(|one| one.at >= oldest);
        merged(all.collect()).pop().map(|(_, note)| note)
    }

    /// The newest checkpoints of all witnesses, the smallest tree first. If one of them has not yet
    /// cosigned a tree of so many leaves, it is asked now, and waited for no longer than this.
    pub async fn covering(&self, size: u64, patience: Duration) -> Vec<(TreeRoot, SignedNote)> {
        let covers = |one: &Option<Cosigned>| one.as_ref().is_some_and(|one| one.tree.size >= size);
        if !self.kept.all().iter().all(covers) {
            // What is not there in time comes with the next round.
            let _ = tokio::time::timeout(patience, self.ask_all()).await;
        }
        merged(self.kept.all().into_iter().flatten().collect())
    }

    /// Asks all witnesses that are not left alone, at once, and keeps what they have cosigned.
    async fn ask_all(&self) {
        let mut could_keep = self.round.lock().await;
        let (note, tree) = match self.note_of_now().await {
            Ok(made) => made,
            Err(error) => {
                return tracing::error!(error = %error_chain(&error), "No witness can be asked");
            }
        };
        let questions = (0..self.asked.len()).map(|at| self.ask_one(at, (&note, tree)));
        if !join_all(questions).await.contains(&true) {
            return;
        }
        let written = self.kept.write(&*self.registry, &self.keys).await;
        if let (Err(error), true) = (&written, *could_keep) {
            tracing::warn!(error = %error_chain(error), "What witnesses have cosigned cannot be kept");
        }
        *could_keep = written.is_ok();
    }

    /// The tree of now, signed by the log alone.
    ///
    /// # Errors
    ///
    /// Ours: the tree cannot be read, or the key does not sign.
    pub async fn note_of_now(&self) -> Result<(SignedNote, TreeRoot), CheckpointNoteError> {
        let tree = self.tree.tree_head().await?.tree;
        Ok((self.sign(&LogNote { origin: self.origin.clone(), tree })?, tree))
    }

    /// A checkpoint, signed by the log alone.
    ///
    /// # Errors
    ///
    /// Ours: the key does not sign.
    pub fn sign(&self, note: &LogNote) -> Result<SignedNote, CheckpointNoteError> {
        let text = note.to_string();
        let signature = self.note_key.sign(text.as_bytes()).map_err(CheckpointNoteError::Key)?;
        let key = NoteKey::new(&note.origin, self.note_key.public());
        // An origin is a name: it has no spaces and no plus signs.
        let signatures = key.iter().map(|key| key.signature(signature.clone())).collect();
        Ok(SignedNote { text, signatures })
    }

    /// Asks one; says whether it has cosigned.
    async fn ask_one(&self, at: usize, (note, tree): (&SignedNote, TreeRoot)) -> bool {
        let Some(witness) = self.asked.get(at).filter(|_| !self.is_left_alone(at)) else {
            return false;
        };
        let old = self.kept.of(at).map_or(0, |one| one.tree.size);
        let answer = ask(witness, (note, tree), old, (&self.clients, &self.tree)).await;
        let name = witness.key.name();
        let word = answer.as_ref().err().map(AskError::word);
        let outcome = word.unwrap_or("cosigned");
        self.metrics.counter(Metric::WitnessRequests, &[name, outcome]).increment();
        match (self.note_outcome(at, word), &answer) {
            (true, Err(error)) => error.tell(&witness.key),
            (true, Ok(_)) => tracing::info!(witness.name = name, "Witness {name} cosigns again"),
            (false, _) => {}
        }
        let Ok(lines) = answer else { return false };
        self.metrics.gauge(Metric::WitnessedLeaves, &[name]).set_count(tree.size);
        self.kept.set(at, Some(Cosigned { tree, note: with(note, lines), at: self.clock.now() }));
        true
    }

    fn is_left_alone(&self, at: usize) -> bool {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.get(at).and_then(|one| one.until).is_some_and(|until| until > self.clock.now())
    }

    /// Notes how a witness fails, if it does; says whether that is new.
    fn note_outcome(&self, at: usize, word: Option<&'static str>) -> bool {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(one) = failures.get_mut(at) else { return false };
        let is_new = word != one.word;
        *one = if word.is_none() {
            Failures::default()
        } else {
            // The next round asks again; after that, less and less often.
            let pause = self.interval * (1_u32 << one.count.min(16)) / 2;
            let until = Some(self.clock.now().after(pause.min(LONGEST_PAUSE)));
            Failures { count: one.count.saturating_add(1), word, until }
        };
        is_new
    }
}

fn asked(witness: &WitnessConfig) -> AskedWitness {
    let mut url: Url = witness.url.clone();
    let path = format!("{}/add-checkpoint", url.path().trim_end_matches('/'));
    url.set_path(&path);
    AskedWitness { key: witness.key.clone(), url }
}

/// A note of the log, with more signatures.
fn with(note: &SignedNote, lines: Vec<NoteSignature>) -> SignedNote {
    let mut note = note.clone();
    note.signatures.extend(lines);
    note
}

/// One note for each tree, with the cosignatures of all that have cosigned it, the smallest tree first.
fn merged(mut all: Vec<Cosigned>) -> Vec<(TreeRoot, SignedNote)> {
    all.sort_by_key(|one| one.tree.size);
    let mut notes: Vec<(TreeRoot, SignedNote)> = Vec::new();
    for Cosigned { tree, note, .. } in all {
        match notes.last_mut().filter(|(_, last)| last.text == note.text) {
            Some((_, last)) => {
                let known: BTreeSet<_> = last.signatures.iter().map(ToString::to_string).collect();
                let new =
                    note.signatures.into_iter().filter(|one| !known.contains(&one.to_string()));
                last.signatures.extend(new);
            }
            None => notes.push((tree, note)),
        }
    }
    notes
}
