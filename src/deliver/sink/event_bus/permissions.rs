//! Who may have events put on which bus, by the operator's word.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{ConsumerId, EventBusArn, RoleArn};
use crate::subscriptions::{Invalid, Protocol, SubscriptionDocument, SubscriptionError};

/// Lets the subscriptions of one consumer name one bus.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct EventBusPermission {
    /// Whose subscriptions.
    #[schemars(with = "String")]
    pub consumer: ConsumerId,
    /// The bus.
    pub bus: EventBusArn,
    /// The role that is taken to put events there, with the consumer's external id; without one the
    /// gateway comes as itself, and the bus has a policy that lets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<RoleArn>,
}

/// Why a consumer has nothing put on a bus; the text is shown to it and tells of no other's buses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum EventBusRefusal {
    /// The operator does not name it for this consumer.
    #[error(
        "the operator of this gateway has not listed this bus for the consumer `{0}` \
         (`delivery.event-buses`, as it was when it started)"
    )]
    NotListed(ConsumerId),
    /// What is put there comes back.
    #[error(
        "this gateway takes events from this bus: what it puts there would come back to it. Name \
         another bus"
    )]
    Read,
}

/// The operator's list.
pub struct EventBusPermissions {
    permissions: Vec<EventBusPermission>,
    /// The buses that the gateway reads from.
    read: Vec<EventBusArn>,
}

impl EventBusPermissions {
    /// Allows what this list allows, but for buses that the gateway reads from.
    pub const fn new(permissions: Vec<EventBusPermission>, read: Vec<EventBusArn>) -> Self {
        Self { permissions, read }
    }

    /// Checks that a document names a bus of its consumer's, if it names one.
    ///
    /// # Errors
    ///
    /// The caller's turn: another bus is needed, or the operator's word.
    pub fn check(&self, document: &SubscriptionDocument) -> Result<(), SubscriptionError> {
        if document.protocol != Protocol::EventBridge {
            return Ok(());
        }
        let invalid = |pointer: &str, problem: String| {
            SubscriptionError::Invalid(Invalid { pointer: pointer.to_owned(), problem })
        };
        if !cfg!(feature = "aws") {
            return Err(invalid("/protocol", crate::aws::WITHOUT_AWS.to_owned()));
        }
        let bus = document.sink.as_deref().unwrap_or_default().parse::<EventBusArn>();
        let bus = bus.map_err(|error| invalid("/sink", error.to_string()))?;
        let permitted = self.permission(&document.consumer, &bus);
        permitted.map(drop).map_err(|refusal| invalid("/sink", refusal.to_string()))
    }

    /// Says in words which lines can never be of use.
    pub fn problems(&self) -> Vec<String> {
        let read = self.permissions.iter().filter(|one| self.read.contains(&one.bus));
        read.map(|one| format!("`{}`: {}", one.bus, EventBusRefusal::Read)).collect()
    }

    /// Says in words which lines are seldom meant.
    pub fn warnings(&self) -> Vec<String> {
        let foreign = self.permissions.iter().filter_map(|one| {
            let role = one.role.as_ref().filter(|role| role.account() != one.bus.account())?;
            Some(format!(
                "the role `{role}` is in another account than the bus `{}`, whose policy has to name it",
                one.bus
            ))
        });
        foreign.collect()
    }

    /// Whether they name a bus for a consumer at all.
    pub fn list(&self, consumer: &ConsumerId) -> bool {
        self.permissions.iter().any(|one| one.consumer == *consumer)
    }

    /// What the operator says of a consumer and a bus.
    pub(super) fn permission(
        &self,
        consumer: &ConsumerId,
        bus: &EventBusArn,
    ) -> Result<&EventBusPermission, EventBusRefusal> {
        let is_meant = |one: &&EventBusPermission| one.consumer == *consumer && one.bus == *bus;
        let permission = self.permissions.iter().find(is_meant);
        let permission = permission.ok_or_else(|| EventBusRefusal::NotListed(consumer.clone()))?;
        // Told only to those who may name the bus: others learn nothing of what is read.
        if self.read.contains(bus) { Err(EventBusRefusal::Read) } else { Ok(permission) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PARTNER: &str = "arn:aws:events:eu-west-1:444455556666:event-bus/partner";
    const OWN: &str = "arn:aws:events:eu-west-1:111122223333:event-bus/eda-demo";

    fn listed() -> EventBusPermissions {
        let permission = |consumer: &str, bus: &str| EventBusPermission {
            consumer: consumer.parse().unwrap(),
            bus: bus.parse().unwrap(),
            role: Some("arn:aws:iam::444455556666:role/deliver".parse().unwrap()),
        };
        let permissions = vec![permission("ledger", PARTNER), permission("ledger", OWN)];
        EventBusPermissions::new(permissions, vec![OWN.parse().unwrap()])
    }

    fn document(consumer: &str, bus: &str) -> SubscriptionDocument {
        let keys = json!({ "sharedSecret": true });
        let document = json!({
            "consumer": consumer, "sink": bus, "protocol": "EVENTBRIDGE", "config": { "keys": keys },
        });
        serde_json::from_value(document).unwrap()
    }

    fn refusal(consumer: &str, bus: &str) -> String {
        match listed().check(&document(consumer, bus)) {
            Err(SubscriptionError::Invalid(Invalid { pointer, problem })) => {
                assert_eq!(pointer, if cfg!(feature = "aws") { "/sink" } else { "/protocol" });
                problem
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    #[cfg(feature = "aws")]
    fn a_consumer_names_only_buses_that_are_listed_for_it() {
        listed().check(&document("ledger", PARTNER)).unwrap();

        let foreign = refusal("shop", PARTNER);
        assert!(foreign.contains("has not listed this bus for the consumer `shop`"), "{foreign}");
        let unknown = refusal("shop", &PARTNER.replace("partner", "nowhere"));
        assert_eq!(foreign, unknown, "whether another has the bus is not told");
    }

    #[test]
    #[cfg(feature = "aws")]
    fn a_bus_that_the_gateway_reads_from_gets_nothing() {
        assert!(refusal("ledger", OWN).contains("would come back"));
        assert!(refusal("shop", OWN).contains("has not listed"), "what is read is not told");
    }

    #[test]
    fn lines_that_cannot_work_are_told_apart_from_lines_that_are_seldom_meant() {
        let [problem] = listed().problems().try_into().unwrap();
        assert!(problem.contains(OWN) && problem.contains("would come back"), "{problem}");
        let [warning] = listed().warnings().try_into().unwrap();
        assert!(warning.contains("in another account than the bus") && warning.contains(OWN));
    }

    #[test]
    #[cfg(not(feature = "aws"))]
    fn a_build_without_aws_says_so() {
        assert_eq!(refusal("ledger", PARTNER), crate::aws::WITHOUT_AWS);
    }

    #[test]
    fn other_protocols_need_no_word_of_the_operator() {
        let mut document = document("shop", "https://shop.example");
        document.protocol = Protocol::Http;

        listed().check(&document).unwrap();
    }
}
