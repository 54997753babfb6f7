//! `sealway issuer`: what the gateway is called; works on the data directory, gateway running or not.

use std::sync::Arc;

use anyhow::anyhow;
use clap::Subcommand;
use serde_json::json;
use url::Url;

use crate::ambient::{Clock as _, SystemClock};
use crate::cli::acting::act;
use crate::cli::data_directory::must_have_log;
use crate::cli::{CommandResult, Context, DataDirectory, Exit, Failure};
use crate::event::Timestamp;
use crate::eventlog::{ActionKind, SqliteRegistry};
use crate::keys::{LogIssuer, NextIssuer};

/// What to do, and where.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    data: DataDirectory,
    #[command(subcommand)]
    command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the names that this gateway has and had, and the one that consumers are told of
    Show,
    /// Tell consumers ahead, in their signed checkpoints, that the gateway will be called otherwise. It is
    /// once you restart it with `issuer: NEW` and the old name among `issuer-aliases`
    Move {
        /// The name from then on, an http or https address
        #[arg(required_unless_present = "cancel")]
        new: Option<Url>,
        /// From when on
        #[arg(long, value_name = "TIME", required_unless_present = "cancel")]
        at: Option<Timestamp>,
        /// Take it back: the gateway keeps its name
        #[arg(long, conflicts_with_all = ["new", "at"])]
        cancel: bool,
    },
}

/// Runs the command.
pub async fn run(Args { data, command }: &Args, context: &Context) -> CommandResult {
    let config = data.config(context)?;
    must_have_log(&config)?;
    let registry =
        SqliteRegistry::open(&config.data_dir, Arc::new(SystemClock)).map_err(Failure::blame)?;
    let names = match command {
        Command::Show => LogIssuer::read(&registry).await.map_err(Failure::blame)?,
        Command::Move { new, at, .. } => {
            let next = match (new, at) {
                (Some(new), Some(at)) => Some(next(new, *at)?),
                _ => None,
            };
            let change =
                async { LogIssuer::announce(&registry, next).await.map_err(Failure::blame) };
            let of = (ActionKind::MoveIssuer, "issuer".to_owned());
            Some(act(&registry, of, context, change).await?)
        }
    };
    let Some(names) = names else {
        let problem = anyhow!("no gateway has run on this log yet, so that it has signed nothing");
        return Err(Failure::input(problem));
    };
    context.output().item(&json!(names), |_| in_words(&names));
    Ok(Exit::Done)
}

fn next(new: &Url, at: Timestamp) -> Result<NextIssuer, Failure> {
    let is_plain = matches!(new.scheme(), "http" | "https")
        && new.query().is_none()
        && new.fragment().is_none()
        && new.username().is_empty()
        && new.password().is_none();
    if !is_plain {
        let problem = anyhow!("{new} is no issuer: use a plain http or https address");
        return Err(Failure::input(problem));
    }
    if at <= SystemClock.now() {
        let problem = anyhow!("{at} is over: consumers are told ahead, so say a time to come");
        return Err(Failure::input(problem));
    }
    Ok(NextIssuer { issuer: new.as_str().trim_end_matches('/').to_owned(), at })
}

fn in_words(names: &LogIssuer) -> String {
    let mut lines = vec![format!("this gateway is {}", names.current)];
    if !names.former.is_empty() {
        lines.push(format!("it was {}", names.former.join(", ")));
    }
    if names.began != names.current {
        lines.push(format!("its log is known to others under {}", names.began));
    }
    if let Some(NextIssuer { issuer, at }) = &names.next {
        lines.push(format!(
            "consumers are told that it will be {issuer} from {at} on; then set `issuer: {issuer}`, add {} \
             to `issuer-aliases`, and restart it",
            names.current
        ));
    }
    lines.join("\n")
}
