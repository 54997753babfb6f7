//! Every route of the gateway on one screen.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post, put};
use tower_http::catch_panic::CatchPanicLayer;

use crate::api::access_requests::withdraw;
use crate::api::{
    Code, Problem, Services, access_requests, actions, bus::cbor_bus_route, bus_route, consent,
    dead_letters, deliveries, events, evidence, explain, exports, external_ids, grants, health,
    historical_keys, log, log_files, log_incarnations, log_proofs, oauth_token, openapi, poll,
    post_events, problem_pages, published, pull, quarantine, quarantine_release, queues, receipts,
    redrives, repeats, replays, request, retries, schemas, secret, settings, sink_credential,
    stream, subscriptions, verify, why,
};

/// Builds the server's routes over the rooms behind them.
pub fn router(services: Arc<Services>) -> Router {
    let repeats = repeats::Repeats::new(Arc::clone(&services));
    let once = |post: MethodRouter<Arc<Services>>| {
        post.layer(from_fn_with_state(repeats.clone(), repeats::once))
    };
    Router::new()
        .route("/.well-known/jwks.json", get(published::jwks))
        .route("/openapi.json", get(openapi::serve))
        .route("/problems/{code}", get(problem_pages::problem))
        .route("/contracts", get(published::contracts))
        .route("/contracts/{*path}", get(published::contract))
        .route("/schemas/{domain}/{event}/{version}", get(schemas::schema))
        .route("/schemas/{name}/{version}", get(schemas::old_schema))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/", bus_route(Arc::clone(&services.bus), Arc::clone(&services.bodies)))
        .route(
            "/service/{service}/operation/{operation}",
            cbor_bus_route(Arc::clone(&services.bus)),
        )
        .route("/events", get(events::list).post(post_events::publish).options(consent::answer))
        .route("/oauth/token", post(oauth_token::issue))
        .route("/events/{id}", get(events::get))
        .route("/events/{id}/trace", get(explain::trace))
        .route("/grants", once(post(grants::give)).get(grants::list))
        .route("/grants/{id}", get(grants::read).put(grants::change).delete(grants::recall))
        .route("/access-requests", post(access_requests::ask).get(access_requests::list))
        .route("/access-requests/{id}", get(access_requests::read).delete(withdraw))
        .route("/access-requests/{id}/approve", post(access_requests::approve))
        .route("/access-requests/{id}/refuse", post(access_requests::refuse))
        .route("/subscriptions", once(post(subscriptions::create)).get(subscriptions::list))
        .route(
            "/subscriptions/{id}",
            get(subscriptions::read).put(subscriptions::replace).delete(subscriptions::remove),
        )
        .route(
            "/subscriptions/{id}/sink-credential",
            put(sink_credential::replace).delete(sink_credential::remove),
        )
        .route("/subscriptions/{id}/verify", post(verify::verify))
        .route("/external-ids/{consumer}", get(external_ids::read))
        .route("/subscriptions/{id}/pause", post(subscriptions::pause))
        .route("/subscriptions/{id}/resume", post(subscriptions::resume))
        .route("/subscriptions/{id}/checkpoint", get(subscriptions::checkpoint))
        .route("/subscriptions/{id}/events", get(pull::events))
        .route("/subscriptions/{id}/stream", get(stream::stream))
        .route("/subscriptions/{id}/attempts", get(deliveries::attempts))
        .route("/subscriptions/{id}/receipts", get(receipts::list))
        .route("/subscriptions/{id}/evidence", get(evidence::export))
        .route("/subscriptions/{id}/dead-letters", get(dead_letters::list))
        .route("/subscriptions/{id}/dead-letters/counts", get(dead_letters::counts))
        .route("/subscriptions/{id}/dead-letters/redrive", once(post(redrives::start)))
        .route("/subscriptions/{id}/dead-letters/redrives", get(redrives::list))
        .route("/subscriptions/{id}/dead-letters/{number}", delete(dead_letters::dismiss))
        .route("/redrives/{id}", get(redrives::read).delete(redrives::cancel))
        .route("/dead-letters/counts", get(dead_letters::all_counts))
        .route("/subscriptions/{id}/replays", once(post(replays::start)).get(replays::list))
        .route("/replays/{id}", get(replays::read).delete(replays::cancel))
        .route("/quarantine", get(quarantine::list))
        .route("/quarantine/counts", get(quarantine::counts))
        .route("/quarantine/{id}", get(quarantine::read).delete(quarantine::remove))
        .route("/quarantine/{id}/release", post(quarantine::release))
        .route("/queues", get(queues::list))
        .route("/queues/drain", post(queues::drain))
        .route("/actions", get(actions::list))
        .route("/log", get(log::show))
        .merge(proofs().merge(operating()).merge(changes_of_subscriptions(once)))
        // Innermost first: what a client starts ends, whatever becomes of the client.
        .layer(from_fn_with_state(Arc::clone(&services), request::to_the_end))
        // A poll does so itself with what it is told, and then waits only for as long as its client.
        .route("/subscriptions/{id}/poll", post(poll::poll))
        // Outermost last: a panic or a timeout inside is counted and named like any answer.
        .layer(CatchPanicLayer::custom(after_panic))
        .layer(from_fn_with_state(Arc::clone(&services), request::around))
        .with_state(services)
}

/// What a subscriber changes beside its document.
fn changes_of_subscriptions(
    once: impl Fn(MethodRouter<Arc<Services>>) -> MethodRouter<Arc<Services>>,
) -> Router<Arc<Services>> {
    Router::new()
        .route("/subscriptions/{id}/secret", once(post(secret::rotate)))
        .route("/subscriptions/{id}/retries/drop", post(retries::drop_waiting))
}

/// What an operator asks and does day by day.
fn operating() -> Router<Arc<Services>> {
    Router::new()
        .route("/subscriptions/{id}/why", get(why::why))
        .route("/quarantine/release", post(quarantine_release::release))
        .route("/metrics", get(health::metrics))
        .route("/settings", get(settings::settings))
}

/// What proves something of the log, and what others' tools read of it.
fn proofs() -> Router<Arc<Services>> {
    Router::new()
        .route("/evidence/exports", get(exports::list))
        .route("/.well-known/historical-jwks.json", get(historical_keys::historical_jwks))
        .route("/log/checkpoint", get(log_files::checkpoint))
        .route("/log/tile/{*path}", get(log_files::tile))
        .route("/log/incarnations", get(log_incarnations::list))
        .route("/log/{incarnation}/checkpoint", get(log_incarnations::checkpoint))
        .route("/log/{incarnation}/tile/{*path}", get(log_incarnations::tile))
        .route("/log/proof/inclusion", get(log_proofs::inclusion))
        .route("/log/proof/consistency", get(log_proofs::consistency))
}

/// Answers a request whose handler panicked; the payload may hold anything, so it is not shown.
fn after_panic(_payload: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("A handler panicked; its request was answered with `internal`");
    Problem::new(Code::Internal, "the gateway failed on this request").into_response()
}
