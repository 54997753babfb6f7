//! HTTP clients with a TLS identity or authorities of their own, made once and kept while used.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::egress::{ClientTls, EgressRefusal, GuardedClient, GuardedClients, TlsError};
use crate::subscriptions::{SecretText, Tls};

/// Clients that are kept at a time.
const MOST_CLIENTS: u64 = 1_000;
/// How long one is kept after its last use.
const IDLE: Duration = Duration::from_hours(1);

/// A client certificate with its key, and whom to trust.
#[derive(Clone, Debug)]
pub struct TlsIdentity {
    /// Of everything below, so that equal ones share a client and its connections.
    digest: [u8; 32],
    tls: Arc<ClientTls>,
}

impl TlsIdentity {
    /// Reads the texts of a credential.
    ///
    /// # Errors
    ///
    /// Ours: what was checked when it was kept cannot be read now.
    pub fn new(tls: &Tls) -> Result<Self, TlsError> {
        let key = tls.private_key.as_ref().and_then(SecretText::text).unwrap_or_default();
        let chain = tls.certificates.as_deref().unwrap_or_default();
        let authorities = tls.authorities.as_deref().unwrap_or_default();
        let mut digest = Sha256::new();
        for part in [key, chain, authorities] {
            digest.update(part.len().to_be_bytes());
            digest.update(part);
        }
        let tls = Arc::new(ClientTls::from_pem(key, chain, authorities)?);
        Ok(Self { digest: digest.finalize().into(), tls })
    }
}

impl PartialEq for TlsIdentity {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

/// Why there is no client for an address.
#[derive(Debug, thiserror::Error)]
pub enum NoClient {
    /// The egress guard does not let it be dialed.
    #[error(transparent)]
    Refused(#[from] EgressRefusal),
    /// The TLS stack does not take the identity.
    #[error("the certificates or the key of the credential cannot be used")]
    Identity,
}

/// The clients of all sinks and token endpoints.
pub struct Identities {
    shared: GuardedClients,
    own: Cache<[u8; 32], GuardedClient>,
}

impl Identities {
    /// Starts with the clients that all share who have no identity.
    pub fn new(shared: GuardedClients) -> Self {
        let own = Cache::builder().max_capacity(MOST_CLIENTS).time_to_idle(IDLE).build();
        Self { shared, own }
    }

    /// Gives the client for an address and an identity.
    ///
    /// # Errors
    ///
    /// The caller's turn: the address is not allowed. Ours: the identity cannot be used.
    pub async fn client_for(
        &self,
        url: &Url,
        identity: Option<&TlsIdentity>,
    ) -> Result<GuardedClient, NoClient> {
        let shared = self.shared.client_for(url)?;
        let Some(tls) = identity else { return Ok(shared.clone()) };
        let build = async { self.shared.with_tls(&tls.tls) };
        self.own.try_get_with(tls.digest, build).await.map_err(|_| NoClient::Identity)
    }
}
