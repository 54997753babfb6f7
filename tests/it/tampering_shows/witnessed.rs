//! What the operator can do alone, and what shows of it with one honest witness: other histories, rewinds,
//! rewrites and false dates.

use std::time::Duration;

use serde_json::{Value, json};

use sealway::event::{EventDigest, Timestamp};
use sealway::keys::NoteSigningKey;
use sealway::seal::evidence::WitnessTrust;
use sealway::transparency::{
    LeafData, LogNote, NoteKey, SignedNote, TreeHash, TreeRoot, WitnessKey,
};

use crate::tampering_shows::Row;
use crate::tampering_shows::scene::{BundleParts, ISSUER, NOW, Scene, Trusted, halves, id, root};

/// Who does it, before whom.
const WITNESSED: &str = "the operator, who signs, before a witness";
const ALONE: &str = "the operator, who signs, before no witness";

const ORIGIN: &str = "events.example.com/log";

/// A log's key, an honest witness, and one that nobody believes.
struct Cast {
    log: NoteSigningKey,
    witness: NoteSigningKey,
    other: NoteSigningKey,
}

impl Cast {
    fn new() -> Self {
        let generate = || NoteSigningKey::generate().unwrap();
        Self { log: generate(), witness: generate(), other: generate() }
    }

    fn witness_key(&self) -> WitnessKey {
        WitnessKey::new("witness.example/w1", self.witness.public()).unwrap()
    }

    fn other_key(&self) -> WitnessKey {
        WitnessKey::new("witness.example/w2", self.other.public()).unwrap()
    }

    fn log_key(&self) -> NoteKey {
        NoteKey::new(ORIGIN, self.log.public()).unwrap()
    }

    /// A tree of a log, signed by its key, and by a witness at a moment.
    fn note_of(&self, origin: &str, leaves: &[TreeHash], at: Timestamp) -> SignedNote {
        let tree = TreeRoot { size: leaves.len() as u64, root: root(leaves) };
        let text = LogNote { origin: origin.to_owned(), tree }.to_string();
        let log = NoteKey::new(origin, self.log.public()).unwrap();
        let own = log.signature(self.log.sign(text.as_bytes()).unwrap());
        let cosigned = self.witness.sign(WitnessKey::cosigned(&text, at).as_bytes()).unwrap();
        let signatures = vec![own, self.witness_key().signature(at, &cosigned)];
        SignedNote { text, signatures }
    }

    fn note(&self, leaves: &[TreeHash], at: Timestamp) -> SignedNote {
        self.note_of(ORIGIN, leaves, at)
    }

    /// Believes the one witness.
    fn trust(&self) -> WitnessTrust {
        WitnessTrust::new(vec![self.witness_key()], 1, None)
    }

    /// Believes it, and has kept these checkpoints.
    fn trust_with(&self, kept: &[SignedNote]) -> WitnessTrust {
        let mut trust = self.trust();
        for note in kept {
            trust.keep(note).unwrap();
        }
        trust
    }
}

/// That a tree begins with its first leaves (RFC 6962, section 2.1.2).
fn consistency(leaves: &[TreeHash], old: usize, is_whole: bool) -> Vec<TreeHash> {
    if old == leaves.len() {
        return if is_whole { Vec::new() } else { vec![root(leaves)] };
    }
    let (left, right) = halves(leaves);
    if old <= left.len() {
        let mut proof = consistency(left, old, is_whole);
        proof.push(root(right));
        return proof;
    }
    let mut proof = consistency(right, old - left.len(), false);
    proof.push(root(left));
    proof
}

/// The line with a checkpoint, and what ties it to the tree of so many leaves.
fn line(note: &SignedNote, proof: &[TreeHash]) -> Value {
    json!({ "kind": "note", "note": note.to_string(), "proof": proof })
}

fn leaves(bundle: &BundleParts) -> Vec<TreeHash> {
    bundle.tree.as_ref().unwrap().leaves.clone()
}

/// A leaf that no event of the scene is.
fn foreign_leaf() -> TreeHash {
    TreeHash::of_leaf(&LeafData::new(id(9), EventDigest::from_bytes([9; 32])))
}

fn ago(minutes: u64) -> Timestamp {
    NOW.before(Duration::from_mins(minutes))
}

/// A bundle with the checkpoint of its whole tree, cosigned when it was exported.
fn cosigned(scene: &Scene, cast: &Cast) -> BundleParts {
    let mut bundle = scene.bundle();
    bundle.notes = vec![line(&cast.note(&leaves(&bundle), NOW), &[])];
    bundle
}

/// A bundle whose log was cosigned when it had two leaves, and not since.
fn cosigned_before(scene: &Scene, cast: &Cast) -> BundleParts {
    let mut bundle = scene.bundle();
    let all = leaves(&bundle);
    bundle.notes = vec![line(&cast.note(&all[..2], NOW), &consistency(&all, 2, true))];
    bundle
}

/// The same bundle with and without a witness that is believed.
fn both(
    name: &'static str,
    bundle: &BundleParts,
    trust: WitnessTrust,
    (verdict, says): (&'static str, &'static str),
) -> [Row; 2] {
    let row = |witnesses: Option<WitnessTrust>, verdict, says| Row {
        who: if witnesses.is_some() { WITNESSED } else { ALONE },
        name,
        lines: bundle.lines(),
        documents: Vec::new(),
        trusted: Trusted::ALL,
        witnesses,
        verdict,
        says,
    };
    [row(Some(trust), verdict, says), row(None, "valid", "")]
}

/// A bundle that is wrong to whoever believes the witness, and to whoever does not.
fn wrong_to_all(
    name: &'static str,
    bundle: &BundleParts,
    trust: WitnessTrust,
    says: &'static str,
) -> [Row; 2] {
    both(name, bundle, trust, ("wrong", says)).map(|row| Row { verdict: "wrong", says, ..row })
}

pub fn all(scene: &Scene) -> Vec<Row> {
    let cast = Cast::new();
    [
        untouched(scene, &cast),
        signatures(scene, &cast),
        histories(scene, &cast),
        notes_of_others(scene, &cast),
        events_outside(scene, &cast),
        dates(scene, &cast),
        dates_of_events(scene, &cast),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn untouched(scene: &Scene, cast: &Cast) -> Vec<Row> {
    let bundle = cosigned(scene, cast);
    let mut larger = scene.bundle();
    let mut more = leaves(&larger);
    more.push(foreign_leaf());
    larger.notes = vec![line(&cast.note(&more, NOW), &consistency(&more, 3, true))];
    let kept = cast.note(&leaves(&bundle)[..2], ago(60));
    let named = WitnessTrust::new(vec![cast.witness_key()], 1, Some(cast.log_key()));
    let log_alone = WitnessTrust::new(Vec::new(), 1, Some(cast.log_key()));
    [
        both("a witness has cosigned", &bundle, cast.trust(), ("valid", "")),
        both("a witness has cosigned a larger tree", &larger, cast.trust(), ("valid", "")),
        both("a checkpoint was kept", &bundle, cast.trust_with(&[kept]), ("valid", "")),
        both("the log's key is known", &bundle, named, ("valid", "")),
        both("the log's key alone is known", &bundle, log_alone, ("valid", "")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn signatures(scene: &Scene, cast: &Cast) -> Vec<Row> {
    let whole = cosigned(scene, cast);
    let two = vec![cast.witness_key(), cast.other_key()];
    let mut forged = scene.bundle();
    let mut note = cast.note(&leaves(&forged), NOW);
    note.signatures[1] = cast.witness_key().signature(NOW, &[1; 64]);
    forged.notes = vec![line(&note, &[])];
    let mut redated = scene.bundle();
    let mut note = cast.note(&leaves(&redated), NOW);
    let text = WitnessKey::cosigned(&note.text, NOW);
    let signature = cast.witness.sign(text.as_bytes()).unwrap();
    note.signatures[1] = cast.witness_key().signature(ago(5), &signature);
    redated.notes = vec![line(&note, &[])];
    let stranger = NoteKey::new(ORIGIN, cast.other.public());
    let other_log = WitnessTrust::new(vec![cast.witness_key()], 1, stranger);
    let nobody = ("wrong", "0 of the witnesses");
    [
        both("no witness has cosigned", &scene.bundle(), cast.trust(), nobody),
        both(
            "another witness has cosigned",
            &whole,
            WitnessTrust::new(vec![cast.other_key()], 1, None),
            nobody,
        ),
        both(
            "one witness of two has cosigned",
            &whole,
            WitnessTrust::new(two, 2, None),
            ("wrong", "1 of the witnesses"),
        ),
        both("a cosignature is forged", &forged, cast.trust(), ("wrong", "not to be believed")),
        both("a cosignature is redated", &redated, cast.trust(), ("wrong", "not to be believed")),
        both("another key is the log's", &whole, other_log, ("wrong", "not to be believed")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Two histories, a rewind and a rewrite: the witness cosigns one tree of each size.
fn histories(scene: &Scene, cast: &Cast) -> Vec<Row> {
    let whole = cosigned(scene, cast);
    let mut other = leaves(&whole);
    other[2] = foreign_leaf();
    let shown_to_others = cast.note(&other, ago(1));
    let forked = cosigned_before(scene, cast);
    let mut claimed = scene.bundle();
    claimed.notes = vec![line(&shown_to_others, &[])];
    let mut behind = scene.bundle();
    behind.notes = vec![line(&shown_to_others, &consistency(&other, 2, true))];
    let mut longer = other.clone();
    longer.push(foreign_leaf());
    let rewound = cosigned(scene, cast);
    [
        both(
            "a history that the witness was not shown: it has cosigned what both begin with",
            &forked,
            cast.trust(),
            ("wrong", "cosigned a tree with the last event"),
        ),
        both(
            "a history other than the one in a checkpoint that was kept",
            &scene.bundle(),
            cast.trust_with(std::slice::from_ref(&shown_to_others)),
            ("wrong", "two histories"),
        ),
        both(
            "a log that was set back: a kept checkpoint is of more leaves",
            &rewound,
            cast.trust_with(&[cast.note(&longer, ago(2))]),
            ("wrong", "a smaller tree after a larger one"),
        ),
    ]
    .into_iter()
    .flatten()
    .chain(
        [
            wrong_to_all(
                "another history's checkpoint",
                &claimed,
                cast.trust(),
                "the checkpoint does not fit the tree",
            ),
            wrong_to_all(
                "another history's checkpoint with a proof",
                &behind,
                cast.trust(),
                "the checkpoint does not fit the tree",
            ),
        ]
        .into_iter()
        .flatten(),
    )
    .collect()
}

fn notes_of_others(scene: &Scene, cast: &Cast) -> Vec<Row> {
    let with = |lines: Vec<Value>| BundleParts { notes: lines, ..scene.bundle() };
    let all = leaves(&scene.bundle());
    let good = line(&cast.note(&all, NOW), &[]);
    let elsewhere = line(&cast.note_of("other.example/log", &all, NOW), &[]);
    let mut early = cosigned(scene, cast);
    let note = early.notes.remove(0);
    let mut lines = early.lines();
    lines.pop();
    lines.insert(lines.len() - 1, format!("{note}\n"));
    let early = early.close(lines);
    let mut rows: Vec<Row> = [
        wrong_to_all(
            "the checkpoint of another log",
            &with(vec![elsewhere]),
            cast.trust(),
            "not of this gateway",
        ),
        wrong_to_all(
            "a note that is no checkpoint",
            &with(vec![json!({ "kind": "note", "note": "x\n\n— a AAAAAAA=\n", "proof": [] })]),
            cast.trust(),
            "no checkpoint",
        ),
        wrong_to_all(
            "seventeen checkpoints",
            &with(vec![good.clone(); 17]),
            cast.trust(),
            "too many checkpoints",
        ),
        wrong_to_all(
            "a bundle without a tree has a checkpoint",
            &BundleParts { tree: None, ..with(vec![good]) },
            cast.trust(),
            "the head of the bundle has no tree",
        ),
    ]
    .into_iter()
    .flatten()
    .collect();
    rows.push(Row {
        who: ALONE,
        name: "a checkpoint before the last place",
        lines: early,
        documents: Vec::new(),
        trusted: Trusted::ALL,
        witnesses: None,
        verdict: "wrong",
        says: "does not belong here",
    });
    rows
}

/// An operator says that events are older than the tree, so that no witness has to see them. Whoever can open
/// the tokens finds it without one.
fn events_outside(scene: &Scene, cast: &Cast) -> Vec<Row> {
    let mut outside = cosigned(scene, cast);
    outside.events.iter_mut().for_each(|event| event.is_proved = false);
    let log_alone = WitnessTrust::new(Vec::new(), 1, Some(cast.log_key()));
    let unproved = ("wrong", "have no proof that they are in a tree");
    [
        both("events are said to be older than the tree", &outside, cast.trust(), unproved),
        both(
            "events are said to be older than the tree of a log whose key is known",
            &outside,
            log_alone,
            ("valid", ""),
        ),
    ]
    .into_iter()
    .flatten()
    .map(|row| Row { trusted: Trusted::OUTSIDE, ..row })
    .collect()
}

/// The ids say that the events were accepted an hour ago, and everything else is dated now.
fn dates(scene: &Scene, cast: &Cast) -> Vec<Row> {
    let whole = cosigned(scene, cast);
    let kept = |minutes| cast.trust_with(&[cast.note(&leaves(&whole)[..2], ago(minutes))]);
    let dated = |minutes: u64| {
        let mut bundle = cosigned(scene, cast);
        bundle.header["at"] = json!(ago(minutes));
        bundle
    };
    let mut place = dated(30);
    for claims in [&mut place.first, &mut place.last] {
        claims.insert("iat".into(), json!(ago(30).unix_seconds()));
    }
    let mut closed = place.clone();
    closed.closed = ago(30).unix_seconds();
    let mut to_come = scene.bundle();
    let tomorrow = NOW.after(Duration::from_hours(24));
    to_come.notes = vec![line(&cast.note(&leaves(&to_come), tomorrow), &[])];
    [
        both(
            "the bundle is dated before what it holds was cosigned",
            &closed,
            cast.trust(),
            ("wrong", "dated before the witness"),
        ),
        both(
            "the bundle is dated before a moment at which its tree was not yet there",
            &dated(40),
            kept(30),
            ("wrong", "the bundle is dated"),
        ),
        both(
            "a place is dated before a moment at which its tree was not yet there",
            &place,
            kept(10),
            ("wrong", "the checkpoint is dated"),
        ),
        both(
            "the witness has cosigned tomorrow",
            &to_come,
            cast.trust(),
            ("wrong", "which is to come"),
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn dates_of_events(scene: &Scene, cast: &Cast) -> Vec<Row> {
    let whole = cosigned(scene, cast);
    let all = leaves(&whole);
    let mut late = scene.bundle();
    late.notes = vec![line(&cast.note(&all, ago(90)), &[])];
    let early = cast.trust_with(&[cast.note(&all[..2], ago(30))]);
    let known = cast.trust_with(&[cast.note(&all, ago(90))]);
    let mut unordered = scene.bundle_of(scene.events_of(&[(1, 1), (0, 2)]));
    unordered.notes = vec![line(&cast.note(&leaves(&unordered), NOW), &[])];
    let slightly = cast.trust_with(&[cast.note(&all[..2], ago(59))]);
    [
        both(
            "an event is dated before a moment at which the log did not have it",
            &whole,
            early,
            ("wrong", "the event is dated"),
        ),
        both(
            "an event is dated after a moment at which the log had it, as its own checkpoint says",
            &late,
            cast.trust(),
            ("wrong", "has cosigned a tree with it"),
        ),
        both(
            "an event is dated after a moment at which the log had it, as a kept checkpoint says",
            &whole,
            known,
            ("wrong", "has cosigned a tree with it"),
        ),
        both("a witness is asked a little later", &whole, slightly, ("valid", "")),
        wrong_to_all(
            "an event is dated before the one before",
            &unordered,
            cast.trust(),
            "not behind that of the event before",
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[test]
fn what_says_nothing_is_not_kept() {
    let cast = Cast::new();
    let first = [foreign_leaf(), foreign_leaf()];
    let mut trust = cast.trust();
    trust.keep(&cast.note(&first, NOW)).unwrap();
    let problem = |trust: &mut WitnessTrust, note: &SignedNote| {
        trust.keep(note).expect_err("it says nothing").to_string()
    };

    let fork = [foreign_leaf(), TreeHash::of_nothing()];
    assert!(problem(&mut trust, &cast.note(&fork, NOW)).contains("two histories"));
    let elsewhere = cast.note_of("other.example/log", &first, NOW);
    assert!(problem(&mut trust, &elsewhere).contains("of the log other.example/log"));
    let mut alone = cast.note(&first, NOW);
    alone.signatures.truncate(1);
    assert!(problem(&mut trust, &alone).contains("none of the witnesses"));
    let mut text = alone;
    text.text = "x\n".to_owned();
    assert!(problem(&mut trust, &text).contains("no checkpoint"));
    let of_issuer = LogNote::origin_of_issuer(ISSUER, 1);
    assert_eq!(of_issuer, ORIGIN);
}
