//! Whoever tampers with what was sent is found out, or it is written down here that they are not.
//!
//! Each row is one tampering with the verdict that it must get: by an outsider, who holds the file; by the
//! consumer, whose keys sign receipts; by the gateway's operator, who holds the signing key.

mod restores;
mod rows;
mod scene;

use std::fmt::Write as _;

use sealway::proof::verify_bundle;
use sealway::seal::evidence::BundleTrust;

use scene::{NOW, Scene, Trusted};

/// A bundle after a tampering, and what it must be called.
#[derive(Clone)]
struct Row {
    /// What was done, by whom.
    name: &'static str,
    /// The lines, with their ends.
    lines: Vec<String>,
    /// What the verifier has from elsewhere.
    trusted: Trusted,
    /// The verdict.
    verdict: &'static str,
    /// What one of its flaws says; nothing where there is none.
    says: &'static str,
}

#[test]
fn each_tampering_gets_its_verdict() {
    let scene = Scene::new();
    let mut wrong = String::new();
    let rows = [rows::all(&scene), restores::all(&scene)].concat();
    assert!(rows.len() >= 30, "{} rows", rows.len());

    for row in &rows {
        let bundle = row.lines.concat();
        let keys = scene.trusted(row.trusted);
        let trust = BundleTrust {
            issuer_keys: keys.issuer.as_ref(),
            opening_keys: keys.opening.as_ref(),
            receipt_keys: keys.receipts.as_ref(),
            issuers: &keys.issuers,
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
