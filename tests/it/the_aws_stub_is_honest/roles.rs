//! Roles: external ids, sessions that end, and what they may do.

use std::time::Duration;

use aws_sdk_eventbridge::error::ProvideErrorMetadata as _;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_sdk_sts::config::Credentials;
use aws_sdk_sts::types::Credentials as Given;
use aws_sdk_sts::{Client, config};

use crate::harness::aws::{AwsStub, StubRole};

const ROLE: &str = "arn:aws:iam::444455556666:role/sealway-deliver";
const BUS: &str = "arn:aws:events:eu-west-1:444455556666:event-bus/partner";
const OWN: &str = "arn:aws:iam::111122223333:user/AKIAGATEWAY";

fn sts(stub: &AwsStub) -> Client {
    Client::new(&stub.sdk_config("eu-west-1", "AKIAGATEWAY"))
}

/// Credentials of a session as a client takes them.
fn credentials(given: &Given) -> Credentials {
    let token = Some(given.session_token().to_owned());
    Credentials::new(given.access_key_id(), given.secret_access_key(), token, None, "test")
}

#[tokio::test]
async fn a_role_is_given_to_who_is_trusted_and_shows_its_external_id() {
    let stub = AwsStub::start().await;
    stub.role(ROLE).with_external_id("made-by-the-gateway").trusting(OWN);
    let stranger = Client::new(&stub.sdk_config("eu-west-1", "AKIASTRANGER"));
    let take = |client: &Client, id: Option<&str>| {
        let take = client.assume_role().role_arn(ROLE).role_session_name("gw");
        take.set_external_id(id.map(str::to_owned)).send()
    };

    let given = take(&sts(&stub), Some("made-by-the-gateway")).await.unwrap();
    for (client, id) in
        [(sts(&stub), None), (sts(&stub), Some("another")), (stranger, Some("made-by-the-gateway"))]
    {
        let refused = take(&client, id).await.unwrap_err();
        assert_eq!(refused.code(), Some("AccessDenied"), "{id:?}");
        assert_eq!(refused.raw_response().unwrap().status().as_u16(), 403);
    }

    let session = "arn:aws:sts::444455556666:assumed-role/sealway-deliver/gw";
    assert_eq!(given.assumed_role_user().unwrap().arn(), session);
    let own = sts(&stub).get_caller_identity().send().await.unwrap();
    assert_eq!((own.account(), own.arn()), (Some("111122223333"), Some(OWN)));
    let settings = config::Builder::from(&stub.sdk_config("eu-west-1", "unused"));
    let settings = settings.credentials_provider(credentials(given.credentials().unwrap())).build();
    let taken = Client::from_conf(settings).get_caller_identity().send().await.unwrap();
    assert_eq!((taken.account(), taken.arn()), (Some("444455556666"), Some(session)));
    let asked = &stub.calls_of("AssumeRole")[0].asked;
    assert_eq!(asked.text("RoleSessionName"), Some("gw"));
    assert_eq!((asked.access_key.as_str(), asked.principal.as_str()), ("AKIAGATEWAY", OWN));
}

#[tokio::test]
async fn a_session_may_put_events_in_its_account_until_it_ends() {
    let stub = AwsStub::start().await;
    let bus = stub.bus(BUS);
    let role: StubRole = stub.role(ROLE).with_session(Duration::from_mins(20));
    let take = |seconds| {
        let take = sts(&stub).assume_role().role_arn(ROLE).role_session_name("gw");
        take.duration_seconds(seconds).send()
    };
    let given = take(3600).await.unwrap();
    let given = given.credentials().unwrap();
    let short = take(900).await.unwrap();
    let too_short = take(1).await.unwrap_err();
    let client = |credentials| {
        let settings = stub.sdk_config("eu-west-1", "unused");
        let settings = aws_sdk_eventbridge::config::Builder::from(&settings);
        let settings = settings.credentials_provider(credentials).build();
        aws_sdk_eventbridge::Client::from_conf(settings)
    };
    let put = |credentials| {
        let entry = PutEventsRequestEntry::builder().event_bus_name(BUS).source("sealway");
        let entry = entry.detail_type("OrderCreated").detail("{}").build();
        client(credentials).put_events().entries(entry).send()
    };

    put(credentials(given)).await.unwrap();
    let forged = Credentials::new(given.access_key_id(), "x", Some("y".into()), None, "test");
    let forged = put(forged).await.unwrap_err();
    role.expire_sessions();
    let late = put(credentials(given)).await.unwrap_err();

    let lasts = |given: &Given| given.expiration().secs() - stub.calls()[0].asked.at.unix_seconds();
    assert!((1195..=1260).contains(&lasts(given)), "the role's own limit holds");
    assert!((895..=960).contains(&lasts(short.credentials().unwrap())));
    assert_eq!(too_short.code(), Some("ValidationError"));
    assert_eq!(forged.code(), Some("UnrecognizedClientException"));
    assert_eq!(late.code(), Some("ExpiredTokenException"));
    assert_eq!(bus.entries()[0].principal, ROLE);
    assert_eq!(bus.entries().len(), 1);
}
