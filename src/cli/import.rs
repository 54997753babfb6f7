//! `sealway import`: makes on this gateway what another one exported, with ids, chains, keys and secrets of
//! its own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};

use crate::access::GrantDocument;
use crate::ambient::{Clock, SystemClock, SystemEntropy};
use crate::api::{CallerRecord, Callers};
use crate::cli::acting::act;
use crate::cli::answer::text;
use crate::cli::apply::{Known, all_there, by_name};
use crate::cli::apply_changes::changes_between;
use crate::cli::apply_grants::{GrantStep, step, there};
use crate::cli::apply_prune::subscription_path;
use crate::cli::carried::{self, CarriedCaller, CarriedSubscription};
use crate::cli::subscription_file::{places_of_secrets, with_secrets};
use crate::cli::{Client, Column, CommandResult, Context, Exit, Failure, Output, subscriptions};
use crate::event::QualifiedName;
use crate::eventlog::{ActionKind, SqliteRegistry};
use crate::subscriptions::{SubscriptionDocument, Subscriptions};
use crate::telemetry::error_chain;

/// What to make.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What `sealway export` wrote; `-` reads it from standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Say what would be made, and make nothing
    #[arg(long)]
    dry_run: bool,
    /// Leave out the callers, which are added in the data directory of the settings
    #[arg(long)]
    without_callers: bool,
}

/// What became of one thing, or would.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Imported {
    kind: &'static str,
    name: String,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// A key or a secret that this gateway made; shown once.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<Value>,
}

/// What is shown of it.
const COLUMNS: &[Column<Imported>] = &[
    ("Kind", |one| one.kind.to_owned()),
    ("Name", |one| one.name.clone()),
    ("Outcome", |one| one.outcome.to_owned()),
];

impl Imported {
    fn new(kind: &'static str, name: String) -> Self {
        Self { kind, name, outcome: "as it was", problem: None, secret: None }
    }

    fn refused(self, problem: impl Into<String>) -> Self {
        Self { outcome: "refused", problem: Some(problem.into()), ..self }
    }

    /// Takes over what a request came to; a refusal is told, and the others are made all the same.
    fn made(self, made: Result<Option<Value>, Failure>) -> Result<Self, Failure> {
        match made {
            Ok(secret) => Ok(Self { outcome: "created", secret, ..self }),
            Err(failure) if failure.is_input() => Ok(self.refused(failure.to_string())),
            Err(failure) => Err(failure),
        }
    }
}

/// Runs the command; the answer is no if something was refused.
pub async fn run(args: &Args, context: &Context) -> CommandResult {
    let carried = carried::read(&args.file)?;
    let (client, output) = (context.client()?, context.output());
    let subscriptions = all_there(&client).await?;
    let grants = if carried.grants.is_empty() { BTreeMap::new() } else { there(&client).await? };
    let mut all = Vec::new();
    // Callers first, and grants before the subscriptions that need them.
    if !args.without_callers && !carried.callers.is_empty() {
        all.extend(import_callers(&carried.callers, args.dry_run, context).await?);
    }
    for grant in &carried.grants {
        all.push(import_grant(&client, grant, &grants, args.dry_run).await?);
    }
    for one in &carried.subscriptions {
        all.push(import_subscription(&client, one, &subscriptions, args).await?);
    }
    tell(output, &all, args.dry_run);
    let is_refused = all.iter().any(|one| one.problem.is_some());
    Ok(if is_refused { Exit::No } else { Exit::Done })
}

async fn import_callers(
    wanted: &[CarriedCaller],
    dry_run: bool,
    context: &Context,
) -> Result<Vec<Imported>, Failure> {
    let config = context.config()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let registry =
        SqliteRegistry::open(&config.data_dir, Arc::clone(&clock)).map_err(Failure::blame)?;
    let registry = Arc::new(registry);
    let callers = Callers::new(Arc::clone(&registry) as _, config.api.caller_cache, clock);
    let there: BTreeMap<String, CallerRecord> = callers
        .list()
        .await
        .map_err(Failure::blame)?
        .into_iter()
        .map(|one| (one.id.clone(), one))
        .collect();
    let mut all = Vec::new();
    for CarriedCaller { name, scopes } in wanted {
        let one = Imported::new("caller", name.to_string());
        all.push(match there.get(name.as_str()) {
            Some(known) if known.scopes == *scopes => one,
            Some(_) => one.refused(format!(
                "there is a caller `{name}` with other scopes; `sealway callers change` gives it these"
            )),
            None if dry_run => Imported { outcome: "would be created", ..one },
            None => {
                let of = (ActionKind::AddCaller, format!("callers/{name}"));
                let add = async {
                    callers.add(name, scopes.clone(), &SystemEntropy).await.map_err(Failure::blame)
                };
                let key = act(&*registry, of, context, add).await;
                one.made(key.map(|key| Some(json!(key.expose()))))?
            }
        });
    }
    Ok(all)
}

async fn import_grant(
    client: &Client,
    wanted: &GrantDocument,
    there: &BTreeMap<String, Value>,
    dry_run: bool,
) -> Result<Imported, Failure> {
    let Some(id) = wanted.grant_id() else {
        let one = Imported::new("grant", wanted.publication.to_string());
        return Ok(one.refused("it has no `id`, so it would be given anew each time"));
    };
    let one = Imported::new("grant", id.to_string());
    Ok(match step(wanted, there.get(&id.to_string())) {
        GrantStep::Keep => one,
        GrantStep::Refuse(problem) => one.refused(problem),
        GrantStep::MoveEnd => {
            one.refused("it is there with another end; `sealway grants extend` moves it")
        }
        GrantStep::Give if dry_run => Imported { outcome: "would be created", ..one },
        GrantStep::Give => {
            let given = client.call(Method::POST, "/grants", Some(wanted)).await;
            one.made(given.map(|_| None))?
        }
    })
}

async fn import_subscription(
    client: &Client,
    wanted: &CarriedSubscription,
    there: &BTreeMap<QualifiedName, Known>,
    args: &Args,
) -> Result<Imported, Failure> {
    let document = &wanted.document;
    let Some(name) = document.given_name() else {
        let one = Imported::new("subscription", document.consumer.to_string());
        return Ok(one.refused("it has no `name`, so it would be created anew each time"));
    };
    let name = QualifiedName { consumer: document.consumer.clone(), name };
    let one = Imported::new("subscription", name.to_string());
    if let Some((_, current, _)) = there.get(&name) {
        let changes = changes_between(current, &by_name(document));
        let told: Vec<String> = changes.iter().map(ToString::to_string).collect();
        return Ok(if changes.is_empty() {
            one
        } else {
            one.refused(format!("there is another one of this name; {}", told.join("; ")))
        });
    }
    let document = match sound(document, &args.file.display().to_string()) {
        Ok(document) => document,
        Err(problem) => return Ok(one.refused(problem)),
    };
    if args.dry_run {
        return Ok(Imported { outcome: "would be created", ..one });
    }
    let mut made = match subscriptions::create(client, &document).await {
        Ok(made) => made,
        Err(failure) => return one.made(Err(failure)),
    };
    let secret = made.get_mut("sharedSecret").map(Value::take);
    let one = one.made(Ok(secret))?;
    if wanted.paused { pause(client, one, &made).await } else { Ok(one) }
}

/// A document that can work, with the secrets that it names.
fn sound(document: &SubscriptionDocument, file: &str) -> Result<SubscriptionDocument, String> {
    Subscriptions::check(document).map_err(|error| error_chain(&error).to_string())?;
    let places = places_of_secrets(document.sinkcredential.as_deref(), file);
    places.map_err(|mistake| mistake.problem)?;
    with_secrets(document.clone(), file).map_err(|failure| failure.to_string())
}

/// Pauses what was just created, as the one that it is made after.
async fn pause(client: &Client, one: Imported, made: &Value) -> Result<Imported, Failure> {
    let path = subscription_path(&text(made, "/id"))? + "/pause";
    Ok(match client.call::<()>(Method::POST, &path, None).await {
        Ok(_) => one,
        Err(failure) => Imported {
            problem: Some(format!("it is created and could not be paused: {failure}")),
            ..one
        },
    })
}

fn tell(output: Output, all: &[Imported], dry_run: bool) {
    output.list(all, COLUMNS);
    for one in all {
        if let Some(problem) = &one.problem {
            output.note(format_args!("{} {}: {problem}", one.kind, one.name));
        }
        if let Some(secret) = one.secret.as_ref().filter(|_| !output.is_json()) {
            output.note(format_args!(
                "the secret of {} {}; it cannot be shown again:",
                one.kind, one.name
            ));
            match secret.as_str() {
                Some(text) => output.line(text),
                None => output.document(secret),
            }
        }
    }
    if dry_run {
        output.note("nothing was made; run it without --dry-run to make it");
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_refusal_is_told_and_what_is_broken_ends_the_command() {
        let one = || Imported::new("grant", "x/y".to_owned());

        let refused = one().made(Err(Failure::input(anyhow!("no")))).unwrap();
        assert_eq!((refused.outcome, refused.problem.as_deref()), ("refused", Some("no")));
        assert!(one().made(Err(Failure::ours(anyhow!("broken")))).is_err());
        assert_eq!(one().made(Ok(None)).unwrap().outcome, "created");
    }
}
