//! HTTP clients that connect to allowed addresses only.

use std::sync::Arc;

use url::Url;

use crate::egress::tls::TlsBase;
use crate::egress::{ClientTls, Egress, EgressRefusal, GuardedClient, Scheme, TlsError};

/// One client for https and one for plain http, because a resolver does not see for which of them
/// it is asked.
#[derive(Clone)]
pub struct GuardedClients {
    egress: Arc<Egress>,
    https: GuardedClient,
    http: GuardedClient,
    tls: TlsBase,
}

impl GuardedClients {
    /// Makes clients that a guard guards.
    ///
    /// # Errors
    ///
    /// Ours: TLS cannot be set up.
    pub fn new(egress: &Arc<Egress>) -> Result<Self, TlsError> {
        let tls = TlsBase::new(egress)?;
        Ok(Self {
            egress: Arc::clone(egress),
            http: GuardedClient::http(egress),
            https: GuardedClient::https(egress, tls.settings(None)?),
            tls,
        })
    }

    /// Makes another client for https, guarded like the shared one, with a certificate or authorities
    /// of its own. An address is judged by [`client_for`](Self::client_for) all the same.
    ///
    /// # Errors
    ///
    /// Ours: TLS does not take them.
    pub fn with_tls(&self, own: &ClientTls) -> Result<GuardedClient, TlsError> {
        Ok(GuardedClient::https(&self.egress, self.tls.settings(Some(own))?))
    }

    /// Gives the client for a URL; a host that is an address is judged here, and a name when the
    /// client resolves it.
    ///
    /// # Errors
    ///
    /// The caller's turn: the address is not allowed.
    pub fn client_for(&self, url: &Url) -> Result<&GuardedClient, EgressRefusal> {
        match self.egress.judge_url(url)? {
            Scheme::Https => Ok(&self.https),
            Scheme::Http => Ok(&self.http),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::egress::{EgressConfig, ExchangeError, GuardedRequest, NetworkFailure};

    /// The status of an answer, or why there was none; the inner nothing is a name that leads nowhere.
    async fn ask(config: EgressConfig, url: &Url) -> Result<u16, Option<EgressRefusal>> {
        let egress = Arc::new(Egress::new(config));
        let clients = GuardedClients::new(&egress).unwrap();
        let request = GuardedRequest {
            method: http::Method::GET,
            url,
            headers: http::HeaderMap::new(),
            body: bytes::Bytes::new(),
            body_limit: 0,
            patience: Duration::from_secs(30),
        };
        match clients.client_for(url).map_err(Some)?.exchange(request).await {
            Ok(response) => Ok(response.status().as_u16()),
            Err(ExchangeError::Refused(refused)) => Err(Some(refused)),
            Err(other) => {
                assert_eq!(other.network(), Some(NetworkFailure::NameResolution), "{other:?}");
                Err(None)
            }
        }
    }

    async fn server(tasks: &crate::ambient::Tasks) -> u16 {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let moved = [(http::header::LOCATION, "http://10.0.0.1/")];
        let routes =
            axum::Router::new().fallback(move || async move { (http::StatusCode::FOUND, moved) });
        tasks.spawn(async move { axum::serve(listener, routes).await.unwrap() });
        port
    }

    #[tokio::test]
    async fn a_name_is_judged_by_the_addresses_it_resolves_to() {
        let tasks = crate::ambient::Tasks::new();
        let port = server(&tasks).await;
        let url = format!("http://localhost:{port}/").parse().unwrap();
        let loopback = EgressConfig::loopback();
        let not_opened = EgressConfig { allow: Vec::new(), ..EgressConfig::loopback() };
        let https_only = EgressConfig { plain_http: Vec::new(), ..EgressConfig::loopback() };

        assert_eq!(ask(not_opened.clone(), &url).await, Err(None));
        let nowhere = format!("http://nowhere.invalid:{port}/").parse().unwrap();
        assert_eq!(ask(not_opened, &nowhere).await, Err(None), "and no name is told from another");
        assert_eq!(ask(https_only, &url).await, Err(Some(EgressRefusal::PlainHttp)));
        assert_eq!(ask(loopback, &url).await, Ok(302), "and nobody follows the redirect");
    }

    #[tokio::test]
    async fn an_address_is_judged_without_a_resolver() {
        let tasks = crate::ambient::Tasks::new();
        let port = server(&tasks).await;
        let url = format!("http://127.0.0.1:{port}/").parse().unwrap();

        assert_eq!(
            ask(EgressConfig::default(), &url).await,
            Err(Some(EgressRefusal::Special("loopback")))
        );
        assert_eq!(ask(EgressConfig::loopback(), &url).await, Ok(302));
    }
}
