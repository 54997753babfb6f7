//! The tamperings with what a subscription asks for, and with what became of its events.

use serde_json::{Value, json};

use sealway::proof::verify_bundle;
use sealway::seal::evidence::{BundleTrust, ToldStates};

use crate::tampering_shows::Row;
use crate::tampering_shows::rows::{row, wrong};
use crate::tampering_shows::scene::{BundleParts, NOW, Scene, ToldParts, Trusted, asked, document};

pub fn all(scene: &Scene) -> Vec<Row> {
    [untouched(scene), filters(scene), places(scene), events(scene), states(scene)]
        .into_iter()
        .flatten()
        .collect()
}

/// A bundle that the operator has written otherwise and signed.
fn with(scene: &Scene, alter: impl FnOnce(&mut BundleParts, &mut ToldParts)) -> Vec<String> {
    let mut bundle = scene.telling_bundle();
    let mut told = bundle.told.take().unwrap();
    alter(&mut bundle, &mut told);
    BundleParts { told: Some(told), ..bundle }.lines()
}

/// With the consumer's own document.
fn held(row: Row) -> Row {
    Row { documents: vec![document("Order.*")], ..row }
}

fn untouched(scene: &Scene) -> Vec<Row> {
    let changed = with(scene, |_, told| told.changes = vec![(1, asked(8, "Order.Created"))]);
    let both = vec![document("Order.*"), document("Order.Created")];
    vec![
        held(row("all is told", scene.telling_bundle().lines(), "valid", "")),
        row("all is told, and no document is there", scene.telling_bundle().lines(), "valid", ""),
        Row { documents: both, ..row("the consumer asked for else", changed, "valid", "") },
    ]
}

fn filters(scene: &Scene) -> Vec<Row> {
    let other = || {
        with(scene, |_, told| {
            told.asked.filters = vec![json!({ "prefix": { "source": "/orders" } })];
        })
    };
    let for_a_while = with(scene, |_, told| {
        told.changes = vec![(1, asked(8, "Order.Created")), (2, asked(9, "Order.*"))];
    });
    let old = scene.bundle().lines();
    let mut audience = scene.telling_bundle();
    audience.told.as_mut().unwrap().asked.audience.push_str("-other");
    vec![
        held(wrong("another filter stands under the consumer", other(), "which has other filters")),
        row("the same, without the consumer's document", other(), "valid", ""),
        held(wrong("another type stood there for a while", for_a_while, "which has other types")),
        held(wrong("another audience is told", audience.lines(), "which has other audience")),
        held(wrong("nothing is told of it", old, "does not say what the subscription asks for")),
        wrong(
            "the digest is not that of what is told",
            with(scene, |bundle, told| {
                let digest = json!(asked(0, "Payment.*").digest());
                bundle.first.insert("sub_digest".into(), digest.clone());
                bundle.last.insert("sub_digest".into(), digest);
                told.asked = asked(0, "Order.*");
            }),
            "the place was signed for",
        ),
    ]
}

/// Lines of a true bundle with a change, one of them written otherwise, signed anew.
fn rewritten(scene: &Scene, alter: impl FnOnce(&mut Vec<Value>)) -> Vec<String> {
    let mut bundle = scene.telling_bundle();
    bundle.told.as_mut().unwrap().changes = vec![(1, asked(8, "Order.Created"))];
    let lines = bundle.lines();
    let whole = &lines[..lines.len() - 1];
    let mut values: Vec<Value> =
        whole.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    alter(&mut values);
    bundle.close(values.iter().map(|value| format!("{value}\n")).collect())
}

/// Where the change stands, behind the head, two sets of keys, a place, a contract and an event.
const CHANGE: usize = 6;

fn places(scene: &Scene) -> Vec<Row> {
    let at = |index, epoch| {
        with(scene, move |_, told| told.changes = vec![(index, asked(epoch, "Order.Created"))])
    };
    vec![
        wrong(
            "a change was left out",
            rewritten(scene, |values| drop(values.remove(CHANGE))),
            "the place was signed for",
        ),
        wrong(
            "a change was moved behind an event",
            rewritten(scene, |values| values.swap(CHANGE, CHANGE + 1)),
            "begins at or before the event in front of it",
        ),
        wrong(
            "a change was doubled",
            rewritten(scene, |values| values.insert(CHANGE, values[CHANGE].clone())),
            "does not begin behind what was asked for before",
        ),
        wrong(
            "a change tells something else than its place",
            rewritten(scene, |values| values[CHANGE]["asked"]["types"] = json!(["Order.*"])),
            "the place was signed for",
        ),
        wrong(
            "a change tells more than what is known",
            rewritten(scene, |values| values[CHANGE]["asked"]["more"] = json!(1)),
            "`asked` is malformed",
        ),
        wrong("a change begins before the event in front of it", at(1, 7), "begins at or before"),
        wrong("a change begins behind its event", at(1, 9), "what is asked for begins at 9"),
        wrong(
            "the head has another digest",
            rewritten(scene, |values| {
                values[0]["sub_digest"] = json!(asked(0, "Order.Created").digest());
            }),
            "is not the digest of `asked`",
        ),
        wrong(
            "the head tells a digest of nothing",
            rewritten(scene, |values| {
                values[0].as_object_mut().unwrap().remove("asked");
            }),
            "only one is there",
        ),
        wrong(
            "the head tells nothing, and a change does",
            rewritten(scene, |values| {
                let head = values[0].as_object_mut().unwrap();
                head.remove("asked");
                head.remove("sub_digest");
            }),
            "does not say what the subscription asks for",
        ),
    ]
}

fn events(scene: &Scene) -> Vec<Row> {
    let unwanted = || with(scene, |_, told| told.asked = asked(0, "Payment.*"));
    let undecided = with(scene, |bundle, told| {
        told.asked = asked(0, "Payment.*");
        bundle.events.iter_mut().for_each(|event| event.receipts.clear());
        let letter = json!({ "reason": "undecided", "at": null });
        told.states = vec![json!({ "state": "given-up", "dead_letter": letter }); 3];
    });
    let unreadable = with(scene, |_, told| told.asked.filters = vec![json!({ "near": {} })]);
    vec![
        wrong("events are none that are asked for", unwanted(), "none that the subscription asks"),
        Row {
            trusted: Trusted::OUTSIDE,
            ..row("the same, seen from outside", unwanted(), "valid", "")
        },
        row("events were too much work to tell", undecided, "valid", ""),
        wrong("nobody can read what is asked for", unreadable, "cannot be read"),
    ]
}

fn states(scene: &Scene) -> Vec<Row> {
    let with_state = |has_receipt: bool, state: Value| {
        with(scene, |bundle, told| {
            if !has_receipt {
                bundle.events[1].receipts.clear();
            }
            told.states[1] = state;
        })
    };
    let given_up = |reason: &str, at: Value| json!({ "state": "given-up", "dead_letter": { "reason": reason, "at": at } });
    let honest = given_up("refused", json!(NOW));
    let letter = json!({ "reason": "refused", "at": NOW });
    vec![
        row("an event was given up", with_state(false, honest.clone()), "valid", ""),
        row("an event was offered", with_state(false, json!({ "state": "offered" })), "valid", ""),
        row(
            "an event was taken by the gateway's word",
            with_state(false, json!({ "state": "taken" })),
            "valid",
            "",
        ),
        wrong(
            "an event was given up and has a receipt",
            with_state(true, honest),
            "and there is a receipt",
        ),
        wrong(
            "an event was offered and has a receipt",
            with_state(true, json!({ "state": "offered" })),
            "and there is a receipt",
        ),
        wrong(
            "what became of an event was left out",
            with_state(true, json!({})),
            "`state` is missing",
        ),
        wrong(
            "an event was sent",
            with_state(true, json!({ "state": "sent" })),
            "none of offered, taken and given-up",
        ),
        wrong(
            "an event was given up for no reason",
            with_state(false, json!({ "state": "given-up" })),
            "`dead_letter` is missing",
        ),
        wrong(
            "an event was taken and has a dead letter",
            with_state(true, json!({ "state": "taken", "dead_letter": letter })),
            "has a dead letter, and was not given up",
        ),
        wrong(
            "a reason is no word",
            with_state(false, given_up("It was late.", json!(NOW))),
            "the reason of the dead letter is malformed",
        ),
        wrong(
            "an event was given up before it was accepted",
            with_state(false, given_up("refused", json!("2020-01-01T00:00:00Z"))),
            "the dead letter is dated 2020",
        ),
    ]
}

#[test]
fn what_became_of_events_is_counted_with_whose_word_it_is() {
    let scene = Scene::new();
    let told = with(&scene, |bundle, told| {
        bundle.events[1].receipts.clear();
        bundle.events[2].receipts.clear();
        let letter = json!({ "reason": "refused", "at": NOW });
        told.states[2] = json!({ "state": "given-up", "dead_letter": letter });
    });
    let keys = scene.trusted(Trusted::ALL);
    let trust = BundleTrust {
        issuer_keys: keys.issuer.as_ref(),
        receipt_keys: keys.receipts.as_ref(),
        ..BundleTrust::none(NOW)
    };

    let found = verify_bundle(&mut told.concat().as_bytes(), trust).unwrap();
    let old = verify_bundle(&mut scene.bundle().lines().concat().as_bytes(), trust).unwrap();

    assert_eq!((&*found.examined.flaws, &*old.examined.flaws), (&[][..], &[][..]));
    let counted =
        ToldStates { taken: 2, taken_by_receipt: 1, given_up: 1, ..ToldStates::default() };
    assert_eq!(found.examined.states, counted);
    assert_eq!(old.examined.states, ToldStates { untold: 3, ..ToldStates::default() });
    let shown = &found.examined.asked.shown;
    assert_eq!((shown.len(), &shown[0].asked), (1, &asked(0, "Order.*")));
    assert_eq!(old.examined.asked.count, 0);
}
