//! The template of an account that receives sealed events on a bus.

use minijinja::Value as Filled;
use serde::Serialize;

use crate::cli::aws::template::filling::{fill, plain};
use crate::cli::aws::template::principal::GatewayPrincipal;
use crate::cli::aws::template::pull::RoleValues;
use crate::event::{ConsumerId, EventBusArn, OWN_SOURCE, RoleArn};

const TEXT: &str = include_str!("texts/receive.yaml");

/// What the template is made from.
#[derive(Clone, Debug)]
pub struct ReceiveTemplate {
    /// Who receives.
    pub consumer: ConsumerId,
    /// On which bus.
    pub bus: EventBusArn,
    /// The role that the gateway takes to put events there; nothing: the bus lets the gateway in.
    pub role: Option<RoleArn>,
    /// What the gateway shows when it takes the role; nothing: the deployment says so.
    pub external_id: Option<String>,
    /// Who the gateway is; nothing: the deployment says so.
    pub principal: Option<GatewayPrincipal>,
}

#[derive(Serialize)]
struct Values<'a> {
    consumer: Filled,
    account: Filled,
    region: Filled,
    bus: &'a str,
    bus_arn: &'a str,
    is_default_bus: bool,
    role: Option<RoleValues<'a>>,
    external_id: Option<&'a str>,
    principal: Option<&'a GatewayPrincipal>,
    source: &'static str,
}

impl ReceiveTemplate {
    /// Writes the template.
    ///
    /// # Errors
    ///
    /// Ours: the text cannot be filled in.
    pub fn write(&self) -> Result<String, minijinja::Error> {
        fill(
            TEXT,
            &Values {
                consumer: plain(self.consumer.as_str()),
                account: plain(self.bus.account()),
                region: plain(self.bus.region()),
                bus: self.bus.name(),
                bus_arn: self.bus.as_str(),
                is_default_bus: self.bus.name() == "default",
                role: self.role.as_ref().map(RoleValues::of),
                external_id: self.external_id.as_deref(),
                principal: self.principal.as_ref(),
                source: OWN_SOURCE,
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template() -> ReceiveTemplate {
        ReceiveTemplate {
            consumer: "ledger".parse().unwrap(),
            bus: "arn:aws:events:eu-west-1:444455556666:event-bus/partner".parse().unwrap(),
            role: Some("arn:aws:iam::444455556666:role/sealway-deliver".parse().unwrap()),
            external_id: None,
            principal: None,
        }
    }

    #[test]
    fn a_role_asks_for_the_external_id_and_without_one_the_bus_names_the_gateway() {
        let with = template().write().unwrap();
        assert!(with.contains("sts:ExternalId: !Ref ExternalId\n"), "{with}");
        assert!(!with.contains("EventBusPolicy"), "{with}");

        let without = ReceiveTemplate { role: None, ..template() }.write().unwrap();
        assert!(!without.contains("ExternalId") && !without.contains("AWS::IAM"), "{without}");
        assert!(without.contains("AWS::Events::EventBusPolicy"), "{without}");
    }

    #[test]
    fn the_default_bus_of_an_account_is_not_made() {
        let bus = "arn:aws:events:eu-west-1:444455556666:event-bus/default".parse().unwrap();
        let text = ReceiveTemplate { bus, ..template() }.write().unwrap();

        assert!(!text.contains("AWS::Events::EventBus\n") && !text.contains("DependsOn"), "{text}");
        assert!(text.contains("!Select [1, !Split [\"/\", !GetAtt Rule.Arn]]"), "{text}");
    }
}
