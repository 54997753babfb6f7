//! Checkpoints are believed only from their issuer and only as checkpoints.

use std::time::Duration;

use super::*;
use crate::seal::{Checkpoint, CheckpointReader, sign_checkpoint, sign_place};
use crate::transparency::{TreeHash, TreeHead, TreeRoot};

fn checkpoint() -> Checkpoint {
    let subscription: SubscriptionId = "orders".parse().unwrap();
    Checkpoint {
        issuer: ISSUER.to_owned(),
        issuer_next: None,
        audience: AUDIENCE.to_owned(),
        issued_at: NOW,
        chain: ChainValue::start(&subscription),
        subscription,
        sequence: 12,
        head: Some(EventId::MAX),
        ended: Vec::new(),
        ending: Vec::new(),
        closing: false,
        tree: None,
        sub_digest: None,
        asked: None,
    }
}

fn reader(parties: &Parties) -> CheckpointReader<'_> {
    CheckpointReader {
        issuer_keys: &parties.issuer_keys,
        issuer: ISSUER,
        audience: AUDIENCE,
        now: NOW,
        leeway: Duration::from_mins(1),
    }
}

#[test]
fn a_checkpoint_is_read_as_it_was_signed() {
    let parties = Parties::usual();
    let reader = reader(&parties);
    let tree = TreeHead { first: 7, tree: TreeRoot { size: 3, root: TreeHash::of_nothing() } };
    for (head, tree) in [(None, None), (Some(EventId::MIN), Some(tree))] {
        let checkpoint = Checkpoint { head, tree, ..checkpoint() };
        let token = sign_checkpoint(&checkpoint, &parties.signing).unwrap();

        assert_eq!(reader.read(&token).unwrap(), checkpoint);
        assert!(CheckpointReader { audience: "another", ..reader }.read(&token).is_err());
        assert!(CheckpointReader { issuer: "another", ..reader }.read(&token).is_err());
        assert!(CheckpointReader { now: Timestamp::EPOCH, ..reader }.read(&token).is_err());
        let stranger = Parties::usual();
        let strange = CheckpointReader { issuer_keys: &stranger.issuer_keys, ..reader };
        assert!(strange.read(&token).is_err());
    }
}

#[test]
fn a_checkpoint_with_half_a_tree_is_none() {
    let parties = Parties::usual();
    let token = |tree: Value| {
        let mut claims = json!({
            "iss": ISSUER, "aud": AUDIENCE, "iat": NOW.unix_seconds(), "seq": 0, "head": null,
            "sub_id": {"format": "opaque", "id": "orders"},
            "chain": ChainValue::start(&"orders".parse().unwrap()).to_string(),
        });
        claims["tree"] = tree;
        parties.signing.sign("checkpoint+jwt", claims.to_string().as_bytes()).unwrap()
    };
    let root = TreeHash::of_nothing().to_string();
    let whole = json!({"first": 1, "size": 0, "root": root});
    assert!(reader(&parties).read(&token(whole.clone())).is_ok());
    for name in ["first", "size", "root"] {
        for wrong in [Value::Null, json!(-1), json!("x")] {
            let mut tree = whole.clone();
            tree[name] = wrong;
            assert!(reader(&parties).read(&token(tree.clone())).is_err(), "{tree}");
        }
    }
    assert!(reader(&parties).read(&token(Value::Null)).is_err());
}

#[test]
fn an_event_is_not_a_checkpoint_nor_the_other_way_round() {
    let parties = Parties::usual();
    let reader = reader(&parties);
    let claims = refusals::claims().to_string();
    let event = parties.signing.sign_event(claims.as_bytes()).unwrap();
    let place = sign_place(&checkpoint(), &parties.signing).unwrap();
    assert!(reader.read(&place).is_err(), "a place of the past is none either");
    assert_eq!(reader.read_place(&place).unwrap(), checkpoint());
    let checkpoint = sign_checkpoint(&checkpoint(), &parties.signing).unwrap();
    assert!(reader.read_place(&checkpoint).is_err());

    assert!(reader.read(&event).is_err());
    let sealed = refusals::encrypt(&parties, &json!({}), &checkpoint);
    assert!(crate::seal::open(&sealed, &parties.opening()).is_err());
}
