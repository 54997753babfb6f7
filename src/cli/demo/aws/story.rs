//! Three orders walk from the domain's bus to the other account's, one message comes twice, and the
//! range is replayed.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::{Value, json};

use crate::cli::demo::aws::accounts::{DemoAccounts, GATEWAY_QUEUE};
use crate::cli::demo::aws::domain::DemoDomain;
use crate::cli::demo::aws::partner::BusReceiver;
use crate::cli::demo::story::{EVENTS_PER_ORDER, ORDERS};
use crate::cli::demo::{Narrator, Stage};

/// How long an order may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// Who plays.
pub struct DemoParties {
    /// The sample's services.
    pub domain: DemoDomain,
    /// Receives every event.
    pub ledger: Arc<BusReceiver>,
    /// Receives completed orders.
    pub shipping: Arc<BusReceiver>,
}

/// Starts the services of both accounts.
pub async fn begin(
    accounts: &DemoAccounts,
    stage: &Stage,
    narrator: &Narrator,
) -> anyhow::Result<DemoParties> {
    let far = (stage, &accounts.partner);
    let ledger =
        BusReceiver::start("ledger", &json!(["Order.*", "Payment.*"]), far, narrator).await?;
    let shipping =
        BusReceiver::start("shipping", &json!(["Order.Completed"]), far, narrator).await?;
    narrator
        .hop("ledger, shipping", "opened the challenge on the bus, and answered for their keys");
    let domain = DemoDomain::start(&accounts.team, stage, narrator).await?;
    Ok(DemoParties { domain, ledger, shipping })
}

/// Lets the three orders through.
pub async fn orders(parties: &DemoParties, narrator: &Narrator) -> anyhow::Result<()> {
    let mut completed = 0;
    for (index, (id, amount, outcome)) in ORDERS.iter().enumerate() {
        narrator.chapter(&format!("Order {id} for {amount}"));
        parties.domain.take(*id, *amount).await?;
        completed += usize::from(*outcome == "OrderCompleted");
        let count = (index + 1) * EVENTS_PER_ORDER;
        let arrived = async {
            parties.domain.wait_for("notification-service", count).await;
            parties.domain.wait_for("log", count).await;
            parties.ledger.wait_for(count).await;
            parties.shipping.wait_for(completed).await;
        };
        tokio::time::timeout(PATIENCE, arrived)
            .await
            .map_err(|_| anyhow!("order {id} did not end within {PATIENCE:?}"))?;
    }
    Ok(())
}

/// Shows what whoever reads the other account's bus sees of one event.
pub fn look(parties: &DemoParties, narrator: &Narrator) -> anyhow::Result<()> {
    narrator.chapter("What is on the other account's bus");
    let envelopes = parties.ledger.taken().envelopes;
    let mut first = envelopes.into_iter().next().context("the ledger received nothing")?;
    if let Some(Value::String(token)) = first.pointer_mut("/detail/data") {
        let beginning: String = token.chars().take(48).collect();
        *token = format!("{beginning}… ({} characters)", token.len());
    }
    narrator.say(&serde_json::to_string_pretty(&first)?);
    Ok(())
}

/// Has SQS deliver a message a second time, as it may; gives the number of events that the ledger had
/// before.
pub async fn deliver_again(
    accounts: &DemoAccounts,
    parties: &DemoParties,
    narrator: &Narrator,
) -> anyhow::Result<usize> {
    narrator.chapter("A message comes twice");
    let before = parties.ledger.taken().tokens.len();
    let envelope = parties.domain.log().into_iter().next().context("the log has nothing")?;
    let url = accounts.team.queue_url(GATEWAY_QUEUE).await?;
    let sent = accounts.team.sqs.send_message().queue_url(&url).message_body(envelope.to_string());
    sent.send().await.context("cannot send the message again")?;
    narrator.hop(GATEWAY_QUEUE, "has the first message once more");
    let empty = async {
        while waiting(accounts, &url).await? > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::Ok(())
    };
    let emptied = tokio::time::timeout(PATIENCE, empty).await;
    emptied.map_err(|_| anyhow!("{GATEWAY_QUEUE} is not empty after {PATIENCE:?}"))??;
    narrator.hop("gateway", "has taken it, and the queue is empty");
    Ok(before)
}

/// How many messages a queue has, whoever has received them.
async fn waiting(accounts: &DemoAccounts, url: &str) -> anyhow::Result<u64> {
    use QueueAttributeName as Name;
    let names = [Name::ApproximateNumberOfMessages, Name::ApproximateNumberOfMessagesNotVisible];
    let asked = accounts.team.sqs.get_queue_attributes().queue_url(url);
    let answer = asked.set_attribute_names(Some(names.to_vec())).send().await?;
    let all = answer.attributes().cloned().unwrap_or_default();
    let number = |name| all.get(name).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    Ok(names.iter().map(number).sum())
}

/// Replays everything to the ledger.
pub async fn replay(
    stage: &Stage,
    parties: &DemoParties,
    narrator: &Narrator,
) -> anyhow::Result<()> {
    let live = parties.ledger.taken().tokens;
    let mut ids: Vec<&str> = live.iter().map(|one| one.opened.id()).collect();
    ids.sort_unstable();
    let (Some(from), Some(to)) = (ids.first(), ids.last()) else {
        return Err(anyhow!("the ledger received nothing"));
    };
    narrator.chapter("Replay by ULID range, onto the bus");
    let ended = stage.replay("ledger", from, to).await?;
    let arrived = parties.ledger.wait_for(2 * live.len());
    tokio::time::timeout(PATIENCE, arrived)
        .await
        .map_err(|_| anyhow!("the replay did not arrive within {PATIENCE:?}"))?;
    let counts = ended.get("counts").unwrap_or(&Value::Null);
    narrator
        .say(&format!("the replay is {}: {counts}", ended.get("state").unwrap_or(&Value::Null)));
    Ok(())
}
