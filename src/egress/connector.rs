//! Dials allowed addresses only: resolves, connects, and speaks TLS where it is asked to.

use std::error::Error;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tower::Service;

use crate::egress::dialed_connections::DialedConnections;
use crate::egress::stream::{CountedTcp, GuardedStream};
use crate::egress::{Egress, EgressRefusal, Scheme, Unresolved};

/// How long it may take until requests can be sent, TLS included.
const PATIENCE: Duration = Duration::from_secs(10);
/// When a silent connection is probed, and how often.
const KEEPALIVE: Duration = Duration::from_secs(15);
const PROBES: u32 = 3;
/// How many bytes the system takes that nobody has read yet; Linux takes the double. Left alone it takes as
/// much as it sees fit, and what is read of an answer has a bound far below that.
const UNREAD: usize = 32 * 1024;

type Cause = Box<dyn Error + Send + Sync>;
type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, Cause>> + Send>>;

/// Makes the connections of one client.
#[derive(Clone)]
pub(super) struct GuardedConnector {
    tcp: HttpConnector<GuardedResolver>,
    tls: Option<TlsConnector>,
    open: DialedConnections,
}

impl GuardedConnector {
    /// Connects past the guard; over TLS if there are settings for it.
    pub(super) fn new(egress: &Arc<Egress>, tls: Option<Arc<ClientConfig>>) -> Self {
        let scheme = if tls.is_some() { Scheme::Https } else { Scheme::Http };
        let resolver = GuardedResolver { egress: Arc::clone(egress), scheme };
        let mut tcp = HttpConnector::new_with_resolver(resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(PATIENCE));
        tcp.set_recv_buffer_size(Some(UNREAD));
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_keepalive_interval(Some(KEEPALIVE));
        tcp.set_keepalive_retries(Some(PROBES));
        #[cfg(target_os = "linux")]
        tcp.set_tcp_user_timeout(Some(KEEPALIVE * 2));
        Self { tcp, tls: tls.map(TlsConnector::from), open: egress.open().clone() }
    }
}

impl Service<Uri> for GuardedConnector {
    type Response = TokioIo<GuardedStream>;
    type Error = Cause;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Cause>> {
        self.tcp.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, address: Uri) -> Self::Future {
        let (dialing, tls) = (self.tcp.call(address.clone()), self.tls.clone());
        let open = self.open.clone();
        let connecting = async move {
            let tcp = TokioIo::<TcpStream>::into_inner(dialing.await?);
            let tcp = CountedTcp::new(tcp, open.add());
            let Some(tls) = tls else { return Ok(GuardedStream::Plain(tcp)) };
            let stream = tls.connect(server_name(&address)?, tcp).await?;
            Ok::<_, Cause>(GuardedStream::Tls(Box::new(stream)))
        };
        Box::pin(async move {
            let connected = tokio::time::timeout(PATIENCE, connecting).await;
            let stream = connected.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            Ok(TokioIo::new(stream))
        })
    }
}

/// The name that a certificate has to be made out to.
fn server_name(address: &Uri) -> Result<ServerName<'static>, Cause> {
    // An IPv6 address stands between brackets (RFC 3986, section 3.2.2).
    let host = address.host().unwrap_or_default().trim_matches(['[', ']']);
    Ok(ServerName::try_from(host.to_owned())?)
}

/// Resolves names with the system's resolver and keeps what may be dialed. What it gives is what is
/// dialed: there is no second look-up that could say something else.
#[derive(Clone)]
struct GuardedResolver {
    egress: Arc<Egress>,
    scheme: Scheme,
}

impl Service<Name> for GuardedResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Cause;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Cause>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (egress, scheme) = (Arc::clone(&self.egress), self.scheme);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await.map_err(|error| {
                let host = name.as_str();
                tracing::info!(host, error = %error, "{host} does not resolve");
                Unresolved(error.to_string())
            })?;
            let found: Vec<SocketAddr> = found.collect();
            let allowed = egress
                .sift(scheme, found.iter().copied())
                .map_err(|refused| refusal_of(name.as_str(), &found, refused))?;
            Ok(allowed.into_iter())
        })
    }
}

/// What is said of a name none of whose addresses may be dialed. Only the operator learns what the name
/// stands for.
fn refusal_of(host: &str, found: &[SocketAddr], refused: EgressRefusal) -> Cause {
    tracing::info!(
        host,
        addresses = ?found.iter().map(SocketAddr::ip).collect::<Vec<_>>(),
        reason = %refused,
        "No address of {host} may be dialed",
    );
    if refused.is_of_the_place() { Unresolved(refused.to_string()).into() } else { refused.into() }
}
