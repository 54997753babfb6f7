//! Hostile loads on the real program, one after the other and each bounded in count and time: prints what
//! each cost and what everybody else noticed, and fails where a bound does not hold.
//!
//! `SCENARIO` names one load; `GATEWAY` names another program than the one that was built, to compare.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it speaks to whoever runs it, and says what is wrong by panicking"
)]

#[expect(dead_code, reason = "the harness opens tokens with it")]
#[path = "../it/consumer_in_rust.rs"]
mod consumer_in_rust;
mod consumers;
mod filters;
mod ground;
#[expect(dead_code, unused_imports, reason = "the promises need more of it than these loads")]
#[path = "../it/harness/mod.rs"]
mod harness;
mod report;
mod strangers;
mod usage;
mod watch;

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::process::ExitCode;

use futures_util::FutureExt as _;

use report::Report;

/// A load under way.
type Load = Pin<Box<dyn Future<Output = Report>>>;

/// A load and its name.
struct Scenario {
    name: &'static str,
    run: fn() -> Load,
}

/// All loads, in the order in which they are run.
const SCENARIOS: &[Scenario] = &[
    Scenario { name: "signed-headers", run: || Box::pin(strangers::signed_headers()) },
    Scenario { name: "bodies", run: || Box::pin(strangers::bodies()) },
    Scenario { name: "connections", run: || Box::pin(strangers::connections()) },
    Scenario { name: "quarantine", run: || Box::pin(strangers::quarantine()) },
    Scenario { name: "patterns", run: || Box::pin(filters::patterns()) },
    Scenario { name: "listing", run: || Box::pin(filters::listing()) },
    Scenario { name: "large-filters", run: || Box::pin(filters::large_filters()) },
    Scenario { name: "subscriptions", run: || Box::pin(filters::subscriptions()) },
    Scenario { name: "slow-streams", run: || Box::pin(consumers::slow_streams()) },
    Scenario { name: "abandoned-polls", run: || Box::pin(consumers::abandoned_polls()) },
    Scenario { name: "endless-continue", run: || Box::pin(consumers::endless_continue()) },
    Scenario { name: "hanging-posts", run: || Box::pin(consumers::hanging_posts()) },
    Scenario { name: "fan-out", run: || Box::pin(consumers::fan_out()) },
];

/// A text of the environment.
fn variable(name: &str) -> Option<String> {
    std::env::vars_os()
        .find(|(found, _)| found == name)
        .and_then(|(_, text)| text.into_string().ok())
}

fn number(name: &str, usual: u64) -> u64 {
    variable(name).map_or(usual, |text| text.parse().expect("a whole number"))
}

/// Says something to whoever runs it.
fn say(text: &str) {
    println!("{text}");
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let only = variable("SCENARIO");
    let chosen: Vec<_> = SCENARIOS
        .iter()
        .filter(|scenario| only.as_ref().is_none_or(|name| name == scenario.name))
        .collect();
    assert!(!chosen.is_empty(), "there is no such scenario");
    let mut broken = Vec::new();
    for scenario in chosen {
        let came = AssertUnwindSafe((scenario.run)()).catch_unwind().await;
        if !came.is_ok_and(|report| report.print(scenario.name)) {
            broken.push(scenario.name);
        }
    }
    if broken.is_empty() {
        say("every bound holds");
        return ExitCode::SUCCESS;
    }
    say(&format!("bounds are broken by {}", broken.join(", ")));
    ExitCode::FAILURE
}
