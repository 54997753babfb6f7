//! `sealway callers`: who may call the API; works on the data directory, gateway running or not.

use std::sync::Arc;

use clap::Subcommand;
use serde_json::json;

use crate::ambient::{SystemClock, SystemEntropy};
use crate::api::{CallerRecord, Callers, Scope};
use crate::cli::{Column, CommandResult, Context, Exit, Failure};
use crate::event::CallerId;
use crate::eventlog::SqliteRegistry;

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Add a caller and print its key, once: only a hash is kept
    Add {
        /// The caller's name
        name: CallerId,
        /// What it may do: admin, operate, read-data, audit, domain:NAME, publish:SOURCE (a `*` at the
        /// end stands for any rest) or consume:CONSUMER; may be repeated
        #[arg(long = "scope", value_name = "SCOPE", required = true)]
        scopes: Vec<Scope>,
    },
    /// Give a caller other scopes in place of all that it has; its key stays
    Change {
        /// The caller's name
        name: CallerId,
        /// What it may do from now on, as with `add`; may be repeated
        #[arg(long = "scope", value_name = "SCOPE", required = true)]
        scopes: Vec<Scope>,
    },
    /// List the callers
    List,
    /// Remove a caller; a running gateway refuses its key within seconds
    Remove {
        /// The caller's name
        name: CallerId,
    },
}

/// What a list shows of a caller.
const COLUMNS: &[Column<CallerRecord>] = &[
    ("Caller", |caller| caller.id.clone()),
    ("Scopes", |caller| caller.scopes.iter().map(Scope::to_string).collect::<Vec<_>>().join(" ")),
    ("Unbound", |caller| if caller.unbound { "yes".to_owned() } else { String::new() }),
    ("Added", |caller| caller.added.to_string()),
];

/// Runs the command.
pub async fn run(command: Command, context: &Context) -> CommandResult {
    let config = context.config()?;
    let registry =
        SqliteRegistry::open(&config.data_dir, Arc::new(SystemClock)).map_err(Failure::blame)?;
    let callers = Callers::new(Arc::new(registry), config.api.caller_cache);
    let output = context.output();
    match command {
        Command::Add { name, scopes } => {
            let key = callers.add(&name, scopes, &SystemEntropy).await.map_err(Failure::blame)?;
            output.note(format_args!("the key of caller `{name}`; it cannot be shown again:"));
            let shown = json!({ "caller": name, "key": key.expose() });
            output.item(&shown, |_| key.expose().to_owned());
        }
        Command::Change { name, scopes } => {
            callers.change(&name, scopes).await.map_err(Failure::blame)?;
            output.note(format_args!(
                "caller `{name}` has its new scopes; a running gateway knows within seconds"
            ));
        }
        Command::List => {
            output.list(&callers.list().await.map_err(Failure::blame)?, COLUMNS);
        }
        Command::Remove { name } => {
            callers.remove(&name).await.map_err(Failure::blame)?;
            output.note(format_args!("caller `{name}` is removed"));
        }
    }
    Ok(Exit::Done)
}
