//! `sealway aws external-id`: what the trust policy of a consumer's role asks for.

use serde_json::Value;

use crate::cli::{CommandResult, Context, Exit};
use crate::event::ConsumerId;

/// Whose external id to show.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The consumer
    consumer: ConsumerId,
}

/// Asks the gateway, which makes it when it is asked for first.
pub async fn run(args: &Args, context: &Context) -> CommandResult {
    let answer: Value = context.client()?.get(&format!("/external-ids/{}", args.consumer)).await?;
    context
        .output()
        .item(&answer, |shown| shown["externalId"].as_str().unwrap_or_default().to_owned());
    Ok(Exit::Done)
}
