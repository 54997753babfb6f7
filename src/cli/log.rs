//! `sealway log`: says who needs the log of a gateway, checks it, copies it beside the running
//! gateway, and brings a copy back.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::ambient::{Clock as _, SystemClock, SystemEntropy};
use crate::cli::answer::{items, text};
use crate::cli::data_directory::command_on;
use crate::cli::log_incarnation::{NextIncarnation, last_number};
use crate::cli::log_proof::Proof;
use crate::cli::{
    Column, CommandResult, Context, DataDirectory, Exit, Failure, Output, log_proof, log_restored,
    log_verify,
};
use crate::config::shown_path;
use crate::eventlog::{CopyError, Restoring, StoredLog, back_up};
use crate::gateway::SetBack;
use crate::telemetry::error_chain;

/// What to do with the log.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Check everything that the log holds: pages, places, ids, digests, chains
    Verify {
        /// A data directory, of a running gateway, too, or a backup file; that of the gateway file,
        /// if not given
        #[arg(value_name = "DIR|FILE")]
        place: Option<PathBuf>,
        #[command(flatten)]
        data: DataDirectory,
    },
    /// List who needs old events of a running gateway's log, and since when: those first that keep
    /// most of it from being dropped
    Holders,
    /// Have a running gateway prove something of its log, and check the proof
    #[command(subcommand)]
    Proof(Proof),
    /// Print the key that checks the log's checkpoints: `name+id+key`, for tools that read signed notes
    Key {
        /// Of which incarnation of the log; the present one, as the data directory has it, if not given
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        incarnation: Option<u64>,
        #[command(flatten)]
        data: DataDirectory,
    },
    /// Copy the log into one new file, while the gateway runs
    Backup {
        /// The file, which must not be there, or a directory that gets a file named by the time
        #[arg(value_name = "DIR|FILE")]
        to: PathBuf,
        #[command(flatten)]
        data: DataDirectory,
    },
    /// Make the log of a data directory that is empty, or not there, from a backup, once it is checked
    Restore {
        /// The backup
        #[arg(value_name = "FILE")]
        from: PathBuf,
        #[command(flatten)]
        data: DataDirectory,
        #[command(flatten)]
        next: NextIncarnation,
    },
    /// Say that a log that was restored, or set back, is the one to go on with, so that it delivers
    Restored {
        #[command(flatten)]
        data: DataDirectory,
        #[command(flatten)]
        next: NextIncarnation,
        /// Go on as another incarnation although the log lacks nothing that is known of it
        #[arg(long)]
        force: bool,
    },
}

/// What a list shows of who needs the log.
const COLUMNS: &[Column<Value>] = &[
    ("Subscription", |holder| named_subscription(holder)),
    ("State", |holder| text(holder, "/state")),
    ("Replay", |holder| text(holder, "/replay")),
    ("Events", |holder| text(holder, "/events")),
    ("Since", |holder| text(holder, "/since")),
    ("Expires", |holder| text(holder, "/expires")),
];

/// Runs the command.
pub async fn run(command: Command, context: &Context) -> CommandResult {
    let output = context.output();
    match command {
        Command::Verify { place, data } => {
            let place = place.map_or_else(|| data.place(context), Ok)?;
            let log = StoredLog::open(&place).map_err(Failure::blame)?;
            let mut report = log_verify::check(log, output).await?;
            let config = data.settings(context).ok();
            for lack in log_restored::lacks(&place, config.as_ref())? {
                let restored = command_on("log restored", &place, context);
                report.find(format!("{}; {}", error_chain(&lack), SetBack::to_go_on(&restored)));
            }
            output.item(&report, |report| report.in_words(&place));
            Ok(if report.is_sound() { Exit::Done } else { Exit::No })
        }
        Command::Holders => {
            let answer = context.client()?.get("/log").await?;
            output.list(&items(&answer, "holders"), COLUMNS);
            Ok(Exit::Done)
        }
        Command::Proof(proof) => log_proof::run(proof, context).await,
        Command::Key { incarnation, data } => log_proof::key(incarnation, &data, context).await,
        Command::Backup { to, data } => {
            let from = data.place(context)?;
            let file = if to.is_dir() { to.join(name_of_now()) } else { to };
            copy(output, "copying", |progress| back_up(&from, &file, progress))?;
            output.item(&json!({ "file": file }), |_| format!("the log is in {}", file.display()));
            Ok(Exit::Done)
        }
        Command::Restore { from, data, next } => {
            let directory = data.place(context)?;
            let work =
                |progress: &mut dyn FnMut(u64, u64)| Restoring::begin(&from, &directory, progress);
            let restoring = copy(output, "copying", work)?;
            // The copy is checked, because it has the tables that this program reads.
            let log = StoredLog::open(restoring.place()).map_err(Failure::blame)?;
            let identity = log.identity().map_err(Failure::blame)?.unwrap_or_default();
            let last = last_number(&log)?;
            let report = log_verify::check(log, output).await?;
            if !report.is_sound() {
                output.item(&report, |report| report.in_words(&from));
                output.note("nothing was restored");
                return Ok(Exit::No);
            }
            let new = next.choose((&identity, last), &directory, context)?;
            let number = new.number;
            restoring.finish(&SystemClock, &SystemEntropy, new).map_err(Failure::blame)?;
            let told = json!({ "directory": directory, "incarnation": number, "verified": report });
            output.item(&told, |_| {
                let [restored, look] = ["log restored", "serve --no-delivery"]
                    .map(|words| command_on(words, &directory, context));
                format!(
                    "the log is in {}, as incarnation {number}; run `{restored}` if it is the one to go on \
                     with, or look at it with `{look}`",
                    shown_path(&directory)
                )
            });
            Ok(Exit::Done)
        }
        Command::Restored { data, next, force } => {
            log_restored::confirm(&data, (&next, force), context).await
        }
    }
}

/// A subscription as people know it, with its id: `shop/orders (01m8…)`; the id alone, where a replay has lost it.
fn named_subscription(holder: &Value) -> String {
    let [id, name, consumer] = ["/subscription", "/name", "/consumer"].map(|at| text(holder, at));
    match (name.is_empty(), consumer.is_empty()) {
        (false, false) => format!("{consumer}/{name} ({id})"),
        _ => id,
    }
}

fn name_of_now() -> String {
    let now = SystemClock.now().to_string();
    let digits: String = now.chars().filter(char::is_ascii_digit).take(14).collect();
    format!("sealway-{digits}.db")
}

/// Shows how far a copy has come. Nothing else runs in this process, so that it may keep its thread.
fn copy<T>(
    output: Output,
    verb: &'static str,
    work: impl FnOnce(&mut dyn FnMut(u64, u64)) -> Result<T, CopyError>,
) -> Result<T, Failure> {
    let bar = output.progress(Some(0), verb);
    let done = work(&mut |copied, total| {
        bar.set_length(total);
        bar.set_position(copied);
    });
    bar.finish_and_clear();
    done.map_err(Failure::blame)
}
