//! A log asks witnesses that answer in every way there is: it keeps what is theirs, and leaves alone who
//! fails.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use proptest::prelude::*;
use tokio::net::TcpListener;

use crate::ambient::{ManualClock, SeededEntropy, Tasks};
use crate::egress::{Egress, EgressConfig, GuardedClients};
use crate::event::Timestamp;
use crate::eventlog::{LogError, LogLimits, LogTree, MemoryLog, Registry, Store, WitnessConfig};
use crate::keys::NoteSigningKey;
use crate::telemetry::{Metric, Metrics};
use crate::transparency::{
    AddCheckpoint, HeldTree, LeafData, LogNote, SignedNote, StoredSpan, TreeHash, TreeHead,
    TreeRoot, WitnessKey,
};
use crate::witness::exchange::{cosignatures, size_in};
use crate::witness::{Witnesses, WitnessesParts};

const ORIGIN: &str = "gateway.example/log";
const NOW: Timestamp = Timestamp::from_unix_seconds(1_795_000_000);
const MINUTE: Duration = Duration::from_mins(1);

/// The tree of a log.
struct Tree(Mutex<HeldTree>);

impl Tree {
    fn grow(&self, leaves: u64) {
        let mut tree = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..leaves {
            let number = u8::try_from(tree.frontier.size()).unwrap();
            tree.push_hash(TreeHash::from_bytes([number; 32]));
        }
    }
}

#[async_trait]
impl LogTree for Tree {
    async fn tree_head(&self) -> Result<TreeHead, LogError> {
        let tree = self.0.lock().unwrap_or_else(PoisonError::into_inner).frontier.root();
        Ok(TreeHead { first: 1, tree })
    }

    async fn tree_hashes(
        &self,
        spans: Vec<StoredSpan>,
    ) -> Result<Option<Vec<Vec<TreeHash>>>, LogError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).all(&spans))
    }

    async fn tree_leaves(&self, _: Range<u64>) -> Result<Option<Vec<LeafData>>, LogError> {
        Ok(None)
    }
}

/// What a witness says next; nothing: it cosigns.
type Said = Option<(u16, &'static str, &'static str)>;

/// A witness that says what a test wants, and what it was asked.
struct Puppet {
    signing: NoteSigningKey,
    name: &'static str,
    says: Mutex<Vec<Said>>,
    asked: Mutex<Vec<u64>>,
}

impl Puppet {
    async fn start(name: &'static str, tasks: &Tasks) -> (Arc<Self>, WitnessConfig) {
        let signing = NoteSigningKey::generate().unwrap();
        let (says, asked) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
        let puppet = Arc::new(Self { signing, name, says, asked });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/some/where", listener.local_addr().unwrap());
        let routes = axum::Router::new()
            .route("/some/where/add-checkpoint", axum::routing::post(answer))
            .with_state(Arc::clone(&puppet));
        tasks.spawn(async move { axum::serve(listener, routes).await.unwrap() });
        let setting = WitnessConfig { url: url.parse().unwrap(), key: puppet.key() };
        (puppet, setting)
    }

    fn key(&self) -> WitnessKey {
        WitnessKey::new(self.name, self.signing.public()).unwrap()
    }

    fn says(&self, said: &[Said]) {
        *self.says.lock().unwrap() = said.iter().rev().copied().collect();
    }

    /// The sizes that it was asked to go on from.
    fn asked(&self) -> Vec<u64> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

async fn answer(State(puppet): State<Arc<Puppet>>, body: String) -> Response {
    let asked: AddCheckpoint = body.parse().unwrap();
    puppet.asked.lock().unwrap().push(asked.old);
    let said = puppet.says.lock().unwrap().pop().flatten();
    if let Some((status, media_type, body)) = said {
        let status = StatusCode::from_u16(status).unwrap();
        return (status, [(CONTENT_TYPE, media_type)], body).into_response();
    }
    let text = WitnessKey::cosigned(&asked.note.text, NOW);
    let signature = puppet.signing.sign(text.as_bytes()).unwrap();
    let other = "— other.example/w AAAAAAAAAAA=\n";
    format!("{other}{}\n", puppet.key().signature(NOW, &signature)).into_response()
}

/// A log with two witnesses.
struct Scene {
    tree: Arc<Tree>,
    clock: ManualClock,
    metrics: Arc<Metrics>,
    registry: Arc<dyn Registry>,
    settings: Vec<WitnessConfig>,
    puppets: [Arc<Puppet>; 2],
    note_key: Arc<NoteSigningKey>,
    _tasks: Tasks,
}

impl Scene {
    async fn new() -> Self {
        let tasks = Tasks::new();
        let (one, first) = Puppet::start("witness.example/1", &tasks).await;
        let (two, second) = Puppet::start("witness.example/2", &tasks).await;
        let clock = ManualClock::at(NOW);
        let entropy = Arc::new(SeededEntropy::new(1));
        let log = MemoryLog::new(LogLimits::default(), Arc::new(clock.clone()), entropy);
        Self {
            tree: Arc::new(Tree(Mutex::new(HeldTree::empty()))),
            clock,
            metrics: Arc::new(Metrics::new()),
            registry: Store::of(&log).registry,
            settings: vec![first, second],
            puppets: [one, two],
            note_key: Arc::new(NoteSigningKey::generate().unwrap()),
            _tasks: tasks,
        }
    }

    /// What a start of the gateway takes up.
    async fn start(&self) -> Witnesses {
        let egress = Arc::new(Egress::new(EgressConfig::loopback()));
        let opened = Witnesses::open(WitnessesParts {
            witnesses: &self.settings,
            interval: MINUTE,
            origin: ORIGIN.to_owned(),
            note_key: Arc::clone(&self.note_key),
            tree: Arc::clone(&self.tree) as Arc<dyn LogTree>,
            registry: Arc::clone(&self.registry),
            clients: GuardedClients::new(&egress).unwrap(),
            clock: Arc::new(self.clock.clone()),
            metrics: Arc::clone(&self.metrics),
        });
        opened.await.unwrap()
    }

    fn count(&self, witness: &str, outcome: &str) -> u64 {
        self.metrics.counter(Metric::WitnessRequests, &[witness, outcome]).value()
    }
}

/// The size of the tree of the newest cosigned checkpoint, and how many have signed it.
fn newest(witnesses: &Witnesses) -> Option<(u64, usize)> {
    let note = witnesses.newest()?;
    let said: LogNote = note.text.parse().unwrap();
    Some((said.tree.size, note.signatures.len()))
}

/// The sizes of the trees that a bundle is given, after no longer than it takes to ask once.
async fn covering(witnesses: &Witnesses, size: u64) -> Vec<(u64, usize)> {
    let notes = witnesses.covering(size, MINUTE).await;
    notes.iter().map(|(tree, note)| (tree.size, note.signatures.len())).collect()
}

#[tokio::test]
async fn what_each_has_cosigned_last_is_kept_and_told_as_one_where_it_is_one() {
    let scene = Scene::new().await;
    let witnesses = scene.start().await;
    scene.tree.grow(3);
    assert_eq!(newest(&witnesses), None);

    assert_eq!(covering(&witnesses, 3).await, [(3, 3)]);
    assert_eq!(newest(&witnesses), Some((3, 3)), "the log's and two others'");
    assert_eq!(covering(&witnesses, 3).await, [(3, 3)]);
    assert_eq!(scene.puppets[0].asked(), [0], "nobody is asked for what is there");

    scene.tree.grow(2);
    scene.puppets[1].says(&[Some((503, "text/plain", "later"))]);
    assert_eq!(covering(&witnesses, 4).await, [(3, 2), (5, 2)]);
    assert_eq!(newest(&witnesses), Some((5, 2)));
    assert_eq!((scene.puppets[0].asked(), scene.puppets[1].asked()), (vec![3], vec![0, 3]));

    let again = scene.start().await;
    assert_eq!(covering(&again, 2).await, [(3, 2), (5, 2)]);
    scene.clock.advance(9 * MINUTE);
    assert_eq!(newest(&again), Some((5, 2)));
    scene.clock.advance(2 * MINUTE);
    assert_eq!(newest(&again), None, "it is too old to be called the newest");
    assert_eq!(covering(&again, 2).await, [(3, 2), (5, 2)], "and is true all the same");
}

#[test]
fn a_witness_that_answers_with_many_lines_makes_no_note_unreadable() {
    let signing = NoteSigningKey::generate().unwrap();
    let key = WitnessKey::new("witness.example/1", signing.public()).unwrap();
    let root = HeldTree::empty().frontier.root();
    let text = LogNote { origin: ORIGIN.to_owned(), tree: root }.to_string();
    let signed = signing.sign(WitnessKey::cosigned(&text, NOW).as_bytes()).unwrap();
    let line = format!("{}\n", key.signature(NOW, &signed));
    let note = SignedNote { text, signatures: Vec::new() };

    assert_eq!(cosignatures(&key, &note, line.repeat(64).as_bytes()).unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_not_of_this_log_is_not_taken_up() {
    let scene = Scene::new().await;
    scene.tree.grow(5);
    assert_eq!(covering(&scene.start().await, 5).await, [(5, 3)]);

    // The log was set back, and what is kept beside it was not.
    *scene.tree.0.lock().unwrap() = HeldTree::empty();
    scene.tree.grow(4);
    assert_eq!(newest(&scene.start().await), None);
    scene.tree.grow(1);
    assert_eq!(newest(&scene.start().await), Some((5, 3)));
    let other = TreeHash::from_bytes([0xff; 32]);
    *scene.tree.0.lock().unwrap() = HeldTree::empty();
    (0..6).for_each(|_| scene.tree.0.lock().unwrap().push_hash(other));
    assert_eq!(newest(&scene.start().await), None);
}

#[tokio::test]
async fn a_witness_tells_where_it_stands_and_is_asked_from_there() {
    let scene = Scene::new().await;
    let witnesses = scene.start().await;
    scene.tree.grow(5);
    let stands = |size| Some((409, "text/x.tlog.size", size));
    scene.puppets[0].says(&[stands("3\n")]);
    scene.puppets[1].says(&[stands("7\n")]);

    assert_eq!(covering(&witnesses, 5).await, [(5, 2)]);

    assert_eq!((scene.puppets[0].asked(), scene.puppets[1].asked()), (vec![0, 3], vec![0]));
    assert_eq!(scene.count("witness.example/1", "cosigned"), 1);
    assert_eq!(scene.count("witness.example/2", "other-history"), 1, "it has seen a larger tree");
}

#[tokio::test]
async fn no_answer_but_a_cosignature_counts_and_who_fails_is_asked_less_and_less() {
    let scene = Scene::new().await;
    let witnesses = scene.start().await;
    scene.tree.grow(2);
    let size = "text/x.tlog.size";
    let lines = [
        ("refused", Some((404, "text/plain", "unknown"))),
        ("refused", Some((403, "text/plain", ""))),
        ("refused", Some((500, "text/plain", "x"))),
        ("refused", Some((302, "text/plain", "x"))),
        ("refused", Some((200, "text/plain", ""))),
        ("refused", Some((200, "text/plain", "— witness.example/1 AAAAAAAAAAA=\n"))),
        ("refused", Some((200, "text/plain", "no line"))),
        ("other-history", Some((422, "text/plain", "x"))),
        ("other-history", Some((409, size, "0\n"))),
        ("other-history", Some((409, size, "02\n\n"))),
        ("other-history", Some((409, "text/plain", "1\n"))),
        ("other-history", Some((409, size, "9223372036854775807\n"))),
    ];
    for (outcome, said) in lines {
        scene.puppets[0].says(&[said]);
        let before = scene.count("witness.example/1", outcome);
        // As long a pause as there may be.
        scene.clock.advance(Duration::from_hours(2));
        assert_eq!(covering(&witnesses, 2).await, [(2, 2)], "{said:?}");
        assert_eq!(scene.count("witness.example/1", outcome), before + 1, "{said:?}");
    }
    scene.puppets[0].asked();

    assert_eq!(covering(&witnesses, 2).await, [(2, 2)]);
    assert_eq!(scene.puppets[0].asked(), [] as [u64; 0], "it is left alone");
    scene.clock.advance(Duration::from_hours(1));
    assert_eq!(covering(&witnesses, 2).await, [(2, 3)]);
    scene.tree.grow(1);
    assert_eq!(covering(&witnesses, 3).await, [(3, 3)], "and is asked as before");
}

proptest! {
    #[test]
    fn whatever_a_witness_answers_is_no_cosignature_unless_it_is_one(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        lines in "(— witness.example/1 [A-Za-z0-9+/]{0,100}={0,2}\n?){0,3}[ \n—a]{0,4}",
        size in "[0-9]{0,21}\n{0,2}",
    ) {
        let key = WitnessKey::new("witness.example/1", [3; 32]).unwrap();
        let text = LogNote { origin: ORIGIN.to_owned(), tree: TreeRoot::empty() }.to_string();
        let note = SignedNote { text, signatures: Vec::new() };
        for answer in [bytes.as_slice(), lines.as_bytes(), size.as_bytes()] {
            prop_assert!(cosignatures(&key, &note, answer).is_err());
            let answer = http::Response::builder()
                .header(CONTENT_TYPE, "text/x.tlog.size; charset=utf-8")
                .body(answer.to_vec())
                .unwrap();
            let told = size_in(&answer).map(|size| format!("{size}\n").into_bytes());
            prop_assert!(told.is_none_or(|told| answer.body().ends_with(&told)));
        }
    }
}
