//! `sealway export`: who receives, who may hear and who may call, as one text for another gateway.

use std::sync::Arc;

use serde_json::Value;

use crate::access::GrantDocument;
use crate::ambient::{Clock, SystemClock};
use crate::api::Callers;
use crate::cli::answer::text;
use crate::cli::carried::{Carried, CarriedCaller, CarriedSubscription, FORM};
use crate::cli::data_directory::must_have_log;
use crate::cli::gateway_state;
use crate::cli::{Client, CommandResult, Context, DataDirectory, Exit, Failure};
use crate::config::Config;
use crate::event::number_of;
use crate::eventlog::SqliteRegistry;
use crate::subscriptions::SubscriptionState;

/// What to write.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    data: DataDirectory,
    /// Leave out the callers, which are read from the data directory
    #[arg(long)]
    without_callers: bool,
}

/// Runs the command: subscriptions and grants come from the running gateway.
pub async fn run(args: &Args, context: &Context) -> CommandResult {
    let (client, output) = (context.client()?, context.output());
    let (config, callers) = if args.without_callers {
        (args.data.settings(context)?, Vec::new())
    } else {
        let config = args.data.config(context)?;
        let callers = callers(&config).await?;
        (config, callers)
    };
    let carried = Carried {
        sealway_export: FORM,
        issuer: config.issuer_text().to_owned(),
        exported: SystemClock.now(),
        subscriptions: subscriptions(&client).await?,
        grants: grants(&client).await?,
        callers,
    };
    if output.is_json() {
        output.document(&carried);
    } else {
        output.line(serde_saphyr::to_string(&carried).map_err(Failure::ours)?.trim_end());
    }
    output.note(format_args!(
        "{}, {} and {}; secrets and keys are not in it",
        number_of(carried.subscriptions.len(), "subscription"),
        number_of(carried.grants.len(), "grant"),
        number_of(carried.callers.len(), "caller")
    ));
    Ok(Exit::Done)
}

/// Every subscription that the caller may see and that is not closed.
async fn subscriptions(client: &Client) -> Result<Vec<CarriedSubscription>, Failure> {
    let known = gateway_state::subscriptions(client).await?.into_values();
    let open = known.filter(|one| one.state != SubscriptionState::Closed);
    let carried = |one: gateway_state::KnownSubscription| {
        CarriedSubscription::of(&one.document, one.state == SubscriptionState::Paused)
    };
    Ok(open.map(carried).collect())
}

/// Every grant that holds or is to come.
async fn grants(client: &Client) -> Result<Vec<GrantDocument>, Failure> {
    let all = gateway_state::grants(client).await?;
    let is_open = |grant: &&Value| matches!(text(grant, "/state").as_str(), "planned" | "active");
    all.values().filter(is_open).map(document_of).collect()
}

/// The document of a grant that the gateway shows.
fn document_of(grant: &Value) -> Result<GrantDocument, Failure> {
    let members = ["id", "consumer", "publication", "history", "from", "until", "reason"];
    let said = members.iter().filter_map(|name| {
        let value = grant.get(*name).filter(|value| !value.is_null())?;
        Some(((*name).to_owned(), value.clone()))
    });
    serde_json::from_value(Value::Object(said.collect())).map_err(|error| {
        Failure::ours(error).context("the gateway shows a grant that cannot be read")
    })
}

/// Every caller whose credentials have not ended.
async fn callers(config: &Config) -> Result<Vec<CarriedCaller>, Failure> {
    must_have_log(config).map_err(|failure| {
        failure.context(
            "the callers cannot be read; run it where the gateway runs, or --without-callers",
        )
    })?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let registry =
        SqliteRegistry::open(&config.data_dir, Arc::clone(&clock)).map_err(Failure::blame)?;
    let now = clock.now();
    let callers = Callers::new(Arc::new(registry), config.api.caller_cache, clock);
    let mut all = Vec::new();
    for caller in callers.list().await.map_err(Failure::blame)? {
        if caller.until.is_none_or(|until| now < until) {
            let name = caller.id.parse().map_err(Failure::ours)?;
            all.push(CarriedCaller { name, scopes: caller.scopes, until: caller.until });
        }
    }
    Ok(all)
}
