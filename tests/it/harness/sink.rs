//! A sink without keys of its own that answers as a test tells it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::serve::Listener;
use tokio::net::TcpListener;
use tokio::sync::watch;

use sealway::ambient::Tasks;

use crate::harness::{TlsServer, eventually};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Posted {
    pub method: Method,
    pub path: String,
    pub query: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Posted {
    /// The text of a header, or nothing.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// A status, a header or none, and a body.
pub type Said = (u16, Option<(&'static str, String)>, String);

type Behavior = Box<dyn Fn(&Posted) -> Said + Send + Sync>;

/// A sink that listens until it is dropped.
pub struct Sink {
    address: String,
    state: Arc<Inner>,
    tasks: Tasks,
}

struct Inner {
    behavior: Mutex<Behavior>,
    posted: Mutex<Vec<Posted>>,
    holds: watch::Sender<bool>,
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.tasks.stopping().cancel();
    }
}

impl Sink {
    /// Starts a sink with a behavior.
    pub async fn start(behavior: impl Fn(&Posted) -> Said + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        Self::serve(listener, address, behavior)
    }

    /// Starts a sink that speaks TLS, under the name `localhost`.
    pub async fn start_tls(
        server: &TlsServer,
        behavior: impl Fn(&Posted) -> Said + Send + Sync + 'static,
    ) -> Self {
        let listener = server.listen().await;
        let address = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        Self::serve(listener, address, behavior)
    }

    fn serve<L: Listener<Addr = SocketAddr>>(
        listener: L,
        address: String,
        behavior: impl Fn(&Posted) -> Said + Send + Sync + 'static,
    ) -> Self {
        let behavior: Behavior = Box::new(behavior);
        let state = Arc::new(Inner {
            behavior: Mutex::new(behavior),
            posted: Mutex::default(),
            holds: watch::Sender::new(false),
        });
        let tasks = Tasks::new();
        let routes = Router::new().fallback(receive).with_state(Arc::clone(&state));
        let stop = tasks.stopping().clone().cancelled_owned();
        tasks.spawn(async move {
            axum::serve(listener, routes).with_graceful_shutdown(stop).await.unwrap();
        });
        Self { address, state, tasks }
    }

    /// Behaves otherwise from now on.
    pub fn behave(&self, behavior: impl Fn(&Posted) -> Said + Send + Sync + 'static) {
        *self.state.behavior.lock().unwrap() = Box::new(behavior);
    }

    /// Answers nothing that is posted from now on, until it is told to.
    pub fn hold(&self) {
        self.state.holds.send_replace(true);
    }

    /// Answers again, also what was held.
    pub fn release(&self) {
        self.state.holds.send_replace(false);
    }

    /// An address at this sink.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    /// Everything that has arrived so far.
    pub fn arrived(&self) -> Vec<Posted> {
        self.state.posted.lock().unwrap().clone()
    }

    /// The bodies that were posted to a path so far.
    pub fn bodies(&self, path: &str) -> Vec<String> {
        let posted = self.state.posted.lock().unwrap();
        let here = posted.iter().filter(|one| one.method == Method::POST && one.path == path);
        here.map(|one| one.body.clone()).collect()
    }

    /// Waits until so many bodies were posted to a path.
    pub async fn wait_for(&self, path: &str, count: usize) -> Vec<String> {
        let enough = async || Some(self.bodies(path)).filter(|all| all.len() >= count);
        eventually(format!("{count} posts to {path}"), enough).await
    }
}

async fn receive(
    State(inner): State<Arc<Inner>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let body = String::from_utf8(body.to_vec()).unwrap();
    let (path, query) = (uri.path().to_owned(), uri.query().unwrap_or_default().to_owned());
    let posted = Posted { method, path, query, headers, body };
    let (status, header, body) = inner.behavior.lock().unwrap()(&posted);
    let is_held = posted.method == Method::POST;
    inner.posted.lock().unwrap().push(posted);
    if is_held {
        inner.holds.subscribe().wait_for(|holds| !holds).await.unwrap();
    }
    let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
    if let Some((name, value)) = header {
        response.headers_mut().insert(HeaderName::from_static(name), value.parse().unwrap());
    }
    response
}
