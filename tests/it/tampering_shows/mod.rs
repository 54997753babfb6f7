//! Whoever tampers with what was sent is found out, or it is written down here that they are not.
//!
//! Each row is one tampering with the verdict that it must get: by an outsider, who holds the file; by the
//! consumer, whose keys sign receipts; by the gateway's operator, who holds the signing key.

mod accepted_rows;
mod restores;
mod rows;
mod scene;
mod witnessed;

use std::fmt::Write as _;

use sealway::proof::{AcceptedCheck, verify_bundle, verify_bundle_against};
use sealway::seal::AcceptedReader;
use sealway::seal::evidence::{BundleTrust, WitnessTrust};

use scene::{NOW, Scene, Trusted};

/// A bundle after a tampering, and what it must be called.
struct Row {
    /// What was done, by whom.
    name: &'static str,
    /// The lines, with their ends.
    lines: Vec<String>,
    /// What the verifier has from elsewhere.
    trusted: Trusted,
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
