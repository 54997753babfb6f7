//! `sealway callers`: who may call the API; works on the data directory, gateway running or not.

use std::sync::Arc;

use clap::Subcommand;
use serde_json::json;

use crate::ambient::{SystemClock, SystemEntropy};
use crate::api::{CallerRecord, Callers, Scope};
use crate::cli::acting::act;
use crate::cli::data_directory::must_have_log;
use crate::cli::{Column, CommandResult, Context, DataDirectory, Exit, Failure};
use crate::event::CallerId;
use crate::eventlog::{ActionKind, SqliteRegistry};
use crate::gateway::check_log_is_there;

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
pub async fn run(Args { data, command }: Args, context: &Context) -> CommandResult {
    let config = data.config(context)?;
    if matches!(command, Command::Add { .. }) {
        check_log_is_there(&config).map_err(Failure::blame)?;
    } else {
        must_have_log(&config)?;
    }
    let registry =
        SqliteRegistry::open(&config.data_dir, Arc::new(SystemClock)).map_err(Failure::blame)?;
    let registry = Arc::new(registry);
    let callers = Callers::new(Arc::clone(&registry) as _, config.api.caller_cache);
    let of = |kind, name: &CallerId| (kind, format!("callers/{name}"));
    let output = context.output();
    match command {
        Command::Add { name, scopes } => {
            let add =
                async { callers.add(&name, scopes, &SystemEntropy).await.map_err(Failure::blame) };
            let key = act(&*registry, of(ActionKind::AddCaller, &name), context, add).await?;
            output.note(format_args!("the key of caller `{name}`; it cannot be shown again:"));
            let shown = json!({ "caller": name, "key": key.expose() });
            output.item(&shown, |_| key.expose().to_owned());
        }
        Command::Change { name, scopes } => {
            let change = async { callers.change(&name, scopes).await.map_err(Failure::blame) };
            act(&*registry, of(ActionKind::ChangeCaller, &name), context, change).await?;
            output.note(format_args!(
                "caller `{name}` has its new scopes; a running gateway knows within seconds"
            ));
        }
        Command::List => {
            output.list(&callers.list().await.map_err(Failure::blame)?, COLUMNS);
        }
        Command::Remove { name } => {
            let remove = async { callers.remove(&name).await.map_err(Failure::blame) };
            act(&*registry, of(ActionKind::RemoveCaller, &name), context, remove).await?;
            output.note(format_args!("caller `{name}` is removed"));
        }
    }
    Ok(Exit::Done)
}
