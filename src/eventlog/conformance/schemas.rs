//! Schemas under their addresses, the events that name them, and their contracts.

use std::sync::Arc;
use std::time::Duration;

use crate::ambient::{Clock as _, ManualClock};
use crate::eventlog::conformance::fixture::{START, draft, engines, open, trim};
use crate::eventlog::{
    ContractChoice, Draft, Log as _, LogLimits, NewSchema, Position, Retention, Schemas, Store,
    TextDigest,
};

/// The schema of a domain's event `E`, version 1.
fn schema(domain: &str, text: &str) -> NewSchema {
    NewSchema {
        address: format!("{domain}/E/1").into(),
        dataschema: name(domain),
        schema: text.into(),
        meaning: text.as_bytes().into(),
        contract_path: "events.yaml".into(),
        contract_version: "1".into(),
        contract: format!("contract of {text}").into(),
    }
}

fn name(domain: &str) -> Arc<str> {
    format!("https://gw.example/schemas/{domain}/E/1").into()
}

async fn text_at(schemas: &dyn Schemas, address: &str) -> Option<Arc<str>> {
    schemas.schema_at(address).await.unwrap().map(|kept| kept.schema)
}

async fn append(store: &Store, word: &str, domain: &str) {
    let named = Draft { dataschema: Some(name(domain)), ..draft(word) };
    store.log.append(vec![named]).await.unwrap();
}

#[tokio::test]
async fn a_schema_is_replaced_until_an_event_names_it_and_never_after() {
    for fixture in engines(LogLimits::default()) {
        let (store, schemas) = (&fixture.store, &*fixture.store.schemas);
        assert_eq!(text_at(schemas, "a/E/1").await, None);
        append(store, "before", "a").await;
        schemas.keep_schemas(vec![schema("a", "one"), schema("b", "other")]).await.unwrap();
        schemas.keep_schemas(vec![schema("a", "two")]).await.unwrap();
        let kept = schemas.schema_at("a/E/1").await.unwrap().unwrap();
        assert_eq!((&*kept.schema, kept.named, kept.first_event), ("two", None, None));
        assert_eq!(kept.digest, TextDigest::of("two"));

        fixture.clock.advance(Duration::from_secs(1));
        append(store, "first", "a").await;
        fixture.clock.advance(Duration::from_secs(1));
        append(store, "second", "a").await;
        schemas.keep_schemas(vec![schema("a", "three"), schema("b", "new")]).await.unwrap();

        let kept = schemas.schema_at("a/E/1").await.unwrap().unwrap();
        assert_eq!((&*kept.schema, &*kept.meaning), ("two", "three".as_bytes()));
        assert_eq!(kept.named, Some(START.after(Duration::from_secs(1))));
        let first = store.log.read(Position(1), crate::eventlog::Page { items: 1, bytes: 9999 });
        assert_eq!(kept.first_event, Some(first.await.unwrap()[0].event.id));
        assert_eq!(text_at(schemas, "b/E/1").await.as_deref(), Some("new"));
    }
}

#[tokio::test]
async fn a_schema_is_found_by_every_name_that_events_were_given() {
    for fixture in engines(LogLimits::default()) {
        let (store, schemas) = (&fixture.store, &*fixture.store.schemas);
        schemas.keep_schemas(vec![schema("a", "one")]).await.unwrap();
        append(store, "first", "a").await;
        let moved = "https://new.example/schemas/a/E/1";
        let renamed = NewSchema { dataschema: moved.into(), ..schema("a", "one") };
        schemas.keep_schemas(vec![renamed]).await.unwrap();

        for known in [&*name("a"), moved] {
            let found = schemas.schema_named(known).await.unwrap();
            assert_eq!(found.map(|kept| kept.schema).as_deref(), Some("one"), "{known}");
        }
        assert_eq!(schemas.schema_named(&name("b")).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_contract_is_found_by_the_first_version_that_an_event_was_made_of_and_by_its_digest() {
    for fixture in engines(LogLimits::default()) {
        let (store, schemas) = (&fixture.store, &*fixture.store.schemas);
        let of = async |choice| {
            let found = schemas.kept_contract("events.yaml", &choice).await.unwrap();
            found.map(|kept| kept.text.to_string())
        };
        let version = || ContractChoice::Version("1".into());
        schemas.keep_schemas(vec![schema("a", "one"), schema("b", "two")]).await.unwrap();
        assert_eq!(of(version()).await, None);

        append(store, "first", "b").await;
        fixture.clock.advance(Duration::from_secs(1));
        append(store, "second", "a").await;

        assert_eq!(of(version()).await.as_deref(), Some("contract of two"));
        let digest = ContractChoice::Digest(TextDigest::of("contract of one"));
        assert_eq!(of(digest).await.as_deref(), Some("contract of one"));
        assert_eq!(of(ContractChoice::Version("2".into())).await, None);
        assert_eq!(of(ContractChoice::Digest(TextDigest::of("x"))).await, None);
    }
}

#[tokio::test]
async fn the_text_of_a_version_stays_the_same_where_a_clock_steps_back() {
    for fixture in engines(LogLimits::default()) {
        let (store, schemas) = (&fixture.store, &*fixture.store.schemas);
        let version = ContractChoice::Version("1".into());
        schemas.keep_schemas(vec![schema("a", "one"), schema("b", "two")]).await.unwrap();
        fixture.clock.advance(Duration::from_mins(1));
        append(store, "first", "b").await;
        let first = schemas.kept_contract("events.yaml", &version).await.unwrap();
        assert_eq!(first.as_ref().map(|kept| &*kept.text), Some("contract of two"));

        fixture.clock.set(START);
        append(store, "second", "a").await;

        assert_eq!(schemas.kept_contract("events.yaml", &version).await.unwrap(), first);
    }
}

#[tokio::test]
async fn what_events_of_before_may_name_is_kept_as_it_is_found() {
    for fixture in engines(LogLimits::default()) {
        let schemas = &*fixture.store.schemas;
        schemas.keep_schemas(vec![schema("a", "one")]).await.unwrap();

        schemas.keep_old_schemas(vec![schema("a", "old"), schema("b", "old")]).await.unwrap();
        schemas.keep_schemas(vec![schema("b", "new")]).await.unwrap();

        assert_eq!(text_at(schemas, "a/E/1").await.as_deref(), Some("one"));
        let old = schemas.schema_at("b/E/1").await.unwrap().unwrap();
        assert_eq!((&*old.schema, old.named), ("old", Some(START)));
        assert!(!schemas.lacks_old_schemas().await.unwrap());
    }
}

#[tokio::test]
async fn schemas_outlive_a_restart_and_the_events_that_name_them() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), ManualClock::at(START));
    let log = open(directory.path(), LogLimits::default(), &clock).unwrap();
    assert!(!log.lacks_old_schemas().await.unwrap(), "a new log has no events of before");
    log.keep_schemas(vec![schema("a", "one"), schema("b", "two")]).await.unwrap();
    append(&Store::of(&log), "first", "a").await;
    clock.advance(Duration::from_hours(1));
    let all =
        Retention { before: Some(clock.now()), hold: Position(u64::MAX), ..Retention::default() };
    assert_eq!(trim(&*log, &all).await, 1);
    log.close().await.unwrap();

    let log = open(directory.path(), LogLimits::default(), &clock).unwrap();
    log.keep_schemas(vec![schema("a", "late"), schema("b", "late")]).await.unwrap();

    assert_eq!(text_at(&*log, "a/E/1").await.as_deref(), Some("one"));
    assert_eq!(text_at(&*log, "b/E/1").await.as_deref(), Some("late"));
    let database = rusqlite::Connection::open(directory.path().join("sealway.db")).unwrap();
    let texts: i64 =
        database.query_row("SELECT count(*) FROM kept_texts", [], |row| row.get(0)).unwrap();
    assert_eq!(texts, 4, "what was replaced is gone, and each text is kept once");
}
