//! What was acknowledged survives a cut of power at any write or sync, and a disk that fails.

use std::time::Duration;

use sealway::ambient::{Entropy as _, SeededEntropy};

use crate::harness::{
    EAGER_RETENTION, Load, Number, PROMPT_RETRIES, Process, Reply, eventually,
    number_from_environment as number,
};

/// Cuts in a usual run; `CUTS` says another number, and `SEED` another beginning.
const CUTS: u64 = 12;
const SEED: u64 = 0x000f_f5e7;

/// A gateway on a disk that can be cut off, with one consumer.
async fn begun() -> (Process, Load) {
    let mut gateway = Process::prepare_with(PROMPT_RETRIES).keeping(EAGER_RETENTION).with_disk();
    let mut load = Load::on(&gateway).await;
    gateway.serve().await;
    load.subscribe_all().await;
    (gateway, load)
}

/// Has the power go at a write or a sync to come, and works until it does; or stops the gateway
/// meanwhile, which moves everything from the write-ahead log into the database.
async fn work_until_cut(gateway: &mut Process, load: &mut Load, entropy: &SeededEntropy) -> String {
    let (how, ahead) = (entropy.next_u64() % 5, entropy.next_u64());
    let working = load.work(4, Duration::from_millis(1), &[]);
    let disk = gateway.disk();
    disk.set(Number::Seed, entropy.next_u64());
    let when = match how {
        0 | 1 => {
            disk.set(Number::CutAtSync, disk.get(Number::Syncs) + 1 + ahead % 60);
            format!("at sync {}", 1 + ahead % 60)
        }
        2 | 3 => {
            disk.set(Number::CutAtWrite, disk.get(Number::Writes) + 1 + ahead % 400);
            format!("at write {}", 1 + ahead % 400)
        }
        _ => {
            let acknowledged = async || (disk.get(Number::Syncs) > 20).then_some(());
            eventually("some events are taken", acknowledged).await;
            disk.set(Number::CutAtWrite, disk.get(Number::Writes) + 1 + ahead % 200);
            gateway.stop().await;
            format!("at write {} of a stop", 1 + ahead % 200)
        }
    };
    eventually("the power goes", async || (!gateway.lives()).then_some(())).await;
    let produced = working.end().await;
    let acknowledged = produced.promised.len();
    load.add(produced);
    let disk = gateway.disk();
    let [unsynced, thrown, undone] =
        [Number::Unsynced, Number::Thrown, Number::Undone].map(|number| disk.get(number));
    format!(
        "{when}: {acknowledged} acknowledged, {thrown} of {unsynced} pages thrown away, \
         {undone} changes of directories undone"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_event_survives_cuts_of_power_and_reaches_its_consumers() {
    let (cuts, seed) = (number("CUTS", CUTS), number("SEED", SEED));
    let (mut gateway, mut load) = begun().await;
    for round in 0..cuts {
        let entropy = SeededEntropy::new(seed + round);
        let before = load.produced.promised.clone();
        let told = work_until_cut(&mut gateway, &mut load, &entropy).await;
        println!("seed {}: {told}", seed + round);
        // Now and then the power goes again while the gateway starts.
        gateway.disk().heal();
        if entropy.next_u64().is_multiple_of(3) {
            gateway.disk().set(Number::Seed, entropy.next_u64());
            gateway.disk().set(Number::CutAtWrite, 1 + entropy.next_u64() % 20);
            if gateway.try_to_serve().await {
                gateway.kill();
            }
            gateway.disk().heal();
        }
        gateway.serve().await;
        let mut promised = load.produced.promised.clone();
        promised.retain(|id, _| !before.contains_key(id));
        let missing = load.missing_in_log(&promised).await;
        assert!(missing.is_empty(), "seed {}: {told}: lost {missing:?}", seed + round);
    }

    let events = load.produced.promised.len();
    println!("{cuts} cuts, {events} events acknowledged");
    assert!(events as u64 > cuts, "hardly anything was acknowledged");
    load.settle().await;
    let faults = load.faults().await;
    assert!(faults.is_empty(), "seed {seed}: {faults:#?}");
}

/// If this rig lost nothing on a disk that lies, it could not tell whether the gateway syncs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_lies_about_its_syncs_loses_what_was_acknowledged() {
    for seed in SEED..SEED + 10 {
        let entropy = SeededEntropy::new(seed);
        let mut gateway = Process::prepare().with_disk();
        gateway.serve().await;
        let mut load = Load::on(&gateway).await;
        load.subscribe("steady", serde_json::json!({}), Reply::Status(204)).await;
        gateway.disk().set(Number::Lies, 1);
        let told = work_until_cut(&mut gateway, &mut load, &entropy).await;
        println!("seed {seed}, lying: {told}");
        gateway.disk().heal();
        // A log that is damaged, and says so, has lost everything.
        if !gateway.try_to_serve().await {
            return;
        }
        if !load.missing_in_log(&load.produced.promised).await.is_empty() {
            return;
        }
    }
    panic!("ten cuts on a lying disk have lost nothing: the rig does not bite");
}

/// The first start makes directories, keys and tables; it can begin again from whatever is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_start_that_was_cut_off_begins_again() {
    for seed in SEED..SEED + 6 {
        let entropy = SeededEntropy::new(seed);
        let mut gateway = Process::prepare().with_disk();
        gateway.disk().set(Number::Seed, entropy.next_u64());
        gateway.disk().set(Number::CutAtWrite, 1 + entropy.next_u64() % 30);
        gateway.try_to_serve().await;
        let [cut, undone] = [Number::Cut, Number::Undone].map(|number| gateway.disk().get(number));
        println!("seed {seed}: cut {cut}, {undone} changes of directories undone");
        gateway.disk().heal();
        if cut == 1 {
            gateway.serve().await;
        }
    }
}
