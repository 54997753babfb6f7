//! An HTTP client for addresses that strangers choose: what it reads of an answer is bounded, and
//! so is the time.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, USER_AGENT};
use http::response::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::egress::connector::GuardedConnector;
use crate::egress::stream::ReceivedBytes;
use crate::egress::{Egress, EgressRefusal, NetworkFailure, Scheme};

/// How many fields the head of an answer may have. The library makes room for all of them, 64 bytes each,
/// before it reads one.
const MOST_FIELDS: usize = 320;
/// How many bytes the head may have.
const LONGEST_HEAD: usize = 64 * 1024;
/// How long a connection is kept that nobody uses.
const IDLE: Duration = Duration::from_mins(1);
/// Who asks, as servers see it, whatever is asked for.
pub const AGENT: &str = concat!("sealway/", env!("CARGO_PKG_VERSION"));
/// What may be done to the body of an answer: nothing, because nothing is unpacked.
pub const ENCODING: &str = "identity";

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

/// An answer whose head is there whole. What it says holds, however the body ended.
pub struct GuardedAnswer {
    /// Its status and its fields.
    pub head: Parts,
    /// The beginning of its body, as much as is wanted and as has come.
    pub body: Vec<u8>,
    /// Why the body ended before its end, or before as much was there as is wanted.
    pub cut: Option<ExchangeError>,
}

/// Shows nothing that may be a secret.
impl fmt::Debug for GuardedAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { head, body, cut } = self;
        write!(f, "GuardedAnswer({}, {} bytes, {cut:?})", head.status, body.len())
    }
}

impl GuardedAnswer {
    /// The answer, if as much of its body is there as is wanted.
    fn whole(self) -> Result<Response<Vec<u8>>, ExchangeError> {
        match self.cut {
            None => Ok(Response::from_parts(self.head, self.body)),
            Some(cut) => Err(cut),
        }
    }
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
/// It follows no redirect, uses no proxy, asks for nothing to be packed and unpacks nothing: what it
/// reads is what came.
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
        self.answer(request, |_| patience).await?.whole()
    }

    /// Sends a request, and gives its answer as soon as the head and as much of the body is there as
    /// is wanted, or the body has ended in whatever way. `for_body` says by the status how long a body
    /// is waited for that does not come, within the patience of the request.
    ///
    /// Cancel safe: a connection whose answer is not read to its end is closed.
    ///
    /// # Errors
    ///
    /// As [`exchange`](Self::exchange), but for what happens after the head.
    pub async fn answer(
        &self,
        request: GuardedRequest<'_>,
        for_body: impl FnOnce(StatusCode) -> Duration + Send,
    ) -> Result<GuardedAnswer, ExchangeError> {
        let (limit, end) = (request.body_limit, Instant::now() + request.patience);
        if Scheme::of(request.url) != Some(self.scheme) {
            return Err(EgressRefusal::PlainHttp.into());
        }
        let request = self::request(request).map_err(ExchangeError::broken)?;
        let asking = timeout_at(end, self.client.request(request)).await;
        let response = asking.map_err(|_| ExchangeError::Late)?.map_err(unanswered)?;
        let (mut head, incoming) = response.into_parts();
        let received = head.extensions.remove::<ReceivedBytes>();
        let end = end.min(Instant::now() + for_body(head.status));
        let mut body = Vec::new();
        let reading = read(incoming, (&mut body, limit), received.as_ref());
        let cut = timeout_at(end, reading).await.unwrap_or(Err(ExchangeError::Late)).err();
        Ok(GuardedAnswer { head, body, cut })
    }
}

/// Why there is no head of an answer.
fn unanswered(error: hyper_util::client::legacy::Error) -> ExchangeError {
    match EgressRefusal::among_causes(&error) {
        Some(refused) => ExchangeError::Refused(refused),
        None if is_late(&error) => ExchangeError::Late,
        None if error.is_connect() => ExchangeError::Connect(error.into()),
        None => ExchangeError::Broken(error.into()),
    }
}

/// Reads the beginning of a body, as much as is wanted.
async fn read<B>(
    mut incoming: B,
    (body, limit): (&mut Vec<u8>, usize),
    received: Option<&ReceivedBytes>,
) -> Result<(), ExchangeError>
where
    B: BodyExt<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Unpin,
{
    loop {
        let Some(frame) = incoming.frame().await else {
            received.inspect(|received| received.forget());
            return Ok(());
        };
        let Ok(data) = frame.map_err(ExchangeError::broken)?.into_data() else { continue };
        let wanted = limit - body.len();
        body.extend(data.iter().take(wanted));
        if data.len() > wanted {
            // It is longer than anyone wants: its connection is closed.
            return Ok(());
        }
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

fn request(wanted: GuardedRequest<'_>) -> Result<Request<Full<Bytes>>, http::Error> {
    let GuardedRequest { method, url, mut headers, body, .. } = wanted;
    headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
    headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(ENCODING));
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = Uri::try_from(url.as_str())?;
    *request.headers_mut() = headers;
    Ok(request)
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
