//! What AWS refuses, and what becomes of it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::a_bus_is_a_sink::domain::{BUS, Domain, OWN, ROLE};
use crate::harness::aws::{AwsFault, AwsStub, StubEntry, StubRole};
use crate::harness::eventually;

/// Waits for the first attempt.
async fn first_attempt(domain: &Domain) -> Value {
    domain.attempts(1).await.pop().unwrap()
}

#[tokio::test]
async fn what_is_not_allowed_or_not_there_becomes_a_dead_letter_after_the_patience() {
    let (domain, stub, _bus, _role) = Domain::subscribed(json!({ "giveUpAfterRefusals": 2 })).await;
    for (fault, code) in [
        (AwsFault::access_denied(), "AccessDeniedException"),
        (AwsFault::not_found(), "ResourceNotFoundException"),
    ] {
        let before = domain.get("/subscriptions/shop/dead-letters").await;
        let before = before["deadLetters"].as_array().unwrap().len();
        stub.fail("PutEvents", [fault.clone(), fault]);

        let id = domain.orders([before as u64 + 1]).await.remove(0);

        let letters = domain.dead_letters(before + 1).await;
        let letter = letters.iter().find(|letter| letter["event"] == json!(id)).unwrap();
        assert_eq!((&letter["reason"], &letter["status"]), (&json!("refused"), &json!(400)));
        assert_eq!(letter["attempts"], 2);
        assert!(letter["detail"].as_str().unwrap().starts_with(code), "{letter}");
    }
}

#[tokio::test]
async fn a_throttled_or_failing_bus_is_left_alone_for_a_while_and_loses_nothing() {
    let (domain, stub, bus, _role) = Domain::subscribed(json!({ "giveUpAfterRefusals": 1 })).await;
    stub.fail("PutEvents", [AwsFault::throttled(), AwsFault::unavailable(), AwsFault::RequestLost]);

    let id = domain.orders([1]).await.remove(0);

    let arrived = bus.wait_for(2).await.remove(1);
    assert_eq!(arrived.detail["id"], json!(id));
    let attempts = domain.attempts(4).await;
    let shown: Vec<_> =
        attempts.iter().rev().map(|one| (&one["status"], &one["verdict"])).collect();
    let (retry, delivered) = (json!("retry"), json!("delivered"));
    let expected = [
        (&json!(400), &retry),
        (&json!(503), &retry),
        (&Value::Null, &retry),
        (&json!(200), &delivered),
    ];
    assert_eq!(shown, expected);
    assert_eq!(attempts[3]["detail"], "ThrottlingException: Rate exceeded");
    // The SDK has repeated nothing by itself.
    assert_eq!(stub.calls_of("PutEvents").len(), 1 + 4);
}

#[tokio::test]
async fn credentials_that_end_are_asked_for_anew_and_no_attempt_fails() {
    let (domain, stub, bus, role) = Domain::subscribed(json!({})).await;
    role.expire_sessions();

    domain.orders([1]).await;

    bus.wait_for(2).await;
    let attempt = first_attempt(&domain).await;
    assert_eq!((&attempt["verdict"], &attempt["number"]), (&json!("delivered"), &json!(1)));
    assert_eq!(stub.calls_of("AssumeRole").len(), 2);
}

#[tokio::test]
async fn credentials_that_are_refused_again_are_not_asked_for_a_third_time() {
    let (domain, stub, bus, _role) = Domain::subscribed(json!({})).await;
    stub.fail("PutEvents", [AwsFault::expired_token(), AwsFault::expired_token()]);

    domain.orders([1]).await;

    bus.wait_for(2).await;
    let attempts = domain.attempts(2).await;
    let first = &attempts[1];
    assert_eq!((&first["status"], &first["verdict"]), (&json!(400), &json!("retry")));
    assert!(first["detail"].as_str().unwrap().starts_with("ExpiredTokenException"), "{first}");
    assert_eq!(stub.calls_of("AssumeRole").len(), 2);
}

/// Publishes one event while STS does this, and gives its first attempt. Sessions of before are over.
async fn attempt_while_sts(
    (domain, stub, role): (&Domain, &AwsStub, &StubRole),
    fault: AwsFault,
) -> Value {
    stub.behave(move |request| (request.operation == "AssumeRole").then(|| fault.clone()));
    role.expire_sessions();
    domain.orders([1]).await;
    first_attempt(domain).await
}

#[tokio::test]
async fn an_sts_that_throttles_or_fails_is_waited_for_and_nothing_is_lost() {
    let unreachable = AwsFault::RequestLost;
    let throttled = AwsFault::refused(400, "Throttling", "Rate exceeded");
    for (fault, words) in [
        (throttled, "is not given to the gateway: Throttling"),
        (AwsFault::unavailable(), "is not given to the gateway: ServiceUnavailable"),
        (unreachable, "when a role was asked for"),
    ] {
        let config = json!({ "giveUpAfterRefusals": 1 });
        let (domain, stub, bus, role) = Domain::subscribed(config).await;

        let attempt = attempt_while_sts((&domain, &stub, &role), fault).await;

        assert_eq!((&attempt["verdict"], &attempt["status"]), (&json!("retry"), &Value::Null));
        assert!(attempt["detail"].as_str().unwrap().contains(words), "{attempt}");
        stub.behave(|_| None);
        bus.wait_for(2).await;
    }
}

#[tokio::test]
async fn a_role_that_is_taken_back_makes_dead_letters_after_the_patience() {
    let (domain, stub, bus, role) = Domain::subscribed(json!({ "giveUpAfterRefusals": 2 })).await;
    let denied = AwsFault::refused(403, "AccessDenied", "User is not authorized");

    let attempt = attempt_while_sts((&domain, &stub, &role), denied).await;

    assert_eq!((&attempt["verdict"], &attempt["status"]), (&json!("retry"), &Value::Null));
    let letter = domain.dead_letters(1).await.remove(0);
    assert_eq!((&letter["reason"], &letter["attempts"]), (&json!("refused"), &json!(2)));
    assert!(letter["detail"].as_str().unwrap().contains("trust policy"), "{letter}");
    assert_eq!(bus.entries().len(), 1, "the challenge");
}

#[tokio::test]
async fn the_gateways_own_session_that_ends_is_asked_for_anew() {
    let (domain, stub, bus, role) = Domain::subscribed(json!({})).await;
    role.expire_sessions();
    stub.fail("AssumeRole", [AwsFault::refused(403, "ExpiredToken", "The token is expired")]);

    domain.orders([1]).await;

    bus.wait_for(2).await;
    let attempt = first_attempt(&domain).await;
    assert_eq!(
        (&attempt["verdict"], &attempt["number"]),
        (&json!("delivered"), &json!(1)),
        "{attempt}"
    );
}

#[tokio::test]
async fn credentials_are_asked_for_ahead_of_their_end() {
    let (domain, stub, bus, role) = Domain::subscribed(json!({})).await;
    assert_eq!(stub.calls_of("AssumeRole").len(), 1);
    role.with_session(Duration::from_mins(2)).expire_sessions();
    domain.orders([1]).await;
    bus.wait_for(2).await;
    assert_eq!(stub.calls_of("AssumeRole").len(), 2, "they have ended");

    domain.orders([2]).await;

    bus.wait_for(3).await;
    assert_eq!(stub.calls_of("AssumeRole").len(), 3, "they would have lasted two minutes");
    let refused = stub.calls_of("PutEvents").iter().filter(|call| call.status != 200).count();
    assert_eq!(refused, 1, "those that have ended");
}

#[tokio::test]
async fn a_role_that_is_not_given_says_what_its_trust_policy_needs() {
    let stub = AwsStub::start().await;
    let bus = stub.bus(BUS);
    let role = stub.role(ROLE).trusting(OWN).with_external_id("of somebody else");
    let domain = Domain::start(stub.url()).await;

    domain.subscribe(json!({})).await;

    let reason = eventually("a reason", async || {
        domain.get("/subscriptions/shop").await["reason"].as_str().map(str::to_owned)
    })
    .await;
    assert!(reason.contains("sts:AssumeRole") && reason.contains(ROLE), "{reason}");
    let id = domain.external_id("shop").await;
    assert!(!reason.contains(&id) && !reason.contains("somebody"), "{reason}");
    assert!(bus.entries().is_empty());

    role.with_external_id(&id);
    domain.call(reqwest::Method::POST, "/subscriptions/shop/verify", None).await;
    let challenge = bus.wait_for(1).await.remove(0);
    domain.answer_challenge(&challenge.detail).await;
}

#[tokio::test]
async fn a_consumer_whose_calls_are_slow_does_not_hold_up_another_on_the_same_bus() {
    let stub = AwsStub::start().await;
    let bus = stub.bus(BUS).allowing(OWN);
    let both = ["shop", "ledger"].map(|name| format!("{{ consumer: {name}, bus: '{BUS}' }}"));
    let domain = Domain::start_with(stub.url(), &both.join(", ")).await;
    for (at, consumer) in ["shop", "ledger"].into_iter().enumerate() {
        domain.subscribe_as(consumer, json!({ "audience": "shop" })).await;
        let challenge = bus.wait_for(at + 1).await.remove(at);
        domain.answer_challenge_of(consumer, &challenge.detail).await;
    }
    stub.behave(|request| {
        let resource = request.body["Entries"][0]["Resources"][0].as_str()?;
        resource.ends_with("/shop").then(|| AwsFault::Slow(Duration::from_secs(20)))
    });

    domain.orders(1..=20).await;

    let arrived = bus.wait_for(2 + 20).await;
    let of_ledger = |entry: &&StubEntry| entry.resources[0].ends_with("/ledger");
    assert_eq!(arrived[2..].iter().filter(of_ledger).count(), 20, "those of the shop are away");
}
