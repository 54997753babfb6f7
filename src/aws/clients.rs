//! The settings of the SDK's clients, by region and role.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use aws_config::sts::AssumeRoleProvider;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_sdk_sts::config::{IdentityCache, SharedCredentialsProvider};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use tokio::sync::{Mutex, OnceCell};

use crate::aws::resolver::EndpointResolver;
use crate::aws::{AwsRole, Config};
use crate::egress::Egress;

/// Credentials are asked for anew so long before they expire, so that none expires on its way.
const AHEAD_OF_EXPIRY: Duration = Duration::from_mins(5);
/// The name of a role's session, which stands in the logs of the role's account.
const SESSION: &str = "sealway";

/// Gives settings of clients; their connections and credentials are shared.
pub struct AwsClients {
    config: Config,
    resolver: EndpointResolver,
    /// What the machine says: read once, when it is asked for first.
    machine: OnceCell<SdkConfig>,
    made: Mutex<HashMap<(String, Option<AwsRole>), SdkConfig>>,
}

impl AwsClients {
    /// Asks nobody yet.
    pub fn new(config: Config, egress: &Egress) -> Self {
        let named = config.endpoint_url.as_ref().and_then(|url| url.host_str());
        let resolver = EndpointResolver::new(egress, named);
        Self { config, resolver, machine: OnceCell::new(), made: Mutex::default() }
    }

    /// The settings of a client in this region, as the gateway itself or as a role.
    ///
    /// No credentials are asked for before the first call of a client.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn sdk_config(&self, region: &str, role: Option<&AwsRole>) -> SdkConfig {
        let key = (region.to_owned(), role.cloned());
        let mut made = self.made.lock().await;
        if let Some(config) = made.get(&key) {
            return config.clone();
        }
        let own = self.machine.get_or_init(|| self.load()).await;
        let own = own.clone().into_builder().region(Region::new(region.to_owned()));
        // A cache of its own, so that it can be forgotten by itself.
        let own = own.identity_cache(cache()).build();
        let config = match role {
            Some(role) => as_role(own, role).await,
            None => own,
        };
        made.insert(key, config.clone());
        config
    }

    /// The same with credentials that are asked for anew, because AWS refused the ones that were
    /// given.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn renewed(&self, region: &str, role: Option<&AwsRole>) -> SdkConfig {
        self.made.lock().await.remove(&(region.to_owned(), role.cloned()));
        self.sdk_config(region, role).await
    }

    async fn load(&self) -> SdkConfig {
        let client = aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .build_with_resolver(self.resolver.clone());
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(client);
        if let Ok(name) = AppName::new("sealway") {
            loader = loader.app_name(name);
        }
        if let Some(url) = &self.config.endpoint_url {
            loader = loader.endpoint_url(url.as_str().trim_end_matches('/'));
        }
        loader.load().await
    }
}

fn cache() -> aws_sdk_sts::config::SharedIdentityCache {
    IdentityCache::lazy().buffer_time(AHEAD_OF_EXPIRY).build()
}

/// The same client, who has taken a role.
async fn as_role(own: SdkConfig, role: &AwsRole) -> SdkConfig {
    let mut provider = AssumeRoleProvider::builder(role.arn.as_str()).session_name(SESSION);
    if let Some(id) = &role.external_id {
        provider = provider.external_id(id);
    }
    let provider = provider.configure(&own).build().await;
    own.into_builder()
        .credentials_provider(SharedCredentialsProvider::new(provider))
        // A cache of its own: what one role is given is never another's.
        .identity_cache(cache())
        .build()
}

/// Shows the settings only.
impl fmt::Debug for AwsClients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsClients").field("config", &self.config).finish_non_exhaustive()
    }
}
