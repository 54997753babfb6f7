//! HTTP clients that connect to allowed addresses only.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::ClientBuilder;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Url;

use crate::egress::{Egress, EgressRefusal, Scheme, Unresolved};

/// How many fields the head of an answer may have. Its bytes are bounded by the client library, to 417,792.
const MOST_FIELDS: usize = 4096;

/// One client for https and one for plain http, because a resolver does not see for which of them
/// it is asked.
#[derive(Clone)]
pub struct GuardedClients {
    egress: Arc<Egress>,
    https: reqwest::Client,
    http: reqwest::Client,
    /// Begins another client for https.
    begin: Arc<dyn Fn() -> ClientBuilder + Send + Sync>,
}

impl GuardedClients {
    /// Guards the clients that `begin` begins.
    ///
    /// # Errors
    ///
    /// Ours: the TLS stack cannot be set up.
    pub fn new(
        egress: &Arc<Egress>,
        begin: impl Fn() -> ClientBuilder + Send + Sync + 'static,
    ) -> Result<Self, reqwest::Error> {
        let judge = Arc::clone(egress);
        let guarded = move |scheme| {
            // A proxy would dial on our behalf, and a redirect names an address that nobody judged.
            begin()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .http1_max_headers(MOST_FIELDS)
                .http1_allow_obsolete_multiline_headers_in_responses(true)
                .dns_resolver(GuardedResolver { egress: Arc::clone(&judge), scheme })
        };
        Ok(Self {
            egress: Arc::clone(egress),
            http: guarded(Scheme::Http).build()?,
            https: guarded(Scheme::Https).https_only(true).build()?,
            begin: Arc::new(move || guarded(Scheme::Https).https_only(true)),
        })
    }

    /// Makes another client for https, guarded like the shared one, to which `change` gives an
    /// identity of its own. An address is judged by [`client_for`](Self::client_for) all the same.
    ///
    /// # Errors
    ///
    /// Ours: the TLS stack does not take what `change` gave.
    pub fn with_identity(
        &self,
        change: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> Result<reqwest::Client, reqwest::Error> {
        change((self.begin)()).build()
    }

    /// Gives the client for a URL; a host that is an address is judged here, and a name when the
    /// client resolves it.
    ///
    /// # Errors
    ///
    /// The caller's turn: the address is not allowed.
    pub fn client_for(&self, url: &Url) -> Result<&reqwest::Client, EgressRefusal> {
        match self.egress.judge_url(url)? {
            Scheme::Https => Ok(&self.https),
            Scheme::Http => Ok(&self.http),
        }
    }
}

/// Resolves names with the system's resolver and keeps what may be dialed. What it gives is what is
/// dialed: there is no second look-up that could say something else.
struct GuardedResolver {
    egress: Arc<Egress>,
    scheme: Scheme,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (egress, scheme) = (Arc::clone(&self.egress), self.scheme);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await.map_err(|error| {
                tracing::info!(
                    host = name.as_str(),
                    error = %error,
                    "{} does not resolve", name.as_str(),
                );
                Unresolved(error.to_string())
            })?;
            let found: Vec<SocketAddr> = found.collect();
            let allowed = egress
                .sift(scheme, found.iter().copied())
                .map_err(|refused| refusal_of(name.as_str(), &found, refused))?;
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// What is said of a name none of whose addresses may be dialed. Only the operator learns what the name
/// stands for.
fn refusal_of(
    host: &str,
    found: &[SocketAddr],
    refused: EgressRefusal,
) -> Box<dyn Error + Send + Sync> {
    tracing::info!(
        host,
        addresses = ?found.iter().map(SocketAddr::ip).collect::<Vec<_>>(),
        reason = %refused,
        "No address of {host} may be dialed",
    );
    if refused.is_of_the_place() { Unresolved(refused.to_string()).into() } else { refused.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::{EgressConfig, NetworkFailure};

    /// The status of an answer, or why there was none; the inner nothing is a word of the network.
    async fn ask(config: EgressConfig, url: &Url) -> Result<u16, Option<EgressRefusal>> {
        let egress = Arc::new(Egress::new(config));
        let clients = GuardedClients::new(&egress, reqwest::Client::builder).unwrap();
        let answer = clients.client_for(url).map_err(Some)?.get(url.clone()).send().await;
        answer.map(|response| response.status().as_u16()).map_err(|error| {
            let refused = EgressRefusal::among_causes(&error);
            let failure = NetworkFailure::of(&error);
            assert_eq!(refused.is_none(), failure == Some(NetworkFailure::NameResolution));
            refused
        })
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
