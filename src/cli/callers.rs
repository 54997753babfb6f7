//! `sealway callers`: who may call the API; works on the data directory, gateway running or not.

use std::sync::Arc;
use std::time::Duration;

use clap::Subcommand;
use serde_json::json;

use crate::ambient::{HumanDuration, Secret, SystemClock, SystemEntropy};
use crate::api::{CallerChange, CallerRecord, Callers, Scope};
use crate::cli::acting::act;
use crate::cli::data_directory::must_have_log;
use crate::cli::{Column, CommandResult, Context, DataDirectory, Exit, Failure, Output};
use crate::event::{CallerId, Timestamp};
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

/// How long the key stays good that is replaced, unless that is said.
const OVERLAP: HumanDuration = HumanDuration(Duration::from_hours(24));

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
        /// When its credentials end, in RFC 3339; never by themselves if missing
        #[arg(long, value_name = "TIME")]
        until: Option<Timestamp>,
    },
    /// Give a caller other scopes in place of all that it has, or another end; its key stays
    Change(ChangeArgs),
    /// Give a caller another key and print it, once; the present one stays good for a while
    Rotate {
        /// The caller's name
        name: CallerId,
        /// How long the present key stays good, for example 7days; `0s`: not at all
        #[arg(long, value_name = "DURATION", default_value_t = OVERLAP)]
        overlap: HumanDuration,
    },
    /// List the callers, with when each was seen last, to within minutes
    List,
    /// Remove a caller; a running gateway refuses its key within seconds
    Remove {
        /// The caller's name
        name: CallerId,
    },
}

/// What of a caller to change.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true)
    .args(["scopes", "until", "no_end"]))]
pub struct ChangeArgs {
    /// The caller's name
    name: CallerId,
    /// What it may do from now on, as with `add`; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<Scope>,
    /// When its credentials end from now on, in RFC 3339
    #[arg(long, value_name = "TIME", conflicts_with = "no_end")]
    until: Option<Timestamp>,
    /// Let its credentials never end by themselves
    #[arg(long)]
    no_end: bool,
}

impl From<ChangeArgs> for CallerChange {
    fn from(args: ChangeArgs) -> Self {
        let until = (args.no_end || args.until.is_some()).then_some(args.until);
        Self { scopes: Some(args.scopes).filter(|scopes| !scopes.is_empty()), until }
    }
}

/// What a list shows of a caller.
const COLUMNS: &[Column<CallerRecord>] = &[
    ("Caller", |caller| caller.id.clone()),
    ("Scopes", |caller| caller.scopes.iter().map(Scope::to_string).collect::<Vec<_>>().join(" ")),
    ("Ends", |caller| moment(caller.until)),
    ("Last use", |caller| moment(caller.last_use)),
    ("Former key until", |caller| moment(caller.former_key_until)),
    ("Its last use", |caller| moment(caller.former_key_last_use)),
    ("Unbound", |caller| if caller.unbound { "yes".to_owned() } else { String::new() }),
    ("Added", |caller| caller.added.to_string()),
];

fn moment(at: Option<Timestamp>) -> String {
    at.map(|at| at.to_string()).unwrap_or_default()
}

/// Runs the command.
pub async fn run(Args { data, command }: Args, context: &Context) -> CommandResult {
    let config = data.config(context)?;
    if matches!(command, Command::Add { .. }) {
        check_log_is_there(&config).map_err(Failure::blame)?;
    } else {
        must_have_log(&config)?;
    }
    let clock = Arc::new(SystemClock);
    let registry = SqliteRegistry::open(&config.data_dir, Arc::clone(&clock) as _);
    let registry = Arc::new(registry.map_err(Failure::blame)?);
    let callers = Callers::new(Arc::clone(&registry) as _, config.api.caller_cache, clock);
    let of = |kind, name: &CallerId| (kind, format!("callers/{name}"));
    let output = context.output();
    match command {
        Command::Add { name, scopes, until } => {
            let add = async {
                let added = callers.add_until(&name, scopes, until, &SystemEntropy).await;
                added.map_err(Failure::blame)
            };
            let key = act(&*registry, of(ActionKind::AddCaller, &name), context, add).await?;
            show_key(output, &name, &key);
        }
        Command::Change(args) => {
            let name = args.name.clone();
            let change = CallerChange::from(args);
            let change = async { callers.change(&name, change).await.map_err(Failure::blame) };
            act(&*registry, of(ActionKind::ChangeCaller, &name), context, change).await?;
            output.note(format_args!(
                "caller `{name}` is changed; a running gateway knows within seconds"
            ));
        }
        Command::Rotate { name, overlap } => {
            let rotate = async {
                let rotated = callers.rotate(&name, overlap.0, &SystemEntropy).await;
                rotated.map_err(Failure::blame)
            };
            let key =
                act(&*registry, of(ActionKind::RotateCallerKey, &name), context, rotate).await?;
            output.note(format_args!(
                "the key that caller `{name}` had stays good for {overlap}; `sealway callers list` \
                 says when it was used last"
            ));
            show_key(output, &name, &key);
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

fn show_key(output: Output, name: &CallerId, key: &Secret) {
    output.note(format_args!("the key of caller `{name}`; it cannot be shown again:"));
    let shown = json!({ "caller": name, "key": key.expose() });
    output.item(&shown, |_| key.expose().to_owned());
}
