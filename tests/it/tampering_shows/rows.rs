//! The tamperings.

use std::time::Duration;

use serde_json::{Value, json};

use sealway::event::{ChainValue, EventDigest, EventId, Timestamp, TokenDigest};
use sealway::seal::PlaceClaims;

use crate::tampering_shows::scene::{
    BundleParts, CONTRACT, EventPart, LONG_AGO, NOW, Said, Scene, Trusted, event, id, place,
};
use crate::tampering_shows::{Row, asked};

/// Where the lines of a whole bundle stand.
const HEADER: usize = 0;
const RECEIPT_KEYS: usize = 2;
const FIRST: usize = 3;
const EVENT: usize = 5;
const LAST: usize = 8;
const CLOSING: usize = 9;

pub fn all(scene: &Scene) -> Vec<Row> {
    let of = |who, rows: Vec<Row>| rows.into_iter().map(move |row| Row { who, ..row });
    of("nobody", untouched(scene))
        .chain(of("an outsider", by_outsiders(scene)))
        .chain(of("the consumer", by_the_consumer(scene)))
        .chain(of("the operator, who signs", by_the_operator(scene)))
        .chain(of("the operator, who signs", asked::all(scene)))
        .collect()
}

pub(super) fn row(
    name: &'static str,
    lines: Vec<String>,
    verdict: &'static str,
    says: &'static str,
) -> Row {
    Row {
        who: "",
        name,
        lines,
        trusted: Trusted::ALL,
        documents: Vec::new(),
        witnesses: None,
        verdict,
        says,
    }
}

pub(super) fn wrong(name: &'static str, lines: Vec<String>, says: &'static str) -> Row {
    row(name, lines, "wrong", says)
}

fn untouched(scene: &Scene) -> Vec<Row> {
    let lines = scene.bundle().lines();
    let with = |name, trusted, verdict| Row { trusted, ..row(name, lines.clone(), verdict, "") };
    vec![
        with("nothing was done", Trusted::ALL, "valid"),
        with("nothing was done, seen from outside", Trusted::OUTSIDE, "valid"),
        with("nothing was done, and nothing is known", Trusted::NOTHING, "consistent"),
    ]
}

/// Lines, with one written otherwise.
fn replaced(lines: &[String], at: usize, (from, to): (&str, &str)) -> Vec<String> {
    let mut lines = lines.to_vec();
    let other = lines[at].replacen(from, to, 1);
    assert_ne!(other, lines[at], "{from} is in line {at}");
    lines[at] = other;
    lines
}

/// Lines, after something was done to the list.
fn listed(lines: &[String], alter: impl FnOnce(&mut Vec<String>)) -> Vec<String> {
    let mut lines = lines.to_vec();
    alter(&mut lines);
    lines
}

/// Whoever holds the file and no key.
fn by_outsiders(scene: &Scene) -> Vec<Row> {
    let whole = scene.bundle();
    let lines = whole.lines();
    let mut rows = with_events(&whole.events, &lines);
    rows.extend(with_the_frame(&lines));
    rows.extend(with_signatures(scene));
    rows
}

fn with_events(events: &[EventPart], lines: &[String]) -> Vec<Row> {
    let digest = events[1].digest.to_string();
    let zeros = EventDigest::from_bytes([0; 32]).to_string();
    let token = |at: usize| events[at].token.as_str();
    let sum = |at: usize| TokenDigest::of(token(at)).to_string();
    let swapped_token = listed(lines, |lines| {
        lines[EVENT] = lines[EVENT].replace(token(0), token(1)).replace(&sum(0), &sum(1));
    });
    vec![
        wrong(
            "an event was removed",
            listed(lines, |lines| drop(lines.remove(EVENT + 1))),
            "missing: 2",
        ),
        wrong(
            "two events changed places",
            listed(lines, |lines| lines.swap(EVENT, EVENT + 1)),
            "out of order",
        ),
        wrong(
            "an event was doubled",
            listed(lines, |lines| lines.insert(EVENT + 1, lines[EVENT].clone())),
            "out of order",
        ),
        wrong("a digest was altered", replaced(lines, EVENT + 1, (&digest, &zeros)), "altered:"),
        wrong(
            "a number was altered",
            replaced(lines, EVENT + 2, (r#""seq":3"#, r#""seq":4"#)),
            "missing: 3",
        ),
        wrong("a token was put in another line", swapped_token, "another event or another place"),
        wrong(
            "a token was put in place of another, beside the old sum",
            replaced(lines, EVENT, (token(0), token(1))),
            "the token is not the one whose digest",
        ),
    ]
}

fn with_the_frame(lines: &[String]) -> Vec<Row> {
    vec![
        wrong(
            "the end was cut",
            listed(lines, |lines| lines.truncate(CLOSING)),
            "its closing line is missing",
        ),
        wrong(
            "the last place was cut",
            listed(lines, |lines| drop(lines.remove(LAST))),
            "last checkpoint is missing",
        ),
        wrong(
            "the first place was cut",
            listed(lines, |lines| drop(lines.remove(FIRST))),
            "first checkpoint is missing",
        ),
        wrong(
            "a line was added at the end",
            listed(lines, |lines| lines.push("{\"kind\":\"event\"}\n".to_owned())),
            "behind the closing line",
        ),
        wrong(
            "the date was altered",
            replaced(lines, HEADER, ("2026-", "2025-")),
            "added, removed or altered",
        ),
        wrong("a receipt was removed", strip_receipts(lines), "added, removed or altered"),
        wrong(
            "the keys for receipts were replaced",
            replaced(lines, RECEIPT_KEYS, ("receipt-keys\"", "receipt-keys\",\"x\":1")),
            "added, removed or altered",
        ),
    ]
}

fn with_signatures(scene: &Scene) -> Vec<Row> {
    let mut own_keys = scene.bundle();
    own_keys.signing = scene.stranger.clone();
    own_keys.keys["jwks"]["keys"][0] = scene.stranger.public_jwk().unwrap().clone();
    let mut checkpoint = scene.bundle().lines();
    let said = json!(place(3, ChainValue::start(&"orders".parse().unwrap()), None)).to_string();
    let token = scene.signing.sign("checkpoint+jwt", said.as_bytes()).unwrap();
    checkpoint[LAST] = format!("{}\n", json!({ "kind": "checkpoint", "token": token }));
    vec![
        wrong("a checkpoint stands for a place", checkpoint, "the checkpoint is not signed"),
        wrong(
            "all was signed by another key",
            own_keys.lines(),
            "not among those that are believed",
        ),
        Row {
            trusted: Trusted { issuer: false, ..Trusted::OUTSIDE },
            ..row(
                "all was signed by another key, and no key is known",
                own_keys.lines(),
                "consistent",
                "",
            )
        },
    ]
}

fn strip_receipts(lines: &[String]) -> Vec<String> {
    listed(lines, |lines| {
        let mut event: Value = serde_json::from_str(&lines[EVENT]).unwrap();
        event["receipts"] = json!([]);
        lines[EVENT] = format!("{event}\n");
    })
}

/// The consumer, which signs receipts and takes the bundle to somebody else.
fn by_the_consumer(scene: &Scene) -> Vec<Row> {
    let with = |receipt: String| {
        let mut bundle = scene.bundle();
        bundle.events[1].receipts = vec![receipt];
        bundle.lines()
    };
    let dated = |seconds: i64| {
        with(scene.receipt(1, |claims| drop(claims.insert("iat".into(), json!(seconds)))))
    };
    let mut altered = scene.receipt(1, |_| {});
    altered.truncate(altered.len() - 4);
    altered.push_str("AAAA");
    let start = ChainValue::start(&"orders".parse().unwrap()).to_string();
    vec![
        wrong(
            "a receipt is for another event",
            with(scene.receipt(0, |_| {})),
            "for something else",
        ),
        wrong(
            "a receipt is for another number",
            with(scene.receipt(1, |claims| drop(claims.insert("seq".into(), json!(1))))),
            "for something else",
        ),
        wrong(
            "a receipt is for another history",
            with(scene.receipt(1, |claims| drop(claims.insert("chain".into(), json!(start))))),
            "for something else",
        ),
        wrong(
            "a receipt is of another subscription",
            with(scene.receipt(1, |claims| {
                claims.insert("sub_id".into(), json!({ "format": "opaque", "id": "other" }));
            })),
            "for something else",
        ),
        wrong(
            "a receipt is for another gateway",
            with(scene.receipt(1, |claims| {
                drop(claims.insert("aud".into(), json!("https://x.example")));
            })),
            "no valid one",
        ),
        wrong("a receipt was altered", with(altered), "no valid one"),
        wrong("a receipt is dated before its event", dated(LONG_AGO), "a receipt is dated 2020"),
        wrong(
            "a receipt is dated tomorrow",
            dated(NOW.unix_seconds() + 86_400),
            "which lies in the future",
        ),
        wrong(
            "a receipt is signed with a key that the consumer does not know",
            with(scene.receipt_of_another_key(1)),
            "no valid one: unknown-key",
        ),
        Row {
            trusted: Trusted { receipts: false, ..Trusted::ALL },
            ..row(
                "the same, seen without the consumer's keys: it is counted",
                with(scene.receipt_of_another_key(1)),
                "valid",
                "",
            )
        },
    ]
}

/// A bundle that the operator has written otherwise and signed.
fn signed(scene: &Scene, alter: impl FnOnce(&mut BundleParts)) -> Vec<String> {
    let mut bundle = scene.bundle();
    alter(&mut bundle);
    bundle.lines()
}

/// The gateway's operator, who holds the signing key.
fn by_the_operator(scene: &Scene) -> Vec<Row> {
    [
        dates(scene),
        contracts(scene),
        contents(scene),
        names_and_forms(scene),
        claims(scene),
        frames(scene),
        trees(scene),
        receipts(scene),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn dates(scene: &Scene) -> Vec<Row> {
    let long_ago = || json!(LONG_AGO);
    vec![
        wrong(
            "the bundle is dated before its events",
            signed(scene, |bundle| bundle.header["at"] = json!("2020-01-01T00:00:00Z")),
            "the bundle is dated 2020",
        ),
        wrong(
            "the closing line is dated before the events",
            signed(scene, |bundle| bundle.closed = LONG_AGO),
            "the closing line is dated 2020",
        ),
        wrong(
            "the last place is dated before the events",
            signed(scene, |bundle| drop(bundle.last.insert("iat".into(), long_ago()))),
            "the checkpoint is dated 2020",
        ),
        wrong(
            "a token is dated before its event",
            signed(scene, |bundle| {
                let part = &mut bundle.events[1];
                let place = PlaceClaims { sequence: 2, previous: part.previous };
                part.token = scene.token(&event(1, 2), (id(1), place), LONG_AGO);
            }),
            "the token is dated 2020",
        ),
        wrong(
            "a place is dated tomorrow",
            signed(scene, |bundle| {
                bundle.first.insert("iat".into(), json!(NOW.unix_seconds() + 86_400));
            }),
            "which lies in the future",
        ),
        wrong(
            "the bundle is dated tomorrow",
            signed(scene, |bundle| bundle.header["at"] = json!(tomorrow())),
            "the bundle is dated 2026-11-22",
        ),
        wrong(
            "the closing line is dated tomorrow",
            signed(scene, |bundle| bundle.closed += 86_400),
            "the closing line is dated 2026-11-22",
        ),
        wrong(
            "the closing line is dated before the places that it covers",
            signed(scene, |bundle| bundle.closed -= 600),
            "and what stands before it",
        ),
        wrong(
            "a token is dated tomorrow",
            signed(scene, |bundle| {
                let token = scene.token(&event(1, 2), second(scene), NOW.unix_seconds() + 86_400);
                bundle.events[1].token = token;
            }),
            "`iat` lies in the future",
        ),
        wrong(
            "the last place has looked at less than the events before it",
            signed(scene, |bundle| {
                bundle.last.insert("head".into(), json!(id(1).to_string()));
            }),
            "has an older `head` than an event before it",
        ),
    ]
}

fn tomorrow() -> Timestamp {
    NOW.after(Duration::from_hours(24))
}

/// Where the second event stands.
fn second(scene: &Scene) -> (EventId, PlaceClaims) {
    (id(1), PlaceClaims { sequence: 2, previous: scene.events()[1].previous })
}

fn contracts(scene: &Scene) -> Vec<Row> {
    let with = |document: &str, schema: Value| {
        signed(scene, |bundle| {
            bundle.contract["document"] = json!(document);
            bundle.contract["sha256"] = json!(TokenDigest::of(document).to_string());
            bundle.contract["schema"] = schema;
        })
    };
    let unkept = signed(scene, |bundle| {
        for member in ["document", "sha256", "schema"] {
            bundle.contract[member] = Value::Null;
        }
    });
    let mut loose = scene.schema.clone();
    loose["properties"]["n"]["minimum"] = json!(0);
    vec![
        wrong(
            "a schema lets more pass than its contract",
            with(CONTRACT, loose),
            "does not belong",
        ),
        wrong("a schema lets everything pass", with(CONTRACT, json!(true)), "does not belong"),
        wrong(
            "a contract is no document",
            with("hello", scene.schema.clone()),
            "no AsyncAPI document",
        ),
        wrong(
            "a contract is another document",
            with(&CONTRACT.replace("minimum: 1", "minimum: 0"), scene.schema.clone()),
            "does not belong",
        ),
        wrong(
            "the contract is not the one of its sum",
            signed(scene, |bundle| {
                bundle.contract["document"] = json!(CONTRACT.replace("Orders", "x"));
            }),
            "whose digest stands beside it",
        ),
        wrong(
            "the contract was left out",
            signed(scene, |bundle| {
                bundle.contract["dataschema"] = json!("https://x.example/other");
            }),
            "is not in the bundle",
        ),
        wrong("the contract is said not to be kept", unkept.clone(), "its contract is left out"),
        Row {
            trusted: Trusted::OUTSIDE,
            ..wrong(
                "the contract is said not to be kept, seen from outside",
                unkept,
                "its contract is left out",
            )
        },
        wrong(
            "the bundle is of another issuer",
            signed(scene, |bundle| bundle.header["issuer"] = json!("https://x.example")),
            "is not one that is believed",
        ),
    ]
}

fn contents(scene: &Scene) -> Vec<Row> {
    let place = |sequence| PlaceClaims {
        sequence,
        previous: scene.events()[usize::try_from(sequence).unwrap() - 1].previous,
    };
    let sealed = |event: &Value, of: u64, place| {
        signed(scene, |bundle| {
            bundle.events[1].token = scene.token(event, (id(of), place), NOW.unix_seconds());
        })
    };
    let mut left_out = scene.events();
    left_out.remove(1);
    let outside = |lines| Row {
        trusted: Trusted::OUTSIDE,
        ..row("other data was sealed, seen from outside", lines, "valid", "")
    };
    vec![
        wrong(
            "other data was sealed than the chain covers",
            sealed(&event(1, 9), 1, place(2)),
            "the event in the token is not the one",
        ),
        outside(sealed(&event(1, 9), 1, place(2))),
        wrong(
            "a token is of another event",
            sealed(&event(0, 1), 0, place(1)),
            "another event or another place",
        ),
        wrong(
            "a token is at another place",
            sealed(&event(1, 2), 1, place(3)),
            "another event or another place",
        ),
        wrong(
            "data breaks its contract",
            {
                let mut bundle = scene.bundle_of(scene.events_of(&[(0, 1), (1, -4), (2, 3)]));
                bundle.events.iter_mut().for_each(|event| event.receipts.clear());
                bundle.lines()
            },
            "breaks its contract",
        ),
        wrong(
            "an event was left out, and its number stays",
            scene.bundle_of(left_out).lines(),
            "missing: 2",
        ),
        wrong(
            "an event was left out before it was numbered, and a receipt tells of its history",
            {
                let mut bundle = scene.bundle_of(scene.events_of(&[(0, 1), (2, 3)]));
                bundle.events[1].receipts = vec![scene.receipt(2, |claims| {
                    claims.insert("seq".into(), json!(2));
                })];
                bundle.lines()
            },
            "for something else",
        ),
        wrong(
            "the chain does not begin where that of the subscription does",
            signed(scene, |bundle| {
                let other = ChainValue::from_bytes([7; 32]).to_string();
                bundle.first.insert("chain".into(), json!(other));
            }),
            "does not begin where",
        ),
    ]
}

fn names_and_forms(scene: &Scene) -> Vec<Row> {
    let mut other_id = event(1, 2);
    other_id["id"] = json!(id(0).to_string());
    vec![
        wrong(
            "an event has another id than its token",
            {
                let mut bundle = scene.bundle_of(scene.events_saying(&[event(0, 1), other_id]));
                bundle.events.iter_mut().for_each(|event| event.receipts.clear());
                bundle.lines()
            },
            "has another id than the token",
        ),
        wrong(
            "the digest of a later event is of the older form",
            {
                let events = [(event(0, 1), true), (event(1, 2), false)];
                let mut bundle = scene.bundle_of(scene.events_in_form(&events));
                bundle.events.iter_mut().for_each(|event| event.receipts.clear());
                bundle.lines()
            },
            "of form 1, and that of an event before it of form 2",
        ),
    ]
}

fn claims(scene: &Scene) -> Vec<Row> {
    let says = |event: &Value, said: Said| {
        signed(scene, |bundle| {
            bundle.events[1].token = scene.token_that_says(event, second(scene), said);
        })
    };
    let mut timed = event(1, 2);
    timed["time"] = json!("2026-11-21T17:00:00.5Z");
    let noon = Some(1_795_262_400);
    let mut signed_zero = event(1, 2);
    signed_zero["data"]["zero"] = serde_json::from_str("-0").unwrap();
    vec![
        wrong(
            "`toe` is not the time of the event",
            says(&timed, Said { occurred_at: noon, ..Said::USUAL }),
            "`toe` is not the second",
        ),
        wrong("`toe` is left out", says(&timed, Said::USUAL), "`toe` is not the second"),
        wrong(
            "`pub_ver` is not the version of the schema",
            says(&event(1, 2), Said { version: "2.0.0", ..Said::USUAL }),
            "`pub_ver` is not the version",
        ),
        wrong(
            "a token has a place and is of a replay",
            says(&event(1, 2), Said { replay: Some("again"), ..Said::USUAL }),
            "and is of a replay",
        ),
        wrong(
            "a number has a text that readers digest in two ways",
            says(&signed_zero, Said::USUAL),
            "its one canonical text",
        ),
    ]
}

fn frames(scene: &Scene) -> Vec<Row> {
    let with_bounds = |from: Value, to: Value| {
        signed(scene, |bundle| (bundle.header["from"], bundle.header["to"]) = (from, to))
    };
    let bound = |index| json!(id(index).to_string());
    let mut moved = scene.bundle().lines();
    moved.truncate(CLOSING);
    moved.insert(EVENT + 1, "{\"kind\":\"consistency\",\"proof\":[]}\n".to_owned());
    let mut later = scene.bundle().lines();
    later.truncate(CLOSING);
    later[HEADER] = later[HEADER].replacen('{', "{\"of-a-later-gateway\":1,", 1);
    vec![
        wrong(
            "an event stands in it that was not asked for, at the start",
            with_bounds(bound(1), Value::Null),
            "the event lies before `from`",
        ),
        wrong(
            "an event stands in it that was not asked for, at the end",
            with_bounds(Value::Null, bound(1)),
            "the event lies behind `to`",
        ),
        wrong(
            "its range ends before it begins",
            with_bounds(bound(2), bound(0)),
            "`from` lies behind `to`",
        ),
        wrong(
            "a key has another name than its thumbprint",
            signed(scene, |bundle| {
                let mut other = scene.stranger.public_jwk().unwrap().clone();
                other["kid"] = json!("another");
                bundle.keys["jwks"]["keys"].as_array_mut().unwrap().push(other);
            }),
            "is not named by its RFC 7638 thumbprint",
        ),
        wrong(
            "the proof of consistency stands before an event",
            scene.bundle().close(moved),
            "does not stand before the last place",
        ),
        row(
            "a line has a member that nobody knows: it is told",
            scene.bundle().close(later),
            "valid",
            "",
        ),
    ]
}

fn trees(scene: &Scene) -> Vec<Row> {
    let with_tree = |alter: &dyn Fn(&mut BundleParts)| signed(scene, alter);
    let is_not_in_it = "it is not proved that it is in the tree";
    let is_left_out = "nothing proves that it is in the tree";
    let mut unproved = scene.bundle();
    unproved.events.iter_mut().for_each(|event| event.is_proved = false);
    let mut first = unproved.clone();
    first.tree.as_mut().unwrap().first = 1;
    let outside = |name, lines, verdict, says| Row {
        trusted: Trusted::OUTSIDE,
        ..row(name, lines, verdict, says)
    };
    vec![
        wrong("the tree was left out", with_tree(&|bundle| bundle.tree = None), is_left_out),
        wrong("the proofs were left out", unproved.lines(), is_left_out),
        // Events from before the tree have no proof, and nobody outside can tell which those are.
        outside(
            "the proofs were left out, seen from outside: it is counted",
            unproved.lines(),
            "valid",
            "",
        ),
        outside(
            "the same, where the tree begins with the first event",
            first.lines(),
            "wrong",
            "and the proof is missing",
        ),
        wrong(
            "the proof of one event was left out",
            with_tree(&|bundle| bundle.events[1].is_proved = false),
            "the proof that it is in the tree is missing",
        ),
        wrong(
            "another event stands in the tree",
            with_tree(&|bundle| bundle.tree.as_mut().unwrap().leaves.swap(0, 1)),
            is_not_in_it,
        ),
        wrong(
            "the tree has fewer leaves",
            with_tree(&|bundle| bundle.tree.as_mut().unwrap().leaves.truncate(2)),
            "it is in the tree",
        ),
    ]
}

/// What a receipt says, under another signature.
fn signed_again(scene: &Scene, receipt: &str) -> String {
    let claims = receipt.split('.').nth(1).unwrap();
    let claims = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(claims).unwrap();
    let again = scene.pen.sign("receipt+jwt", &claims).unwrap();
    assert_ne!(again, receipt);
    again
}

fn receipts(scene: &Scene) -> Vec<Row> {
    let forged = |trusted: Trusted| {
        let lines = signed(scene, |bundle| {
            bundle.receipt_keys["jwks"]["keys"][0] = scene.stranger.public_jwk().unwrap().clone();
            for (index, event) in bundle.events.iter_mut().enumerate() {
                event.receipts = vec![scene.receipt_of_another_key(index)];
            }
        });
        (lines, trusted)
    };
    let (lines, trusted) = forged(Trusted { receipts: false, ..Trusted::ALL });
    let with = |receipts: Vec<String>| {
        let mut bundle = scene.bundle();
        bundle.events[1].receipts = receipts;
        bundle.lines()
    };
    let at = |seconds: i64| {
        let moment = NOW.unix_seconds() - seconds;
        scene.receipt(1, |claims| drop(claims.insert("iat".into(), json!(moment))))
    };
    let once = at(0);
    vec![
        wrong(
            "a receipt stands twice in a line",
            with(vec![signed_again(scene, &once), once]),
            "a receipt stands here twice",
        ),
        row("a consumer has signed twice", with(vec![at(0), at(1)]), "valid", ""),
        wrong(
            "a line has more receipts than it may",
            with((0..33).map(at).collect()),
            "more than 32 receipts",
        ),
        wrong(
            "receipts are forged under a key of the bundle",
            forged(Trusted::ALL).0,
            "no valid one: unknown-key",
        ),
        // Without the consumer's keys nobody can tell: the summary names the thumbprints.
        Row {
            trusted,
            ..row(
                "the same, seen without the consumer's keys: their thumbprints are told",
                lines,
                "valid",
                "",
            )
        },
    ]
}
