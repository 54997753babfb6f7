//! Attempts at a sink that answers as a test says.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use proptest::prelude::*;
use serde_json::json;

use crate::ambient::{Clock as _, SeededEntropy};
use crate::deliver::attempt::Attempter;
use crate::deliver::outcome::{Delivery, Reason, Verdict};
use crate::deliver::sink::{
    AnswerKind, ChallengeAnswer, ChallengeError, Destination, Health, Parcel, SinkAnswer,
    SinkTarget,
};
use crate::deliver::tests::stage::Stage;
use crate::event::ChainValue;
use crate::eventlog::{Attempt, Attempts as _, Page};
use crate::seal::inspect;
use crate::subscriptions::{Challenge, FormerSecret, Protocol, RecipientKeys, Subscription};

/// A sink that answers as the test says.
#[derive(Default)]
struct Told {
    parcels: Mutex<Vec<Parcel>>,
    answers: Mutex<VecDeque<SinkAnswer>>,
}

#[async_trait]
impl Destination for Told {
    async fn tell(&self, _: &Arc<SinkTarget>, _: Parcel) -> bool {
        true
    }

    async fn deliver(&self, _: &Arc<SinkTarget>, parcel: Parcel) -> SinkAnswer {
        self.parcels.lock().unwrap().push(parcel);
        self.answers.lock().unwrap().pop_front().unwrap()
    }

    async fn prove(
        &self,
        _: &Arc<SinkTarget>,
        _: Parcel,
        _: &Challenge,
    ) -> Result<ChallengeAnswer, ChallengeError> {
        panic!("no sink is proved here")
    }
}

async fn deliveries(stage: &Stage, words: &[&str]) -> Vec<Arc<Delivery>> {
    let entries = stage.append(words).await;
    let delivery = |(index, entry)| {
        Arc::new(Delivery {
            subscription: Arc::clone(&stage.subscription),
            entry,
            link: Some((index, ChainValue::start(&stage.subscription.id))),
            replay: None,
            attempts: 0,
            first_attempt: None,
            redriven: false,
        })
    };
    (1..).zip(entries).map(delivery).collect()
}

/// The attempts that were recorded, the first one first.
async fn recorded(stage: &Stage) -> Vec<Attempt> {
    stage.ledger.flush().await.unwrap();
    let mut attempts = stage.log.attempts(None, None, Page::default()).await.unwrap();
    attempts.reverse();
    attempts
}

#[tokio::test]
async fn each_answer_has_its_outcome_with_its_status_and_words() {
    let mut stage = Stage::new().await;
    stage.in_order(&json!({ "giveUpAfterRefusals": 1 }));
    let deliveries = deliveries(&stage, &["a", "b", "c", "d"]).await;
    let sink = Arc::new(Told::default());
    let wait = Duration::from_mins(1);
    let busy = SinkAnswer {
        status: Some(400),
        retry_after: Some(wait),
        detail: "ThrottlingException".into(),
        ..SinkAnswer::new(AnswerKind::Later(Health::Busy))
    };
    sink.answers.lock().unwrap().extend([
        SinkAnswer { status: Some(200), ..SinkAnswer::new(AnswerKind::Delivered) },
        busy,
        SinkAnswer {
            detail: "AccessDeniedException".into(),
            ..SinkAnswer::new(AnswerKind::Unauthorised)
        },
        SinkAnswer::new(AnswerKind::TooLarge),
    ]);
    let attempter = stage.attempter(Arc::clone(&sink) as _);

    let mut attempted = Vec::new();
    for delivery in &deliveries {
        attempted.push(attempter.attempt(delivery).await);
    }

    let refused = Verdict::GiveUp(Reason::Refused);
    let verdicts: Vec<_> = attempted.iter().map(|one| one.verdict.word()).collect();
    assert_eq!(verdicts, ["delivered", "retry", refused.word(), refused.word()]);
    assert_eq!((attempted[1].health, attempted[1].retry_after), (Health::Busy, Some(wait)));
    assert_eq!(attempted[2].health, Health::Declined);
    let attempts = recorded(&stage).await;
    let shown: Vec<_> = attempts.iter().map(|one| (one.status, &*one.detail)).collect();
    let expected = [
        (Some(200), ""),
        (Some(400), "ThrottlingException"),
        (None, "AccessDeniedException"),
        (None, ""),
    ];
    assert_eq!(shown, expected);
    for (parcel, delivery) in sink.parcels.lock().unwrap().iter().zip(&deliveries) {
        let id = delivery.entry.event.id;
        assert_eq!((parcel.id, parcel.sequence), (id, delivery.link.map(|(sequence, _)| sequence)));
        assert_eq!(stage.open(parcel).id(), id.to_string());
        assert_eq!(parcel.attribute("type"), Some("Test.Happened"));
        let inner = delivery.entry.event.idempotency_key.to_string();
        assert!(parcel.attribute("idempotencykey").is_some_and(|outer| outer != inner));
        assert_eq!(parcel.name.as_deref(), Some("Test.Happened"));
    }
}

#[tokio::test]
async fn no_key_of_the_content_travels_on_a_bus() {
    let mut stage = Stage::new().await;
    let mut subscription = (*stage.subscription).clone();
    subscription.document.protocol = Protocol::EventBridge;
    stage.subscription = Arc::new(subscription);
    let delivery = deliveries(&stage, &["a.b"]).await.remove(0);
    let sink = Arc::new(Told::default());
    sink.answers.lock().unwrap().push_back(SinkAnswer::new(AnswerKind::Delivered));

    stage.attempter(Arc::clone(&sink) as _).attempt(&delivery).await;

    let parcels = sink.parcels.lock().unwrap();
    let names: Vec<_> = parcels[0].attributes.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["source", "type", "subject", "time", "dataschema"]);
}

#[tokio::test]
async fn what_is_hidden_is_handed_to_no_sink() {
    let mut stage = Stage::new().await;
    stage.in_order(&json!({ "attributes": "id" }));
    let shown = deliveries(&stage, &["a"]).await.remove(0);
    let replayed = Delivery { replay: Some("again".parse().unwrap()), ..(*shown).clone() };
    let sink = Arc::new(Told::default());
    sink.answers.lock().unwrap().push_back(SinkAnswer::new(AnswerKind::Delivered));

    let attempted = stage.attempter(Arc::clone(&sink) as _).attempt(&replayed).await;

    assert_eq!(attempted.verdict, Verdict::Delivered);
    let parcels = sink.parcels.lock().unwrap();
    let parcel = &parcels[0];
    assert_eq!(parcel.name, None);
    assert_eq!(parcel.id, shown.entry.event.id);
    assert_eq!((parcel.attributes.len(), parcel.sequence, &parcel.replay), (0, None, &None));
}

/// What one attempt at an event with this word hands to a sink of a subscription of this kind.
async fn handed(
    word: &str,
    config: &serde_json::Value,
    protocol: Protocol,
) -> (Parcel, Arc<Delivery>) {
    let mut stage = Stage::new().await;
    stage.in_order(config);
    let mut subscription = (*stage.subscription).clone();
    subscription.document.protocol = protocol;
    stage.subscription = Arc::new(subscription);
    let delivery = deliveries(&stage, &[word]).await.remove(0);
    let sink = Arc::new(Told::default());
    sink.answers.lock().unwrap().push_back(SinkAnswer::new(AnswerKind::Delivered));
    stage.attempter(Arc::clone(&sink) as _).attempt(&delivery).await;
    let parcel = sink.parcels.lock().unwrap().remove(0);
    (parcel, delivery)
}

proptest! {
    // Each case seals a dozen tokens.
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn whatever_is_handed_to_a_sink_names_no_content(word in "[a-z]{12,40}") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for mode in ["binary", "structured", "set"] {
            for attributes in ["all", "id"] {
                for protocol in [Protocol::Http, Protocol::EventBridge] {
                    let config = json!({ "contentMode": mode, "attributes": attributes });
                    let (parcel, delivery) = runtime.block_on(handed(&word, &config, protocol));
                    let event = &delivery.entry.event;
                    let values = parcel.attributes.iter().map(|(_, value)| value.clone());
                    let extensions = parcel.extensions.iter().map(|(_, value)| value.to_string());
                    let shown: Vec<String> = values.chain(extensions).chain(parcel.name).collect();
                    for secret in [event.idempotency_key.to_string(), event.digest.to_string()] {
                        prop_assert!(!shown.iter().any(|text| text.contains(&secret)), "{shown:?}");
                    }
                    if attributes == "id" {
                        let ours = ["https://gw.example", "sealway.sealed", "sealway.sealed"];
                        prop_assert!(shown.is_empty() || shown == ours, "{shown:?}");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn what_cannot_be_sealed_or_has_no_sink_is_not_sent() {
    let mut stage = Stage::new().await;
    let sound = deliveries(&stage, &["a"]).await.remove(0);
    let mut subscription = (*stage.subscription).clone();
    subscription.keys = RecipientKeys::Shared("damaged".into());
    let unsealable = Delivery { subscription: Arc::new(subscription), ..(*sound).clone() };
    stage.subscription = Arc::new(Subscription { sink: None, ..(*stage.subscription).clone() });
    let homeless = Delivery { subscription: Arc::clone(&stage.subscription), ..(*sound).clone() };
    let sink = Arc::new(Told::default());
    let attempter = stage.attempter(Arc::clone(&sink) as _);

    for delivery in [&unsealable, &homeless] {
        let attempted = attempter.attempt(delivery).await;
        assert_eq!((attempted.verdict.word(), attempted.health), ("retry", Health::Unasked));
    }

    assert!(sink.parcels.lock().unwrap().is_empty());
    let attempts = recorded(&stage).await;
    assert!(attempts[0].detail.starts_with("cannot-be-sealed: "), "{}", attempts[0].detail);
    assert_eq!(&*attempts[1].detail, "no-sink");
}

/// The events of a stage whose subscription has these former secrets, encrypted, beside its newest.
async fn with_former(
    stage: &mut Stage,
    former: &[&str],
    words: &[&str],
) -> (Vec<Arc<Delivery>>, Arc<Told>, Arc<Attempter>) {
    let until = stage.clock.now().after(Duration::from_hours(1));
    let former = former.iter().map(|sealed| FormerSecret { sealed: (*sealed).to_owned(), until });
    let mut subscription = (*stage.subscription).clone();
    subscription.former_secrets = former.collect();
    stage.subscription = Arc::new(subscription);
    let sink = Arc::new(Told::default());
    let attempter = stage.attempter(Arc::clone(&sink) as _);
    (deliveries(stage, words).await, sink, attempter)
}

fn secret(stage: &Stage, seed: u64) -> String {
    stage.sealer.new_shared_secret(&stage.subscription.id, &SeededEntropy::new(seed)).0
}

#[tokio::test]
async fn an_attempt_offers_one_other_secret_and_further_attempts_and_events_offer_the_rest() {
    for (event, attempts) in [(0, 1), (1, 0)] {
        let mut stage = Stage::new().await;
        let former = [secret(&stage, 10), secret(&stage, 11)];
        let former = former.each_ref().map(String::as_str);
        let (deliveries, sink, attempter) = with_former(&mut stage, &former, &["a", "b"]).await;
        sink.answers.lock().unwrap().extend(vec![SinkAnswer::new(AnswerKind::Refused); 4]);

        let next = Delivery { attempts, ..(*deliveries[event]).clone() };
        for delivery in [&*deliveries[0], &next] {
            assert_eq!(attempter.attempt(delivery).await.verdict.word(), "retry");
        }

        let kid = |parcel: &Parcel| inspect(&parcel.token).unwrap()["kid"].clone();
        let kids: Vec<_> = sink.parcels.lock().unwrap().iter().map(kid).collect();
        let [first, second, again, third] = &*kids else { panic!("{kids:?}") };
        assert_eq!(first, again);
        assert!(first != second && first != third && second != third, "{kids:?}");
    }
}

#[tokio::test]
async fn what_the_second_offer_meets_is_the_answer_unless_it_is_refused_alike() {
    let mut stage = Stage::new().await;
    let former = secret(&stage, 10);
    let words = ["a", "b", "c", "d"];
    let (deliveries, sink, attempter) = with_former(&mut stage, &[&former], &words).await;
    let say = |kind, detail: &str| SinkAnswer { detail: detail.into(), ..SinkAnswer::new(kind) };
    let gone = "the sink is gone";
    for (kind, verdict, told) in [
        (AnswerKind::Later(Health::Busy), "retry", "second"),
        (AnswerKind::Gone(gone), Verdict::GiveUp(Reason::SinkGone).word(), "second"),
        (AnswerKind::OtherKey, "retry", "first"),
        (AnswerKind::Delivered, "delivered", "second"),
    ] {
        let before = recorded(&stage).await.len();
        sink.answers
            .lock()
            .unwrap()
            .extend([say(AnswerKind::Refused, "first"), say(kind, "second")]);

        let result = attempter.attempt(&deliveries[before]).await;

        assert_eq!(result.verdict.word(), verdict, "{kind:?}");
        assert_eq!(result.health == Health::Busy, kind == AnswerKind::Later(Health::Busy));
        assert_eq!(&*recorded(&stage).await[before].detail, told, "{kind:?}");
    }
}

#[tokio::test]
async fn a_secret_that_does_not_open_keeps_no_other_from_being_offered() {
    let mut stage = Stage::new().await;
    let good = secret(&stage, 10);
    for (former, answers) in [
        (["damaged", &good], vec![AnswerKind::Delivered]),
        ([&good, "damaged"], vec![AnswerKind::Refused, AnswerKind::Delivered]),
    ] {
        let (deliveries, sink, attempter) = with_former(&mut stage, &former, &["a"]).await;
        sink.answers.lock().unwrap().extend(answers.iter().copied().map(SinkAnswer::new));

        let result = attempter.attempt(&deliveries[0]).await;

        assert_eq!(result.verdict, Verdict::Delivered);
        assert_eq!(sink.parcels.lock().unwrap().len(), answers.len());
    }
}
