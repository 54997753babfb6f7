//! `sealway log`: says who needs the log of a gateway, checks it, copies it beside the running
//! gateway, and brings a copy back.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::ambient::{Clock as _, SystemClock, SystemEntropy};
use crate::cli::answer::{items, text};
use crate::cli::log_proof::Proof;
use crate::cli::{
    Column, CommandResult, Context, Exit, Failure, Output, log_proof, log_restored, log_verify,
};
use crate::eventlog::{CopyError, Restoring, StoredLog, back_up};

/// What to do with the log.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Check everything that the log holds: pages, places, ids, digests, chains
    Verify {
        /// A data directory, of a running gateway, too, or a backup file; that of the gateway file,
        /// if not given
        #[arg(value_name = "DIR|FILE")]
        place: Option<PathBuf>,
    },
    /// List who needs old events of a running gateway's log, and since when: those first that keep
    /// most of it from being dropped
    Holders,
    /// Have a running gateway prove something of its log, and check the proof
    #[command(subcommand)]
    Proof(Proof),
    /// Print the key that checks the log's checkpoints: `name+id+key`, for tools that read signed notes
    Key,
    /// Copy the log into one new file, while the gateway runs
    Backup {
        /// The file, which must not be there, or a directory that gets a file named by the time
        #[arg(value_name = "DIR|FILE")]
        to: PathBuf,
        /// The data directory; that of the gateway file, if not given
        #[arg(long, value_name = "DIR")]
        data_dir: Option<PathBuf>,
    },
    /// Make the log of an empty directory from a backup, once it is checked
    Restore {
        /// The backup
        #[arg(value_name = "FILE")]
        from: PathBuf,
        /// The data directory, empty or not there; that of the gateway file, if not given
        #[arg(long, value_name = "DIR")]
        data_dir: Option<PathBuf>,
    },
    /// Say that a log that was restored, or set back, is the one to go on with, so that it delivers
    Restored {
        /// The data directory; that of the gateway file, if not given
        #[arg(long, value_name = "DIR")]
        data_dir: Option<PathBuf>,
    },
}

/// What a list shows of who needs the log.
const COLUMNS: &[Column<Value>] = &[
    ("Subscription", |holder| text(holder, "/subscription")),
    ("Consumer", |holder| text(holder, "/consumer")),
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
        Command::Verify { place } => {
            let place = data_directory(place, context)?;
            let log = StoredLog::open(&place).map_err(Failure::blame)?;
            let mut report = log_verify::check(log, output).await?;
            log_restored::compare(&place, context, &mut report)?;
            output.item(&report, |report| report.in_words(&place));
            Ok(if report.is_sound() { Exit::Done } else { Exit::No })
        }
        Command::Holders => {
            let answer = context.client()?.get("/log").await?;
            output.list(&items(&answer, "holders"), COLUMNS);
            Ok(Exit::Done)
        }
        Command::Proof(proof) => log_proof::run(proof, context).await,
        Command::Key => log_proof::key(context).await,
        Command::Backup { to, data_dir } => {
            let from = data_directory(data_dir, context)?;
            let file = if to.is_dir() { to.join(name_of_now()) } else { to };
            copy(output, "copying", |progress| back_up(&from, &file, progress))?;
            output.item(&json!({ "file": file }), |_| format!("the log is in {}", file.display()));
            Ok(Exit::Done)
        }
        Command::Restore { from, data_dir } => {
            let directory = data_directory(data_dir, context)?;
            let work =
                |progress: &mut dyn FnMut(u64, u64)| Restoring::begin(&from, &directory, progress);
            let restoring = copy(output, "copying", work)?;
            // The copy is checked, because it has the tables that this program reads.
            let log = StoredLog::open(restoring.place()).map_err(Failure::blame)?;
            let report = log_verify::check(log, output).await?;
            if !report.is_sound() {
                output.item(&report, |report| report.in_words(&from));
                output.note("nothing was restored");
                return Ok(Exit::No);
            }
            restoring.finish(&SystemClock, &SystemEntropy).map_err(Failure::blame)?;
            output.item(&json!({ "directory": directory, "verified": report }), |_| {
                format!(
                    "the log is in {}; run `sealway log restored` if it is the one to go on with, or \
                     look at it with `sealway serve --no-delivery`",
                    directory.display()
                )
            });
            Ok(Exit::Done)
        }
        Command::Restored { data_dir } => {
            log_restored::confirm(&data_directory(data_dir, context)?, context).await
        }
    }
}

fn data_directory(given: Option<PathBuf>, context: &Context) -> Result<PathBuf, Failure> {
    given.map_or_else(|| context.config().map(|config| config.data_dir), Ok)
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
