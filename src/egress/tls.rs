//! TLS towards others: whom the gateway trusts, and what it shows of itself.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::egress::Egress;
use crate::egress::trust::{SystemTrust, TlsError, provider};

/// A client certificate with its key, and authorities to trust in place of the system's.
pub struct ClientTls {
    identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    authorities: Vec<CertificateDer<'static>>,
}

impl ClientTls {
    /// Reads PEM texts. Without a chain there is no client certificate; without authorities the
    /// system's are trusted.
    ///
    /// # Errors
    ///
    /// The caller's turn: a text is no PEM, or the chain has no key.
    pub fn from_pem(key: &str, chain: &str, authorities: &str) -> Result<Self, TlsError> {
        let identity = if chain.is_empty() {
            None
        } else {
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(TlsError::Pem)?;
            Some((certificates(chain)?, key))
        };
        Ok(Self { identity, authorities: certificates(authorities)? })
    }
}

/// Shows nothing of the key.
impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientTls(…)")
    }
}

fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<_, _>>().map_err(TlsError::Pem)
}

/// The crypto and the system's trust, which all clients share.
#[derive(Clone)]
pub(super) struct TlsBase {
    provider: Arc<CryptoProvider>,
    system: Arc<SystemTrust>,
}

impl TlsBase {
    /// Trusts whom the system trusts, as the guard has read it last.
    pub(super) fn new(egress: &Egress) -> Result<Self, TlsError> {
        Ok(Self { provider: provider(), system: egress.system_trust()? })
    }

    /// The settings of one client.
    pub(super) fn settings(&self, own: Option<&ClientTls>) -> Result<Arc<ClientConfig>, TlsError> {
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider));
        let builder = builder.with_safe_default_protocol_versions()?;
        let authorities = own.map_or(&[][..], |own| &own.authorities);
        let builder = if authorities.is_empty() {
            let system: Arc<dyn ServerCertVerifier> = Arc::<SystemTrust>::clone(&self.system);
            builder.dangerous().with_custom_certificate_verifier(system)
        } else {
            let mut trusted = RootCertStore::empty();
            authorities.iter().try_for_each(|one| trusted.add(one.clone()))?;
            builder.with_root_certificates(trusted)
        };
        let mut settings = match own.and_then(|own| own.identity.as_ref()) {
            Some((chain, key)) => builder.with_client_auth_cert(chain.clone(), key.clone_key())?,
            None => builder.with_no_client_auth(),
        };
        settings.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(settings))
    }
}
