//! `sealway subscriptions secret` and `drop-retries`: what a subscriber changes beside its document.

use reqwest::Method;
use serde_json::Value;

use crate::ambient::HumanDuration;
use crate::api::{DropRequest, SecretRequest};
use crate::cli::answer::{items, show, text};
use crate::cli::{Client, Failure, Output};
use crate::event::{SubscriptionReference, number_of};

/// Whose secret to replace.
#[derive(Debug, clap::Args)]
pub struct SecretArgs {
    /// The subscription: its name, `consumer/name`, or its id
    id: SubscriptionReference,
    /// How long the former secret is good beside the new one, at most 7days; 0s ends it at once
    #[arg(long, value_name = "DURATION")]
    overlap: Option<HumanDuration>,
}

/// Which deliveries to give up.
#[derive(Debug, clap::Args)]
pub struct DropArgs {
    /// The subscription: its name, `consumer/name`, or its id
    id: SubscriptionReference,
    /// Only events of this type, or `Order.*` for everything below `Order`; again for each
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
}

/// Has another shared secret made, and gives the gateway's answer, in which it is.
///
/// # Errors
///
/// The caller's turn: the gateway refused. Ours: it cannot be reached or failed.
pub async fn rotate_secret(client: &Client, args: SecretArgs) -> Result<Value, Failure> {
    let seconds = |overlap: HumanDuration| u32::try_from(overlap.0.as_secs()).unwrap_or(u32::MAX);
    let wish = SecretRequest { overlap: args.overlap.map(seconds) };
    let path = format!("/subscriptions/{}/secret", args.id.segment());
    client.call(Method::POST, &path, Some(&wish)).await
}

/// Has deliveries given up that wait for another attempt, and says how many.
///
/// # Errors
///
/// As [`rotate_secret`].
pub async fn drop_retries(client: &Client, output: Output, args: DropArgs) -> Result<(), Failure> {
    let (id, wish) = (args.id, DropRequest { types: args.types });
    let path = format!("/subscriptions/{}/retries/drop", id.segment());
    let answer = client.call(Method::POST, &path, Some(&wish)).await?;
    output.item(&answer, |answer| {
        let dropped = answer.get("dropped").and_then(Value::as_u64).unwrap_or_default();
        let dropped = number_of(dropped, "delivery");
        format!("{dropped} of subscription `{id}` given up, as dead letters: `dropped`")
    });
    Ok(())
}

/// Shows what the gateway answers to whoever has made or replaced a subscription, and says what its
/// consumer should look at.
pub fn show_with_warnings(output: Output, answer: &Value) {
    show(output, answer);
    for warning in warnings(answer) {
        output.note(format_args!("warning: {warning}"));
    }
}

/// What its consumer should look at, for people.
pub fn warnings(answer: &Value) -> Vec<String> {
    items(answer, "warnings").iter().map(|warning| text(warning, "/message")).collect()
}
