//! `sealway aws external-id`: what the trust policy of a consumer's role asks for.

use serde_json::Value;

use crate::cli::answer::text;
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::event::ConsumerId;

/// Whose external id to show.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The consumer
    consumer: ConsumerId,
}

/// Runs the command.
pub async fn run(args: &Args, context: &Context) -> CommandResult {
    let answer = read(&args.consumer, context).await?;
    // A consumer may ask before the operator lists its bus, so this is no mistake.
    if answer.get("listed") == Some(&Value::Bool(false)) {
        context.output().note(format_args!(
            "no line of `delivery.event-buses` names the consumer `{}`, as the gateway's file was when \
             it started",
            args.consumer
        ));
    }
    context.output().item(&answer, |shown| text(shown, "/externalId"));
    Ok(Exit::Done)
}

/// Asks the gateway for the external id of a consumer.
///
/// # Errors
///
/// As [`Client::get`](crate::cli::Client::get).
#[cfg(feature = "aws")]
pub async fn external_id(consumer: &ConsumerId, context: &Context) -> Result<String, Failure> {
    Ok(text(&read(consumer, context).await?, "/externalId"))
}

/// Asks the gateway, which makes it when it is asked for first.
async fn read(consumer: &ConsumerId, context: &Context) -> Result<Value, Failure> {
    context.client()?.get(&format!("/external-ids/{consumer}")).await
}
