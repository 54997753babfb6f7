//! What stands at AWS: two accounts with buses, rules and queues.

use anyhow::Context as _;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_eventbridge::operation::create_event_bus::CreateEventBusError;
use aws_sdk_eventbridge::types::Target;
use aws_sdk_sqs::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::{Value, json};
use url::Url;

use crate::aws::AwsClients;
use crate::config::Config;
use crate::egress::Egress;

/// The account of the sample's domain.
pub const TEAM: &str = "111122223333";
/// The account that receives.
pub const PARTNER: &str = "444455556666";
/// The region of everything.
pub const REGION: &str = "us-east-1";
/// The sample's bus.
pub const TEAM_BUS: &str = "eda-demo";
/// The partner's bus.
pub const PARTNER_BUS: &str = "partner";
/// The queue that the gateway reads.
pub const GATEWAY_QUEUE: &str = "gateway-in";
/// The sources of the sample's services.
const SOURCES: [&str; 2] = ["order-service", "payment-service"];

/// One account, as its own services see it.
#[derive(Clone)]
pub struct DemoAccount {
    id: &'static str,
    /// Its EventBridge.
    pub events: aws_sdk_eventbridge::Client,
    /// Its SQS.
    pub sqs: aws_sdk_sqs::Client,
}

/// Both accounts.
pub struct DemoAccounts {
    /// Where orders and payments happen.
    pub team: DemoAccount,
    /// Where sealed events arrive.
    pub partner: DemoAccount,
}

impl DemoAccount {
    async fn at(endpoint: &Url, id: &'static str) -> Self {
        // The emulator takes an access key of twelve digits for the account.
        let credentials = Credentials::new(id, "demo", None, None, "sealway demo");
        let config: SdkConfig = aws_config::defaults(BehaviorVersion::latest())
            .endpoint_url(endpoint.as_str().trim_end_matches('/'))
            .region(Region::new(REGION))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .load()
            .await;
        let events = aws_sdk_eventbridge::Client::new(&config);
        Self { id, events, sqs: aws_sdk_sqs::Client::new(&config) }
    }

    async fn bus(&self, name: &str) -> anyhow::Result<()> {
        let made = self.events.create_event_bus().name(name).send().await;
        made.map(drop).map_err(|error| {
            let is_there = matches!(
                error.as_service_error(),
                Some(CreateEventBusError::ResourceAlreadyExistsException(_))
            );
            let error = anyhow::Error::new(error);
            if is_there {
                let account = self.id;
                return error.context(format!(
                    "the account {account} has a bus `{name}` already, as after an earlier run: start a \
                     fresh emulator, or remove the bus"
                ));
            }
            error.context("cannot make a bus")
        })
    }

    /// Makes a queue and a rule that fills it.
    async fn rule(
        &self,
        bus: &str,
        name: &str,
        pattern: &Value,
        queue: &str,
    ) -> anyhow::Result<()> {
        let made = self.sqs.create_queue().queue_name(queue).send().await;
        let made = made.context("cannot make a queue")?;
        let url = made.queue_url().context("a queue has an address")?;
        let asked = self.sqs.get_queue_attributes().queue_url(url);
        let asked = asked.attribute_names(QueueAttributeName::QueueArn).send().await?;
        let arn = asked.attributes().and_then(|all| all.get(&QueueAttributeName::QueueArn));
        let rule = self.events.put_rule().event_bus_name(bus).name(name);
        rule.event_pattern(pattern.to_string()).send().await.context("cannot make a rule")?;
        let target = Target::builder().id("queue").arn(arn.context("a queue has an ARN")?);
        let targets = self.events.put_targets().event_bus_name(bus).rule(name);
        targets.targets(target.build()?).send().await.context("cannot make a target")?;
        Ok(())
    }

    /// The address of a queue.
    pub async fn queue_url(&self, name: &str) -> anyhow::Result<String> {
        let found = self.sqs.get_queue_url().queue_name(name).send().await;
        let found = found.with_context(|| format!("there is no queue {name} in {}", self.id))?;
        Ok(found.queue_url().context("a queue has an address")?.to_owned())
    }
}

/// Makes sure that a gateway with these settings is who the demo takes it for.
pub async fn check_identity(config: &Config) -> anyhow::Result<()> {
    const WANTED: &str = "give this process the credentials of the team's account: \
                          AWS_ACCESS_KEY_ID=111122223333 AWS_SECRET_ACCESS_KEY=demo";
    let egress = Egress::new(config.delivery.egress.clone());
    let clients = AwsClients::new(config.aws.clone(), &egress);
    let sts = aws_sdk_sts::Client::new(&clients.client_config(REGION, None).await.sdk);
    let answer = sts.get_caller_identity().send().await;
    let answer =
        answer.with_context(|| format!("cannot ask who the gateway is at AWS; {WANTED}"))?;
    let account = answer.account().unwrap_or("no account");
    anyhow::ensure!(account == TEAM, "the gateway is of the account {account}; {WANTED}");
    Ok(())
}

impl DemoAccounts {
    /// Sets the sample up with its four rules and one more, and the partner's bus with a rule for
    /// each of its services.
    pub async fn set_up(endpoint: &Url, receivers: &[&str]) -> anyhow::Result<Self> {
        let team = DemoAccount::at(endpoint, TEAM).await;
        let partner = DemoAccount::at(endpoint, PARTNER).await;
        team.bus(TEAM_BUS).await?;
        let orders = json!({ "source": ["order-service"], "detail-type": ["OrderCreated"] });
        let everything = json!({ "source": [{ "exists": true }] });
        for (rule, pattern, queue) in [
            ("payment-service-filtering-orders", orders, "payment-service"),
            (
                "order-service-filtering-payments",
                json!({ "source": ["payment-service"] }),
                "order-service",
            ),
            ("notification-service", json!({ "source": SOURCES }), "notification-service"),
            ("cw-catch-all", everything, "log"),
            ("sealway", json!({ "source": SOURCES }), GATEWAY_QUEUE),
        ] {
            team.rule(TEAM_BUS, rule, &pattern, queue).await?;
        }
        partner.bus(PARTNER_BUS).await?;
        for receiver in receivers {
            // Each event names the subscription that it came by.
            let by = json!([{ "suffix": format!("/subscriptions/{receiver}") }]);
            let pattern = json!({ "source": ["sealway"], "resources": by });
            partner.rule(PARTNER_BUS, receiver, &pattern, receiver).await?;
        }
        Ok(Self { team, partner })
    }
}

/// The ARN of a bus.
pub fn bus_arn(account: &str, name: &str) -> String {
    format!("arn:aws:events:{REGION}:{account}:event-bus/{name}")
}
