//! What a sink answers to a challenge.

use sealway::ambient::SeededEntropy;
use sealway::subscriptions::{Challenge, ChallengeReply};

use super::parties::NOW;

/// Only the nonce proves a sink: `~` stands for it.
pub fn challenge(input: &[u8]) {
    let challenge = Challenge::new(NOW, &SeededEntropy::new(7));
    let event = challenge.to_event("https://events.example.com", NOW);
    let nonce =
        event["data"]["challenge"].as_str().expect("a challenge asks for a nonce").to_owned();
    let text = String::from_utf8_lossy(input).replace('~', &nonce);
    if challenge.reply(text.as_bytes()) == ChallengeReply::Right {
        assert!(text.contains(&nonce) || text.contains('\\'), "proved without the nonce");
    }
    if Challenge::may_have(&text) && challenge.is(&text) {
        assert_eq!(text, nonce);
    }
    assert!(!challenge.hidden_in(&text).contains(&nonce));
}
