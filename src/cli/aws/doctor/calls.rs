//! The clients of a gateway on this machine, and who it is.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;

use crate::aws::{AwsClients, AwsRole};
use crate::cli::aws::doctor::finding::{CallFinding, CallOutcome};
use crate::config::Config;
use crate::egress::Egress;

/// How long one call may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Makes calls as the gateway would.
pub struct AwsCalls {
    clients: AwsClients,
    endpoint: Option<String>,
    /// What `GetCallerIdentity` has answered.
    identity: String,
}

impl AwsCalls {
    /// Calls nobody yet.
    pub fn new(config: &Config) -> Self {
        let egress = Egress::new(config.delivery.egress.clone());
        Self {
            clients: AwsClients::new(config.aws.clone(), &egress),
            endpoint: config.aws.endpoint_url.as_ref().map(ToString::to_string),
            identity: "the gateway itself".to_owned(),
        }
    }

    /// The settings of a client that asks once.
    pub async fn sdk_config(&self, region: &str, role: Option<&AwsRole>) -> SdkConfig {
        let config = self.clients.client_config(region, role).await.sdk;
        let patience = TimeoutConfig::builder().operation_timeout(PATIENCE).build();
        let once = config.into_builder().retry_config(RetryConfig::disabled());
        once.timeout_config(patience).build()
    }

    /// Remembers who the gateway is.
    pub fn is_known_as(&mut self, identity: &str) {
        identity.clone_into(&mut self.identity);
    }

    /// A finding that is not made yet, about a call as the gateway itself or as a role.
    pub fn finding(
        &self,
        call: &'static str,
        about: &str,
        (region, role): (&str, Option<&AwsRole>),
    ) -> CallFinding {
        CallFinding {
            call,
            about: about.to_owned(),
            identity: role.map_or_else(|| self.identity.clone(), |role| role.arn.to_string()),
            region: region.to_owned(),
            endpoint: self.endpoint.clone(),
            outcome: CallOutcome::NotMade,
            code: None,
            answer: String::new(),
            advice: None,
        }
    }
}
