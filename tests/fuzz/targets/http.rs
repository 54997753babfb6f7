//! Requests to a whole gateway in this process, as strangers and callers send them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, Request, Response, Uri};
use futures_util::StreamExt as _;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tower::ServiceExt as _;

use sealway::ambient::{
    ManualClock, ManualDisk, SecretReference, SeededEntropy, SystemEntropy, Tasks,
};
use sealway::config::Config;
use sealway::gateway::{Machine, build};
use sealway::source::AccessKey;

use super::halves;
use super::parties::NOW;

/// The access key that producers sign with.
const SIGNER: &str = "AKIATESTTESTTESTTEST";

/// A gateway whose time passes while a request waits.
struct Served {
    runtime: Runtime,
    clock: Arc<ManualClock>,
    routes: Router,
    admin: String,
    shop: String,
    _directory: TempDir,
}

fn served() -> &'static Served {
    static SERVED: OnceLock<Served> = OnceLock::new();
    SERVED.get_or_init(|| {
        let runtime = Runtime::new().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let config = settings(directory.path());
        let clock = Arc::new(ManualClock::at(NOW));
        let machine = Machine {
            clock: Arc::clone(&clock) as _,
            entropy: Arc::new(SeededEntropy::new(7)),
            disk: Arc::new(ManualDisk::empty()),
            ..Machine::default()
        };
        let (routes, admin, shop) = runtime.block_on(async {
            let gateway = build(config, machine).await.unwrap();
            let services = Arc::clone(gateway.services());
            let mut keys = Vec::new();
            for (name, scope) in [("admin", "admin"), ("shop", "consume:shop")] {
                let scopes = vec![scope.parse().unwrap()];
                let key =
                    services.callers.add(&name.parse().unwrap(), scopes, &SystemEntropy).await;
                keys.push(key.unwrap().expose().to_owned());
            }
            // What is asked for may wait for the ledger and the workers, so they are there.
            Tasks::new().spawn(gateway.run(std::future::pending()));
            (sealway::api::router(services), keys.remove(0), keys.remove(0))
        });
        Served { runtime, clock, routes, admin, shop, _directory: directory }
    })
}

fn settings(directory: &Path) -> Config {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let secret = directory.join("access-key.secret");
    fs::write(&secret, "a secret of a test, and of nothing else").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let mut config = Config {
        issuer: "https://events.example.com".parse().unwrap(),
        listen: ([127, 0, 0, 1], 0).into(),
        data_dir: directory.join("data"),
        publications: root.join("config/publications"),
        contracts: root.join("asyncapi"),
        directory: directory.to_path_buf(),
        ..Config::default()
    };
    config.keys.directory = directory.join("keys");
    // Nothing of an input is dialed; its sinks are numbers, so that no name is looked up either.
    config.delivery.egress.block = ["0.0.0.0/0", "::/0"].map(|all| all.parse().unwrap()).to_vec();
    config.source.access_keys = vec![AccessKey {
        id: SIGNER.to_owned(),
        secret: SecretReference::File(secret),
        sources: None,
    }];
    config
}

/// Reads `METHOD target`, headers in lines, an empty line, and a body. `{admin}` and `{shop}` stand for
/// keys of callers.
fn request(input: &[u8], served: &Served) -> Option<Request<Body>> {
    let (head, body) = halves(input);
    let head = String::from_utf8_lossy(head);
    let head = head.replace("{admin}", &served.admin).replace("{shop}", &served.shop);
    let mut lines = head.lines();
    let (method, target) = lines.next()?.split_once(' ')?;
    let mut request = Request::new(Body::from(body.to_vec()));
    *request.method_mut() = Method::from_bytes(method.as_bytes()).ok()?;
    *request.uri_mut() = target.parse::<Uri>().ok()?;
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        request.headers_mut().append(name, HeaderValue::from_str(value.trim()).ok()?);
    }
    Some(request)
}

/// A body up to its end, or as much as comes at once: a stream has no end.
async fn read(response: Response<Body>) -> Vec<u8> {
    let (mut whole, mut body) = (Vec::new(), response.into_body().into_data_stream());
    let wait = Duration::from_millis(20);
    while let Ok(Some(Ok(piece))) = timeout(wait, body.next()).await {
        whole.extend_from_slice(&piece);
    }
    whole
}

/// Sends a request; the answer is complete, never a failure of ours, and tells no key.
fn ask(input: &[u8]) {
    let served = served();
    let Some(request) = request(input, served) else { return };
    served.runtime.block_on(async {
        let mut asked = pin!(served.routes.clone().oneshot(request));
        let answered = async {
            loop {
                match timeout(Duration::from_millis(20), &mut asked).await {
                    Ok(response) => break response,
                    // What was noted is written after a while of the gateway's own time.
                    Err(_) => served.clock.advance(Duration::from_millis(100)),
                }
            }
        };
        let answer = timeout(Duration::from_secs(5), answered).await;
        let response = answer.expect("a request is answered").unwrap();
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        assert_ne!(status, 500, "a failure of ours: {:?}", read(response).await);
        assert!(
            headers.contains_key("x-request-id") && headers.contains_key("x-content-type-options")
        );
        let body = read(response).await;
        let text = String::from_utf8_lossy(&body);
        for key in [&served.admin, &served.shop] {
            assert!(!text.contains(key.as_str()), "a key is told: {text}");
        }
        let kind = headers.get("content-type").and_then(|kind| kind.to_str().ok());
        if kind == Some("application/problem+json") {
            let problem: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(problem["status"], status);
            assert!(problem["type"].as_str().unwrap().starts_with("/problems/"));
        }
    });
}

/// Calls of AWS: heads with signatures, which never verify, bodies of operations.
pub fn bus(input: &[u8]) {
    ask(input);
}

/// Calls of every route: keys of callers and access tokens, documents, queries, cursors, ids.
pub fn api(input: &[u8]) {
    ask(input);
}
