//! The settings of the SDK's clients, by region and role.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::sts::AssumeRoleProvider;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_sdk_sts::config::{IdentityCache, SharedCredentialsProvider};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use tokio::sync::OnceCell;

use crate::aws::plain_answers::PlainAnswers;
use crate::aws::resolver::EndpointResolver;
use crate::aws::{AwsRole, Config};
use crate::egress::Egress;

/// Credentials are asked for anew so long before they expire, so that none expires on its way; the
/// SDK takes up to half of it away, by chance, so that not everybody asks at once.
const AHEAD_OF_EXPIRY: Duration = Duration::from_mins(5);
/// The name of a role's session, which stands in the logs of the role's account.
const SESSION: &str = "sealway";

/// Gives settings of clients; their connections and credentials are shared.
pub struct AwsClients {
    config: Config,
    resolver: EndpointResolver,
    /// What the machine says: read when it is asked for first, and again when AWS refuses it.
    machine: OnceCell<SdkConfig>,
    made: Mutex<HashMap<ClientKey, ClientConfig>>,
}

/// A region, and as whom it is spoken to: the gateway itself, or a role.
type ClientKey = (String, Option<AwsRole>);

/// The settings of a client, and which ones these are.
#[derive(Clone)]
pub struct ClientConfig {
    /// The settings; clients with the same ones share their credentials.
    pub sdk: SdkConfig,
    /// How often credentials were asked for anew before these.
    pub generation: u64,
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
    pub async fn client_config(&self, region: &str, role: Option<&AwsRole>) -> ClientConfig {
        let key = (region.to_owned(), role.cloned());
        match self.made(&key) {
            Some(made) => made,
            None => self.make(key, 0).await,
        }
    }

    /// The same with credentials that are asked for anew, because AWS refused those of this
    /// generation. Whoever finds out first asks, and the others are given what is newer already.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn renewed(
        &self,
        region: &str,
        role: Option<&AwsRole>,
        refused: u64,
    ) -> ClientConfig {
        let key = (region.to_owned(), role.cloned());
        match self.made(&key) {
            Some(newer) if newer.generation > refused => newer,
            _ => self.make(key, refused + 1).await,
        }
    }

    fn made(&self, key: &ClientKey) -> Option<ClientConfig> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// Makes the settings of a generation, or gives those that somebody else has made meanwhile.
    async fn make(&self, key: ClientKey, generation: u64) -> ClientConfig {
        let (region, role) = (Region::new(key.0.clone()), key.1.as_ref());
        // Outside of the lock: the machine may take its time to answer.
        let own = if generation == 0 {
            self.machine.get_or_init(|| self.load(region.clone())).await.clone()
        } else {
            // What was read once may have been replaced meanwhile: a file of keys that rotate.
            self.load(region.clone()).await
        };
        let own = own.into_builder().region(region);
        // A cache of its own, so that it can be forgotten by itself.
        let own = own.identity_cache(cache()).build();
        let sdk = match role {
            Some(role) => as_role(own, role).await,
            None => own,
        };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        match made.get(&key) {
            Some(newer) if newer.generation >= generation => newer.clone(),
            _ => {
                let config = ClientConfig { sdk, generation };
                made.insert(key, config.clone());
                config
            }
        }
    }

    /// Reads what the machine says; `region` is where credentials are asked for, if it names none.
    async fn load(&self, region: Region) -> SdkConfig {
        let client = PlainAnswers::from(
            aws_smithy_http_client::Builder::new()
                .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
                .build_with_resolver(self.resolver.clone()),
        );
        // The SDK's own chain would ask the metadata service, too: seconds where there is none.
        let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
            .or_else(ProfileFileRegionProvider::new())
            .or_else(region);
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(client);
        loader = loader.region(region);
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

/// Shows the generation only.
impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig").field("generation", &self.generation).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;
    use crate::egress::EgressConfig;

    fn clients() -> AwsClients {
        AwsClients::new(Config::default(), &Egress::new(EgressConfig::default()))
    }

    #[tokio::test]
    async fn many_whose_credentials_have_ended_are_given_the_same_new_ones() {
        let clients = clients();
        let ended = clients.client_config("eu-west-1", None).await.generation;

        let all = join_all((0..8).map(|_| clients.renewed("eu-west-1", None, ended))).await;

        assert!(all.iter().all(|given| given.generation == ended + 1), "{all:?}");
        let late = clients.renewed("eu-west-1", None, ended).await;
        assert_eq!(late.generation, ended + 1, "who is late throws nothing away");
        let again = clients.renewed("eu-west-1", None, ended + 1).await;
        assert_eq!(again.generation, ended + 2);
        let elsewhere = clients.client_config("eu-north-1", None).await;
        assert_eq!(elsewhere.generation, 0);
        assert_eq!(elsewhere.sdk.region().map(AsRef::as_ref), Some("eu-north-1"));
    }
}
