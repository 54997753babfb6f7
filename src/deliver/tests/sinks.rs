//! Sinks that answer oddly, over real sockets.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use tokio::net::TcpListener;

use crate::ambient::{Clock, ManualClock, SeededEntropy, Tasks};
use crate::deliver::sink::{
    Connections, Destination as _, HttpDestination, Parcel, SinkAnswer, SinkTarget,
};
use crate::egress::{Egress, EgressConfig, GuardedClients};
use crate::event::{EventId, Timestamp};
use crate::keys::DataKey;
use crate::subscriptions::ContentMode;
use crate::telemetry::Metrics;

async fn sinks() -> String {
    let long = format!("no {} please", "t".repeat(200));
    let routes = Router::new()
        .route("/yes", post(|| async { "a body that nobody keeps" }))
        .route("/no", post(move || async { (StatusCode::BAD_REQUEST, long) }))
        .route(
            "/later",
            post(|| async { (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "90")]) }),
        )
        .route(
            "/on-a-date",
            post(|| async {
                let date = [("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")];
                (StatusCode::SERVICE_UNAVAILABLE, date)
            }),
        )
        .route(
            "/elsewhere",
            post(|| async { (StatusCode::TEMPORARY_REDIRECT, [("location", "/yes")]) }),
        )
        .route("/never", post(|| async { std::future::pending::<StatusCode>().await }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    Tasks::new().spawn(async move { axum::serve(listener, routes).await });
    address
}

async fn attempt(sink: &str) -> SinkAnswer {
    crate::keys::install();
    let clock = ManualClock::at(Timestamp::from_unix_seconds(784_111_777 - 30));
    let egress = Arc::new(Egress::new(EgressConfig::loopback()));
    let clients = GuardedClients::new(&egress).unwrap();
    let target = SinkTarget {
        subscription: "shop".parse().unwrap(),
        consumer: "shop".parse().unwrap(),
        sink: sink.parse().unwrap(),
        credential: None,
        content_mode: ContentMode::Binary,
        gives_receipts: false,
        timeout: Duration::from_millis(300),
    };
    let parcel = Parcel {
        id: EventId::from_parts(1, 1),
        name: None,
        attributes: Vec::new(),
        extensions: Vec::new(),
        sequence: None,
        replay: None,
        attempt: 1,
        token: "token".to_owned().into(),
    };
    let clock: Arc<dyn Clock> = Arc::new(clock);
    let entropy = Arc::new(SeededEntropy::new(1));
    let metrics = Arc::new(Metrics::new());
    let data_key = Arc::new(DataKey::generate(&*entropy));
    let connections =
        Connections::new(clients.clone(), data_key, (Arc::clone(&clock), entropy), metrics);
    let destination = HttpDestination::new(clients, connections, clock);
    destination.deliver(&target.into(), parcel).await
}

#[tokio::test]
async fn a_yes_keeps_no_words_and_a_no_keeps_short_ones_only() {
    let sinks = sinks().await;

    let yes = attempt(&format!("{sinks}/yes")).await;
    let no = attempt(&format!("{sinks}/no")).await;

    assert_eq!((yes.status, &*yes.detail), (Some(200), ""));
    assert_eq!((no.status, &*no.detail), (Some(400), "no please"));
}

#[tokio::test]
async fn a_sink_asks_for_time_in_seconds_or_by_date() {
    let sinks = sinks().await;

    let seconds = attempt(&format!("{sinks}/later")).await;
    let date = attempt(&format!("{sinks}/on-a-date")).await;

    assert_eq!(seconds.retry_after, Some(Duration::from_secs(90)));
    assert_eq!(date.retry_after, Some(Duration::from_secs(30)));
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let answer = attempt(&format!("{}/elsewhere", sinks().await)).await;

    assert_eq!(answer.status, Some(307));
}

#[tokio::test]
async fn silence_and_closed_doors_have_names() {
    let silent = attempt(&format!("{}/never", sinks().await)).await;
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let closed = attempt(&format!("http://{free}/")).await;

    assert_eq!((silent.status, &*silent.detail), (None, "timeout"));
    assert_eq!(closed.status, None);
    assert!(closed.detail.starts_with("connect-failed"), "{}", closed.detail);
}
