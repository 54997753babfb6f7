//! Whom the system trusts: read at the start, and again when the gateway is told to reload.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime, pem};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use rustls_platform_verifier::Verifier;
use sha2::{Digest as _, Sha256};
use x509_parser::parse_x509_certificate;

use crate::event::Timestamp;

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A certificate or a key is no PEM.
    #[error("a certificate or a key cannot be read")]
    Pem(#[source] pem::Error),
    /// A certificate, a key or the system's trust store cannot be used.
    #[error("TLS cannot be set up")]
    Setup(#[from] Error),
}

/// An authority that the system trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedAuthority {
    /// Its name, as its certificate says it.
    pub name: String,
    /// When its certificate ends.
    pub until: Timestamp,
}

/// Authorities that came and went with a reload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustChanges {
    /// Those that are trusted from now on.
    pub added: Vec<TrustedAuthority>,
    /// Those that are trusted no more.
    pub removed: Vec<TrustedAuthority>,
}

/// Authorities by the SHA-256 of their certificates.
type Authorities = BTreeMap<[u8; 32], TrustedAuthority>;

/// What the system trusted at one time.
struct Trust {
    verifier: Verifier,
    authorities: Authorities,
}

/// Judges certificates by what the system trusted when it was read last.
///
/// A connection that is open stays open, whoever is trusted no more.
pub(super) struct SystemTrust {
    provider: Arc<CryptoProvider>,
    now: ArcSwap<Trust>,
}

/// What was read of the system and is not in force yet.
pub struct ReadTrust {
    target: Arc<SystemTrust>,
    read: Trust,
}

/// The crypto of this process.
pub(super) fn provider() -> Arc<CryptoProvider> {
    let installed = CryptoProvider::get_default().cloned();
    installed.unwrap_or_else(|| Arc::new(aws_lc_rs::default_provider()))
}

impl SystemTrust {
    /// Reads what the system trusts.
    pub(super) fn new() -> Result<Self, Error> {
        let provider = provider();
        let now = ArcSwap::from_pointee(Trust::read(&provider)?);
        Ok(Self { provider, now })
    }
}

impl ReadTrust {
    /// Reads what the system trusts by now.
    pub(super) fn of(target: &Arc<SystemTrust>) -> Result<Self, Error> {
        Ok(Self { target: Arc::clone(target), read: Trust::read(&target.provider)? })
    }

    /// Has every connection that begins from now on judged by it.
    pub fn put_in_place(self) -> TrustChanges {
        let read = Arc::new(self.read);
        let before = self.target.now.swap(Arc::clone(&read));
        changes(&before.authorities, &read.authorities)
    }
}

impl Trust {
    fn read(provider: &Arc<CryptoProvider>) -> Result<Self, Error> {
        let verifier = Verifier::new(Arc::clone(provider))?;
        let certificates = rustls_native_certs::load_native_certs().certs;
        let authority = |certificate: &CertificateDer<'_>| {
            let (_, parsed) = parse_x509_certificate(certificate).ok()?;
            let name = parsed.subject().to_string();
            let until = Timestamp::from_unix_seconds(parsed.validity().not_after.timestamp());
            let digest: [u8; 32] = Sha256::digest(certificate).into();
            Some((digest, TrustedAuthority { name, until }))
        };
        Ok(Self { verifier, authorities: certificates.iter().filter_map(authority).collect() })
    }
}

fn changes(before: &Authorities, after: &Authorities) -> TrustChanges {
    let missing_in = |one: &Authorities, other: &Authorities| {
        let only = one.iter().filter(|(digest, _)| !other.contains_key(*digest));
        only.map(|(_, authority)| authority.clone()).collect()
    };
    TrustChanges { added: missing_in(after, before), removed: missing_in(before, after) }
}

impl fmt::Debug for SystemTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SystemTrust({})", self.now.load().authorities.len())
    }
}

impl ServerCertVerifier for SystemTrust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let read = self.now.load();
        read.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.now.load().verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.now.load().verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.now.load().verifier.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_came_and_who_went_is_told_and_who_stayed_is_not() {
        let authority =
            |name: &str| TrustedAuthority { name: name.into(), until: Timestamp::EPOCH };
        let of = |names: &[&str]| -> Authorities {
            let keyed = |name: &&str| (Sha256::digest(name).into(), authority(name));
            names.iter().map(keyed).collect()
        };

        let changes = changes(&of(&["stays", "goes"]), &of(&["stays", "comes"]));

        assert_eq!(changes.added, [authority("comes")]);
        assert_eq!(changes.removed, [authority("goes")]);
    }
}
