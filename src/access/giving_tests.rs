//! How many grants there may be, and which of those that have ended are kept.

use std::time::Duration;

use crate::access::tests::{Fixture, document};
use crate::access::{AccessError, GrantDocument, GrantId, GrantState};
use crate::ambient::Clock as _;

#[tokio::test]
async fn room_is_found_for_all_grants_that_come_together_or_the_first_beyond_is_named() {
    let fixture = Fixture::new();
    let access = fixture.open(true).await;
    let one = document("");

    access.check_room(&[&one, &one, &one]).unwrap();
    access.give(document(""), "ops").await.unwrap();
    let (at, error) = access.check_room(&[&one, &one, &one]).unwrap_err();

    assert_eq!(at, 2);
    assert!(matches!(error, AccessError::TooMany(_)));
}

#[tokio::test]
async fn there_is_room_for_twenty_thousand_grants_and_not_for_one_more() {
    let fixture = Fixture::new();
    let access = fixture.open(true).await;
    let of = |number: usize| {
        let text = format!(r#"{{"consumer": "c{number}", "publication": "d{}/X"}}"#, number % 4);
        serde_json::from_str(&text).unwrap()
    };
    // By pairs, these would be 200 million comparisons.
    let coming: Vec<GrantDocument> = (0..20_001).map(of).collect();
    let coming: Vec<&GrantDocument> = coming.iter().collect();

    let (at, error) = access.check_room(&coming).unwrap_err();

    assert_eq!((at, error.to_string()), (20_000, "there are 20000 grants already".to_owned()));
}

#[tokio::test]
async fn what_files_name_stays_recalled_however_many_end_after_it() {
    let fixture = Fixture::new();
    let access = fixture.open(true).await;
    let [named, other]: [GrantId; 2] =
        ["payments/named", "payments/other"].map(|id| id.parse().unwrap());
    access.keep_named([named.clone()].into());
    for number in 0..203 {
        fixture.clock.advance(Duration::from_secs(1));
        let name = match number {
            0 => "named".to_owned(),
            1 => "other".to_owned(),
            _ => format!("n{number}"),
        };
        let grant = access.give(document(&format!(r#", "id": "{name}""#)), "ops").await.unwrap();
        access.recall(&grant.id(), ("ops", "")).await.unwrap();
    }
    access.give(document(""), "ops").await.unwrap();

    assert!(access.grant(&other).is_none(), "the oldest goes");
    let kept = access.grant(&named).unwrap();
    assert_eq!(kept.state(fixture.clock.now()), GrantState::Recalled);
    let again = access.give(document(r#", "id": "named""#), "files").await;
    assert!(matches!(again, Err(AccessError::Exists(_))), "{again:?}");
}
