//! After the producer hears yes, the event survives the death of the process at any moment.

use std::time::Duration;

use tokio::time::Instant;

use sealway::ambient::{Entropy as _, SeededEntropy};

use crate::harness::{
    Activity, Caller, Load, PROMPT_RETRIES, Process, number_from_environment as number,
};

/// Kills in a usual run; `KILLS` says another number, and `SEED` other dice.
const KILLS: u64 = 12;
const SEED: u64 = 0x5ea1_3a7e;

/// Outcomes are written within 100 ms. Beside that, an answer takes its time from the consumer to
/// the gateway and the sync takes its own, on a machine whose cores are busy with other tests.
const WRITTEN_WITHIN: Duration = Duration::from_millis(100);
const BUSY_MACHINE: Duration = Duration::from_millis(900);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_event_survives_kills_under_mixed_load_and_reaches_its_consumers() {
    let (kills, seed) = (number("KILLS", KILLS), number("SEED", SEED));
    let mut gateway = Process::prepare_with(PROMPT_RETRIES);
    let mut load = Load::on(Caller::of(&gateway));
    gateway.serve().await;
    load.subscribe_all().await;
    let dice = SeededEntropy::new(seed);
    let mut killed = Vec::new();

    for round in 0..kills {
        let working = load.work(3, Duration::from_millis(5), &Activity::ALL);
        tokio::time::sleep(Duration::from_millis(100 + dice.next_u64() % 700)).await;
        let moment = Instant::now();
        gateway.kill();
        let produced = working.end().await;
        println!("seed {seed}, kill {round}: {} acknowledged", produced.promised.len());
        load.add(produced);
        killed.push((moment, Instant::now()));
        gateway.serve().await;
        load.collect().await;
    }

    let events = load.produced.promised.len();
    assert!(events as u64 >= kills, "only {events} events were acknowledged");
    let missing = load.missing_in_log(&load.produced.promised).await;
    assert!(missing.is_empty(), "seed {seed}: acknowledged and not in the log: {missing:?}");
    load.settle().await;
    let faults = load.faults().await;
    assert!(faults.is_empty(), "seed {seed}: {faults:#?}");
    let repeats: Vec<_> =
        load.consumers.iter().flat_map(|consumer| consumer.repeats(&killed)).collect();
    let oldest = repeats.iter().flatten().max().copied().unwrap_or_default();
    let late = repeats.iter().flatten().filter(|age| **age > WRITTEN_WITHIN).count();
    println!(
        "{kills} kills, {events} events for {} consumers, {} repeats; {late} of what had been taken \
         more than {WRITTEN_WITHIN:?} before the kill, the oldest {oldest:?}",
        load.consumers.len(),
        repeats.len(),
    );
    assert!(repeats.iter().all(Option::is_some), "seed {seed}: a repeat without a kill");
    assert!(late * 2 <= repeats.len(), "seed {seed}: {late} of {} repeats", repeats.len());
    assert!(oldest <= WRITTEN_WITHIN + BUSY_MACHINE, "seed {seed}: {oldest:?}");
}
