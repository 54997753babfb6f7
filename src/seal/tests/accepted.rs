//! Signed answers are believed only from their gateway, and only where they agree with themselves.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::event::{EventDigest, Salt, SentDigest};
use crate::seal::{
    AcceptedEntry, AcceptedEvent, AcceptedFault, AcceptedOutcome, AcceptedPlace, AcceptedReader,
    AcceptedReceipt, sign_accepted,
};
use crate::transparency::{TreeHash, TreeHead, TreeRoot};

fn event(position: u64, salt: Option<Salt>) -> AcceptedEvent {
    let digest = EventDigest::from_bytes([7; 32]);
    let place = AcceptedPlace { event_type: "Order.Created".to_owned(), position, digest };
    AcceptedEvent { id: EventId::first_of(position), place: Some(place), salt }
}

fn entry(outcome: AcceptedOutcome, events: Vec<AcceptedEvent>) -> AcceptedEntry {
    let code = (outcome == AcceptedOutcome::Refused).then(|| "invalid-event".to_owned());
    AcceptedEntry { sent: SentDigest::of(b"{}"), outcome, code, events }
}

/// An answer of every kind, with a tree of the positions 3 to 5.
fn receipt() -> AcceptedReceipt {
    let new = || Some(Salt::from_bytes([5; 16]));
    let gone = AcceptedEvent { place: None, ..event(1, None) };
    AcceptedReceipt {
        issuer: ISSUER.to_owned(),
        audience: "shop".to_owned(),
        issued_at: NOW,
        incarnation: 1,
        tree: TreeHead { first: 3, tree: TreeRoot { size: 3, root: TreeHash::of_nothing() } },
        entries: vec![
            entry(
                AcceptedOutcome::Accepted,
                vec![event(4, new()), event(5, new()), event(3, None)],
            ),
            entry(AcceptedOutcome::Repeated, vec![event(2, None), gone]),
            entry(AcceptedOutcome::Quarantined, vec![]),
            entry(AcceptedOutcome::Unwanted, vec![]),
            entry(AcceptedOutcome::Refused, vec![]),
        ],
    }
}

fn reader(parties: &Parties) -> AcceptedReader<'_> {
    let issuer_keys = &parties.issuer_keys;
    AcceptedReader { issuer_keys, issuers: &[], now: NOW, leeway: Duration::from_mins(1) }
}

#[test]
fn an_answer_is_read_as_it_was_signed() {
    let parties = Parties::usual();
    let reader = reader(&parties);
    let token = sign_accepted(&receipt(), &parties.signing).unwrap();

    assert_eq!(reader.read(&token), Ok(receipt()));
    let second = AcceptedReceipt { incarnation: 2, ..receipt() };
    assert_eq!(reader.read(&sign_accepted(&second, &parties.signing).unwrap()), Ok(second));
    let (own, other) = ([ISSUER.to_owned()], ["https://other.example".to_owned()]);
    assert!(AcceptedReader { issuers: &own, ..reader }.read(&token).is_ok());
    assert_eq!(
        AcceptedReader { issuers: &other, ..reader }.read(&token),
        Err(AcceptedFault::OtherIssuer(ISSUER.to_owned()))
    );
    let early = AcceptedReader { now: Timestamp::EPOCH, ..reader };
    assert_eq!(early.read(&token), Err(AcceptedFault::Invalid));
    let stranger = Parties::usual();
    let strange = AcceptedReader { issuer_keys: &stranger.issuer_keys, ..reader };
    let missing = AcceptedFault::MissingKey(parties.signing.kid().to_owned());
    assert_eq!(strange.read(&token), Err(missing));
}

#[test]
fn what_no_honest_gateway_signs_is_told() {
    let parties = Parties::usual();
    let read = |alter: &dyn Fn(&mut AcceptedReceipt)| {
        let mut receipt = receipt();
        alter(&mut receipt);
        reader(&parties).read(&sign_accepted(&receipt, &parties.signing).unwrap())
    };
    let new = || Some(Salt::from_bytes([5; 16]));
    let contradictions: [&dyn Fn(&mut AcceptedReceipt); 8] = [
        &|receipt| receipt.entries[0].events.clear(),
        &|receipt| receipt.entries[0].events.drain(..2).for_each(drop),
        &|receipt| receipt.entries[1].events[0].salt = new(),
        &|receipt| receipt.entries[2].events.push(event(4, None)),
        &|receipt| receipt.entries[3].code = Some("x".to_owned()),
        &|receipt| receipt.entries[4].code = None,
        &|receipt| receipt.entries[0].events[0].place = None,
        &|receipt| receipt.tree.tree.size = 2,
    ];
    for alter in contradictions {
        assert!(matches!(read(alter), Err(AcceptedFault::Contradiction(_))), "{:?}", read(alter));
    }
    let before = |receipt: &mut AcceptedReceipt| receipt.entries[0].events = vec![event(2, new())];
    assert!(matches!(read(&before), Err(AcceptedFault::Contradiction(_))));
}

#[test]
fn the_claims_have_one_form() {
    let parties = Parties::usual();
    let token = sign_accepted(&receipt(), &parties.signing).unwrap();
    let payload = token.split('.').nth(1).unwrap();
    let payload = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(payload).unwrap();
    let claims: Value = serde_json::from_slice(&payload).unwrap();

    assert_eq!((&claims["tree"]["first"], claims.get("incarnation")), (&json!(3), None));
    assert_eq!(
        claims["entries"][0]["events"][0],
        json!({
            "id": EventId::first_of(4).to_string(), "type": "Order.Created", "position": 4,
            "digest": "07".repeat(32), "salt": "BQUFBQUFBQUFBQUFBQUFBQ",
        })
    );
    assert_eq!(
        claims["entries"][1]["events"][1],
        json!({ "id": EventId::first_of(1).to_string(), "earlier": true })
    );
    assert_eq!(
        claims["entries"][4],
        json!({
            "sha256": SentDigest::of(b"{}").to_string(), "outcome": "refused",
            "code": "invalid-event",
        })
    );
}

proptest! {
    #[test]
    fn whatever_is_signed_is_read_or_refused(
        claims in prop_oneof![
            "\\PC{0,200}",
            r#"\{"iss":"[a-z]","aud":"a","iat":[0-9],"tree":\{"first":1,"size":[0-9],"root":"[a-zA-Z0-9_-]{43}"\},"entries":\[(\{"sha256":"[A-Za-z0-9_-]{43}","outcome":"(accepted|refused|unwanted)","events":\[(\{"id":7\})?\]\})?\]\}"#,
        ],
    ) {
        let parties = Parties::usual();
        let token = parties.signing.sign("accepted+jwt", claims.as_bytes()).unwrap();
        if let Ok(receipt) = reader(&parties).read(&token) {
            let again = sign_accepted(&receipt, &parties.signing).unwrap();
            prop_assert_eq!(reader(&parties).read(&again), Ok(receipt));
        }
        prop_assert!(reader(&parties).read(&claims).is_err());
    }
}
