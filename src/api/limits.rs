//! Takes connections within limits, and lets them go when the gateway stops.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use axum::extract::ConnectInfo;
use axum::http::{Request, Version, header};
use axum::response::{IntoResponse as _, Response};
use axum::{BoxError, Router};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower::{Service, ServiceExt as _};

use crate::ambient::{SystemEntropy, Tasks};
use crate::api::connections::{ConnectionPlace, OpenConnections};
use crate::api::own_answers::OwnAnswers;
use crate::api::stalled::Stalled;
use crate::api::{Code, Config, Problem};
use crate::telemetry::error_chain;

/// The most bytes of one request's line and headers.
const HEADER_BYTES: usize = 64 * 1024;
/// How long to wait before accepting again when the system has no room for a connection.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves the routes until `tasks` are told to stop; each connection then ends after its present
/// request, and draining `tasks` waits for it.
///
/// HTTP/1.1 only: TLS ends before the gateway, and without it nobody speaks HTTP/2. A client that
/// is slow with its headers is dropped after [`Config::header_timeout`]. OpenConnections beyond
/// [`Config::max_connections_per_peer`] are closed, and those beyond [`Config::max_connections`] take
/// the place of one that has not asked for anything yet, or wait.
///
/// # Cancel safety
///
/// Cancel safe: dropping the future stops accepting; open connections belong to `tasks`.
pub async fn serve(listener: &TcpListener, router: Router, config: &Config, tasks: &Tasks) {
    let connections = OpenConnections::new(config);
    let mut http = Builder::new(TokioExecutor::new()).http1_only();
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(config.header_timeout.0)
        .max_buf_size(HEADER_BYTES);
    loop {
        let next = async {
            let (stream, peer) = listener.accept().await?;
            Ok((stream, peer, connections.enter(peer.ip()).await))
        };
        let accepted = tokio::select! {
            () = tasks.stopping().cancelled() => return,
            accepted = next => accepted,
        };
        match accepted {
            Ok((stream, peer, Some(place))) => {
                // Small answers go out at once; a failure to say so costs only time.
                let _ = stream.set_nodelay(true);
                let stream = Stalled::new(stream, config.write_timeout.0);
                attend((stream, peer), place, &http, &router, tasks);
            }
            Ok((_, peer, None)) => {
                tracing::debug!(peer = %peer.ip(), "A peer has too many connections open");
            }
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                tracing::warn!(error = %error_chain(&error), "A connection cannot be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Serves one connection in the background.
fn attend(
    (stream, peer): (Stalled, SocketAddr),
    place: ConnectionPlace,
    http: &Builder<TokioExecutor>,
    router: &Router,
    tasks: &Tasks,
) {
    let (http, stop, place) = (http.clone(), tasks.stopping().clone(), Arc::new(place));
    let service = TowerToHyperService::new(service(router.clone(), peer, Arc::clone(&place)));
    tasks.spawn(async move {
        let stream = TokioIo::new(OwnAnswers::new(stream, SystemEntropy));
        let mut connection = std::pin::pin!(http.serve_connection(stream, service));
        let ended = tokio::select! {
            ended = &mut connection => ended,
            () = place.evicted.cancelled() => return,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::trace!(error = %error, "A connection ended early");
        }
    });
}

/// Tells every request of a connection who is at its other end, and refuses one that does not say whom
/// it is for.
fn service<B>(
    router: Router,
    peer: SocketAddr,
    place: Arc<ConnectionPlace>,
) -> impl Service<Request<B>, Response = Response, Error = Infallible, Future: Send> + Clone
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    tower::service_fn(move |mut request: Request<B>| {
        place.asks();
        request.extensions_mut().insert(ConnectInfo(peer));
        let router = router.clone();
        async move {
            match host_problem(&request) {
                Some(detail) => Ok(Problem::new(Code::BadRequest, detail).into_response()),
                None => router.oneshot(request).await,
            }
        }
    })
}

/// What is wrong with the host that a request names (RFC 9112, section 3.2).
fn host_problem<B>(request: &Request<B>) -> Option<&'static str> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if request.version() == Version::HTTP_11 => {
            Some("the header Host is missing; every request of HTTP/1.1 has one")
        }
        (Some(_), Some(_)) => Some("the header Host is there twice; send it once"),
        _ => None,
    }
}

/// Whether a connection was gone before it was accepted, which says nothing about this machine.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;
    use crate::ambient::HumanDuration;

    async fn start(config: Config) -> (SocketAddr, Tasks) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", get(|| async { "hello" }));
        let tasks = Tasks::new();
        let inner = tasks.clone();
        tasks.spawn(async move { serve(&listener, router, &config, &inner).await });
        (address, tasks)
    }

    #[tokio::test]
    async fn a_client_that_is_slow_with_its_headers_is_dropped() {
        let config = Config {
            header_timeout: HumanDuration(Duration::from_millis(20)),
            ..Config::default()
        };
        let (address, _tasks) = start(config).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nho").await.unwrap();

        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();

        assert!(!answer.contains("200"), "{answer}");
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_its_answer_is_dropped() {
        let config =
            Config { write_timeout: HumanDuration(Duration::from_millis(50)), ..Config::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let body = || async {
            let chunks =
                futures_util::stream::repeat_with(|| Ok::<_, io::Error>(vec![b'x'; 65536]));
            axum::body::Body::from_stream(chunks)
        };
        let (router, tasks) = (Router::new().route("/", get(body)), Tasks::new());
        let inner = tasks.clone();
        tasks.spawn(async move { serve(&listener, router, &config, &inner).await });
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();

        // Nobody reads, so the answer fills what the system holds and then stalls.
        assert!(tasks.drain(Duration::from_secs(20)).await);
    }

    #[tokio::test]
    async fn a_stopping_server_ends_idle_connections_and_is_drained() {
        let (address, tasks) = start(Config::default()).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut first = [0; 8];
        client.read_exact(&mut first).await.unwrap();

        assert!(tasks.drain(Duration::from_secs(5)).await);

        let mut rest = String::new();
        client.read_to_string(&mut rest).await.unwrap();
        assert!(rest.ends_with("hello"));
    }

    /// What is answered to these bytes until the connection ends.
    async fn exchange(address: SocketAddr, bytes: &str) -> String {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(bytes.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let whole = client.read_to_string(&mut answer);
        tokio::time::timeout(Duration::from_secs(10), whole).await.expect("it ends").unwrap();
        answer
    }

    #[tokio::test]
    async fn a_request_names_its_host_and_names_it_once() {
        let (address, _tasks) = start(Config::default()).await;
        let asks = async |version, hosts| {
            let request = format!("GET / HTTP/{version}\r\n{hosts}connection: close\r\n\r\n");
            exchange(address, &request).await
        };

        let missing = asks("1.1", "").await;
        assert!(missing.starts_with("HTTP/1.1 400 ") && missing.contains("missing"), "{missing}");
        let twice = asks("1.1", "host: a\r\nhost: a\r\n").await;
        assert!(twice.starts_with("HTTP/1.1 400 ") && twice.contains("twice"), "{twice}");
        assert!(asks("1.0", "host: a\r\nhost: b\r\n").await.contains(" 400 "));
        assert!(asks("1.1", "host: a\r\n").await.ends_with("hello"));
        assert!(asks("1.0", "").await.ends_with("hello"), "HTTP/1.0 has none");
    }

    #[tokio::test]
    async fn silent_connections_make_room_for_one_that_asks() {
        let config = Config { max_connections: 2, ..Config::default() };
        let (address, _tasks) = start(config).await;
        let mut silent = TcpStream::connect(address).await.unwrap();
        let mut half_open = TcpStream::connect(address).await.unwrap();
        half_open.write_all(b"GET / HTTP/1.1\r\nho").await.unwrap();

        let asked = exchange(address, "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");

        assert!(asked.await.ends_with("hello"));
        assert_eq!(silent.read(&mut [0; 8]).await.unwrap(), 0, "the oldest is gone");
        half_open.write_all(b"st: a\r\n\r\n").await.unwrap();
        let mut answer = [0; 12];
        half_open.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
    }

    #[tokio::test]
    async fn a_peer_with_too_many_connections_is_closed_at_once() {
        let config = Config { max_connections_per_peer: 1, ..Config::default() };
        let (address, _tasks) = start(config).await;
        let mut first = TcpStream::connect(address).await.unwrap();
        first.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        first.read_exact(&mut [0; 12]).await.unwrap();

        let mut second = TcpStream::connect(address).await.unwrap();

        assert_eq!(second.read(&mut [0; 8]).await.unwrap_or_default(), 0);
        first.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        assert!(first.read(&mut [0; 12]).await.unwrap() > 0);
    }
}
