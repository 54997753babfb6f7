//! A bundle says yes only as it was written: whatever byte is another, it says no.

use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::event::{EventDigest, Salt, TokenDigest};
use crate::seal::evidence::{BundleTrust, EventLine, EvidenceBundle, Examiner, Header};
use crate::seal::{Checkpoint, SaltedClaims, sign_place};
use crate::transparency::{HeldTree, LeafData, LeafProof, ProofPlan, TreeHash, TreeHead, TreeRoot};

fn header() -> Header {
    Header {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        subscription: "orders".parse().unwrap(),
        from: None,
        to: Some(EventId::MAX),
        at: NOW,
        tree: None,
        series: None,
        aliases: Vec::new(),
        asked: None,
    }
}

fn jwks(key: &SigningKey) -> Value {
    json!({ "keys": [key.public_jwk().unwrap()] })
}

/// A bundle of events, as lines with their ends.
fn bundle(parties: &Parties, events: u64) -> Vec<String> {
    bundle_that_tells(parties, events, |digest| digest)
}

/// The same with these digests in place of those of the events.
fn bundle_that_tells(
    parties: &Parties,
    events: u64,
    tell: impl Fn(EventDigest) -> EventDigest,
) -> Vec<String> {
    written(parties, events, tell, [None; 3], (&[], None))
}

/// The same with what is said of the tree at the head, the first and the last place, and with proofs.
fn bundle_over(
    parties: &Parties,
    events: u64,
    trees: [Option<TreeHead>; 3],
    proofs: (&[LeafProof], Option<&[TreeHash]>),
) -> Vec<String> {
    written(parties, events, |digest| digest, trees, proofs)
}

fn written(
    parties: &Parties,
    events: u64,
    tell: impl Fn(EventDigest) -> EventDigest,
    trees: [Option<TreeHead>; 3],
    (inclusions, consistency): (&[LeafProof], Option<&[TreeHash]>),
) -> Vec<String> {
    let (mut bundle, header) = (EvidenceBundle::default(), Header { tree: trees[0], ..header() });
    let id = header.subscription.clone();
    let checkpoint = |sequence: u64, chain: ChainValue, tree: Option<TreeHead>| {
        let checkpoint = Checkpoint {
            issuer: ISSUER.to_owned(),
            issuer_next: None,
            audience: AUDIENCE.to_owned(),
            issued_at: NOW,
            chain,
            subscription: id.clone(),
            sequence,
            head: (sequence > 0).then(|| EventId::first_of(sequence)),
            ended: Vec::new(),
            ending: Vec::new(),
            closing: false,
            tree,
            sub_digest: None,
            asked: None,
        };
        sign_place(&checkpoint, &parties.signing).unwrap()
    };
    let mut chain = ChainValue::start(&header.subscription);
    let mut lines = vec![
        bundle.header(&header),
        bundle.keys(&jwks(&parties.signing)),
        bundle.checkpoint(&checkpoint(0, chain, trees[1])),
    ];
    for sequence in 1..=events {
        let (event_id, place) =
            (EventId::first_of(sequence), PlaceClaims { sequence, previous: chain });
        let salt = Salt::from_bytes([9; 16]);
        let digest = EventDigest::of_token(&event(), Some((salt, Some("1.0.0")))).unwrap();
        let digest = tell(digest);
        let salted = SaltedClaims { salt, publication_version: Some("1.0.0") };
        let event = event().to_string();
        let event_type = cloudevent_type(ISSUER);
        let claims = Claims {
            id: event_id,
            place: Some(place),
            salted: Some(salted),
            ..claims_of(&event, &event_type, &header.subscription)
        };
        let token = seal(&claims, &parties.signing, &parties.sealing, &Options::default());
        let token = token.unwrap().into_token();
        lines.push(bundle.event(&EventLine {
            id: event_id,
            place,
            digest,
            token: &token,
            receipts: &[],
            inclusion: usize::try_from(sequence - 1).ok().and_then(|at| inclusions.get(at)),
            state: None,
        }));
        chain = chain.next(event_id, digest);
    }
    if let Some(proof) = consistency {
        lines.push(bundle.consistency(proof));
    }
    lines.push(bundle.checkpoint(&checkpoint(events, chain, trees[2])));
    lines.push(bundle.close(&header, NOW, &parties.signing).unwrap());
    lines
}

/// What is wrong with a bundle.
fn flaws(parties: &Parties, lines: &[impl AsRef<[u8]>], with_key: bool) -> Vec<String> {
    let keys = with_key.then_some(&parties.keys);
    let mut examiner = Examiner::new(BundleTrust { opening_keys: keys, ..BundleTrust::none(NOW) });
    for line in lines {
        examiner.take(line.as_ref());
    }
    examiner.finish();
    examiner.flaws.iter().map(ToString::to_string).collect()
}

#[test]
fn what_was_written_is_valid_with_and_without_the_key_of_the_consumer() {
    let parties = Parties::usual();
    let lines = bundle(&parties, 3);

    assert_eq!(flaws(&parties, &lines, false), [] as [String; 0]);
    assert_eq!(flaws(&parties, &lines, true), [] as [String; 0]);
    assert_eq!(flaws(&parties, &bundle(&parties, 0), true), [] as [String; 0]);
    let stranger = Parties::usual();
    let trust = BundleTrust { issuer_keys: Some(&stranger.issuer_keys), ..BundleTrust::none(NOW) };
    let mut trusted = Examiner::new(trust);
    for line in &lines {
        trusted.take(line.as_bytes());
    }
    assert!(trusted.flaw_count >= 3, "{:?}", trusted.flaws);
    assert!(!flaws(&stranger, &lines, true).is_empty(), "another consumer opens nothing");
}

/// The leaf of an event of `bundle`.
fn leaf(sequence: u64) -> LeafData {
    LeafData::new(
        EventId::first_of(sequence),
        EventDigest::of_token(&event(), Some((Salt::from_bytes([9; 16]), Some("1.0.0")))).unwrap(),
    )
}

/// A log whose first leaf is that of an event of somebody else, and then those of so many events.
fn tree_of(events: u64) -> HeldTree {
    let mut tree = HeldTree::empty();
    tree.push(&leaf(u64::MAX));
    for sequence in 1..=events {
        tree.push(&leaf(sequence));
    }
    tree
}

fn made(tree: &HeldTree, plan: &ProofPlan) -> Vec<TreeHash> {
    plan.assemble(&tree.all(plan.spans()).unwrap()).unwrap()
}

/// A bundle of three events in a tree that grows by two while it is written.
fn bundle_in_tree(parties: &Parties) -> Vec<String> {
    let (before, after) = (tree_of(3), tree_of(5));
    let head = |tree: &HeldTree| Some(TreeHead { first: 7, tree: tree.frontier.root() });
    let proofs = [1, 2, 3].map(|index| LeafProof {
        index,
        proof: made(&before, &ProofPlan::inclusion(index, 4).unwrap()),
    });
    let consistency = made(&after, &ProofPlan::consistency(4, 6).unwrap());
    let trees = [head(&before), head(&before), head(&after)];
    bundle_over(parties, 3, trees, (&proofs, Some(&consistency)))
}

#[test]
fn events_are_found_in_the_tree_and_the_tree_has_only_grown() {
    let parties = Parties::usual();
    let lines = bundle_in_tree(&parties);
    assert_eq!(flaws(&parties, &lines, true), [] as [String; 0]);

    let mut examiner = Examiner::new(BundleTrust::none(NOW));
    for line in &lines {
        examiner.take(line.as_bytes());
    }
    assert_eq!((examiner.unproved(), examiner.tree().unwrap().tree.size), (0, 6));
}

#[test]
fn a_tree_that_shrinks_splits_or_is_exchanged_is_a_flaw() {
    let parties = Parties::usual();
    let tree = |first, size, byte| {
        let root = TreeHash::from_bytes([byte; 32]);
        Some(TreeHead { first, tree: TreeRoot { size, root } })
    };
    let flaws = |trees| flaws(&parties, &bundle_over(&parties, 2, trees, (&[], None)), false);
    let (old, new) = (tree(7, 7, 1), tree(7, 9, 2));
    assert_eq!(flaws([old, old, old]), [] as [String; 0]);
    for wrong in [[new, old, old], [old, old, tree(8, 7, 1)], [old, old, tree(7, 6, 1)]] {
        let found = flaws(wrong);
        assert!(found[0].ends_with("is older than before, or another"), "{found:?}");
    }
    for (wrong, words) in [
        ([old, old, tree(7, 7, 2)], "two histories"),
        ([old, old, None], "the tree over the log is missing here"),
        ([None, old, old], "the head of the bundle has no tree"),
        ([old, old, new], "it is not proved that the tree over the log has only grown"),
        ([old, new, new], "it is not proved that the tree over the log has only grown"),
    ] {
        let found = flaws(wrong);
        assert!(found[0].contains(words), "{found:?}");
    }
    let whole = tree(1, 7, 1);
    let found = flaws([whole, whole, whole]);
    assert!(found[0].ends_with("and the proof is missing"), "{found:?}");
}

#[test]
fn an_event_that_is_not_where_its_proof_says_is_a_flaw() {
    let parties = Parties::usual();
    let lines = bundle_in_tree(&parties);
    let changed = |at: usize, change: &dyn Fn(&mut Value)| {
        let mut line: Value = serde_json::from_str(&lines[at]).unwrap();
        change(&mut line);
        let mut lines = lines.clone();
        lines[at] = format!("{line}\n");
        flaws(&parties, &lines, false)
    };
    let zero = json!(TreeHash::from_bytes([0; 32]));
    let not = "it is not proved that it is in the tree";
    for (change, words) in [
        (&(|line: &mut Value| line["inclusion"]["index"] = json!(3)) as &dyn Fn(&mut Value), not),
        (&|line| line["inclusion"]["index"] = json!(u64::MAX), not),
        (&|line| line["inclusion"]["proof"][0] = zero.clone(), not),
        (&|line| line["inclusion"]["proof"] = json!([]), not),
        (&|line| line["inclusion"]["index"] = json!(1), "does not come behind"),
        (&|line| line["inclusion"]["proof"] = json!("x"), "`inclusion` is malformed"),
        (&|line| drop(line.as_object_mut().unwrap().remove("inclusion")), "is missing"),
    ] {
        let found = changed(4, change);
        assert!(found[0].contains(words), "{words}: {found:?}");
    }
    let consistency = lines.iter().position(|line| line.contains("\"consistency\"")).unwrap();
    for change in
        [&(|line: &mut Value| line["proof"][0] = zero.clone()) as &dyn Fn(&mut Value), &|line| {
            line["proof"] = json!([]);
        }]
    {
        let found = changed(consistency, change);
        assert!(found[0].contains("has only grown"), "{found:?}");
    }
}

#[test]
fn a_chain_over_other_events_than_those_in_the_tokens_shows_to_who_opens_them() {
    let parties = Parties::usual();
    let lines = bundle_that_tells(&parties, 2, |_| EventDigest::from_bytes([9; 32]));

    assert_eq!(flaws(&parties, &lines, false), [] as [String; 0]);
    let found = flaws(&parties, &lines, true);
    assert_eq!(found.len(), 2, "{found:?}");
    let problem = "the event in the token is not the one that the chain covers";
    assert!(found.iter().all(|flaw| flaw.ends_with(problem)), "{found:?}");
}

#[test]
fn keys_are_named_by_what_they_are_and_not_by_what_they_are_called() {
    let parties = Parties::usual();
    let lines = bundle(&parties, 1);
    let own = parties.signing.kid();
    let renamed = lines[1].replace(&format!("\"kid\":\"{own}\""), "\"kid\":\"the-gateways\"");
    assert_ne!(renamed, lines[1]);

    let mut examiner = Examiner::new(BundleTrust::none(NOW));
    examiner.take(lines[0].as_bytes());
    examiner.take(renamed.as_bytes());

    assert_eq!(examiner.bundled_keys, [own]);
    let renamed = renamed.replace("\"kind\":\"keys\"", "\"kind\":\"receipt-keys\"");
    examiner.take(renamed.as_bytes());
    assert_eq!(examiner.bundled_receipt_keys, [own]);
}

#[test]
fn what_is_missing_doubled_or_moved_is_named_with_its_line() {
    let parties = Parties::usual();
    let lines = bundle(&parties, 4);
    let id = EventId::first_of;
    let without = |at: usize| {
        let mut lines = lines.clone();
        lines.remove(at);
        lines
    };

    let cut = flaws(&parties, &lines[..lines.len() - 1], false);
    assert_eq!(cut, ["line 9: the bundle is cut: its closing line is missing"]);
    let removed = flaws(&parties, &without(4), false);
    let missing = format!("line 5, number 3 ({}): missing: 2, before 3 ({})", id(3), id(3));
    assert_eq!(removed[0], missing);
    assert!(removed[1].contains("added, removed or altered"), "{removed:?}");
    let last = flaws(&parties, &without(6), false);
    assert!(last[0].starts_with("line 7: missing: 4"), "{last:?}");
    let mut swapped = lines.clone();
    swapped.swap(3, 4);
    let swapped = flaws(&parties, &swapped, false);
    assert!(swapped[0].contains("missing: 1"), "{swapped:?}");
    assert!(swapped[1].contains("out of order: number 3 was expected"), "{swapped:?}");
    let mut more = lines.clone();
    more.push("{\"kind\":\"event\"}\n".to_owned());
    let more = flaws(&parties, &more, false);
    assert_eq!(more, ["line 10: there is a line behind the closing line"]);
}

#[test]
fn a_digest_of_other_content_breaks_the_chain_and_a_foreign_receipt_shows() {
    let parties = Parties::usual();
    let mut lines = bundle(&parties, 3);
    let other = EventDigest::from_bytes([8; 32]).to_string();
    let line: Value = serde_json::from_str(&lines[4]).unwrap();
    lines[4] = lines[4].replace(line["digest"].as_str().unwrap(), &other);

    let found = flaws(&parties, &lines, false);

    assert!(found[0].starts_with("line 6, number 3"), "{found:?}");
    assert!(found[0].contains("altered:"), "{found:?}");
    assert_eq!(TokenDigest::of("").to_string().len(), 43);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn whatever_byte_is_another_a_bundle_says_no(
        at in any::<prop::sample::Index>(), other in any::<u8>(), cut in any::<bool>(),
    ) {
        static MADE: std::sync::OnceLock<(Parties, Vec<u8>)> = std::sync::OnceLock::new();
        let (parties, whole) = MADE.get_or_init(|| {
            let parties = Parties::new(SigningAlgorithm::EdDSA, OpeningKeyKind::X25519);
            let whole = bundle(&parties, 2).concat().into_bytes();
            (parties, whole)
        });
        let at = at.index(whole.len());
        let mut altered = whole.clone();
        if cut {
            altered.truncate(at);
        } else {
            prop_assume!(altered[at] != other);
            altered[at] = other;
        }
        let lines: Vec<&[u8]> = altered.split_inclusive(|byte| *byte == b'\n').collect();

        prop_assert!(!flaws(parties, &lines, true).is_empty());
        prop_assert!(!flaws(parties, &lines, false).is_empty());
    }

    #[test]
    fn any_lines_are_read_without_panic(lines in prop::collection::vec("\\PC{0,60}\n", 0..8)) {
        prop_assert!(!flaws(&Parties::usual(), &lines, true).is_empty());
    }
}

#[test]
fn what_is_missing_before_the_events_is_told_once_and_they_are_looked_at_all_the_same() {
    let parties = Parties::usual();
    let lines = bundle(&parties, 4);
    let without = |at: usize| {
        let mut lines = lines.clone();
        lines.remove(at);
        flaws(&parties, &lines, false)
    };

    let no_keys = without(1);
    assert!(no_keys[0].contains("the gateway's keys is missing"), "{no_keys:?}");
    let no_start = without(2);
    assert_eq!(no_start[0], "line 3: the first checkpoint is missing before this line");
    assert_eq!(no_start.len(), 2, "{no_start:?}");
    let no_end = without(7);
    assert!(no_end[0].contains("the last checkpoint is missing"), "{no_end:?}");
    let mut forged = lines.clone();
    forged[2] = "{\"kind\":\"checkpoint\",\"token\":\"x\"}\n".to_owned();
    forged.remove(5);
    let forged = flaws(&parties, &forged, false);
    assert!(forged[0].contains("the checkpoint is not signed by its key"), "{forged:?}");
    assert!(forged[1].contains("missing: 3"), "{forged:?}");
    assert_eq!(forged.len(), 3, "{forged:?}");
}

#[test]
fn a_key_that_begins_to_sign_within_a_bundle_is_brought_by_it_and_named_where_it_lacks() {
    let parties = Parties::usual();
    let successor = SigningKey::generate(SigningAlgorithm::ES256).unwrap();
    let mut lines = bundle(&parties, 2);
    lines.pop();
    lines.push(EvidenceBundle::default().keys(&jwks(&successor)));
    let written = Sha256::digest(lines.concat());
    let claims = json!({
        "iss": ISSUER, "aud": AUDIENCE, "iat": NOW.unix_seconds(),
        "sub_id": { "format": "opaque", "id": header().subscription }, "lines": lines.len(),
        "sha256": base64_simd::URL_SAFE_NO_PAD.encode_to_string(written),
    });
    let closing = successor.sign("evidence+jwt", claims.to_string().as_bytes()).unwrap();
    lines.push(format!("{}\n", json!({ "kind": "closing", "token": closing })));

    assert_eq!(flaws(&parties, &lines, true), [] as [String; 0]);
    let believed = |keys: &[&SigningKey]| {
        let jwks: Vec<_> = keys.iter().map(|key| key.public_jwk().unwrap()).collect();
        let trusted = VerifyingKeys::from_json(json!({ "keys": jwks }).to_string().as_bytes());
        let trusted = trusted.unwrap();
        let mut examiner = Examiner::new(BundleTrust {
            issuer_keys: Some(&trusted),
            opening_keys: Some(&parties.keys),
            ..BundleTrust::none(NOW)
        });
        for line in &lines {
            examiner.take(line.as_bytes());
        }
        examiner.finish();
        (examiner.flaws, examiner.missing_keys.into_iter().collect::<Vec<_>>())
    };
    assert_eq!(believed(&[&parties.signing, &successor]), (vec![], vec![]));
    let (found, missing) = believed(&[&successor]);
    assert_eq!(missing, [parties.signing.kid()]);
    let named = format!("signed with the key `{}`", parties.signing.kid());
    assert_eq!(found.len(), 4, "both checkpoints and both events: {found:?}");
    assert!(found.iter().all(|flaw| flaw.problem.contains(&named)), "{found:?}");
    let (found, missing) = believed(&[&parties.signing]);
    assert_eq!((found.len(), missing), (1, vec![successor.kid().to_owned()]), "{found:?}");
}

#[test]
fn a_set_that_gives_a_name_of_the_bundle_to_another_key_is_refused() {
    let parties = Parties::usual();
    let lines = bundle(&parties, 1);
    let impostor = SigningKey::generate(SigningAlgorithm::ES256).unwrap();
    let mut jwks = jwks(&impostor);
    jwks["keys"][0]["kid"] = json!(parties.signing.kid());

    let mut examiner = Examiner::new(BundleTrust::none(NOW));
    lines[..3].iter().for_each(|line| drop(examiner.take(line.as_bytes())));
    examiner.take(format!("{}\n", json!({ "kind": "keys", "jwks": jwks })).as_bytes());

    assert!(examiner.flaws[0].problem.contains("the name of another key"), "{:?}", examiner.flaws);
    assert_eq!(examiner.bundled_keys, [parties.signing.kid()]);
}

#[test]
fn that_there_are_no_keys_for_receipts_is_said_and_no_flaw() {
    let (parties, mut bundle) = (Parties::usual(), EvidenceBundle::default());
    let mut examiner = Examiner::new(BundleTrust::none(NOW));
    examiner.take(bundle.header(&header()).as_bytes());
    examiner.take(bundle.keys(&jwks(&parties.signing)).as_bytes());
    examiner.take(bundle.receipt_keys(Err("they are gone"), true).as_bytes());

    assert_eq!(examiner.flaws, []);
    assert_eq!(examiner.receipt_keys_problem.as_deref(), Some("they are gone"));
    assert!(examiner.bundled_receipt_keys.is_empty());
}
