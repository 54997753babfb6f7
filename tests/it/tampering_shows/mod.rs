//! Whoever tampers with what was sent is found out, or it is written down here that they are not.
//!
//! Each row is one tampering with the verdict that it must get: by an outsider, who holds the file; by the
//! consumer, whose keys sign receipts; by the gateway's operator, who holds the signing key.

mod accepted_rows;
mod asked;
mod restores;
mod rows;
mod scene;
mod witnessed;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use sealway::event::DocumentAsk;
use sealway::proof::{AcceptedCheck, verify_bundle, verify_bundle_against};
use sealway::seal::AcceptedReader;
use sealway::seal::evidence::{BundleTrust, WitnessTrust};

use scene::{NOW, Scene, Trusted};

/// A bundle after a tampering, and what it must be called.
struct Row {
    /// By whom.
    who: &'static str,
    /// What was done.
    name: &'static str,
    /// The lines, with their ends.
    lines: Vec<String>,
    /// What the verifier has from elsewhere.
    trusted: Trusted,
    /// What the consumer's own documents ask for.
    documents: Vec<DocumentAsk>,
    /// The witnesses that are believed, if any.
    witnesses: Option<WitnessTrust>,
    /// The verdict.
    verdict: &'static str,
    /// What one of its flaws says; nothing where there is none.
    says: &'static str,
}

#[test]
fn each_tampering_gets_its_verdict() {
    let scene = Scene::new();
    let mut wrong = String::new();
    let all = [rows::all(&scene), witnessed::all(&scene), restores::all(&scene)];
    let rows: Vec<Row> = all.into_iter().flatten().collect();
    assert!(rows.len() >= 30, "{} rows", rows.len());

    for row in &rows {
        let bundle = row.lines.concat();
        let keys = scene.trusted(row.trusted);
        let trust = BundleTrust {
            issuer_keys: keys.issuer.as_ref(),
            opening_keys: keys.opening.as_ref(),
            receipt_keys: keys.receipts.as_ref(),
            issuers: &keys.issuers,
            documents: &row.documents,
            witnesses: row.witnesses.as_ref(),
            now: NOW,
        };
        let found = verify_bundle(&mut bundle.as_bytes(), trust).unwrap();
        let flaws: Vec<String> = found.examined.flaws.iter().map(ToString::to_string).collect();
        let told = flaws.iter().any(|flaw| flaw.contains(row.says)) || row.says.is_empty();
        if found.verdict().word() != row.verdict || !told {
            let _ = writeln!(wrong, "{}: {}: {flaws:#?}", row.name, found.verdict().word());
        }
    }

    assert!(wrong.is_empty(), "{wrong}");
}

/// The table of the documentation: whoever reads it sees each row that is tried here.
fn table(scene: &Scene) -> String {
    let mut names = HashSet::new();
    let mut table =
        "| Who | What is done | Verdict | What is said |\n|---|---|---|---|\n".to_owned();
    let mut tell = |who, name, verdict, says: &str| {
        assert!(names.insert((who, name)), "each row has a name of its own: {name}");
        let says = says.trim_end_matches(':');
        let _ = writeln!(table, "| {who} | {name} | `{verdict}` | {says} |");
    };
    let restores = restores::all(scene);
    for row in rows::all(scene).into_iter().chain(witnessed::all(scene)).chain(restores) {
        tell(row.who, row.name, row.verdict, row.says);
    }
    for row in accepted_rows::all(scene) {
        let (_, missing, ..) = row.counted;
        let is_missing = missing > 0 && row.says.is_empty();
        let says = if is_missing { "an accepted event is missing" } else { row.says };
        tell("the operator, before a producer with its answers", row.name, row.verdict, says);
    }
    table
}

#[test]
fn the_table_in_the_documentation_is_this_one() {
    const BEGIN: &str = "<!-- tamperings: UPDATE_SCHEMAS=1 writes this table -->\n";
    const END: &str = "<!-- end of tamperings -->\n";
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/proof.md");
    let text = fs::read_to_string(&page).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (told, after) = rest.split_once(END).unwrap();

    let expected = table(&Scene::new());
    if env::var_os("UPDATE_SCHEMAS").is_some() {
        fs::write(&page, format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
    } else {
        assert_eq!(told, expected, "UPDATE_SCHEMAS=1 writes it");
    }
}

#[test]
fn a_member_of_a_later_gateway_is_told_and_no_flaw() {
    let scene = Scene::new();
    let mut lines = scene.bundle().lines();
    lines.pop();
    lines[5] = lines[5].replacen('{', "{\"of-a-later-gateway\":1,", 1);
    let keys = scene.trusted(Trusted::OUTSIDE);
    let trust = BundleTrust { issuer_keys: keys.issuer.as_ref(), ..BundleTrust::none(NOW) };

    let lines = scene.bundle().close(lines).concat();
    let found = verify_bundle(&mut lines.as_bytes(), trust).unwrap();

    assert_eq!(found.verdict().word(), "valid");
    assert_eq!(
        found.examined.unknown_members.iter().collect::<Vec<_>>(),
        ["event.of-a-later-gateway"]
    );
}

#[test]
fn what_is_no_flaw_is_counted() {
    let scene = Scene::new();
    let count = |lines: Vec<String>, receipt_keys: bool| {
        let keys = scene.trusted(Trusted { receipts: receipt_keys, ..Trusted::ALL });
        let trust = BundleTrust {
            issuer_keys: keys.issuer.as_ref(),
            receipt_keys: keys.receipts.as_ref(),
            ..BundleTrust::none(NOW)
        };
        let found = verify_bundle(&mut lines.concat().as_bytes(), trust).unwrap();
        let told = &found.examined;
        assert_eq!(told.flaws, []);
        (
            told.receipts,
            told.unchecked_receipts,
            told.receipts_without_chain,
            told.events_without_receipt,
        )
    };

    assert_eq!(count(scene.bundle().lines(), true), (3, 0, 0, 0));
    let mut without = scene.bundle();
    without.events[1].receipts.clear();
    assert_eq!(count(without.lines(), true), (2, 0, 0, 1), "a receipt was left out");
    let mut unchained = scene.bundle();
    unchained.events[2].receipts = vec![scene.receipt(2, |claims| {
        claims.remove("chain");
    })];
    assert_eq!(count(unchained.lines(), true), (3, 0, 1, 0), "a receipt binds no content");
    let mut foreign = scene.bundle();
    foreign.events[0].receipts = vec![scene.receipt_of_another_key(0)];
    assert_eq!(count(foreign.lines(), false), (2, 1, 0, 1), "nobody knows that key");
}

#[test]
fn whoever_has_signed_answers_sees_what_was_left_out() {
    let scene = Scene::new();
    let mut wrong = String::new();
    let rows = accepted_rows::all(&scene);
    assert!(rows.len() >= 25, "{} rows", rows.len());

    for row in &rows {
        let keys = scene.trusted(Trusted::OUTSIDE);
        let trust = BundleTrust {
            issuer_keys: keys.issuer.as_ref(),
            receipt_keys: keys.receipts.as_ref(),
            issuers: &keys.issuers,
            ..BundleTrust::none(NOW)
        };
        let reader = AcceptedReader {
            issuer_keys: keys.issuer.as_ref().unwrap(),
            issuers: &[],
            now: NOW,
            leeway: BundleTrust::LEEWAY,
        };
        let mut check = AcceptedCheck::new(row.scope.clone());
        for (line, answer) in (1..).zip(&row.answers) {
            check.take_receipt(line, answer, &reader);
        }
        let bundle = row.lines.concat();
        let found = verify_bundle_against(&mut bundle.as_bytes(), trust, Some(check)).unwrap();
        let accepted = found.accepted.as_ref().unwrap();
        let counted = (accepted.found, accepted.missing_count, accepted.earlier, accepted.later);
        let flaws = accepted.flaws.iter().map(|flaw| flaw.problem.as_str());
        let is_told = flaws.clone().any(|flaw| flaw.contains(row.says));
        let is_right = found.verdict().word() == row.verdict
            && counted == row.counted
            && (is_told || row.says.is_empty())
            && (accepted.flaw_count == 0) == row.says.is_empty();
        if !is_right {
            let flaws: Vec<_> = flaws.collect();
            let _ = writeln!(
                wrong,
                "{}: {}: {counted:?}: {flaws:#?} {:?}",
                row.name,
                found.verdict().word(),
                found.examined.flaws,
            );
        }
    }

    assert!(wrong.is_empty(), "{wrong}");
}
