//! Runs the demo from the first hop to the last check.

use anyhow::Context as _;
use url::Url;

use crate::cli::demo::{DemoServices, Narrator, Stage, aws, proof, story};
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::config::Config;

/// How the demo ends.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// End after the last check instead of staying up; exit code 0 only if everything held
    #[arg(long)]
    exit: bool,
    /// Walk from a bus of EventBridge to another account's, on the fresh emulator of AWS at this address,
    /// and end after the last check, as with `--exit`; the
    /// environment has credentials of the account 111122223333, as ministack takes them:
    /// AWS_ACCESS_KEY_ID=111122223333 AWS_SECRET_ACCESS_KEY=demo
    #[arg(long, value_name = "URL")]
    aws: Option<Url>,
}

/// Runs the demo.
pub async fn run(args: &Args, context: &Context) -> CommandResult {
    let config = context.config()?;
    Box::pin(perform(args, config, context)).await.map_err(Failure::ours)
}

async fn perform(args: &Args, config: Config, context: &Context) -> anyhow::Result<Exit> {
    let narrator = Narrator::new(context.output());
    if let Some(endpoint) = &args.aws {
        Box::pin(aws::perform(endpoint, config, &narrator)).await?;
        return Ok(report(&narrator, context));
    }
    narrator.chapter("The stage");
    let stage = Stage::build(config).await.context("the gateway did not start")?;
    narrator.hop("gateway", &format!("listens on {}, its own log and keys", stage.issuer()));
    let services = DemoServices::start(&stage, &narrator).await?;
    narrator.hop("four consumers", "proved their sinks and keys by answering a sealed nonce");
    story::orders(&services, &narrator).await?;
    let first = story::eavesdrop(&services, &narrator)?;
    let token = stage.write("order-created.jwt", &first.token)?;
    story::open_step_by_step(&services, &first, &narrator)?;
    story::replay(&stage, &services, &narrator).await?;
    proof::check(&services, &narrator);
    let exit = report(&narrator, context);
    if !args.exit {
        stay(&stage, &narrator, &token).await?;
    }
    stage.stop().await?;
    Ok(exit)
}

/// Tells what held.
fn report(narrator: &Narrator, context: &Context) -> Exit {
    let held = narrator.claims().iter().all(|(_, holds)| *holds);
    let count = narrator.claims().len();
    let claims = narrator.claims().into_iter();
    let report: Vec<_> = claims
        .map(|(claim, holds)| serde_json::json!({ "claim": claim, "holds": holds }))
        .collect();
    context.output().item(&report, |_| {
        if held {
            format!("\nEverything held: {count} of {count} claims.")
        } else {
            "\nNot everything held; see the lines marked ✗.".to_owned()
        }
    });
    if held { Exit::Done } else { Exit::No }
}

/// Stays up with things to try until someone presses Ctrl-C.
async fn stay(stage: &Stage, narrator: &Narrator, token: &std::path::Path) -> anyhow::Result<()> {
    let (issuer, directory) = (stage.issuer(), stage.directory().display());
    let token = token.display();
    let key = stage.write("admin.key", stage.admin_key().expose())?;
    let key = key.display();
    narrator.chapter("Still up; try these in another terminal, and end with Ctrl-C");
    narrator.say(&format!(
        "open the token that the payment service received:\n  \
         sealway open --key {directory}/payment-service.jwk --jwks {issuer}/.well-known/jwks.json \
         --issuer {issuer} --audience payment-service < {token}\n\
         look at the gateway:\n  \
         curl -s {issuer}/.well-known/jwks.json\n  \
         curl -s -H \"Authorization: Bearer $(cat {key})\" {issuer}/subscriptions\n  \
         curl -s -H \"Authorization: Bearer $(cat {key})\" {issuer}/subscriptions/audit/attempts\n  \
         curl -s {issuer}/health/ready\n\
         the contracts and publications are in asyncapi/ and config/publications/"
    ));
    tokio::signal::ctrl_c().await.context("cannot wait for Ctrl-C")
}
