//! Grants through their whole life, against a log in memory.

use std::sync::Arc;
use std::time::Duration;

use crate::access::{
    Access, AccessDecision, AccessError, AccessParts, AccessRequestDocument, AccessRequestState,
    Config, EndOfAccess, GrantDocument, GrantState, PublicationAccess,
};
use crate::ambient::{Clock as _, ManualClock, SeededEntropy};
use crate::event::{ConsumerId, Timestamp};
use crate::eventlog::{LogLimits, MemoryLog, Position, RecordKey, Registry as _};

const NAME: &str = "payments/Payment.Failed";

pub(super) struct Fixture {
    log: Arc<MemoryLog>,
    pub(super) clock: ManualClock,
}

impl Fixture {
    pub(super) fn new() -> Self {
        let clock = ManualClock::at(Timestamp::from_unix_seconds(1_795_282_931));
        let entropy = Arc::new(SeededEntropy::new(1));
        let log = MemoryLog::new(LogLimits::default(), Arc::new(clock.clone()), entropy);
        Self { log, clock }
    }

    pub(super) async fn open(&self, by_grant: bool) -> Access {
        let publication =
            PublicationAccess { name: NAME.into(), event_name: "Payment.Failed".into(), by_grant };
        self.open_with(&[publication]).await
    }

    async fn open_with(&self, publications: &[PublicationAccess]) -> Access {
        let parts = AccessParts {
            config: Config {
                grants_per_consumer: 3,
                requests_per_consumer: 2,
                ..Config::default()
            },
            registry: Arc::clone(&self.log) as _,
            log: Arc::clone(&self.log) as _,
            clock: Arc::new(self.clock.clone()),
            entropy: Arc::new(SeededEntropy::new(self.clock.now().unix_ms().cast_unsigned())),
        };
        Access::open(parts, publications).await.unwrap()
    }
}

fn shop() -> ConsumerId {
    "shop".parse().unwrap()
}

pub(super) fn document(more: &str) -> GrantDocument {
    let text = format!(r#"{{"consumer": "shop", "publication": "{NAME}"{more}}}"#);
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn a_grant_holds_until_it_is_recalled_and_after_a_restart_too() {
    let fixture = Fixture::new();
    let access = fixture.open(true).await;
    assert!(!access.hears(&shop(), NAME) && access.hears(&shop(), "orders/Order.Created"));

    let grant = access.give(document(r#", "history": "all""#), "ops").await.unwrap();
    assert!(access.hears(&shop(), NAME) && fixture.open(true).await.hears(&shop(), NAME));
    let other: ConsumerId = "other".parse().unwrap();
    assert!(!access.hears(&other, NAME));

    let ended = access.recall(&grant.id(), ("ops", "left")).await.unwrap();
    assert_eq!(ended.state(fixture.clock.now()), GrantState::Recalled);
    for now in [access, fixture.open(true).await] {
        assert!(!now.hears(&shop(), NAME));
        let again = now.recall(&grant.id(), ("ops", "")).await;
        assert!(matches!(again, Err(AccessError::Over { .. })), "{again:?}");
        let loss = now.end_of(&shop(), NAME, Position(1));
        assert_eq!((loss.why, &*loss.reason), (EndOfAccess::Recalled, "left"));
    }
}

#[tokio::test]
async fn a_grant_begins_and_ends_at_its_moments_and_its_end_can_be_moved_while_it_holds() {
    let fixture = Fixture::new();
    let access = fixture.open(true).await;
    let after = |minutes: u64| fixture.clock.now().after(Duration::from_mins(minutes));
    let mut planned = document("");
    (planned.from, planned.until) = (Some(after(1)), Some(after(3)));
    let grant = access.give(planned, "ops").await.unwrap();
    assert_eq!(grant.state(fixture.clock.now()), GrantState::Planned);
    assert_eq!(access.next_change(), Some(grant.from));

    fixture.clock.advance(Duration::from_mins(1));
    assert!(!access.hears(&shop(), NAME));
    assert_eq!(access.keep_time().await.unwrap(), 1);
    assert!(access.hears(&shop(), NAME));
    assert!(
        access.grant(&grant.id()).unwrap().ends_soon(fixture.clock.now(), Duration::from_mins(2))
    );
    let later = after(9);
    access.end_at(&grant.id(), Some(later)).await.unwrap();
    assert!(access.end_at(&grant.id(), Some(fixture.clock.now())).await.is_err());

    fixture.clock.advance(Duration::from_mins(9));
    assert!(!access.hears(&shop(), NAME), "nobody waits for the end to be written");
    assert!(access.end_at(&grant.id(), None).await.is_err());
    access.keep_time().await.unwrap();
    let ended = access.grant(&grant.id()).unwrap();
    assert_eq!(
        ended.ended.as_ref().map(|end| (end.why, end.at)),
        Some((EndOfAccess::Expired, later))
    );
    assert_eq!(access.next_change(), None);
}

#[tokio::test]
async fn what_was_closed_stays_closed_when_no_file_names_it_and_opens_when_one_says_so() {
    let fixture = Fixture::new();
    let access = fixture.open(true).await;
    assert_eq!(access.newly_closed().await.unwrap().len(), 1);
    access.keep_closed().await.unwrap();
    assert!(access.newly_closed().await.unwrap().is_empty());

    let parts = AccessParts {
        config: Config::default(),
        registry: Arc::clone(&fixture.log) as _,
        log: Arc::clone(&fixture.log) as _,
        clock: Arc::new(fixture.clock.clone()),
        entropy: Arc::new(SeededEntropy::new(2)),
    };
    let without = Access::open(parts, &[]).await.unwrap();
    assert!(without.is_by_grant(NAME) && !without.hears(&shop(), NAME));
    let public = fixture.open(false).await;
    assert!(public.hears(&shop(), NAME) && public.entitlement(&shop()).is_everything());
    public.keep_closed().await.unwrap();
    assert_eq!(fixture.open(true).await.newly_closed().await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_entitlement_of_a_consumer_has_each_stretch_and_a_domain_grant_covers_all_of_it() {
    let fixture = Fixture::new();
    let access = fixture.open(true).await;
    let empty = access.entitlement(&shop());
    assert!(!empty.lets(NAME, Position(9), fixture.clock.now()));

    let of_domain = GrantDocument { publication: "payments/*".parse().unwrap(), ..document("") };
    access.give(of_domain, "ops").await.unwrap();
    let entitlement = access.entitlement(&shop());
    assert!(entitlement.lets(NAME, Position(1), fixture.clock.now()));
    assert!(!entitlement.lets(NAME, Position(0), fixture.clock.now()), "it begins after the head");
}

#[tokio::test]
async fn grants_and_requests_of_a_consumer_are_bounded() {
    let fixture = Fixture::new();
    let access = fixture.open(true).await;
    for _ in 0..3 {
        access.give(document(""), "ops").await.unwrap();
    }
    assert!(matches!(access.give(document(""), "ops").await, Err(AccessError::TooMany(_))));

    let ask = || AccessRequestDocument {
        consumer: shop(),
        publication: NAME.parse().unwrap(),
        history: "all".parse().unwrap(),
        reason: "to settle".to_owned(),
    };
    let first = access.ask(ask(), "shop-key").await.unwrap();
    access.ask(ask(), "shop-key").await.unwrap();
    assert!(matches!(access.ask(ask(), "shop-key").await, Err(AccessError::TooMany(_))));

    let refused = access.refuse(&first.id, ("ops", "no".to_owned())).await.unwrap();
    assert_eq!((refused.answer.as_str(), refused.grant), ("no", None));
    let again = access.approve(&first.id, AccessDecision::default(), "ops").await;
    assert!(matches!(again, Err(AccessError::Decided(_))));
    access.ask(ask(), "shop-key").await.unwrap();
}

#[tokio::test]
async fn what_is_withdrawn_waits_no_more_and_is_decided_by_nobody() {
    let fixture = Fixture::new();
    let access = fixture.open(true).await;
    let [first, _] =
        [access.ask(asked(), "a").await.unwrap(), access.ask(asked(), "a").await.unwrap()];

    let withdrawn = access.withdraw(&first.id, ("a", "not needed".to_owned())).await.unwrap();

    assert_eq!(withdrawn.state, AccessRequestState::Withdrawn);
    assert_eq!(withdrawn.decided_by.as_deref(), Some("a"));
    let again = access.approve(&first.id, AccessDecision::default(), "ops").await;
    assert!(matches!(again, Err(AccessError::Decided(_))), "{again:?}");
    assert!(access.withdraw(&first.id, ("a", String::new())).await.is_err());
    assert!(!access.hears(&shop(), NAME) && access.grants().is_empty());
    access.ask(asked(), "a").await.unwrap();
}

#[tokio::test]
async fn an_approved_request_is_a_grant_of_its_name_whoever_approves_again_after_a_crash() {
    let fixture = Fixture::new();
    let access = fixture.open(true).await;
    let ask = AccessRequestDocument {
        consumer: shop(),
        publication: NAME.parse().unwrap(),
        history: "all".parse().unwrap(),
        reason: "to settle".to_owned(),
    };
    let request = access.ask(ask, "shop-key").await.unwrap();
    // A crash between the two.
    let half = GrantDocument { id: Some(request.id.as_str().parse().unwrap()), ..document("") };
    access.give(half, "ops").await.unwrap();

    let (decided, grant) =
        access.approve(&request.id, AccessDecision::default(), "ops").await.unwrap();

    assert_eq!(decided.grant.as_ref(), Some(&grant.name));
    assert_eq!(access.grants().len(), 1);
    assert!(access.hears(&shop(), NAME));
}

#[tokio::test]
async fn what_comes_under_a_grant_was_never_public_and_is_nobodys_yet() {
    let fixture = Fixture::new();
    let of = |name: &str, by_grant| PublicationAccess {
        name: name.into(),
        event_name: "Payment.Failed".into(),
        by_grant,
    };
    let access = fixture.open_with(&[of(NAME, false)]).await;
    access.keep_closed().await.unwrap();

    let both = [of(NAME, true), of("secret/Payment.Failed", true)];
    let closed = fixture.open_with(&both).await.newly_closed().await.unwrap();

    assert_eq!(closed.iter().map(|one| &*one.name).collect::<Vec<_>>(), [NAME]);
}

fn asked() -> AccessRequestDocument {
    AccessRequestDocument {
        consumer: shop(),
        publication: NAME.parse().unwrap(),
        history: "all".parse().unwrap(),
        reason: "to settle".to_owned(),
    }
}

#[tokio::test]
async fn of_two_decisions_at_once_one_holds_as_a_whole() {
    let fixture = Fixture::new();
    let access = fixture.open(true).await;
    for _ in 0..20 {
        let request = access.ask(asked(), "shop-key").await.unwrap();
        let (approved, refused) = futures_util::future::join(
            access.approve(&request.id, AccessDecision::default(), "ops"),
            access.refuse(&request.id, ("ops", "no".to_owned())),
        )
        .await;
        assert!(approved.is_ok() != refused.is_ok());
        let name = format!("payments/{}", request.id).parse().unwrap();
        assert_eq!(access.grant(&name).is_some(), approved.is_ok());
        if approved.is_ok() {
            access.recall(&name, ("ops", "")).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_grant_of_another_consumer_under_the_name_of_a_request_is_not_its_grant() {
    let fixture = Fixture::new();
    let access = fixture.open(true).await;
    let request = access.ask(asked(), "shop-key").await.unwrap();
    let squatter = GrantDocument {
        id: Some(request.id.as_str().parse().unwrap()),
        consumer: "other".parse().unwrap(),
        ..document("")
    };
    access.give(squatter, "ops").await.unwrap();

    let approved = access.approve(&request.id, AccessDecision::default(), "ops").await;

    assert!(matches!(approved, Err(AccessError::Exists(_))));
    assert!(!access.hears(&shop(), NAME));
}

#[test]
fn a_reason_hides_nothing_from_whoever_decides() {
    for text in ["to \u{202e}refuse", "\u{200b}", "\u{2066}x", "a\nb"] {
        let text = serde_json::json!({ "consumer": "shop", "publication": NAME, "reason": text });
        let document: GrantDocument = serde_json::from_value(text).unwrap();
        assert!(document.check().is_err());
    }
}

fn named(publication: &str, name: &str) -> GrantDocument {
    GrantDocument {
        id: Some(name.parse().unwrap()),
        publication: publication.parse().unwrap(),
        ..document("")
    }
}

#[tokio::test]
async fn names_of_grants_are_the_domains_own() {
    let fixture = Fixture::new();
    let access = fixture.open(true).await;

    let first = access.give(named("payments/*", "yearly"), "payments").await.unwrap();
    let other = access.give(named("orders/*", "orders/yearly"), "orders").await.unwrap();

    assert_eq!(
        [first.id().to_string(), other.id().to_string()],
        ["payments/yearly", "orders/yearly"]
    );
    let again = access.give(named("payments/Payment.Failed", "yearly"), "payments").await;
    assert!(matches!(again, Err(AccessError::Exists(_))), "{again:?}");
    let foreign = access.give(named("payments/*", "orders/mine"), "payments").await;
    assert!(matches!(foreign, Err(AccessError::Invalid { pointer: "/id", .. })), "{foreign:?}");
    access.recall(&other.id(), ("orders", "")).await.unwrap();
    for access in [access, fixture.open(true).await] {
        let state = |id| access.grant(id).unwrap().state(fixture.clock.now());
        assert_eq!(
            (state(&first.id()), state(&other.id())),
            (GrantState::Active, GrantState::Recalled)
        );
    }
}

#[tokio::test]
async fn what_a_domain_gives_takes_no_room_of_another() {
    let fixture = Fixture::new();
    let access = fixture.open(true).await;
    for number in 0..3 {
        access.give(named("orders/*", &format!("g{number}")), "orders").await.unwrap();
    }
    let refused = access.give(named("orders/*", "g3"), "orders").await;
    assert!(matches!(refused, Err(AccessError::TooMany(_))), "{refused:?}");

    access.give(document(""), "payments").await.unwrap();
}

#[tokio::test]
async fn a_grant_that_was_kept_under_its_name_alone_goes_on_as_its_domains() {
    let fixture = Fixture::new();
    let access = fixture.open(true).await;
    let grant = access.give(named("payments/*", "old"), "ops").await.unwrap();
    let key = |id: &str| RecordKey { kind: "grant", id: id.to_owned() };
    let record = fixture.log.get(&key("payments/old")).await.unwrap().unwrap();
    fixture.log.remove(&key("payments/old"), record.revision).await.unwrap();
    fixture.log.put(&key("old"), None, record.body).await.unwrap();

    let access = fixture.open(true).await;
    let again = access.give(named("payments/*", "old"), "ops").await;
    assert!(matches!(again, Err(AccessError::Exists(_))), "{again:?}");
    assert!(access.hears(&shop(), NAME));
    access.recall(&grant.id(), ("ops", "over")).await.unwrap();

    let restarted = fixture.open(true).await;
    assert!(!restarted.hears(&shop(), NAME));
    assert_eq!(restarted.grants().len(), 1);
}

#[tokio::test]
async fn publications_are_replaced_at_once_and_what_was_closed_stays_closed() {
    let fixture = Fixture::new();
    let access = fixture.open(false).await;
    let publication = |by_grant| PublicationAccess {
        name: NAME.into(),
        event_name: "Payment.Failed".into(),
        by_grant,
    };
    assert!(access.hears(&shop(), NAME) && !access.holds_grant(&shop(), NAME));
    assert_eq!(access.closed_by(&[publication(true)]), [publication(true)]);
    assert_eq!(access.closed_by(&[publication(false)]), []);

    access.replace_publications(&[publication(true)]);
    assert!(!access.hears(&shop(), NAME));
    assert_eq!(access.closed_by(&[publication(true)]), [], "it is closed already");
    access.replace_publications(&[]);
    assert!(access.is_by_grant(NAME), "no file names it, and nobody hears what it was");
    access.give(document(""), "ops").await.unwrap();
    assert!(access.hears(&shop(), NAME) && access.holds_grant(&shop(), NAME));
    access.replace_publications(&[publication(false)]);
    assert!(access.hears(&"other".parse().unwrap(), NAME));
}
