//! Asks after a queue that the gateway reads.

use std::collections::HashMap;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;

use crate::aws::AwsRole;
use crate::cli::aws::doctor::calls::AwsCalls;
use crate::cli::aws::doctor::finding::CallFinding;
use crate::cli::aws::doctor::refusal::CallRefusal;
use crate::event::QueueArn;

/// What a queue is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueDuty {
    /// The gateway reads it.
    Inbox,
    /// It holds what did not arrive.
    DeadLetters,
}

impl AwsCalls {
    /// Asks for a queue's address and attributes and, if it is to, receives one message.
    pub async fn queue(
        &self,
        queue: &QueueArn,
        duty: QueueDuty,
        (role, receives): (Option<&AwsRole>, bool),
    ) -> Vec<CallFinding> {
        let (name, place) = (queue.as_str(), (queue.region(), role));
        let client = Client::new(&self.sdk_config(queue.region(), role).await);
        let asked = client
            .get_queue_url()
            .queue_name(queue.name())
            .queue_owner_aws_account_id(queue.account());
        let finding = self.finding("sqs:GetQueueUrl", name, place);
        let url = match asked.send().await {
            Ok(answer) => answer.queue_url().unwrap_or_default().to_owned(),
            Err(error) => return vec![finding.bad(CallRefusal::of(&error))],
        };
        let mut findings = vec![finding.good(url.clone())];
        let finding = self.finding("sqs:GetQueueAttributes", name, place);
        findings.push(attributes(&client, &url, duty, finding).await);
        if receives {
            findings.push(
                receive(&client, &url, self.finding("sqs:ReceiveMessage", name, place)).await,
            );
        }
        findings
    }
}

async fn attributes(
    client: &Client,
    url: &str,
    duty: QueueDuty,
    finding: CallFinding,
) -> CallFinding {
    let asked = client.get_queue_attributes().queue_url(url);
    match asked.attribute_names(QueueAttributeName::All).send().await {
        Ok(answer) => {
            let found = Attributes(answer.attributes().cloned().unwrap_or_default());
            finding.good(found.in_words()).but(&found.problems(duty))
        }
        Err(error) => finding.bad(CallRefusal::of(&error)),
    }
}

/// Receives one message and lets it be seen again at once.
async fn receive(client: &Client, url: &str, finding: CallFinding) -> CallFinding {
    // Unsaid, the queue's own long poll counts, which may be longer than a call may take here.
    let asked = client.receive_message().queue_url(url).wait_time_seconds(0);
    match asked.max_number_of_messages(1).visibility_timeout(0).send().await {
        Ok(answer) if answer.messages().is_empty() => finding.good("no message waits"),
        Ok(answer) => {
            let bytes = answer.messages().iter().map(|one| one.body().map_or(0, str::len));
            finding.good(format!("a message of {} bytes", bytes.sum::<usize>()))
        }
        Err(error) => finding.bad(CallRefusal::of(&error)),
    }
}

/// What a queue says of itself.
struct Attributes(HashMap<QueueAttributeName, String>);

impl Attributes {
    fn get(&self, name: &QueueAttributeName) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    fn in_words(&self) -> String {
        use QueueAttributeName as Name;
        let number = |name: &Name| self.get(name).unwrap_or("?").to_owned();
        let mut words = format!(
            "{} waiting, {} in flight; invisible for {} s, kept for {} s",
            number(&Name::ApproximateNumberOfMessages),
            number(&Name::ApproximateNumberOfMessagesNotVisible),
            number(&Name::VisibilityTimeout),
            number(&Name::MessageRetentionPeriod)
        );
        if let Some(redrive) = self.get(&Name::RedrivePolicy) {
            words.extend(["; redrive ", redrive]);
        }
        if let Some(key) = self.get(&Name::KmsMasterKeyId) {
            words.extend(["; encrypted with ", key]);
        }
        words
    }

    fn problems(&self, duty: QueueDuty) -> Vec<String> {
        use QueueAttributeName as Name;
        let lets_rules_in =
            self.get(&Name::Policy).is_some_and(|policy| policy.contains("events.amazonaws.com"));
        let wrong = match duty {
            QueueDuty::Inbox => [
                (
                    !lets_rules_in,
                    "its policy does not name events.amazonaws.com: no rule can fill it",
                ),
                (
                    self.get(&Name::RedrivePolicy).is_none(),
                    "it has no redrive policy: what can never be taken in comes again until it is too old",
                ),
            ],
            QueueDuty::DeadLetters => [
                (
                    !lets_rules_in,
                    "its policy does not name events.amazonaws.com: what a rule cannot deliver is lost",
                ),
                (
                    self.get(&Name::ApproximateNumberOfMessages).is_some_and(|count| count != "0"),
                    "dead letters wait: `sealway aws drain` takes them in",
                ),
            ],
        };
        let wrong = wrong.into_iter().filter(|(is_wrong, _)| *is_wrong);
        wrong.map(|(_, problem)| problem.to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(of: &[(QueueAttributeName, &str)]) -> Attributes {
        Attributes(of.iter().map(|(name, text)| (name.clone(), (*text).to_owned())).collect())
    }

    #[test]
    fn a_queue_that_no_rule_can_fill_is_told_of() {
        use QueueAttributeName as Name;
        let policy = r#"{"Statement":[{"Principal":{"Service":"events.amazonaws.com"}}]}"#;
        let well = attributes(&[(Name::Policy, policy), (Name::RedrivePolicy, "{…}")]);
        assert!(well.problems(QueueDuty::Inbox).is_empty());
        assert!(well.problems(QueueDuty::DeadLetters).is_empty());

        let bare = attributes(&[(Name::ApproximateNumberOfMessages, "3")]);
        assert_eq!(bare.problems(QueueDuty::Inbox).len(), 2);
        assert!(bare.problems(QueueDuty::DeadLetters)[1].contains("drain"));
    }
}
