//! A bundle says yes only as it was written: whatever byte is another, it says no.

use proptest::prelude::*;

use super::*;
use crate::event::{ContentDigest, TokenDigest};
use crate::seal::evidence::{Bundle, EventLine, Examiner, Header};
use crate::seal::{Checkpoint, sign_place};

fn header() -> Header {
    Header {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        subscription: "orders".parse().unwrap(),
        from: None,
        to: Some(EventId::MAX),
        at: NOW,
    }
}

/// A bundle of events, as lines with their ends.
fn bundle(parties: &Parties, events: u64) -> Vec<String> {
    let (mut bundle, header) = (Bundle::default(), header());
    let id = header.subscription.clone();
    let checkpoint = |sequence: u64, chain: ChainValue| {
        let checkpoint = Checkpoint {
            issuer: ISSUER.to_owned(),
            audience: AUDIENCE.to_owned(),
            issued_at: NOW,
            chain,
            subscription: id.clone(),
            sequence,
            head: None,
        };
        sign_place(&checkpoint, &parties.signing).unwrap()
    };
    let mut chain = ChainValue::start(&header.subscription);
    let mut lines = vec![
        bundle.header(&header),
        bundle.keys(&json!({ "keys": [parties.signing.public_jwk().unwrap()] })),
        bundle.checkpoint(&checkpoint(0, chain)),
    ];
    for sequence in 1..=events {
        let (event_id, place) = (EventId::first_of(sequence), Place { sequence, previous: chain });
        let digest = ContentDigest::from_bytes([9; 32]);
        let event = event().to_string();
        let event_type = cloudevent_type(ISSUER);
        let claims = Claims {
            id: event_id,
            place: Some(place),
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
        }));
        chain = chain.next(event_id, digest);
    }
    lines.push(bundle.checkpoint(&checkpoint(events, chain)));
    lines.push(bundle.close(&header, NOW, &parties.signing).unwrap());
    lines
}

/// What is wrong with a bundle.
fn flaws(parties: &Parties, lines: &[impl AsRef<[u8]>], with_key: bool) -> Vec<String> {
    let keys = with_key.then_some(&parties.keys);
    let mut examiner = Examiner::new(None, keys, None, NOW);
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
    let trusted = Examiner::new(Some(&stranger.issuer_keys), None, None, NOW);
    let mut trusted = trusted;
    for line in &lines {
        trusted.take(line.as_bytes());
    }
    assert!(trusted.flaw_count >= 3, "{:?}", trusted.flaws);
    assert!(!flaws(&stranger, &lines, true).is_empty(), "another consumer opens nothing");
}

#[test]
fn keys_are_named_by_what_they_are_and_not_by_what_they_are_called() {
    let parties = Parties::usual();
    let lines = bundle(&parties, 1);
    let own = parties.signing.kid();
    let renamed = lines[1].replace(&format!("\"kid\":\"{own}\""), "\"kid\":\"the-gateways\"");
    assert_ne!(renamed, lines[1]);

    let mut examiner = Examiner::new(None, None, None, NOW);
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
    let other = ContentDigest::from_bytes([8; 32]).to_string();
    let nine = ContentDigest::from_bytes([9; 32]).to_string();
    lines[4] = lines[4].replace(&nine, &other);

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
