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
use crate::cli::apply_changes::changes_between;
use crate::cli::apply_grants::{GrantStep, step};
use crate::cli::apply_prune::subscription_path;
use crate::cli::carried::{self, Carried, CarriedCaller, CarriedSubscription};
use crate::cli::data_directory::must_have_log;
use crate::cli::gateway_state::{self, KnownSubscription, KnownSubscriptions, by_name};
use crate::cli::subscription_file::{places_of_secrets, with_secrets};
use crate::cli::{
    Client, Column, CommandResult, Context, DataDirectory, Exit, Failure, Output, subscriptions,
};
use crate::event::QualifiedName;
use crate::eventlog::{ActionKind, SqliteRegistry};
use crate::subscriptions::{SubscriptionDocument, SubscriptionState, Subscriptions};
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
    /// Leave out the callers, which are added in the data directory
    #[arg(long)]
    without_callers: bool,
    #[command(flatten)]
    data: DataDirectory,
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
    let mut all = Vec::new();
    let imported = import_all(&carried, args, context, &mut all).await;
    // Also when it broke off: what was made is made, and a key is not shown again.
    tell(context.output(), &all, args.dry_run);
    imported?;
    let is_refused = all.iter().any(|one| one.problem.is_some());
    Ok(if is_refused { Exit::No } else { Exit::Done })
}

/// Imports one after the other, and notes what became of each.
async fn import_all(
    carried: &Carried,
    args: &Args,
    context: &Context,
    all: &mut Vec<Imported>,
) -> Result<(), Failure> {
    let client = context.client()?;
    let subscriptions = gateway_state::subscriptions(&client).await?;
    let grants = match carried.grants.as_slice() {
        [] => BTreeMap::new(),
        _ => gateway_state::grants(&client).await?,
    };
    // Callers first, and grants before the subscriptions that need them.
    if !args.without_callers && !carried.callers.is_empty() {
        import_callers(&carried.callers, args, context, all).await?;
    }
    for grant in &carried.grants {
        all.push(import_grant(&client, grant, &grants, args.dry_run).await?);
    }
    for one in &carried.subscriptions {
        all.push(import_subscription(&client, one, &subscriptions, args).await?);
    }
    Ok(())
}

async fn import_callers(
    wanted: &[CarriedCaller],
    args: &Args,
    context: &Context,
    all: &mut Vec<Imported>,
) -> Result<(), Failure> {
    let config = args.data.config(context)?;
    must_have_log(&config)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let registry =
        SqliteRegistry::open(&config.data_dir, Arc::clone(&clock)).map_err(Failure::blame)?;
    let (registry, now) = (Arc::new(registry), clock.now());
    let callers = Callers::new(Arc::clone(&registry) as _, config.api.caller_cache, clock);
    let there: BTreeMap<String, CallerRecord> = callers
        .list()
        .await
        .map_err(Failure::blame)?
        .into_iter()
        .map(|one| (one.id.clone(), one))
        .collect();
    for CarriedCaller { name, scopes, until } in wanted {
        let one = Imported::new("caller", name.to_string());
        all.push(match there.get(name.as_str()) {
            Some(known) if known.scopes == *scopes && known.until == *until => one,
            Some(_) => one.refused(format!(
                "there is a caller `{name}` with other scopes or another end; `sealway callers change` \
                 gives it these"
            )),
            None if until.is_some_and(|until| until <= now) => {
                Imported { outcome: "has ended", ..one }
            }
            None if args.dry_run => Imported { outcome: "would be created", ..one },
            None => {
                let of = (ActionKind::AddCaller, format!("callers/{name}"));
                let add = async {
                    let added = callers.add_until(name, scopes.clone(), *until, &SystemEntropy);
                    added.await.map_err(Failure::blame)
                };
                let key = act(&*registry, of, context, add).await;
                one.made(key.map(|key| Some(json!(key.expose()))))?
            }
        });
    }
    Ok(())
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
    there: &KnownSubscriptions,
    args: &Args,
) -> Result<Imported, Failure> {
    let document = &wanted.document;
    let Some(name) = document.given_name() else {
        let one = Imported::new("subscription", document.consumer.to_string());
        return Ok(one.refused("it has no `name`, so it would be created anew each time"));
    };
    let name = QualifiedName { consumer: document.consumer.clone(), name };
    let one = Imported::new("subscription", name.to_string());
    if let Some(known) = there.get(&name) {
        return keep(client, (wanted, known), one, args.dry_run).await;
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
    let paused = if wanted.paused { pause(client, &text(&made, "/id")).await } else { Ok(()) };
    let problem = paused.err().map(|failure| format!("it is created and not paused: {failure}"));
    Ok(Imported { problem, ..one })
}

/// Leaves what is there as it is, and pauses it if it is to be: an import before may have come no further.
async fn keep(
    client: &Client,
    (wanted, known): (&CarriedSubscription, &KnownSubscription),
    one: Imported,
    dry_run: bool,
) -> Result<Imported, Failure> {
    let changes = changes_between(&known.document, &by_name(&wanted.document));
    let told: Vec<String> = changes.iter().map(ToString::to_string).collect();
    if !changes.is_empty() {
        let told = told.join("; ");
        return Ok(one.refused(format!("there is another one of this name; {told}")));
    }
    let is_over = matches!(known.state, SubscriptionState::Paused | SubscriptionState::Closed);
    if !wanted.paused || is_over {
        return Ok(one);
    }
    if dry_run {
        return Ok(Imported { outcome: "would be paused", ..one });
    }
    match pause(client, known.id.as_str()).await {
        Ok(()) => Ok(Imported { outcome: "paused", ..one }),
        Err(failure) if failure.is_input() => {
            Ok(one.refused(format!("it cannot be paused: {failure}")))
        }
        Err(failure) => Err(failure),
    }
}

/// A document that can work, with the secrets that it names.
fn sound(document: &SubscriptionDocument, file: &str) -> Result<SubscriptionDocument, String> {
    Subscriptions::check(document).map_err(|error| error_chain(&error).to_string())?;
    let places = places_of_secrets(document.sinkcredential.as_deref(), file);
    places.map_err(|mistake| mistake.problem)?;
    with_secrets(document.clone(), file).map_err(|failure| failure.to_string())
}

async fn pause(client: &Client, id: &str) -> Result<(), Failure> {
    let path = subscription_path(id)? + "/pause";
    client.call::<()>(Method::POST, &path, None).await.map(drop)
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
