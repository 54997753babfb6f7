//! HTTP clients with a TLS identity or authorities of their own, made once and kept while used.

use std::fmt;
use std::time::Duration;

use moka::future::Cache;
use reqwest::{Certificate, Identity};
use sha2::{Digest as _, Sha256};
use url::Url;
use zeroize::Zeroizing;

use crate::egress::{EgressRefusal, GuardedClients};
use crate::subscriptions::{SecretText, Tls};

/// Clients that are kept at a time.
const MOST_CLIENTS: u64 = 1_000;
/// How long one is kept after its last use.
const IDLE: Duration = Duration::from_hours(1);

/// A client certificate with its key, and whom to trust.
#[derive(Clone)]
pub struct TlsIdentity {
    /// Of everything below, so that equal ones share a client and its connections.
    digest: [u8; 32],
    identity: Option<Identity>,
    authorities: Vec<Certificate>,
}

impl TlsIdentity {
    /// Reads the texts of a credential.
    ///
    /// # Errors
    ///
    /// Ours: what was checked when it was kept cannot be read now.
    pub fn new(tls: &Tls) -> Result<Self, reqwest::Error> {
        let key = tls.private_key.as_ref().and_then(SecretText::text).unwrap_or_default();
        let chain = tls.certificates.as_deref().unwrap_or_default();
        let authorities = tls.authorities.as_deref().unwrap_or_default();
        let mut digest = Sha256::new();
        for part in [key, chain, authorities] {
            digest.update(part.len().to_be_bytes());
            digest.update(part);
        }
        let identity = if chain.is_empty() {
            None
        } else {
            let both = Zeroizing::new(format!("{key}\n{chain}"));
            Some(Identity::from_pem(both.as_bytes())?)
        };
        let authorities = Certificate::from_pem_bundle(authorities.as_bytes())?;
        Ok(Self { digest: digest.finalize().into(), identity, authorities })
    }
}

/// Shows nothing of the key.
impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsIdentity(…)")
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
    own: Cache<[u8; 32], reqwest::Client>,
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
    ) -> Result<reqwest::Client, NoClient> {
        let shared = self.shared.client_for(url)?;
        let Some(tls) = identity else { return Ok(shared.clone()) };
        let build = async {
            self.shared.with_identity(|mut client| {
                if let Some(identity) = &tls.identity {
                    client = client.identity(identity.clone());
                }
                if !tls.authorities.is_empty() {
                    client = client.tls_certs_only(tls.authorities.iter().cloned());
                }
                client
            })
        };
        self.own.try_get_with(tls.digest, build).await.map_err(|_| NoClient::Identity)
    }
}
