//! Waits for long work of the gateway, and shows how far it has come.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use serde_json::Value;

use crate::ambient::{Clock as _, SystemClock};
use crate::cli::answer::text;
use crate::cli::{Client, CommandResult, Exit, Failure, Output};

/// How often work that is waited for is looked at.
const EVERY: Duration = Duration::from_millis(500);
/// How many looks in a row may fail: a gateway that restarts takes its work up again.
const FAILURES: usize = 60;

/// Whether to wait for work that the gateway does by itself.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Waiting {
    /// Wait until it has ended; on a terminal that is what happens anyway
    #[arg(long, conflicts_with = "no_wait")]
    wait: bool,
    /// Do not wait
    #[arg(long)]
    no_wait: bool,
}

/// How to follow some work, and what to say of it.
pub struct Work {
    /// Where it is read.
    pub path: String,
    /// What it does, for the bar.
    pub verb: &'static str,
    /// How much of it is done.
    pub done: fn(&Value) -> Option<u64>,
    /// It in words.
    pub in_words: fn(&Value) -> String,
}

/// Shows work that has just begun, and waits for its end if that is wanted; the answer is no if it
/// did not complete.
pub async fn follow(
    waiting: Waiting,
    started: Value,
    work: &Work,
    at: (&Client, Output),
) -> CommandResult {
    let (client, output) = at;
    let is_watched = io::stderr().is_terminal() && !output.is_json();
    if waiting.no_wait || !(waiting.wait || is_watched) {
        output.item(&started, work.in_words);
        return Ok(Exit::Done);
    }
    output.note((work.in_words)(&started));
    let total = started.pointer("/counts/matched").and_then(Value::as_u64);
    let bar = output.progress(total, work.verb);
    let show = |now: &Value| bar.set_position((work.done)(now).unwrap_or(0));
    let ended = wait(client, started, &work.path, show).await;
    bar.finish_and_clear();
    let ended = ended?;
    output.item(&ended, work.in_words);
    Ok(if text(&ended, "/state") == "completed" { Exit::Done } else { Exit::No })
}

/// Looks at work until it has ended.
async fn wait(
    client: &Client,
    mut work: Value,
    path: &str,
    show: impl Fn(&Value),
) -> Result<Value, Failure> {
    let mut failures = 0;
    while text(&work, "/state") == "running" {
        SystemClock.sleep(EVERY).await;
        match client.get(path).await {
            Ok(now) => {
                work = now;
                failures = 0;
                show(&work);
            }
            Err(failure) if failure.is_input() || failures == FAILURES => return Err(failure),
            Err(_) => failures += 1,
        }
    }
    Ok(work)
}
