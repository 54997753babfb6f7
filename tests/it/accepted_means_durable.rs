//! After the producer hears yes, the event survives the death of the process at any moment.

use std::time::Duration;

use tokio::time::Instant;

use sealway::ambient::{Entropy as _, SeededEntropy};
use sealway::event::EventId;

use crate::harness::{
    Activity, Copying, EAGER_RETENTION, Load, PROMPT_RETRIES, Process, Stalls,
    number_from_environment as number,
};

/// Kills in a usual run; `KILLS` says another number, and `SEED` another seed.
const KILLS: u64 = 12;
const SEED: u64 = 0x5ea1_3a7e;

/// A backup is taken beside the gateway in each so many-th of its lives.
const BACKUP: u64 = 4;

/// What a consumer has taken is kept within this time, or within so many syncs of a slow disk.
const WRITTEN_WITHIN: Duration = Duration::from_millis(100);
const SYNCS: u32 = 4;
/// In a life without slower syncs, waiting for the disk is the exception.
const QUICK: Duration = Duration::from_millis(50);

/// A life of the gateway that was ended by a kill.
struct Life {
    killed: Instant,
    /// When the next one began: what arrives before was sent in this one.
    next: Instant,
    /// The longest that a task of this test waited for a core.
    stall: Duration,
    /// The slowest sync, as the gateway measured it.
    sync: Duration,
    acknowledged: usize,
}

/// Lives for a while under load, is killed, and starts again; what was promised must be there.
async fn live(
    (gateway, load): (&mut Process, &mut Load),
    entropy: &SeededEntropy,
    round: u64,
) -> (Life, Vec<String>) {
    let stalls = Stalls::watched();
    let working = load.work(3, Duration::from_millis(5), &Activity::ALL);
    let span = Duration::from_millis(50 + entropy.next_u64() % 350);
    tokio::time::sleep(span).await;
    let takes_backup = round % BACKUP == BACKUP - 1;
    let copying = takes_backup.then(|| Copying::begin(gateway, &format!("backup-{round}")));
    tokio::time::sleep(span).await;
    let sync = slowest_sync(load).await;
    let (killed, stall) = (Instant::now(), stalls.longest());
    gateway.kill();
    let produced = working.end().await;
    let promised = produced.promised.clone();
    load.add(produced);
    let next = Instant::now();
    gateway.serve().await;

    let missing = load.missing_in_log(&promised).await;
    let lost = missing.iter().map(|id| format!("{id} was acknowledged and is not in the log"));
    let mut faults: Vec<_> = lost.collect();
    if let Some(copying) = copying {
        faults.extend(copying.faults(gateway, &load.produced.promised).await);
    }
    load.collect().await;
    (Life { killed, next, stall, sync, acknowledged: promised.len() }, faults)
}

/// The upper bound of the slowest sync that the metrics show.
async fn slowest_sync(load: &Load) -> Duration {
    let metrics = load.caller.get("/metrics").await.unwrap();
    let (mut slowest, mut below) = ("0", "0");
    for line in metrics.as_str().unwrap().lines() {
        let Some(bucket) = line.strip_prefix("sealway_sync_seconds_bucket{le=\"") else { continue };
        let (bound, count) = bucket.split_once("\"} ").unwrap();
        if count != below {
            (slowest, below) = (bound, count);
        }
    }
    // What is slower than the last bucket has no bound.
    Duration::try_from_secs_f64(slowest.parse().unwrap()).unwrap_or(Duration::MAX)
}

/// Fails where something comes again that was taken long before a kill; says what did come again.
fn only_the_last_moments_come_again(load: &Load, lives: &[Life]) -> String {
    let kills: Vec<_> = lives.iter().map(|life| (life.killed, life.next)).collect();
    let consumers = load.consumers.iter();
    let repeats: Vec<_> = consumers.flat_map(|consumer| consumer.repeats(&kills)).collect();
    let sync = lives.iter().map(|life| life.sync).max().unwrap();
    let ages: Vec<(usize, Duration)> = repeats.iter().flatten().copied().collect();
    let late = ages.iter().filter(|(_, age)| *age > WRITTEN_WITHIN).count();
    let oldest = ages.iter().map(|(_, age)| *age).max().unwrap_or_default();
    let told = format!(
        "{} kills, {} events for {} consumers, {} repeats; {late} of what had been taken more than \
         {WRITTEN_WITHIN:?} before the kill, the oldest {oldest:?}; the slowest sync {sync:?}",
        lives.len(),
        load.produced.promised.len(),
        load.consumers.len(),
        repeats.len(),
    );
    assert_eq!(ages.len(), repeats.len(), "a repeat without a kill");
    let quick: Vec<_> = ages.iter().filter(|(life, _)| lives[*life].sync <= QUICK).collect();
    let beyond = quick.iter().filter(|(life, age)| *age > WRITTEN_WITHIN + lives[*life].stall);
    let beyond = beyond.count();
    assert!(beyond * 4 <= quick.len(), "{beyond} of {} in quick lives; {told}", quick.len());
    for (life, age) in ages {
        let within = WRITTEN_WITHIN.max(sync.saturating_mul(SYNCS));
        let within = within.saturating_add(lives[life].stall);
        assert!(age <= within, "life {life}: {age:?} is not within {within:?}; {told}");
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_event_survives_kills_under_mixed_load_and_reaches_its_consumers() {
    let (kills, seed) = (number("KILLS", KILLS), number("SEED", SEED));
    // A failure shows what was printed before it.
    println!("SEED={seed} KILLS={kills}");
    let mut gateway = Process::prepare_with(PROMPT_RETRIES).keeping(EAGER_RETENTION);
    let mut load = Load::on(&gateway).await;
    gateway.serve().await;
    load.subscribe_all().await;
    let entropy = SeededEntropy::new(seed);
    let (mut lives, mut floors) = (Vec::new(), Vec::<Option<EventId>>::new());

    for round in 0..kills {
        let (life, faults) = live((&mut gateway, &mut load), &entropy, round).await;
        assert!(faults.is_empty(), "seed {seed}, life {round}: {faults:#?}");
        let Life { acknowledged, sync, stall, .. } = life;
        println!("life {round}: {acknowledged} acknowledged, sync {sync:?}, stall {stall:?}");
        lives.push(life);
        floors.push(load.low_watermark().await);
    }

    let events = load.produced.promised.len();
    assert!(events as u64 >= kills, "only {events} events were acknowledged");
    let refused = &load.produced.refused;
    assert!(refused.keys().all(|status| *status == 503), "seed {seed}: {refused:?}");
    load.settle().await;
    let faults = load.faults().await;
    assert!(faults.is_empty(), "seed {seed}: {faults:#?}");
    let kept = load.kept().await;
    let dropped = load.produced.promised.keys().filter(|id| !kept.contains_key(id)).count();
    floors.dedup();
    let times = floors.iter().flatten().count();
    println!("{dropped} events were dropped, in {times} lives; {} tokens", load.tokens.asked());
    assert!(times as u64 * 2 >= kills, "seed {seed}: {times} of {kills} lives dropped events");
    assert!(load.tokens.asked() as u64 > kills, "a new life knows no token");
    println!("{}", only_the_last_moments_come_again(&load, &lives));
}
