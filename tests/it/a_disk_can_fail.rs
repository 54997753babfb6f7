//! A disk that cannot sync, or is full all of a sudden, costs no acknowledged event: what cannot be
//! kept is refused, and after a restart it goes on.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Load, Number, PROMPT_RETRIES, Process, Reply, eventually};

async fn begun() -> (Process, Load) {
    let mut gateway = Process::prepare_with(PROMPT_RETRIES).with_disk();
    let mut load = Load::on(&gateway).await;
    gateway.serve().await;
    load.subscribe("steady", json!({}), Reply::Status(204)).await;
    (gateway, load)
}

/// Works until an answer has a status.
async fn work_until(load: &mut Load, status: u16) {
    let working = load.work(2, Duration::from_millis(1), &[]);
    working.answered(status).await;
    let produced = working.end().await;
    let refused: Vec<_> = produced.refused.keys().copied().collect();
    assert!(refused.iter().all(|status| [500, 503].contains(status)), "{refused:?}");
    load.add(produced);
}

/// Everything that was acknowledged is there, and more is taken.
async fn goes_on(gateway: &mut Process, load: &mut Load) {
    gateway.disk().heal();
    gateway.serve().await;
    let missing = load.missing_in_log(&load.produced.promised).await;
    assert!(missing.is_empty(), "acknowledged and lost: {missing:?}");
    let before = load.produced.promised.len();
    let working = load.work(2, Duration::from_millis(1), &[]);
    let disk = gateway.disk();
    eventually("events are taken", async || (disk.get(Number::Syncs) > 20).then_some(())).await;
    let produced = working.end().await;
    load.add(produced);
    assert!(load.produced.promised.len() > before, "nothing more is taken");
    load.settle().await;
    let faults = load.faults().await;
    assert!(faults.is_empty(), "{faults:#?}");
}

/// The system forgets the pages that it could not write, and a second sync would say yes to nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_one_failed_sync_nothing_is_acknowledged_before_a_restart() {
    let (mut gateway, mut load) = begun().await;

    let working = load.work(4, Duration::from_millis(1), &[]);
    let disk = gateway.disk();
    // Some of them are delivered by then: the gateway ends as soon as an outcome cannot be written.
    eventually("events are taken", async || (disk.get(Number::Syncs) > 100).then_some(())).await;
    disk.set(Number::FailSyncs, 1);
    let status = eventually("the gateway gives up", async || gateway.ended()).await;
    let produced = working.end().await;
    assert!(!status.success(), "{status}");
    load.add(produced);

    let log = gateway.log();
    assert!(log.contains("cannot be written and takes no more events"), "{log}");
    goes_on(&mut gateway, &mut load).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_full_all_of_a_sudden_loses_nothing_and_goes_on_when_there_is_room() {
    let (mut gateway, mut load) = begun().await;
    work_until(&mut load, 202).await;

    gateway.disk().set(Number::Room, 100_000);
    work_until(&mut load, 503).await;
    gateway.disk().set(Number::Room, u64::MAX);

    work_until(&mut load, 202).await;
    gateway.kill();
    goes_on(&mut gateway, &mut load).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_whose_disk_has_no_room_can_be_stopped_and_goes_on_with_room() {
    let (mut gateway, mut load) = begun().await;
    work_until(&mut load, 202).await;

    gateway.disk().set(Number::Room, 100_000);
    work_until(&mut load, 503).await;
    gateway.disk().set(Number::Room, 0);
    let status = gateway.stop().await;

    assert!(status.success(), "{status}: {}", gateway.log());
    goes_on(&mut gateway, &mut load).await;
}
