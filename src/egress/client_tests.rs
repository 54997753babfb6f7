//! Servers that never come to an end, in the clear and over TLS.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::*;
use crate::ambient::Tasks;
use crate::egress::{ClientTls, EgressConfig, GuardedClients};

/// What is read, and what lies in the buffers of both ends.
const BOUND: usize = 2 * 1024 * 1024;

const INTERIM: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// What a server does once it has been asked.
#[derive(Clone, Copy)]
enum Lie {
    /// It says the first once and then the other again and again.
    Endless(&'static [u8], &'static [u8]),
    /// It takes no more of the request than its beginning, and says this again and again, slowly.
    Slow(&'static [u8]),
    /// It changes the keys of TLS again and again, and has the client change its own.
    NewKeys,
}

/// A server that counts how many bytes were taken from it.
struct Liar {
    url: Url,
    /// The authority of its certificate, in PEM, if it has one.
    authority: String,
    taken: Arc<AtomicUsize>,
    _tasks: Tasks,
}

impl Liar {
    fn start(lie: Lie, is_tls: bool) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(16 * 1024).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(8).unwrap();
        let scheme = if is_tls { "https" } else { "http" };
        let url = format!("{scheme}://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let (tls, authority) = if is_tls { certified() } else { (None, String::new()) };
        let taken = Arc::new(AtomicUsize::new(0));
        let (tasks, count) = (Tasks::new(), Arc::clone(&taken));
        tasks.spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            match tls {
                None => tell(stream, lie, &count).await,
                Some(tls) => {
                    let stream = tls.accept(stream).await.unwrap();
                    match lie {
                        Lie::NewKeys => change_keys(stream, &count).await,
                        Lie::Endless(..) | Lie::Slow(_) => tell(stream, lie, &count).await,
                    }
                }
            }
        });
        Self { url, authority, taken, _tasks: tasks }
    }

    /// Asks, and tells what was said of the answer.
    async fn ask(&self, body_limit: usize) -> Result<Response<Vec<u8>>, ExchangeError> {
        self.ask_with(Bytes::from_static(b"asked"), body_limit).await
    }

    async fn ask_with(
        &self,
        body: Bytes,
        body_limit: usize,
    ) -> Result<Response<Vec<u8>>, ExchangeError> {
        let egress = Arc::new(Egress::new(EgressConfig::loopback()));
        let clients = GuardedClients::new(&egress).unwrap();
        let own = ClientTls::from_pem("", "", &self.authority).unwrap();
        let client = match self.url.scheme() {
            "https" => clients.with_tls(&own).unwrap(),
            _ => clients.client_for(&self.url).unwrap().clone(),
        };
        let request = GuardedRequest {
            method: Method::POST,
            url: &self.url,
            headers: HeaderMap::new(),
            body,
            body_limit,
            patience: Duration::from_secs(30),
        };
        client.exchange(request).await
    }

    fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

/// What accepts connections as 127.0.0.1, and the certificate to trust.
fn certified() -> (Option<TlsAcceptor>, String) {
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = own.self_signed(&key).unwrap();
    let der = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], der)
        .unwrap();
    (Some(TlsAcceptor::from(Arc::new(config))), certificate.pem())
}

/// Lies until the client has had enough.
async fn tell(mut stream: impl AsyncRead + AsyncWrite + Unpin, lie: Lie, taken: &AtomicUsize) {
    let (first, then, pause) = match lie {
        Lie::Endless(first, then) => (first, then, Duration::ZERO),
        Lie::Slow(then) => (&b""[..], then, Duration::from_millis(2)),
        Lie::NewKeys => return,
    };
    let mut asked = [0; 4096];
    assert!(stream.read(&mut asked).await.unwrap() > 0);
    stream.write_all(first).await.unwrap();
    let then = then.repeat(64);
    while stream.write_all(&then).await.is_ok() && stream.flush().await.is_ok() {
        taken.fetch_add(then.len(), Ordering::Relaxed);
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
}

async fn change_keys(mut stream: TlsStream<TcpStream>, taken: &AtomicUsize) {
    let mut asked = [0; 4096];
    assert!(stream.read(&mut asked).await.unwrap() > 0);
    loop {
        stream.get_mut().1.refresh_traffic_keys().unwrap();
        if stream.flush().await.is_err() {
            return;
        }
        // A record with its header, and one message of a byte with its own.
        taken.fetch_add(27, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn an_answer_without_end_costs_a_bounded_number_of_bytes_in_the_clear_and_over_tls() {
    for is_tls in [false, true] {
        for (first, then) in [
            (&b""[..], INTERIM),
            (b"HTTP/1.1 103 Early Hints\r\nlink: </>\r\n\r\n", b"HTTP/1.1 102 Processing\r\n\r\n"),
            (b"HTTP/1.1 200 OK\r\nx-more: ", b"and more "),
            (b"HTTP/1.1 200 OK\r\n", b"x-more: and more\r\n"),
        ] {
            let liar = Liar::start(Lie::Endless(first, then), is_tls);
            let told = liar.ask(1024).await.unwrap_err();

            assert!(matches!(told, ExchangeError::Broken(_)), "{told:?}");
            assert!(liar.taken() < BOUND, "{} bytes of {then:?} were taken", liar.taken());
        }
    }
}

#[tokio::test]
async fn a_body_without_end_is_read_as_far_as_it_is_wanted() {
    for is_tls in [false, true] {
        let lie = Lie::Endless(b"HTTP/1.1 200 OK\r\n\r\n", b"and more and more and more ");
        let liar = Liar::start(lie, is_tls);
        let answer = liar.ask(64 * 1024 + 1).await.unwrap();

        assert_eq!((answer.status().as_u16(), answer.body().len()), (200, 64 * 1024 + 1));
        assert!(liar.taken() < BOUND, "{} bytes were taken", liar.taken());
    }
}

#[tokio::test]
async fn an_answer_without_end_to_a_request_that_is_never_taken_is_bounded_too() {
    for is_tls in [false, true] {
        let liar = Liar::start(Lie::Slow(INTERIM), is_tls);

        let told = liar.ask_with(vec![b' '; 16 * 1024 * 1024].into(), 1024).await.unwrap_err();

        assert!(matches!(told, ExchangeError::Broken(_)), "{told:?}");
        assert!(liar.taken() < BOUND, "{} bytes were taken", liar.taken());
    }
}

#[tokio::test]
async fn messages_of_tls_without_content_count_too_although_each_is_answered() {
    let liar = Liar::start(Lie::NewKeys, true);

    let told = liar.ask(1024).await.unwrap_err();

    assert!(matches!(told, ExchangeError::Broken(_)), "{told:?}");
    assert!(liar.taken() < BOUND, "{} bytes were taken", liar.taken());
}

#[tokio::test]
async fn who_is_not_trusted_and_who_is_not_there_is_told_from_an_answer_that_broke() {
    let liar = Liar { authority: String::new(), ..Liar::start(Lie::NewKeys, true) };
    let told = liar.ask(0).await.unwrap_err();
    assert!(matches!(told, ExchangeError::Connect(_)), "{told:?}");
    assert_eq!(told.network(), Some(NetworkFailure::Tls));
}

/// Answers once everybody has asked, and keeps every connection open.
async fn answer_together(all: usize) -> (Url, Tasks) {
    let (tasks, together) = (Tasks::new(), Arc::new(tokio::sync::Barrier::new(all)));
    let routes = axum::Router::new().fallback(move || {
        let together = Arc::clone(&together);
        async move {
            together.wait().await;
            StatusCode::NO_CONTENT
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    tasks.spawn(async move { axum::serve(listener, routes).await.unwrap() });
    (url, tasks)
}

#[tokio::test]
async fn of_many_connections_few_wait_for_their_next_request() {
    const ALL: usize = 40;
    let egress = Arc::new(Egress::keeping(EgressConfig::loopback(), 8));
    let clients = GuardedClients::new(&egress).unwrap();
    let (url, _tasks) = answer_together(ALL).await;
    for _ in 0..2 {
        let ask = || {
            clients.client_for(&url).unwrap().exchange(GuardedRequest {
                method: Method::POST,
                url: &url,
                headers: HeaderMap::new(),
                body: Bytes::from_static(b"asked"),
                body_limit: 0,
                patience: Duration::from_secs(30),
            })
        };
        let answers = futures_util::future::join_all((0..ALL).map(|_| ask())).await;
        assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|it| it.status() == 204)));
        let few = async {
            while egress.open().count() > 8 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), few).await.expect("the others are closed");
        assert_eq!(egress.open().count(), 8, "those stay");
    }
}
