//! `sealway export`: who receives, who may hear and who may call, as one text for another gateway.

use std::sync::Arc;

use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use crate::access::GrantDocument;
use crate::ambient::{Clock, SystemClock};
use crate::api::{Callers, SubscriptionListQuery};
use crate::cli::answer::{items, text};
use crate::cli::carried::{Carried, CarriedCaller, CarriedSubscription, FORM};
use crate::cli::client::segment;
use crate::cli::{Client, CommandResult, Context, Exit, Failure};
use crate::eventlog::{SqliteRegistry, StoredLog};
use crate::subscriptions::SubscriptionDocument;

/// Subscriptions that are asked for at once.
const PAGE: usize = 1000;

/// What to write.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Leave out the callers, which are read from the data directory of the settings
    #[arg(long)]
    without_callers: bool,
}

/// A subscription as the gateway shows it.
#[derive(Deserialize)]
struct Shown {
    #[serde(flatten)]
    document: SubscriptionDocument,
    state: String,
}

/// Runs the command: subscriptions and grants come from the running gateway.
pub async fn run(args: &Args, context: &Context) -> CommandResult {
    let (client, output) = (context.client()?, context.output());
    let config = context.config()?;
    let callers = if args.without_callers { Vec::new() } else { callers(context).await? };
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
        "{} subscriptions, {} grants and {} callers; secrets and keys are not in it",
        carried.subscriptions.len(),
        carried.grants.len(),
        carried.callers.len()
    ));
    Ok(Exit::Done)
}

/// Every subscription that the caller may see and that is not closed, page by page.
async fn subscriptions(client: &Client) -> Result<Vec<CarriedSubscription>, Failure> {
    let mut all = Vec::new();
    let mut query = SubscriptionListQuery { limit: Some(PAGE), ..SubscriptionListQuery::default() };
    loop {
        let request = client.request(Method::GET, "/subscriptions")?.query(&query);
        let answer = client.read(request).await?;
        for item in items(&answer, "subscriptions") {
            let Shown { document, state } = serde_json::from_value(item).map_err(|error| {
                Failure::ours(error).context("the gateway shows a subscription that cannot be read")
            })?;
            if state != "closed" {
                all.push(CarriedSubscription::of(&document, state == "paused"));
            }
        }
        query.after = Some(text(&answer, "/next")).filter(|next| !next.is_empty());
        if query.after.is_none() {
            return Ok(all);
        }
    }
}

/// Every grant that holds or is to come.
async fn grants(client: &Client) -> Result<Vec<GrantDocument>, Failure> {
    let (mut all, mut path) = (Vec::new(), "/grants".to_owned());
    loop {
        let answer = client.get(&path).await?;
        for grant in items(&answer, "grants") {
            if matches!(text(&grant, "/state").as_str(), "planned" | "active") {
                all.push(document_of(&grant)?);
            }
        }
        let next = text(&answer, "/next");
        if next.is_empty() {
            return Ok(all);
        }
        path = format!("/grants?after={}", segment(&next)?);
    }
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

async fn callers(context: &Context) -> Result<Vec<CarriedCaller>, Failure> {
    let config = context.config()?;
    let missing = "the callers are read from the data directory; run it where the gateway runs, or \
                   with --without-callers";
    // Looking must not make a data directory.
    StoredLog::open(&config.data_dir).map_err(|error| Failure::blame(error).context(missing))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let registry =
        SqliteRegistry::open(&config.data_dir, Arc::clone(&clock)).map_err(Failure::blame)?;
    let callers = Callers::new(Arc::new(registry), config.api.caller_cache, clock);
    let mut all = Vec::new();
    for caller in callers.list().await.map_err(Failure::blame)? {
        let name = caller.id.parse().map_err(Failure::ours)?;
        all.push(CarriedCaller { name, scopes: caller.scopes });
    }
    Ok(all)
}
