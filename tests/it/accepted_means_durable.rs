//! After the producer hears yes, the event survives the death of the process at any moment.

use std::time::Duration;

use tokio::time::Instant;

use sealway::ambient::{Entropy as _, SeededEntropy};
use sealway::event::EventId;

use crate::harness::{
    Activity, Copying, EAGER_RETENTION, Load, PROMPT_RETRIES, Process, Stalls, eventually,
    number_from_environment as number,
};

/// Kills in a usual run; `KILLS` says another number, and `SEED` another seed.
const KILLS: u64 = 12;
const SEED: u64 = 0x5ea1_3a7e;

/// A backup is taken beside the gateway in each so many-th of its lives.
const BACKUP: u64 = 4;

/// How long an outcome is gathered with others at most, before it goes to the log.
const GATHERED: Duration = Duration::from_millis(50);
/// What a consumer has taken is kept within this time on any machine that is not busy.
const WRITTEN_WITHIN: Duration = Duration::from_millis(100);
/// On a busy one, an outcome takes no longer than it is gathered and so many publications take: it
/// goes the same way, through the same process, the same writer and the same disk, and may have
/// to wait for the transaction that is being written before its own.
const PUBLICATIONS: u32 = 2;
/// Events are dropped in each so many-th life, before it is ended.
const DROPPING: u64 = 2;

/// A life of the gateway that was ended by a kill.
struct Life {
    killed: Instant,
    /// Nothing has arrived later that was sent in this life, and nothing earlier that was sent after.
    next: Instant,
    /// The longest that a task of this test waited for a core.
    stall: Duration,
    /// How long producers waited for answers, or until the kill, in the order of lengths.
    publications: Vec<Duration>,
    acknowledged: usize,
}

impl Life {
    /// Within which time what a consumer had taken was to be kept.
    fn written_within(&self) -> Duration {
        WRITTEN_WITHIN.max(GATHERED + self.slowest() * PUBLICATIONS) + self.stall
    }

    /// The longest that a producer waited.
    fn slowest(&self) -> Duration {
        *self.publications.last().unwrap()
    }

    /// How long most of what a consumer has taken may have to wait for its transaction.
    fn mostly_written_within(&self) -> Duration {
        GATHERED + self.publications[self.publications.len() / 2]
    }
}

/// Lives for a while under load, is killed, and starts again; what was promised must be there.
async fn live(
    (gateway, load): (&mut Process, &mut Load),
    entropy: &SeededEntropy,
    round: u64,
) -> (Life, Vec<String>) {
    let floor = load.low_watermark().await;
    let stalls = Stalls::watched();
    let working = load.work(3, Duration::from_millis(5), &Activity::ALL);
    let span = Duration::from_millis(50 + entropy.next_u64() % 350);
    tokio::time::sleep(span).await;
    let takes_backup = round % BACKUP == BACKUP - 1;
    let copying = takes_backup.then(|| Copying::begin(gateway, &format!("backup-{round}")));
    // A new life knows no token.
    eventually("a token is asked for", async || (load.tokens.asked() as u64 > round).then_some(()))
        .await;
    if round.is_multiple_of(DROPPING) {
        eventually("events are dropped", async || {
            (load.low_watermark().await > floor).then_some(())
        })
        .await;
    }
    tokio::time::sleep(span).await;
    let (killed, stall) = (Instant::now(), stalls.longest());
    gateway.kill();
    let produced = working.end().await;
    load.hear_out().await;
    let promised = produced.promised.clone();
    let waited =
        |(from, to): &(Instant, Instant)| (*to).min(killed).saturating_duration_since(*from);
    let mut publications: Vec<_> = produced.waits.iter().map(waited).collect();
    publications.sort_unstable();
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
    (Life { killed, next, stall, publications, acknowledged: promised.len() }, faults)
}

/// Fails where something comes again that was taken long before a kill; says what did come again.
fn only_the_last_moments_come_again(load: &Load, lives: &[Life]) -> String {
    let kills: Vec<_> = lives.iter().map(|life| (life.killed, life.next)).collect();
    let consumers = load.consumers.iter();
    let repeats: Vec<_> = consumers.flat_map(|consumer| consumer.repeats(&kills)).collect();
    let ages: Vec<(usize, Duration)> = repeats.iter().flatten().copied().collect();
    let late = ages.iter().filter(|(_, age)| *age > WRITTEN_WITHIN).count();
    let oldest = ages.iter().map(|(_, age)| *age).max().unwrap_or_default();
    let told = format!(
        "{} kills, {} events for {} consumers, {} repeats; {late} of what had been taken more than \
         {WRITTEN_WITHIN:?} before the kill, the oldest {oldest:?}",
        lives.len(),
        load.produced.promised.len(),
        load.consumers.len(),
        repeats.len(),
    );
    assert_eq!(ages.len(), repeats.len(), "a repeat without a kill; {told}");
    let beyond = |(life, age): &&(usize, Duration)| *age > lives[*life].mostly_written_within();
    let beyond = ages.iter().filter(beyond).count();
    assert!(beyond * 2 <= ages.len(), "{beyond} took longer than publications mostly do; {told}");
    for (life, age) in ages {
        let within = lives[life].written_within();
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
        let Life { acknowledged, stall, .. } = life;
        let publication = life.slowest();
        println!(
            "life {round}: {acknowledged} acknowledged, the slowest after {publication:?}, stall \
             {stall:?}"
        );
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
    assert!(
        times as u64 * DROPPING >= kills,
        "seed {seed}: {times} of {kills} lives dropped events"
    );
    println!("{}", only_the_last_moments_come_again(&load, &lives));
}
