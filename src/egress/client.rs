//! An HTTP client for addresses that strangers choose: what it reads of an answer is bounded, and
//! so is the time.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use url::Url;

use crate::egress::connector::GuardedConnector;
use crate::egress::stream::ReceivedBytes;
use crate::egress::{Egress, EgressRefusal, NetworkFailure, Scheme};

/// How many fields the head of an answer may have. The library makes room for all of them, 64 bytes each,
/// before it reads one.
const MOST_FIELDS: usize = 512;
/// How many bytes the head may have.
const LONGEST_HEAD: usize = 64 * 1024;
/// How long a connection is kept that nobody uses.
const IDLE: Duration = Duration::from_mins(1);
/// Who asks, as servers see it.
const AGENT: &str = concat!("sealway/", env!("CARGO_PKG_VERSION"));

/// A request to someone else's server.
pub struct GuardedRequest<'a> {
    /// Its method.
    pub method: Method,
    /// Where it goes.
    pub url: &'a Url,
    /// Its fields.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// How much of the answer's body is wanted.
    pub body_limit: usize,
    /// How long everything may take.
    pub patience: Duration,
}

/// Shows nothing that may be a secret.
impl fmt::Debug for GuardedRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GuardedRequest({}, {} bytes)", self.method, self.body.len())
    }
}

/// Why there is no whole answer. None of them names the address, because its query may hold a secret.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The address is not allowed.
    #[error(transparent)]
    Refused(#[from] EgressRefusal),
    /// It took too long.
    #[error("there was no whole answer in time")]
    Late,
    /// No connection was made.
    #[error("no connection was made")]
    Connect(#[source] Box<dyn Error + Send + Sync>),
    /// The answer is none, is too long, or broke off.
    #[error("the exchange broke")]
    Broken(#[source] Box<dyn Error + Send + Sync>),
}

impl ExchangeError {
    /// What whoever has chosen the address is told of it; the texts of its causes are for operators.
    pub fn network(&self) -> Option<NetworkFailure> {
        match self {
            Self::Late => Some(NetworkFailure::Timeout),
            Self::Refused(_) | Self::Connect(_) | Self::Broken(_) => NetworkFailure::of(self),
        }
    }

    fn broken(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let error = error.into();
        if is_late(&*error) { Self::Late } else { Self::Broken(error) }
    }
}

/// Whether the system or the connector gave up waiting.
fn is_late(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(inner) = cause {
        let io = inner.downcast_ref::<io::Error>();
        if io.is_some_and(|io| io.kind() == io::ErrorKind::TimedOut) {
            return true;
        }
        cause = inner.source();
    }
    false
}

/// A client with its own connections, for https or for plain http.
///
/// It follows no redirect, uses no proxy and unpacks nothing: what it reads is what came.
#[derive(Clone)]
pub struct GuardedClient {
    scheme: Scheme,
    client: Client<GuardedConnector, Full<Bytes>>,
}

impl GuardedClient {
    /// A client for https, with these settings of TLS.
    pub(super) fn https(egress: &Arc<Egress>, tls: Arc<ClientConfig>) -> Self {
        let connector = GuardedConnector::new(egress, Some(tls));
        Self { scheme: Scheme::Https, client: client(connector) }
    }

    /// A client for plain http.
    pub(super) fn http(egress: &Arc<Egress>) -> Self {
        Self { scheme: Scheme::Http, client: client(GuardedConnector::new(egress, None)) }
    }

    /// Sends a request, and gives its answer with the beginning of the body, as much as is wanted.
    ///
    /// Cancel safe: a connection whose answer is not read to its end is closed.
    ///
    /// # Errors
    ///
    /// The caller's turn: the address is not allowed. Later: there is no answer, or none in time, or
    /// none within bounds.
    pub async fn exchange(
        &self,
        request: GuardedRequest<'_>,
    ) -> Result<Response<Vec<u8>>, ExchangeError> {
        let patience = request.patience;
        let exchange = tokio::time::timeout(patience, self.exchange_at_leisure(request));
        exchange.await.map_err(|_| ExchangeError::Late)?
    }

    async fn exchange_at_leisure(
        &self,
        request: GuardedRequest<'_>,
    ) -> Result<Response<Vec<u8>>, ExchangeError> {
        if Scheme::of(request.url) != Some(self.scheme) {
            return Err(EgressRefusal::PlainHttp.into());
        }
        let limit = request.body_limit;
        let request = self::request(request).map_err(ExchangeError::broken)?;
        let response = self.client.request(request).await.map_err(unanswered)?;
        let (mut head, mut incoming) = response.into_parts();
        let received = head.extensions.remove::<ReceivedBytes>();
        let mut body = Vec::new();
        loop {
            let Some(frame) = incoming.frame().await else {
                received.inspect(ReceivedBytes::forget);
                break;
            };
            let Ok(data) = frame.map_err(ExchangeError::broken)?.into_data() else { continue };
            let wanted = limit - body.len();
            body.extend(data.iter().take(wanted));
            if data.len() > wanted {
                // It is longer than anyone wants: its connection is closed.
                break;
            }
        }
        Ok(Response::from_parts(head, body))
    }
}

/// Shows nothing of its connections.
impl fmt::Debug for GuardedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GuardedClient({:?})", self.scheme)
    }
}

fn client(connector: GuardedConnector) -> Client<GuardedConnector, Full<Bytes>> {
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .http1_max_headers(MOST_FIELDS)
        .http1_max_buf_size(LONGEST_HEAD)
        .http1_allow_obsolete_multiline_headers_in_responses(true)
        .build(connector)
}

/// Why there is no answer.
fn unanswered(error: hyper_util::client::legacy::Error) -> ExchangeError {
    match EgressRefusal::among_causes(&error) {
        Some(refused) => ExchangeError::Refused(refused),
        None if is_late(&error) => ExchangeError::Late,
        None if error.is_connect() => ExchangeError::Connect(error.into()),
        None => ExchangeError::Broken(error.into()),
    }
}

fn request(wanted: GuardedRequest<'_>) -> Result<Request<Full<Bytes>>, http::Error> {
    let GuardedRequest { method, url, mut headers, body, .. } = wanted;
    headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
    headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = Uri::try_from(url.as_str())?;
    *request.headers_mut() = headers;
    Ok(request)
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
