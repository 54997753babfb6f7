//! Takes connections within limits, and lets them go when the gateway stops.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::ServiceExt as _;

use crate::ambient::{SystemEntropy, Tasks};
use crate::api::Config;
use crate::api::own_answers::OwnAnswers;
use crate::api::stalled::Stalled;
use crate::telemetry::error_chain;

/// The most bytes of one request's line and headers.
const HEADER_BYTES: usize = 64 * 1024;
/// How long to wait before accepting again when the system has no room for a connection.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves the routes until `tasks` are told to stop; each connection then ends after its present
/// request, and draining `tasks` waits for it.
///
/// HTTP/1.1 only: TLS ends before the gateway, and without it nobody speaks HTTP/2. A client that
/// is slow with its headers is dropped after [`Config::header_timeout`], and connections beyond
/// [`Config::max_connections`] wait to be accepted.
///
/// # Cancel safety
///
/// Cancel safe: dropping the future stops accepting; open connections belong to `tasks`.
pub async fn serve(listener: TcpListener, router: Router, config: &Config, tasks: &Tasks) {
    let places = Arc::new(Semaphore::new(config.max_connections));
    let mut http = Builder::new(TokioExecutor::new()).http1_only();
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(config.header_timeout.0)
        .max_buf_size(HEADER_BYTES);
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let accepted = tokio::select! {
            () = tasks.stopping().cancelled() => return,
            accepted = next => accepted,
        };
        match accepted {
            (Ok(place), Ok((stream, peer))) => {
                // Small answers go out at once; a failure to say so costs only time.
                let _ = stream.set_nodelay(true);
                let stream = Stalled::new(stream, config.write_timeout.0);
                attend((stream, peer), place, &http, &router, tasks);
            }
            // The semaphore is never closed, so only the system can refuse.
            (_, Err(error)) if is_the_clients(&error) => {}
            (_, accepted) => {
                if let Err(error) = accepted {
                    tracing::warn!(error = %error_chain(&error), "A connection cannot be accepted");
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Serves one connection in the background.
fn attend(
    (stream, peer): (Stalled, SocketAddr),
    place: OwnedSemaphorePermit,
    http: &Builder<TokioExecutor>,
    router: &Router,
    tasks: &Tasks,
) {
    let service = TowerToHyperService::new(router.clone().map_request(introduce(peer)));
    let (http, stop) = (http.clone(), tasks.stopping().clone());
    tasks.spawn(async move {
        let stream = TokioIo::new(OwnAnswers::new(stream, SystemEntropy));
        let mut connection = std::pin::pin!(http.serve_connection(stream, service));
        let ended = tokio::select! {
            ended = &mut connection => ended,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::trace!(error = %error, "A connection ended early");
        }
        drop(place);
    });
}

/// Tells every request of a connection who is at its other end.
fn introduce<B>(peer: SocketAddr) -> impl FnMut(Request<B>) -> Request<B> + Clone {
    move |mut request| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request
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
        tasks.spawn(async move { serve(listener, router, &config, &inner).await });
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
        tasks.spawn(async move { serve(listener, router, &config, &inner).await });
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
}
