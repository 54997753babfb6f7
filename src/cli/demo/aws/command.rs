//! Runs the demo on an emulator of AWS.

use anyhow::Context as _;
use url::Url;

use crate::cli::demo::aws::accounts::{
    DemoAccounts, GATEWAY_QUEUE, PARTNER, PARTNER_BUS, REGION, TEAM, TEAM_BUS, bus_arn,
    check_identity,
};
use crate::cli::demo::aws::{proof, story};
use crate::cli::demo::{Narrator, Stage};
use crate::config::Config;
use crate::deliver::EventBusPermission;

/// The services of the other account.
pub const RECEIVERS: [&str; 2] = ["ledger", "shipping"];

/// Sets both accounts up, lets the orders through, and checks every claim.
pub async fn perform(endpoint: &Url, config: Config, narrator: &Narrator) -> anyhow::Result<()> {
    let config = with_edges(config, endpoint)?;
    check_identity(&config).await?;
    narrator.chapter("Two accounts");
    let accounts = DemoAccounts::set_up(endpoint, &RECEIVERS).await?;
    narrator.hop(TEAM, &format!("has the bus {TEAM_BUS}, the sample's four rules, and one more"));
    narrator.hop(PARTNER, &format!("has the bus {PARTNER_BUS}, and a rule for each service"));
    let stage = Stage::build(config).await.context("the gateway did not start")?;
    narrator.hop("gateway", &format!("reads {GATEWAY_QUEUE}, which the fifth rule fills"));
    let parties = story::begin(&accounts, &stage, narrator).await?;
    story::orders(&parties, narrator).await?;
    story::look(&parties, narrator)?;
    let repeated = story::deliver_again(&accounts, &parties, narrator).await?;
    story::replay(&stage, &parties, narrator).await?;
    proof::check(&stage, &parties, repeated, narrator).await;
    stage.stop().await
}

/// The settings of a gateway with both edges.
fn with_edges(mut config: Config, endpoint: &Url) -> anyhow::Result<Config> {
    config.aws.endpoint_url = Some(endpoint.clone());
    let queue = serde_json::json!({
        "arn": format!("arn:aws:sqs:{REGION}:{TEAM}:{GATEWAY_QUEUE}"),
        "buses": [bus_arn(TEAM, TEAM_BUS)],
        "sources": ["order-service", "payment-service"],
    });
    config.source.queues = vec![serde_json::from_value(queue)?];
    let permission = |consumer: &str| -> anyhow::Result<EventBusPermission> {
        Ok(EventBusPermission {
            consumer: consumer.parse()?,
            bus: bus_arn(PARTNER, PARTNER_BUS).parse()?,
            role: Some(format!("arn:aws:iam::{PARTNER}:role/sealway-deliver").parse()?),
        })
    };
    config.delivery.event_buses =
        RECEIVERS.into_iter().map(permission).collect::<Result<_, _>>()?;
    Ok(config)
}
