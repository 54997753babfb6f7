//! What the operator does to events that it has accepted by signed answers, and to the answers.

use std::time::Duration;

use serde_json::{Value, json};

use sealway::event::{EventDigest, EventId, Salt, SentDigest, Timestamp};
use sealway::keys::SigningKey;
use sealway::proof::AcceptedScope;
use sealway::seal::{
    AcceptedEntry, AcceptedEvent, AcceptedOutcome, AcceptedPlace, AcceptedReceipt, sign_accepted,
};
use sealway::transparency::TreeHead;

use crate::tampering_shows::scene::{
    BundleParts, EventPart, FIRST_LEAF, ISSUER, LogTree, NOW, Scene, id,
};

/// A bundle, and what its producer was answered.
pub struct AcceptedRow {
    /// What was done.
    pub name: &'static str,
    /// The answers.
    pub answers: Vec<String>,
    /// The lines of the bundle, with their ends.
    pub lines: Vec<String>,
    /// Which events are asked for.
    pub scope: AcceptedScope,
    /// The verdict.
    pub verdict: &'static str,
    /// How many events are in the bundle, missing, from before it and from behind it.
    pub counted: (usize, usize, usize, usize),
    /// What one of the flaws says; nothing where there is none.
    pub says: &'static str,
}

const PRODUCER: &str = "orders-team";
const TYPE: &str = "Order.Created";

/// When everything was accepted.
fn accepted() -> Timestamp {
    NOW.before(Duration::from_hours(1))
}

/// The tree over the first events of a bundle.
fn tree_of(parts: &BundleParts, size: usize) -> TreeHead {
    let LogTree { first, leaves } = parts.tree.clone().unwrap();
    let head = LogTree { first, leaves: leaves[..size].to_vec() }.head();
    serde_json::from_value(head).unwrap()
}

/// An entry that became one event.
fn entry(id: EventId, position: u64, digest: EventDigest) -> AcceptedEntry {
    let place = AcceptedPlace { event_type: TYPE.to_owned(), position, digest };
    AcceptedEntry {
        sent: SentDigest::of(&id.to_bytes()),
        outcome: AcceptedOutcome::Accepted,
        code: None,
        events: vec![AcceptedEvent {
            id,
            place: Some(place),
            salt: Some(Salt::from_bytes([5; 16])),
        }],
    }
}

/// What was answered to each event of a bundle when it came, one answer to each.
fn answers_to(parts: &BundleParts) -> Vec<AcceptedReceipt> {
    let answer = |(index, part): (usize, &EventPart)| AcceptedReceipt {
        issuer: ISSUER.to_owned(),
        audience: PRODUCER.to_owned(),
        issued_at: accepted(),
        incarnation: 1,
        tree: tree_of(parts, index + 1),
        entries: vec![entry(part.id, FIRST_LEAF + index as u64, part.digest)],
    };
    parts.events.iter().enumerate().map(answer).collect()
}

fn signed(answers: &[AcceptedReceipt], key: &SigningKey) -> Vec<String> {
    answers.iter().map(|answer| sign_accepted(answer, key).unwrap()).collect()
}

/// The place of the first event of an answer, to be written otherwise.
fn place(answer: &mut AcceptedReceipt) -> &mut AcceptedPlace {
    answer.entries[0].events[0].place.as_mut().unwrap()
}

/// The answers and the bundle that the rows begin with.
struct Honest<'a> {
    scene: &'a Scene,
    bundle: BundleParts,
    answers: Vec<AcceptedReceipt>,
}

impl Honest<'_> {
    /// A row with the honest bundle and altered answers.
    fn answered(
        &self,
        name: &'static str,
        alter: impl FnOnce(&mut Vec<AcceptedReceipt>),
    ) -> AcceptedRow {
        let mut answers = self.answers.clone();
        alter(&mut answers);
        row(name, signed(&answers, &self.scene.signing), self.bundle.lines())
    }

    /// A row with the honest answers and another bundle.
    fn bundled(&self, name: &'static str, bundle: &BundleParts) -> AcceptedRow {
        row(name, signed(&self.answers, &self.scene.signing), bundle.lines())
    }

    /// The honest bundle without some events, though its tree has them.
    fn without(&self, left_out: &[usize]) -> BundleParts {
        let events = [(0, 1), (1, 2), (2, 3)].into_iter().enumerate();
        let kept = events.filter(|(index, _)| !left_out.contains(index));
        let kept: Vec<(u64, i64)> = kept.map(|(_, event)| event).collect();
        let mut bundle = self.scene.bundle_of(self.scene.events_of(&kept));
        for event in &mut bundle.events {
            event.is_proved = false;
        }
        bundle.tree.clone_from(&self.bundle.tree);
        bundle
    }
}

/// A row in which nothing is wrong.
fn row(name: &'static str, answers: Vec<String>, lines: Vec<String>) -> AcceptedRow {
    AcceptedRow {
        name,
        answers,
        lines,
        scope: AcceptedScope::default(),
        verdict: "valid",
        counted: (3, 0, 0, 0),
        says: "",
    }
}

impl AcceptedRow {
    fn wrong(self, counted: (usize, usize, usize, usize), says: &'static str) -> Self {
        Self { verdict: "wrong", counted, says, ..self }
    }

    fn counts(self, counted: (usize, usize, usize, usize)) -> Self {
        Self { counted, ..self }
    }
}

pub fn all(scene: &Scene) -> Vec<AcceptedRow> {
    let bundle = scene.bundle();
    let honest = Honest { scene, answers: answers_to(&bundle), bundle };
    [good(&honest), left_out(&honest), rewritten(&honest), histories(&honest), forged(&honest)]
        .into_iter()
        .flatten()
        .collect()
}

fn good(honest: &Honest<'_>) -> Vec<AcceptedRow> {
    let refused = |outcome, code: Option<&str>| AcceptedEntry {
        sent: SentDigest::of(b"{}"),
        outcome,
        code: code.map(str::to_owned),
        events: Vec::new(),
    };
    vec![
        honest.answered("nothing was done", |_| {}),
        honest.answered("one answer to a batch of three", |answers| {
            let entries = answers.iter().flat_map(|one| one.entries.clone()).collect();
            *answers = vec![AcceptedReceipt { entries, ..answers[2].clone() }];
        }),
        honest.answered("a repeat was answered, too", |answers| {
            let mut again = answers[0].clone();
            again.entries[0].outcome = AcceptedOutcome::Repeated;
            again.entries[0].events[0].salt = None;
            answers.push(again);
        }),
        honest.answered("what was refused, unwanted or quarantined is not missed", |answers| {
            answers[0].entries.extend([
                refused(AcceptedOutcome::Refused, Some("contract-violated")),
                refused(AcceptedOutcome::Unwanted, None),
                refused(AcceptedOutcome::Quarantined, None),
            ]);
        }),
        honest
            .answered("an event was accepted after the bundle was made", |answers| {
                let mut later = answers[2].clone();
                (later.issued_at, later.tree.tree.size) = (NOW, 9);
                later.entries = vec![entry(id(8), FIRST_LEAF + 8, answers[0].digest())];
                answers.push(later);
            })
            .counts((3, 0, 0, 1)),
    ]
}

fn left_out(honest: &Honest<'_>) -> Vec<AcceptedRow> {
    let middle = honest.without(&[1]);
    let mut numbered = honest.scene.bundle_of(honest.scene.events_of(&[(0, 1), (2, 3)]));
    numbered.header = honest.bundle.header.clone();
    let of = |types: &[&str]| AcceptedScope {
        types: types.iter().map(|one| (*one).to_owned()).collect(),
        ..AcceptedScope::default()
    };
    let from = |from| AcceptedScope { from: Some(from), ..AcceptedScope::default() };
    let mut begun = honest.without(&[0]);
    begun.first.insert("head".to_owned(), json!(id(0).to_string()));
    // That its events are in no tree is a flaw of its own: here the tree begins behind them.
    let bare = |mut bundle: BundleParts| {
        bundle.tree = None;
        bundle
    };
    vec![
        honest
            .bundled("the middle is left out, and its leaf is there", &middle)
            .wrong((2, 1, 0, 0), ""),
        honest
            .bundled("the middle is left out before it has a leaf", &numbered)
            .wrong((2, 1, 0, 0), "at another position"),
        honest.bundled("the first is left out", &honest.without(&[0])).wrong((2, 1, 0, 0), ""),
        honest.bundled("the last is left out", &honest.without(&[2])).wrong((2, 1, 0, 0), ""),
        honest.bundled("all are left out", &honest.without(&[0, 1, 2])).wrong((0, 3, 0, 0), ""),
        honest
            .bundled("a bundle of before the trees leaves one out", &bare(honest.without(&[1])))
            .wrong((2, 1, 0, 0), ""),
        AcceptedRow {
            scope: of(&["Order.Paid"]),
            ..honest.bundled("only another type is asked for", &middle).counts((2, 0, 0, 0))
        },
        AcceptedRow {
            scope: of(&["Order.Paid", TYPE]),
            ..honest.bundled("its type is asked for", &middle).wrong((2, 1, 0, 0), "")
        },
        honest.bundled("the bundle begins behind the first", &begun).counts((2, 0, 1, 0)),
        AcceptedRow {
            scope: from(id(0)),
            ..honest.bundled("and is said to begin with it", &begun).wrong((2, 1, 0, 0), "")
        },
        AcceptedRow {
            scope: from(id(2)),
            ..honest.bundled("only the last has to be there", &middle).counts((2, 0, 1, 0))
        },
        {
            let mut ended = honest.without(&[2]);
            ended.header["to"] = json!(id(1).to_string());
            honest.bundled("the bundle was asked to end before", &ended).counts((2, 0, 0, 1))
        },
    ]
}

fn rewritten(honest: &Honest<'_>) -> Vec<AcceptedRow> {
    let scene = honest.scene;
    let other = scene.bundle_of(scene.events_of(&[(0, 1), (1, 9), (2, 3)]));
    vec![
        honest
            .bundled("the content is another", &other)
            .wrong((3, 0, 0, 0), "another digest of it than was signed"),
        honest
            .answered("an event has another place in the log", |answers| {
                place(&mut answers[1]).position = FIRST_LEAF;
                answers.remove(0);
            })
            .wrong((2, 0, 0, 0), "at another position"),
        honest
            .answered("another event was put into its place", |answers| {
                let digest = answers[1].digest();
                answers[1].entries = vec![entry(id(7), FIRST_LEAF + 1, digest)];
            })
            .wrong((2, 1, 0, 0), "at its position, which was signed"),
        honest
            .answered("two answers tell two digests of one event", |answers| {
                let mut twice = answers[0].clone();
                place(&mut twice).digest = answers[1].digest();
                answers.push(twice);
            })
            .wrong((3, 0, 0, 0), "another answer tells another"),
        honest
            .answered("two answers give one place to two events", |answers| {
                let mut twice = answers[0].clone();
                twice.entries =
                    vec![entry(id(0).predecessor().unwrap(), FIRST_LEAF, answers[0].digest())];
                answers.push(twice);
            })
            .wrong((3, 1, 0, 0), "by another answer"),
    ]
}

fn histories(honest: &Honest<'_>) -> Vec<AcceptedRow> {
    let scene = honest.scene;
    let other = scene.bundle_of(scene.events_of(&[(0, 1), (1, 9), (2, 3)]));
    vec![
        honest
            .answered("an answer has another tree of the bundle's size", |answers| {
                answers[2].tree = tree_of(&other, 3);
            })
            .wrong((3, 0, 0, 0), "two histories"),
        honest
            .answered("two answers have two trees of one size", |answers| {
                let mut twice = answers[1].clone();
                twice.tree = tree_of(&other, 2);
                answers.push(twice);
            })
            .wrong((3, 0, 0, 0), "two histories"),
        honest
            .answered("the log had more events once", |answers| answers[2].tree.tree.size = 5)
            .wrong((3, 0, 0, 0), "set back"),
        honest
            .answered("an answer is of another log", |answers| {
                answers[0].tree.first = 1;
                place(&mut answers[0]).position = 1;
            })
            .wrong((3, 0, 0, 0), "two logs"),
    ]
}

fn forged(honest: &Honest<'_>) -> Vec<AcceptedRow> {
    let scene = honest.scene;
    let lines = || honest.bundle.lines();
    let with = |name, first: String| {
        let mut answers = signed(&honest.answers, &scene.signing);
        answers[0] = first;
        row(name, answers, lines())
    };
    let first = sign_accepted(&honest.answers[0], &scene.signing).unwrap();
    let claims = |alter: &dyn Fn(&mut Value)| {
        let payload = first.split('.').nth(1).unwrap();
        let payload = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(payload).unwrap();
        let mut claims: Value = serde_json::from_slice(&payload).unwrap();
        alter(&mut claims);
        claims.to_string()
    };
    let sign = |typ: &str, claims: &str| scene.signing.sign(typ, claims.as_bytes()).unwrap();
    let otherwise = |alter: &dyn Fn(&mut Value)| sign("accepted+jwt", &claims(alter));
    let altered = {
        let [header, _, signature] = first.split('.').collect::<Vec<_>>().try_into().unwrap();
        let payload = claims(&|claims| claims["aud"] = json!("somebody"));
        let payload = base64_simd::URL_SAFE_NO_PAD.encode_to_string(payload);
        format!("{header}.{payload}.{signature}")
    };
    let stranger = sign_accepted(&honest.answers[0], &scene.stranger).unwrap();
    let day_ahead = NOW.unix_seconds() + 86_400;
    let no_salt = |claims: &mut Value| {
        claims["entries"][0]["events"][0].as_object_mut().unwrap().remove("salt");
    };
    vec![
        with("signed by a key that nobody knows", stranger).wrong((2, 0, 0, 0), "not among those"),
        with("altered after it was signed", altered).wrong((2, 0, 0, 0), "was altered"),
        with("no answer at all", "accepted".to_owned()).wrong((2, 0, 0, 0), "no signed answer"),
        with("a checkpoint in place of an answer", sign("checkpoint+jwt", &claims(&|_| {})))
            .wrong((2, 0, 0, 0), "no signed answer"),
        with("dated ahead", otherwise(&|claims| claims["iat"] = json!(day_ahead)))
            .wrong((2, 0, 0, 0), "no signed answer"),
        with("a new event without its salt", otherwise(&no_salt))
            .wrong((2, 0, 0, 0), "no signed answer"),
        with(
            "accepted, and no event came of it",
            otherwise(&|claims| claims["entries"][0]["events"] = json!([])),
        )
        .wrong((2, 0, 0, 0), "contradicts itself"),
        with(
            "a place that its own tree does not have",
            otherwise(&|claims| claims["entries"][0]["events"][0]["position"] = json!(99)),
        )
        .wrong((2, 0, 0, 0), "behind the end of the tree"),
        with(
            "of another gateway with the same key",
            otherwise(&|claims| claims["iss"] = json!("https://other.example")),
        )
        .wrong((3, 0, 0, 0), "https://other.example"),
        AcceptedRow {
            scope: AcceptedScope {
                producer: Some(PRODUCER.to_owned()),
                ..AcceptedScope::default()
            },
            ..with(
                "of another producer",
                otherwise(&|claims| claims["aud"] = json!("billing-team")),
            )
            .wrong((2, 0, 0, 0), "was given to `billing-team`")
        },
    ]
}

/// The digest of the first event that an answer tells of.
trait FirstDigest {
    fn digest(&self) -> EventDigest;
}

impl FirstDigest for AcceptedReceipt {
    fn digest(&self) -> EventDigest {
        self.entries[0].events[0].place.as_ref().unwrap().digest
    }
}
