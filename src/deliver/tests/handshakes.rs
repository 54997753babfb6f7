//! Handshakes with kinds of sink that are asked, and with one that cannot be.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use crate::ambient::{Clock as _, SeededEntropy};
use crate::deliver::attempt::Handshake;
use crate::deliver::sink::{
    ChallengeAnswer, ChallengeError, Destination, Destinations, Parcel, SinkAnswer, SinkTarget,
};
use crate::deliver::tests::stage::Stage;
use crate::subscriptions::{Challenge, ChallengeReply};

/// Whether a sink consents, and the words in which it answers a challenge; one without words has
/// proved itself when it lets the gateway in.
struct Asked {
    consents: bool,
    words: Option<&'static str>,
    challenged: Mutex<Vec<Parcel>>,
}

impl Asked {
    fn new(consents: bool, words: Option<&'static str>) -> Arc<Self> {
        Arc::new(Self { consents, words, challenged: Mutex::default() })
    }
}

#[async_trait]
impl Destination for Asked {
    async fn tell(&self, _: &Arc<SinkTarget>, _: Parcel) -> bool {
        true
    }

    async fn deliver(&self, _: &Arc<SinkTarget>, _: Parcel) -> SinkAnswer {
        panic!("no event is sent before the first one")
    }

    async fn ask_consent(&self, _: &Arc<SinkTarget>, origin: &str) -> Result<(), ChallengeError> {
        assert_eq!(origin, "gw.example");
        if self.consents { Ok(()) } else { Err(ChallengeError::NoConsent("no")) }
    }

    async fn prove(
        &self,
        _: &Arc<SinkTarget>,
        parcel: Parcel,
        challenge: &Challenge,
    ) -> Result<ChallengeAnswer, ChallengeError> {
        self.challenged.lock().unwrap().push(parcel);
        match self.words {
            Some(words) if challenge.reply(words.as_bytes()) != ChallengeReply::Right => {
                Err(ChallengeError::NotAnswered("say it"))
            }
            _ => Ok(ChallengeAnswer::Proved),
        }
    }
}

async fn perform(stage: &Stage, sink: &Arc<Asked>) -> Result<ChallengeAnswer, String> {
    let handshake = Handshake {
        destinations: Arc::new(Destinations {
            http: Arc::clone(sink) as _,
            event_bus: Arc::clone(sink) as _,
        }),
        sealer: Arc::clone(&stage.sealer),
        issuer: "https://gw.example/".parse().unwrap(),
        timeout: Duration::from_secs(1),
    };
    let challenge = Challenge::new(stage.clock.now(), &SeededEntropy::new(1));
    handshake.perform(&stage.subscription, &challenge, 1).await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_sink_without_words_has_proved_itself_when_it_lets_the_gateway_in() {
    let (stage, sink) = (Stage::new().await, Asked::new(true, None));

    perform(&stage, &sink).await.unwrap();

    let challenged = sink.challenged.lock().unwrap();
    let shown = [("type", "sealway.subscription.challenge"), ("source", "https://gw.example/")];
    let attributes: Vec<_> = challenged[0].attributes.iter().map(|(n, v)| (*n, &**v)).collect();
    assert_eq!(attributes, shown);
    assert_eq!(stage.open(&challenged[0]).id(), challenged[0].id.to_string());
}

#[tokio::test]
async fn a_sink_with_words_has_to_say_the_nonce_and_one_that_does_not_consent_is_not_asked_for_it()
{
    let stage = Stage::new().await;
    let (other_words, unwilling) = (Asked::new(true, Some("hello")), Asked::new(false, None));

    let wrong = perform(&stage, &other_words).await.unwrap_err();
    assert_eq!(wrong, "the sink's answer does not hold the nonce: say it");
    let refused = perform(&stage, &unwilling).await.unwrap_err();
    assert_eq!(refused, "the sink does not consent: no");
    assert!(unwilling.challenged.lock().unwrap().is_empty());
}
