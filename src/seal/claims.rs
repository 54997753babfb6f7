//! What a token says, as the text that is signed.

use std::io::Write as _;

use crate::event::{ChainValue, EventId, ReplayId, Salt, SubscriptionId, Timestamp};

/// The claims of a token that carries an event (RFC 8417, section 2.2).
#[derive(Clone, Copy)]
pub struct Claims<'a> {
    /// `iss`: the gateway, one URL.
    pub issuer: &'a str,
    /// `aud`: exactly one consumer, so that it cannot pass our signed event on to another.
    pub audience: &'a str,
    /// `iat`, in whole seconds.
    pub issued_at: Timestamp,
    /// `exp`, in whole seconds. A token without one does not open.
    pub expires_at: Timestamp,
    /// `jti`: the event id, the same over retries and replays.
    pub id: EventId,
    /// `txn`: the trace id, the same over all consumers of one event.
    pub transaction: Option<&'a str>,
    /// `toe`: when the event occurred, in whole seconds since 1970; absent before that.
    pub occurred_at: Option<u64>,
    /// `sub_id`: the subscription, as an opaque identifier (RFC 9493, section 3.2.7).
    pub subscription: &'a SubscriptionId,
    /// `seq` and `prv`: the place among all that the subscription was sent; absent on replays.
    pub place: Option<PlaceClaims>,
    /// `rpl`: the replay that this is part of.
    pub replay: Option<&'a ReplayId>,
    /// `slt` and `pub_ver`: what the digest of the event is computed with; absent for events whose
    /// digest is of form 1.
    pub salted: Option<SaltedClaims<'a>>,
    /// `inc`: the incarnation of the log in which the event was numbered; absent for the first.
    pub incarnation: u64,
    /// The name of the one member of `events`, such as [`cloudevent_type`] makes.
    pub event_type: &'a str,
    /// The event: the text of a JSON object, embedded as it is.
    pub event: &'a str,
}

/// A place in the sequence of a subscription.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PlaceClaims {
    /// Counts from 1 without gaps.
    pub sequence: u64,
    /// The chain value before this event.
    pub previous: ChainValue,
}

/// What makes the digest of an event one of form 2, beside the event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SaltedClaims<'a> {
    /// `slt`: what it is salted with, in unpadded base64url. Its presence marks form 2.
    pub salt: Salt,
    /// `pub_ver`: the version of the publication that let the event cross.
    pub publication_version: Option<&'a str>,
}

/// The member of `events` that holds a CloudEvent: `<issuer>/events/cloudevent/v1`.
pub fn cloudevent_type(issuer: &str) -> String {
    format!("{}/events/cloudevent/v1", issuer.trim_end_matches('/'))
}

impl Claims<'_> {
    /// Writes the claims as JSON.
    pub(super) fn to_json(self) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.event.len() + 640);
        // Writing to memory cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(self, text: &mut Vec<u8>) -> std::io::Result<()> {
        text.write_all(b"{\"iss\":")?;
        serde_json::to_writer(&mut *text, self.issuer)?;
        text.write_all(b",\"aud\":")?;
        serde_json::to_writer(&mut *text, self.audience)?;
        write!(text, ",\"iat\":{}", self.issued_at.unix_seconds())?;
        write!(text, ",\"exp\":{}", self.expires_at.unix_seconds())?;
        write!(text, ",\"jti\":\"{}\"", self.id)?;
        if let Some(transaction) = self.transaction {
            text.write_all(b",\"txn\":")?;
            serde_json::to_writer(&mut *text, transaction)?;
        }
        if let Some(seconds) = self.occurred_at {
            write!(text, ",\"toe\":{seconds}")?;
        }
        // Names of subscriptions and replays need no escaping: see `event::names`.
        let subscription = self.subscription.as_str();
        write!(text, r#","sub_id":{{"format":"opaque","id":"{subscription}"}}"#)?;
        if let Some(PlaceClaims { sequence, previous }) = self.place {
            write!(text, r#","seq":{sequence},"prv":"{previous}""#)?;
        }
        if let Some(replay) = self.replay {
            write!(text, r#","rpl":"{}""#, replay.as_str())?;
        }
        if let Some(SaltedClaims { salt, publication_version }) = self.salted {
            write!(text, r#","slt":"{}""#, salt.to_text())?;
            if let Some(version) = publication_version {
                text.write_all(b",\"pub_ver\":")?;
                serde_json::to_writer(&mut *text, version)?;
            }
        }
        if self.incarnation > 1 {
            write!(text, r#","inc":{}"#, self.incarnation)?;
        }
        text.write_all(b",\"events\":{")?;
        serde_json::to_writer(&mut *text, self.event_type)?;
        text.write_all(b":")?;
        text.write_all(self.event.as_bytes())?;
        text.write_all(b"}}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_claims_are_those_of_the_design_and_the_event_is_untouched() {
        let subscription: SubscriptionId = "orders".parse().unwrap();
        let replay: ReplayId = "again".parse().unwrap();
        let previous = ChainValue::start(&subscription);
        let claims = Claims {
            issuer: "https://events.example.com",
            audience: "shop",
            issued_at: Timestamp::from_unix_ms(1_795_282_931_900),
            expires_at: Timestamp::from_unix_seconds(1_795_369_331),
            id: EventId::from_parts(1_795_282_931_000, 7),
            transaction: Some("4bf92f35"),
            occurred_at: Some(1_795_282_900),
            subscription: &subscription,
            place: Some(PlaceClaims { sequence: 123_456, previous }),
            replay: Some(&replay),
            salted: Some(SaltedClaims {
                salt: Salt::from_bytes([0xff; 16]),
                publication_version: Some("1.0.0"),
            }),
            incarnation: 2,
            event_type: &cloudevent_type("https://events.example.com/"),
            event: r#"{"specversion":"1.0","data":{"amount":1.5}}"#,
        };

        let text = String::from_utf8(claims.to_json()).unwrap();

        assert!(text.contains(claims.event), "{text}");
        assert_eq!(
            serde_json::from_str::<Value>(&text).unwrap(),
            json!({
                "iss": "https://events.example.com", "aud": "shop", "iat": 1_795_282_931,
                "exp": 1_795_369_331, "jti": claims.id.to_string(), "txn": "4bf92f35",
                "toe": 1_795_282_900, "sub_id": {"format": "opaque", "id": "orders"},
                "seq": 123_456, "prv": previous.to_string(), "rpl": "again",
                "slt": "_____________________w", "pub_ver": "1.0.0", "inc": 2,
                "events": {"https://events.example.com/events/cloudevent/v1":
                    {"specversion": "1.0", "data": {"amount": 1.5}}},
            })
        );
    }

    proptest! {
        #[test]
        fn whatever_the_texts_the_claims_are_json(
            issuer in ".*", audience in ".*", txn in ".*", version in ".*",
        ) {
            let salt = Salt::from_bytes([0; 16]);
            let salted = SaltedClaims { salt, publication_version: Some(&version) };
            let subscription: SubscriptionId = "s".parse().unwrap();
            let claims = Claims {
                issuer: &issuer, audience: &audience, issued_at: Timestamp::EPOCH,
                expires_at: Timestamp::EPOCH, id: EventId::MIN, transaction: Some(&txn), occurred_at: None,
                subscription: &subscription, place: None, replay: None, salted: Some(salted), incarnation: 1, event_type: &issuer,
                event: "{}",
            };
            let tree: Value = serde_json::from_slice(&claims.to_json()).unwrap();
            prop_assert_eq!(tree.get("toe"), None);
            prop_assert_eq!(tree.get("inc"), None);
            prop_assert_eq!(&tree["iss"], &json!(issuer));
            prop_assert_eq!(&tree["aud"], &json!(audience));
            prop_assert_eq!(&tree["txn"], &json!(txn));
            prop_assert_eq!(&tree["pub_ver"], &json!(version));
            prop_assert_eq!(&tree["events"][&issuer], &json!({}));
        }
    }
}
