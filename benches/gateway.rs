//! What an event costs the whole program over loopback, sealed and durable, at several fan-outs, beside
//! the bare primitives of the same run.
//!
//! `cargo bench --bench gateway`. Each row is a process of its own, whose CPU time and written bytes are
//! the kernel's word on it (proc(5): `stat`, `io`). The bare primitives are this program again: a handler
//! that parses the body and waits for a group commit into one table of SQLite, and the gateway's own
//! sealing and HTTP client in a loop. `GATEWAY=path` measures another program, to compare; `SPAN=seconds`
//! sends for longer, to see deliveries keep pace.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot run has nothing to say")]
#![expect(clippy::indexing_slicing, reason = "a benchmark that cannot run has nothing to say")]
#![expect(clippy::panic, reason = "a benchmark that cannot run has nothing to say")]
#![expect(clippy::cast_precision_loss, reason = "counts of a benchmark are small")]

mod whole;

mod bare;

use std::env;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use tokio::time::Instant;
use whole::{CountingSink, Ground, Operator, Producer, Usage};

/// How many seconds events are sent at full speed, where nothing else is said.
const SPAN: u64 = 4;
/// How long nothing is done before memory is looked at again.
const IDLE: Duration = Duration::from_secs(4);
/// Producers, each with one request at a time.
const CONNECTIONS: u64 = 64;
/// Producers that send at a given rate.
const PACED: u32 = 16;
/// Sinks of a gateway that does nothing, and the subscriptions of each.
const RESTING: (u64, u64) = (20, 50);
/// For how long such a gateway is looked at.
const REST: Duration = Duration::from_secs(20);
/// To how many consumers an event goes.
const FAN_OUTS: [u64; 3] = [0, 1, 10];

/// One measured load.
struct Row {
    accepted: f64,
    deliveries: f64,
    sending: Duration,
    whole: Duration,
    used: Usage,
    /// The memory after some seconds without work, in KiB.
    idle: u64,
}

fn main() {
    let arguments: Vec<String> = env::args().collect();
    match arguments.iter().position(|argument| argument == "--bare") {
        Some(at) => bare::run(&arguments[at + 1..]),
        None => report(),
    }
}

fn report() {
    println!(
        "{:<24}{:>12}{:>13}{:>14}{:>15}{:>11}{:>9}{:>10}",
        "1 KiB events",
        "accepted/s",
        "delivered/s",
        "CPU us/event",
        "CPU us/deliv.",
        "KiB/event",
        "RSS MiB",
        "idle MiB"
    );
    let bare_in = bare_ingest();
    bare_in.print("bare handler + commit");
    let post = bare_post();
    println!("{:<24}{:>12}{:>13}{:>14}{:>15.1}", "bare seal + POST", "", "", "", post);
    let rows = FAN_OUTS.map(|fan_out| (fan_out, gateway(fan_out)));
    for (fan_out, row) in &rows {
        row.print(&format!("gateway, fan-out {fan_out}"));
    }
    let [(_, ingest), (_, one), (_, ten)] = &rows;
    println!();
    let ratio = |what: &str, own: f64, bare: f64, target: f64| {
        println!("{what:<56}{:>7.2} x   target {target} x", own / bare);
    };
    ratio("ingest alone / bare handler and commit", ingest.per_event(), bare_in.per_event(), 2.5);
    ratio("fan-out 1 / (seal + POST + ingest)", one.per_event(), post + ingest.per_event(), 1.5);
    ratio("fan-out 10, per delivery / (seal + POST)", ten.per_delivery(), post, 1.3);
    ratio("written per event / bare commit", ingest.written(), bare_in.written(), 1.5);
    latency();
    resting();
}

impl Row {
    fn per_event(&self) -> f64 {
        self.used.cpu.as_secs_f64() * 1e6 / self.accepted
    }

    fn per_delivery(&self) -> f64 {
        self.used.cpu.as_secs_f64() * 1e6 / self.deliveries
    }

    /// In KiB per event.
    fn written(&self) -> f64 {
        self.used.written as f64 / 1024.0 / self.accepted
    }

    fn print(&self, name: &str) {
        let delivered = self.deliveries / self.whole.as_secs_f64();
        println!(
            "{name:<24}{:>12.0}{:>13.0}{:>14.1}{:>15.1}{:>11.1}{:>9.1}{:>10.1}",
            self.accepted / self.sending.as_secs_f64(),
            delivered,
            self.per_event(),
            if self.deliveries > 0.0 { self.per_delivery() } else { f64::NAN },
            self.written(),
            self.used.resident as f64 / 1024.0,
            self.idle as f64 / 1024.0,
        );
    }
}

/// A process that ends with its owner.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// A gateway with subscriptions, at work.
struct Serving {
    ground: Ground,
    process: Process,
    key: String,
    sinks: Vec<CountingSink>,
}

fn variable(wanted: &str) -> Option<String> {
    let (_, value) = env::vars_os().find(|(name, _)| name == wanted)?;
    value.into_string().ok()
}

/// Starts a gateway with so many subscriptions of each sink.
fn serve((sinks, subscriptions): (u64, u64)) -> Serving {
    let ground = Ground::prepare();
    let program = variable("GATEWAY").unwrap_or_else(|| env!("CARGO_BIN_EXE_sealway").to_owned());
    let command = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.arg("--config").arg(ground.settings()).args(arguments).stdin(Stdio::null());
        command
    };
    let added = command(&["callers", "add", "bench", "--scope", "admin"]).output().unwrap();
    let key = String::from_utf8(added.stdout).unwrap().trim().to_owned();
    let served = command(&["serve"]).stdout(Stdio::null()).spawn().unwrap();
    let process = Process(served);
    Operator::of(&ground, &key).wait_until_ready();
    let sinks: Vec<CountingSink> = (0..sinks).map(|_| CountingSink::start()).collect();
    thread::scope(|scope| {
        for (at, sink) in sinks.iter().enumerate() {
            let operator = Operator::of(&ground, &key);
            scope.spawn(move || {
                for number in 0..subscriptions {
                    operator.subscribe(&format!("consumer-{at}-{number}"), sink);
                }
            });
        }
    });
    Serving { ground, process, key, sinks }
}

fn gateway(fan_out: u64) -> Row {
    let Serving { ground, process, key, sinks } = serve((fan_out, 1));
    load(&ground, &key, process.0.id(), &sinks)
}

/// How long events are on their way from producer to sink at 500 a second, and what one sync of the disk
/// takes: the median and the 99th percentile, in milliseconds.
fn latency() {
    const RATE: u32 = 500;
    const EVENTS: u32 = 10 * RATE;
    let Serving { ground, process: _process, key, sinks } = serve((1, 1));
    let mut syncs: Vec<f64> = (0..200).map(|_| sync(&ground)).collect();
    let sink = &sinks[0];
    sink.time(usize::try_from(EVENTS).unwrap());
    let begun = Instant::now();
    let producers: Vec<_> = (0..PACED)
        .map(|one| {
            let mut producer = Producer::connect(&ground, &key);
            thread::spawn(move || {
                let mut posted = Vec::new();
                for number in (0..EVENTS).filter(|number| number % PACED == one) {
                    let due = begun + Duration::from_secs(1) * number / RATE;
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                    posted.push(Instant::now());
                    assert_eq!(producer.post(number.into()), 202);
                }
                posted
            })
        })
        .collect();
    let mut posted: Vec<_> = producers.into_iter().flat_map(|one| one.join().unwrap()).collect();
    sink.wait_for(EVENTS.into());
    posted.sort();
    // As many arrive as are posted, nearly in the same order.
    let on_their_way = posted.iter().zip(sink.times());
    let mut took: Vec<f64> =
        on_their_way.map(|(from, to)| (to - *from).as_secs_f64() * 1e3).collect();
    let of = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        (times[times.len() / 2], times[times.len() * 99 / 100])
    };
    let ((half, most), (half_sync, most_sync)) = (of(&mut took), of(&mut syncs));
    println!(
        "\n{RATE} events/s, from producer to sink: p50 {half:.2} ms, p99 {most:.2} ms; one sync of this disk: \
         p50 {half_sync:.2} ms, p99 {most_sync:.2} ms   target 1 and 3 ms beyond the sync"
    );
}

/// What a gateway costs that does nothing, in milliseconds of processor per second.
fn resting() {
    let Serving { process: Process(child), .. } = &serve(RESTING);
    thread::sleep(IDLE);
    let before = Usage::of(child.id());
    thread::sleep(REST);
    let used = Usage::of(child.id()).since(&before);
    println!(
        "{} subscriptions that rest: {:.1} ms of processor per second   target 2 ms; {:.1} MiB",
        RESTING.0 * RESTING.1,
        used.cpu.as_secs_f64() * 1e3 / REST.as_secs_f64(),
        used.resident as f64 / 1024.0,
    );
}

/// Writes a page to a file and has it synced; how long that took, in milliseconds.
fn sync(ground: &Ground) -> f64 {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.create(true).append(true).open(ground.path().join("synced")).unwrap();
    let begun = Instant::now();
    file.write_all(&[0; 4096]).unwrap();
    file.sync_data().unwrap();
    begun.elapsed().as_secs_f64() * 1e3
}

fn bare_ingest() -> Row {
    let ground = Ground::prepare();
    let this = env::current_exe().unwrap();
    let path = ground.path().join("plain.db");
    let served = Command::new(this)
        .args(["--bare", "ingest", ground.address()])
        .arg(path)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let process = Process(served);
    Operator::of(&ground, "").wait_until_ready();
    load(&ground, "none", process.0.id(), &[])
}

/// What one sealed POST costs, in microseconds of CPU.
fn bare_post() -> f64 {
    let sink = CountingSink::start();
    let this = env::current_exe().unwrap();
    let output = Command::new(this).args(["--bare", "post", &sink.url()]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

/// Sends events from all producers at full speed, and waits until they have arrived everywhere.
fn load(ground: &Ground, key: &str, process: u32, sinks: &[CountingSink]) -> Row {
    let (numbers, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let (before, begun) = (Usage::of(process), Instant::now());
    let producers: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (numbers, stop) = (Arc::clone(&numbers), Arc::clone(&stop));
            let mut producer = Producer::connect(ground, key);
            thread::spawn(move || {
                let mut accepted = 0;
                while !stop.load(Relaxed) {
                    match producer.post(numbers.fetch_add(1, Relaxed)) {
                        202 => accepted += 1,
                        // It is told to be slower.
                        503 => thread::sleep(Duration::from_millis(20)),
                        status => panic!("the gateway answers {status}"),
                    }
                }
                accepted
            })
        })
        .collect();
    let span = variable("SPAN").map_or(SPAN, |seconds| seconds.parse().unwrap());
    thread::sleep(Duration::from_secs(span));
    stop.store(true, Relaxed);
    let accepted: u64 = producers.into_iter().map(|producer| producer.join().unwrap()).sum();
    let sending = begun.elapsed();
    for sink in sinks {
        sink.wait_for(accepted);
    }
    let (whole, used) = (begun.elapsed(), Usage::of(process).since(&before));
    thread::sleep(IDLE);
    Row {
        accepted: accepted as f64,
        deliveries: sinks.iter().map(CountingSink::arrived).sum::<u64>() as f64,
        sending,
        whole,
        used,
        idle: Usage::of(process).resident,
    }
}
