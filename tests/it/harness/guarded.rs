//! A consumer that lets nobody in who does not show the right credential, over TLS if need be.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::serve::Listener;
use http::Method;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use sealway::ambient::Clock;
use sealway::keys::{OpeningKey, OpeningKeyKind, OpeningKeys, VerifyingKeys};
use sealway::seal::{Opening, open};
use sealway::subscriptions::CHALLENGE_TYPE;

use crate::harness::{Posted, Sink, TestGateway, eventually};

type Admission = Box<dyn Fn(&Posted) -> u16 + Send + Sync>;

/// A consumer by the name of `shop`, whose server looks at credentials first.
pub struct Guarded {
    pub sink: Sink,
    state: Arc<Inner>,
}

struct Inner {
    key: OpeningKeys,
    public: Value,
    issuer: String,
    issuer_keys: VerifyingKeys,
    clock: Arc<dyn Clock>,
    admission: Mutex<Admission>,
    /// Ids of events that were let in.
    delivered: Mutex<Vec<String>>,
}

impl Guarded {
    /// Starts one that answers 200 where `admission` says so, and otherwise with the status that it
    /// says and everything that it was sent.
    pub async fn start(
        gateway: &TestGateway,
        tls: Option<&TlsServer>,
        admission: impl Fn(&Posted) -> u16 + Send + Sync + 'static,
    ) -> Self {
        let key = OpeningKey::generate(OpeningKeyKind::X25519).unwrap();
        let jwks = gateway.get("/.well-known/jwks.json").await;
        let state = Arc::new(Inner {
            key: OpeningKeys::from_json(key.private_jwk().expose().as_bytes()).unwrap(),
            public: key.public_jwk().unwrap().clone(),
            issuer: gateway.issuer(),
            issuer_keys: VerifyingKeys::from_json(jwks.to_string().as_bytes()).unwrap(),
            clock: gateway.clock(),
            admission: Mutex::new(Box::new(admission)),
            delivered: Mutex::default(),
        });
        let inner = Arc::clone(&state);
        let behavior = move |posted: &Posted| inner.answer(posted);
        let sink = match tls {
            Some(tls) => Sink::start_tls(tls, behavior).await,
            None => Sink::start(behavior).await,
        };
        Self { sink, state }
    }

    /// Lets others in from now on.
    pub fn admit(&self, admission: impl Fn(&Posted) -> u16 + Send + Sync + 'static) {
        *self.state.admission.lock().unwrap() = Box::new(admission);
    }

    /// The subscription that it asks for, with a credential.
    pub fn document(&self, credential: &Value) -> Value {
        json!({
            "id": "shop",
            "consumer": "shop",
            "sink": self.sink.at("/events"),
            "sinkcredential": credential,
            "config": { "keys": { "jwks": { "keys": [self.state.public] } } },
        })
    }

    /// Subscribes with a credential and waits until the handshake is over.
    pub async fn subscribe(&self, gateway: &TestGateway, credential: &Value) -> Value {
        gateway.post("/subscriptions", &self.document(credential)).await;
        eventually("the subscription becomes active", async || {
            let shown = gateway.get("/subscriptions/shop").await;
            assert!(shown.get("reason").is_none(), "{shown}");
            (shown["state"] == "active").then_some(shown)
        })
        .await
    }

    /// The ids of the events that were let in, in order.
    pub fn delivered(&self) -> Vec<String> {
        self.state.delivered.lock().unwrap().clone()
    }

    /// Waits until so many events were let in.
    #[track_caller]
    pub fn wait_for_delivered(&self, count: usize) -> impl Future<Output = Vec<String>> {
        let enough = async move || Some(self.delivered()).filter(|all| all.len() >= count);
        eventually(format!("{count} deliveries"), enough)
    }
}

impl Inner {
    fn answer(&self, posted: &Posted) -> (u16, Option<(&'static str, String)>, String) {
        let status = self.admission.lock().unwrap()(posted);
        if status != 200 {
            // As a careless server would.
            return (status, None, format!("not with {:?} {}", posted.headers, posted.query));
        }
        if posted.method == Method::OPTIONS {
            return (405, None, String::new());
        }
        let now = self.clock.now();
        let opening = Opening::new(&self.key, &self.issuer_keys, &self.issuer, "shop", now);
        // In structured mode, the token is the data of a CloudEvent in JSON.
        let event: Option<Value> = serde_json::from_str(&posted.body).ok();
        let token = event.as_ref().and_then(|event| event["data"].as_str());
        let Ok(opened) = open(token.unwrap_or(&posted.body), &opening) else {
            return (400, None, String::new());
        };
        if opened.event()["type"] == CHALLENGE_TYPE {
            let nonce = &opened.event()["data"]["challenge"];
            return (200, None, json!({ "challenge": nonce }).to_string());
        }
        self.delivered.lock().unwrap().push(opened.id().to_owned());
        (204, None, String::new())
    }
}

/// A server's TLS: an authority of its own, a certificate for `localhost`, and perhaps the demand
/// for a client's certificate from the same authority.
pub struct TlsServer {
    authority: Issuer<'static, KeyPair>,
    authority_pem: String,
    acceptor: TlsAcceptor,
}

impl TlsServer {
    /// Makes an authority and a server.
    pub fn new(asks_for_client: bool) -> Self {
        sealway::keys::install();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority_pem = params.self_signed(&key).unwrap().pem();
        let authority = Issuer::new(params, key);
        let (chain, key) = issue(&authority, ExtendedKeyUsagePurpose::ServerAuth);
        let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let builder = rustls::ServerConfig::builder();
        let config = if asks_for_client {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(authority_pem.as_bytes()).unwrap()).unwrap();
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
            builder.with_client_cert_verifier(verifier).with_single_cert(chain, key).unwrap()
        } else {
            builder.with_no_client_auth().with_single_cert(chain, key).unwrap()
        };
        Self { authority, authority_pem, acceptor: TlsAcceptor::from(Arc::new(config)) }
    }

    /// The authority's certificate in PEM.
    pub fn authority(&self) -> &str {
        &self.authority_pem
    }

    /// A client's certificate and its private key in PEM.
    pub fn client(&self) -> (String, String) {
        issue(&self.authority, ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// Listens on a port of its own.
    pub async fn listen(&self) -> TlsListener {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        TlsListener { listener, acceptor: self.acceptor.clone() }
    }
}

fn issue(authority: &Issuer<'static, KeyPair>, usage: ExtendedKeyUsagePurpose) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.extended_key_usages = vec![usage];
    (params.signed_by(&key, authority).unwrap().pem(), key.serialize_pem())
}

/// Accepts connections that complete a handshake.
pub struct TlsListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (stream, address) = self.listener.accept().await.unwrap();
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
