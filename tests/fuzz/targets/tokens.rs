//! Sealed events, signed words and evidence, as whoever stands in between may have altered them.

use std::sync::OnceLock;
use std::time::Duration;

use sealway::event::{ChainValue, EventDigest, EventId, SubscriptionId, Timestamp};
use sealway::keys::VerifyingKeys;
use sealway::seal::evidence::{BundleTrust, EventLine, EvidenceBundle, Examiner, Header};
use sealway::seal::{
    Checkpoint, CheckpointReader, Claims, Options, PlaceClaims, ReceiptReader, inspect, open, seal,
    sign_place,
};

use super::parties::{AUDIENCE, ISSUER, NOW, Parties};
use super::tells_no_secret;

const EVENT: &str = r#"{"specversion":"1.0","id":"01","data":{"orderId":"101"}}"#;

/// The keys, one token of them, and one bundle.
struct Made {
    parties: Parties,
    token: String,
    bundle: Vec<String>,
}

fn made() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(|| {
        let parties = Parties::new();
        let token = sealed(&parties, EVENT);
        let bundle = bundle(&parties);
        assert!(open(&token, &parties.expected()).is_ok(), "the true token opens");
        let issuer_keys = Some(&parties.verifying);
        let mut examiner = Examiner::new(BundleTrust { issuer_keys, ..BundleTrust::none(NOW) });
        for line in &bundle {
            examiner.take(line.as_bytes());
        }
        examiner.finish();
        assert_eq!(examiner.flaws, [], "the true bundle has no flaw");
        Made { parties, token, bundle }
    })
}

fn subscription() -> SubscriptionId {
    "orders".parse().unwrap()
}

fn sealed(parties: &Parties, event: &str) -> String {
    let subscription = subscription();
    let claims = Claims {
        issuer: ISSUER,
        audience: AUDIENCE,
        issued_at: NOW,
        expires_at: Timestamp::from_unix_seconds(NOW.unix_seconds() + 86_400),
        id: EventId::first_of(1),
        transaction: None,
        occurred_at: None,
        subscription: &subscription,
        place: Some(PlaceClaims { sequence: 1, previous: ChainValue::start(&subscription) }),
        replay: None,
        salted: None,
        incarnation: 1,
        event_type: "https://events.example.com/events/cloudevent/v1",
        event,
    };
    let sealed = seal(&claims, &parties.signing, &parties.sealing, &Options::default());
    sealed.unwrap().into_token()
}

/// A token: a `~` stands for the true one, so that a mutation begins near it. Only the true one opens.
pub fn token(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let made = made();
    let parts: Vec<&str> = made.token.split('.').collect();
    let mut text = text.replace('~', &made.token);
    for (at, part) in parts.iter().enumerate() {
        text = text.replace(&format!("<{at}>"), part);
    }
    match open(&text, &made.parties.expected()) {
        Ok(opened) => {
            assert_eq!(text.trim(), made.token, "another token opens");
            assert_eq!(opened.event()["data"]["orderId"], "101");
        }
        Err(error) => tells_no_secret(&error),
    }
    let _ = inspect(&text);
}

/// Claims that are truly signed and sealed, and say anything: the input stands where the event does, and
/// may close it and add to what is around it. What opens, opens as it was sealed.
pub fn claims(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let made = made();
    if let Ok(opened) = open(&sealed(&made.parties, text), &made.parties.expected()) {
        assert!(opened.event().is_object());
        assert_eq!(opened.claims().get("slt").is_some(), opened.salted().is_some());
        let _ = opened.digest();
    }
    let reader = CheckpointReader {
        issuer_keys: &made.parties.verifying,
        issuer: ISSUER,
        audience: AUDIENCE,
        now: NOW,
        leeway: Duration::from_mins(1),
    };
    let _ = reader.read(text);
    for typ in ["checkpoint+jwt", "place+jwt"] {
        let token = made.parties.signing.sign(typ, input).unwrap();
        if let Ok(checkpoint) = reader.read(&token) {
            assert_eq!((checkpoint.issuer.as_str(), typ), (ISSUER, "checkpoint+jwt"));
        }
        if let Ok(place) = reader.read_place(&token) {
            assert_eq!((place.audience.as_str(), typ), (AUDIENCE, "place+jwt"));
        }
    }
}

/// What a sink answers in place of a receipt, and what a consumer signs as one.
pub fn receipt(input: &[u8]) {
    let made = made();
    let reader = ReceiptReader {
        keys: &made.parties.verifying,
        issuer: AUDIENCE,
        audience: ISSUER,
        now: NOW,
        leeway: Duration::from_mins(1),
    };
    if let Err(fault) = reader.read(input) {
        tells_no_secret(&fault);
    }
    let token = made.parties.signing.sign("receipt+jwt", input).unwrap();
    if let Ok(receipt) = reader.read(token.as_bytes()) {
        assert!(receipt.issued_at.unix_seconds() <= NOW.unix_seconds() + 60);
    }
}

fn bundle(parties: &Parties) -> Vec<String> {
    let header = Header {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        subscription: subscription(),
        from: None,
        to: Some(EventId::MAX),
        at: NOW,
        tree: None,
        incarnation: 1,
        series: None,
        aliases: Vec::new(),
        asked: None,
    };
    let place = |sequence: u64, chain: ChainValue| {
        let place = Checkpoint {
            issuer: ISSUER.to_owned(),
            issuer_next: None,
            audience: AUDIENCE.to_owned(),
            issued_at: NOW,
            chain,
            subscription: subscription(),
            sequence,
            head: (sequence > 0).then(|| EventId::first_of(sequence)),
            ended: Vec::new(),
            ending: Vec::new(),
            closing: false,
            tree: None,
            incarnation: 1,
            sub_digest: None,
            asked: None,
        };
        sign_place(&place, &parties.signing).unwrap()
    };
    let (mut bundle, start) = (EvidenceBundle::default(), ChainValue::start(&subscription()));
    let jwks = serde_json::json!({ "keys": [parties.signing.public_jwk().unwrap()] });
    let digest = EventDigest::from_bytes([9; 32]);
    let token = sealed(parties, EVENT);
    let event = EventLine {
        id: EventId::first_of(1),
        place: PlaceClaims { sequence: 1, previous: start },
        digest,
        token: &token,
        receipts: &[],
        inclusion: None,
        state: None,
    };
    let mut lines =
        vec![bundle.header(&header), bundle.keys(&jwks), bundle.checkpoint(&place(0, start))];
    lines.push(bundle.event(&event));
    lines.push(bundle.checkpoint(&place(1, start.next(EventId::first_of(1), digest))));
    lines.push(bundle.close(&header, NOW, &parties.signing).unwrap());
    lines
}

/// A bundle: `<n>` stands for a line of the true one. Only the true one has no flaw.
pub fn evidence(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let made = made();
    let mut text = text.to_owned();
    for (at, line) in made.bundle.iter().enumerate() {
        text = text.replace(&format!("<{at}>\n"), line);
    }
    let flaws = |trusted: Option<&VerifyingKeys>| {
        let trust = BundleTrust { issuer_keys: trusted, ..BundleTrust::none(NOW) };
        let mut examiner = Examiner::new(trust);
        for line in text.split_inclusive('\n') {
            examiner.take(line.as_bytes());
        }
        examiner.finish();
        assert!(examiner.flaws.len() <= 100);
        examiner.flaw_count
    };
    let _ = flaws(None);
    if flaws(Some(&made.parties.verifying)) == 0 {
        assert_eq!(text, made.bundle.concat(), "another bundle has no flaw");
    }
}
