//! Asks after an event bus that sealed events are put on.

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;

use crate::aws::AwsRole;
use crate::cli::aws::doctor::calls::AwsCalls;
use crate::cli::aws::doctor::finding::CallFinding;
use crate::cli::aws::doctor::refusal::CallRefusal;
use crate::event::{EventBusArn, OWN_SOURCE};

/// The detail-type of the event that `--put` puts: no consumer's rule asks for it.
const DETAIL_TYPE: &str = "Sealway Doctor";

impl AwsCalls {
    /// Asks for a bus and, if it is to, puts one event on it.
    pub async fn bus(
        &self,
        bus: &EventBusArn,
        (role, puts): (Option<&AwsRole>, bool),
    ) -> Vec<CallFinding> {
        let (name, place) = (bus.as_str(), (bus.region(), role));
        let client = Client::new(&self.sdk_config(bus.region(), role).await);
        let finding = self.finding("events:DescribeEventBus", name, place);
        let described = client.describe_event_bus().name(name).send().await;
        let mut findings = vec![match described {
            Ok(answer) => finding.good(answer.arn().unwrap_or("no name").to_owned()),
            Err(error) => finding.bad(CallRefusal::of(&error)),
        }];
        if puts {
            findings.push(put(&client, name, self.finding("events:PutEvents", name, place)).await);
        }
        findings
    }
}

async fn put(client: &Client, bus: &str, finding: CallFinding) -> CallFinding {
    let entry = PutEventsRequestEntry::builder()
        .event_bus_name(bus)
        .source(OWN_SOURCE)
        .detail_type(DETAIL_TYPE)
        .detail("{}")
        .build();
    match client.put_events().entries(entry).send().await {
        Ok(answer) => match answer.entries().first() {
            Some(entry) => match (entry.event_id(), entry.error_code()) {
                (Some(id), _) => finding.good(format!("event {id}")),
                (None, code) => finding
                    .bad(CallRefusal::of_entry(code.unwrap_or("no code"), entry.error_message())),
            },
            None => finding.bad(CallRefusal::of_entry("no code", Some("AWS gave no answer"))),
        },
        Err(error) => finding.bad(CallRefusal::of(&error)),
    }
}
