//! Asks who the gateway is, and whether it is given roles.

use crate::aws::AwsRole;
use crate::cli::aws::doctor::calls::AwsCalls;
use crate::cli::aws::doctor::finding::CallFinding;
use crate::cli::aws::doctor::refusal::CallRefusal;

impl AwsCalls {
    /// Asks who the gateway is; remembers it.
    pub async fn identify(&mut self, region: &str) -> CallFinding {
        let client = aws_sdk_sts::Client::new(&self.sdk_config(region, None).await);
        let answer = client.get_caller_identity().send().await;
        match answer {
            Ok(answer) => {
                let arn = answer.arn().unwrap_or("no name").to_owned();
                let finding = self.finding("sts:GetCallerIdentity", "", (region, None));
                self.is_known_as(&arn);
                finding.good(arn)
            }
            Err(error) => self
                .finding("sts:GetCallerIdentity", "", (region, None))
                .bad(CallRefusal::of(&error)),
        }
    }

    /// Asks for a role.
    pub async fn take(&self, role: &AwsRole, region: &str) -> CallFinding {
        let finding = self.finding("sts:AssumeRole", role.arn.as_str(), (region, None));
        let client = aws_sdk_sts::Client::new(&self.sdk_config(region, None).await);
        let answer = client
            .assume_role()
            .role_arn(role.arn.as_str())
            .role_session_name("sealway-doctor")
            .set_external_id(role.external_id.clone())
            .send()
            .await;
        match answer {
            Ok(answer) => {
                let user = answer.assumed_role_user().map_or("no name", |user| user.arn());
                let id = if role.external_id.is_some() { "with" } else { "without" };
                finding.good(format!("{user}, {id} an external id"))
            }
            Err(error) => finding.bad(CallRefusal::of(&error)),
        }
    }
}
