//! The template of an API destination that pushes to the gateway.

use serde::Serialize;
use serde_json::Value;

use crate::cli::aws::template::filling::fill;
use crate::cli::aws::template::principal::GatewayPrincipal;

const TEXT: &str = include_str!("texts/push.yaml");

/// How EventBridge shows itself to the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ConnectionKind {
    /// The caller's key in a header
    ApiKey,
    /// The caller's name and key
    Basic,
    /// A token for the caller's name and key, good for 15 minutes
    #[value(name = "oauth")]
    OauthClientCredentials,
}

/// What the template is made from.
#[derive(Clone, Debug, Serialize)]
pub struct PushTemplate {
    /// How EventBridge shows itself.
    pub connection: ConnectionKind,
    /// Where the gateway takes events; nothing: the deployment says so.
    pub endpoint: Option<String>,
    /// Where the gateway gives tokens; nothing: the deployment says so.
    pub token_endpoint: Option<String>,
    /// The name of the team's bus.
    pub bus: String,
    /// What the rule asks of `source`.
    pub sources: Vec<Value>,
    /// Who may read the rule's dead letters; nothing: the deployment says so, or nobody may.
    pub principal: Option<GatewayPrincipal>,
}

impl PushTemplate {
    /// Writes the template.
    ///
    /// # Errors
    ///
    /// Ours: the text cannot be filled in.
    pub fn write(&self) -> Result<String, minijinja::Error> {
        fill(TEXT, self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_kind_of_connection_takes_the_key_from_the_secret() {
        use ConnectionKind::{ApiKey, Basic, OauthClientCredentials};
        let kinds = [(ApiKey, "API_KEY"), (Basic, "BASIC")];
        for (kind, name) in
            kinds.into_iter().chain([(OauthClientCredentials, "OAUTH_CLIENT_CREDENTIALS")])
        {
            let template = PushTemplate {
                connection: kind,
                endpoint: Some("https://events.example.com/events".to_owned()),
                token_endpoint: Some("https://events.example.com/oauth/token".to_owned()),
                bus: "eda-demo".to_owned(),
                sources: vec![json!("order-service")],
                principal: None,
            };

            let text = template.write().unwrap();

            assert!(text.contains(&format!("AuthorizationType: \"{name}\"\n")), "{text}");
            let key = "!Sub \"{{resolve:secretsmanager:${CallerKeySecret}:SecretString:key}}\"\n";
            assert_eq!(text.matches(key).count(), 1, "{text}");
            assert!(text.contains("Default: \"https://events.example.com/events\"\n"), "{text}");
        }
    }
}
