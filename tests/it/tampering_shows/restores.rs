//! Restores of the log, declared, denied and misrepresented by the operator.

use std::time::Duration;

use serde_json::{Value, json};

use sealway::event::{EventId, Timestamp};
use sealway::keys::SigningKey;
use sealway::seal::{PlaceClaims, sign_incarnation};
use sealway::transparency::{Incarnation, LeafData, LogHead, TreeHash, TreeHead, TreeRoot};

use crate::tampering_shows::Row;
use crate::tampering_shows::scene::{
    BundleParts, FIRST_LEAF, ISSUER, NOW, Said, Scene, Trusted, event, id,
};

/// Who does all of this.
const WHO: &str = "the operator, at a restore of the log";

/// What the operator says of a restore behind the second of three events.
struct Told {
    /// The number in the head and in the places.
    head: u64,
    place: u64,
    /// Of how many events the record says that they survived, and which was the last.
    survived: usize,
    newest: EventId,
    /// In which incarnation the token of the third says that it was numbered.
    token: u64,
    /// When the record says that the incarnation began.
    began: Timestamp,
    signing: Option<SigningKey>,
}

impl Told {
    /// The truth.
    fn truly(scene: &Scene) -> Self {
        let signing = Some(scene.signing.clone());
        let began = NOW.before(Duration::from_mins(10));
        Self { head: 2, place: 2, survived: 2, newest: id(1), token: 2, began, signing }
    }

    fn lines(&self, scene: &Scene) -> Vec<String> {
        let mut bundle = scene.bundle();
        bundle.header["incarnation"] = json!(self.head);
        bundle.first.insert("incarnation".to_owned(), json!(self.head));
        bundle.last.insert("incarnation".to_owned(), json!(self.place));
        let place = PlaceClaims { sequence: 3, previous: bundle.events[2].previous };
        let of = (id(2), place);
        bundle.events[2].token = scene.token_that_says(
            &event(2, 3),
            of,
            Said { incarnation: self.token, ..Said::USUAL },
        );
        let mut lines = bundle.lines();
        lines.pop();
        if let Some(key) = &self.signing {
            let (record, proof) = self.record(&bundle);
            let token = sign_incarnation(&record, (ISSUER, NOW), key).unwrap();
            let line = json!({ "kind": "incarnation", "token": token, "proof": proof });
            lines.insert(2, format!("{line}\n"));
        }
        bundle.close(lines)
    }

    /// The record, and that the tree of three leaves begins with those of two.
    fn record(&self, bundle: &BundleParts) -> (Incarnation, Vec<TreeHash>) {
        let leaf = |at: usize| {
            let event = &bundle.events[at];
            TreeHash::of_leaf(&LeafData::new(event.id, event.digest))
        };
        let root = match self.survived {
            2 => TreeHash::of_node(leaf(0), leaf(1)),
            // The event that took the place of the one that was lost, as if it had been there.
            _ => TreeHash::of_node(TreeHash::of_node(leaf(0), leaf(1)), leaf(0)),
        };
        let size = self.survived as u64;
        let tree = Some(TreeHead { first: FIRST_LEAF, tree: TreeRoot { size, root } });
        let survivors = LogHead {
            incarnation: 1,
            position: FIRST_LEAF + size - 1,
            event: Some(self.newest),
            tree,
        };
        let incarnation = Incarnation {
            number: 2,
            id: "second".to_owned(),
            began: self.began,
            survivors,
            before: None,
        };
        (incarnation, vec![leaf(2)])
    }
}

pub fn all(scene: &Scene) -> Vec<Row> {
    let row = |name, told: Told, verdict, says| Row {
        name,
        lines: told.lines(scene),
        who: WHO,
        trusted: Trusted::ALL,
        documents: Vec::new(),
        witnesses: None,
        verdict,
        says,
    };
    let truth = || Told::truly(scene);
    let wrong = |name, told, says| row(name, told, "wrong", says);
    vec![
        row("a restore was declared", truth(), "valid", ""),
        wrong(
            "a restore is denied, and its tokens are there",
            Told { head: 1, place: 1, signing: None, ..truth() },
            "it was numbered in incarnation 2 of the log, and the bundle is of 1",
        ),
        wrong(
            "a restore is not declared",
            Told { signing: None, ..truth() },
            "the last that a record in it declares is 1",
        ),
        wrong(
            "a restore is declared of which the head knows nothing",
            Told { head: 1, place: 1, token: 1, ..truth() },
            "the last that a record in it declares is 2",
        ),
        wrong(
            "a restore lost more than is declared",
            Told { survived: 3, newest: id(2), ..truth() },
            "it is not proved that the log of incarnation 2 begins with",
        ),
        wrong(
            "an event from behind a restore is said to be from before",
            Told { token: 1, ..truth() },
            "it came in 2 or later",
        ),
        wrong(
            "a token is of an incarnation that nobody declares",
            Told { token: 3, head: 3, place: 3, ..truth() },
            "no record declares incarnation 3",
        ),
        wrong(
            "a place is of another incarnation than the head",
            Told { place: 1, ..truth() },
            "of another incarnation of the log than the head",
        ),
        wrong(
            "a restore is dated before what survived it",
            Told { began: Timestamp::EPOCH, ..truth() },
            "is dated",
        ),
        wrong(
            "a restore is dated in the future",
            Told { began: NOW.after(Duration::from_hours(1)), ..truth() },
            "is dated",
        ),
        wrong(
            "a record is forged",
            Told { signing: Some(scene.stranger.clone()), ..truth() },
            "which is not among those that are believed",
        ),
        malformed(scene),
    ]
}

fn malformed(scene: &Scene) -> Row {
    let mut bundle = scene.bundle();
    bundle.header["incarnation"] = Value::String("1".to_owned());
    Row {
        name: "the incarnation of the head is no number",
        lines: bundle.lines(),
        who: WHO,
        trusted: Trusted::ALL,
        documents: Vec::new(),
        witnesses: None,
        verdict: "wrong",
        says: "`incarnation` is malformed",
    }
}
