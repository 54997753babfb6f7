//! Publishes with the AWS SDK, as any service on Amazon EventBridge does.

use anyhow::{Context as _, anyhow};
use aws_config::{BehaviorVersion, Region};
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use serde_json::Value;

use crate::ambient::Secret;
use crate::cli::demo::Narrator;

/// An unmodified AWS SDK client whose endpoint is the gateway, or a bus of EventBridge.
#[derive(Clone)]
pub struct Producer {
    source: &'static str,
    /// The bus; nothing: the default one.
    bus: Option<&'static str>,
    client: Client,
    narrator: Narrator,
}

impl Producer {
    /// Publishes as `source`, signed with an access key.
    pub async fn new(
        source: &'static str,
        gateway: &str,
        (key, secret): (&str, &Secret),
        narrator: &Narrator,
    ) -> Self {
        let credentials = Credentials::new(key, secret.expose(), None, None, "sealway demo");
        let config = aws_config::defaults(BehaviorVersion::latest())
            .endpoint_url(gateway)
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .load()
            .await;
        let client = Client::new(&config);
        Self { source, bus: None, client, narrator: narrator.clone() }
    }

    /// Publishes as `source` on a bus of EventBridge.
    pub fn on_bus(
        source: &'static str,
        client: &Client,
        bus: &'static str,
        narrator: &Narrator,
    ) -> Self {
        Self { source, bus: Some(bus), client: client.clone(), narrator: narrator.clone() }
    }

    /// Publishes one event; returns once the gateway has made it durable, or the bus has it.
    pub async fn publish(&self, detail_type: &str, detail: &Value) -> anyhow::Result<()> {
        self.narrator.hop(self.source, &format!("PutEvents {detail_type} {detail}"));
        let entry = PutEventsRequestEntry::builder()
            .set_event_bus_name(self.bus.map(str::to_owned))
            .source(self.source)
            .detail_type(detail_type)
            .detail(detail.to_string())
            .build();
        let answer = self.client.put_events().entries(entry).send().await;
        let answer = answer.context("PutEvents failed")?;
        match answer.entries().first() {
            Some(entry) if entry.event_id().is_some() => Ok(()),
            Some(entry) => {
                let words = entry.error_message().unwrap_or("no explanation").to_owned();
                Err(anyhow!("{detail_type} is refused: {words}"))
            }
            None => Err(anyhow!("PutEvents gave no answer")),
        }
    }
}
