//! Every route of the API, one line each: whom it serves, and a right body.
//!
//! A route that is in the OpenAPI description and not here fails the walk, which says what to add.

use serde_json::{Value, json};

use super::scene::Scene;

/// Whom a route serves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Door {
    /// Everybody alike, with a key and without.
    Everybody,
    /// Whoever signs as AWS does; the keys of callers are nothing to it.
    Signers,
    /// The consumer whose it is and operators. To others it does not exist: 404, to the byte as what
    /// is not there.
    Owner,
    /// Whoever answers for the domain that it is of; to others who do not see it, as `Owner`.
    Domain,
    /// As `Domain`; callers who answer for no domain are told which scope they lack.
    DomainOr(&'static str),
    /// As `Owner`; callers who are no consumer at all are told which scope they lack.
    OwnerOr(&'static str),
    /// Callers with a scope of one of these kinds, of what is their own: a list in which nothing of
    /// another is. All others: 403, which names `operate` and each of the kinds.
    OwnList(&'static [&'static str]),
    /// Callers with this scope: 403, which names it, whether the thing exists or not.
    Scope(&'static str),
    /// Callers with a scope of this kind, of which the caller's own ones do not do: 403.
    OwnScope,
}

/// Who calls a route as it is meant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Meant {
    /// Nobody here: what the route needs is not there, or is tried elsewhere.
    Elsewhere,
    /// The administrator and, of what is its own, the owner: the answer is no refusal.
    Works,
}

/// A route.
pub struct Route {
    /// Its method and its path as the description has it.
    pub name: &'static str,
    pub door: Door,
    pub meant: Meant,
    /// A body that is right for what exists and for what does not.
    pub body: Option<fn(&Scene) -> Value>,
}

const fn route(name: &'static str, door: Door) -> Route {
    Route { name, door, meant: Meant::Works, body: None }
}

const fn with(name: &'static str, door: Door, body: fn(&Scene) -> Value) -> Route {
    Route { name, door, meant: Meant::Works, body: Some(body) }
}

impl Route {
    const fn elsewhere(self) -> Self {
        Self { meant: Meant::Elsewhere, ..self }
    }
}

use Door::{Domain, DomainOr, Everybody, OwnList, OwnScope, Owner, OwnerOr, Scope, Signers};

/// In the order in which an owner can do all of it: what ends a thing stands last.
pub const ROUTES: &[Route] = &[
    route("GET /.well-known/jwks.json", Everybody),
    route("GET /.well-known/historical-jwks.json", Everybody),
    route("GET /openapi.json", Everybody),
    route("GET /problems/{code}", Everybody),
    route("GET /contracts", Everybody),
    route("GET /contracts/{path}", Everybody),
    route("GET /schemas/{domain}/{event}/{version}", Everybody),
    route("GET /schemas/{name}/{version}", Everybody).elsewhere(),
    route("GET /evidence/exports", Scope("operate")),
    route("GET /log/checkpoint", Everybody),
    route("GET /log/tile/{path}", Everybody),
    route("GET /log/incarnations", Everybody),
    route("GET /log/{incarnation}/checkpoint", Everybody).elsewhere(),
    route("GET /log/{incarnation}/tile/{path}", Everybody).elsewhere(),
    route("GET /log/proof/inclusion", Everybody).elsewhere(),
    route("GET /log/proof/consistency", Everybody).elsewhere(),
    route("GET /health/live", Everybody),
    route("GET /health/ready", Everybody),
    route("OPTIONS /events", Everybody),
    route("POST /oauth/token", Everybody).elsewhere(),
    with("POST /", Signers, |_| json!({ "Entries": [] })).elsewhere(),
    route("POST /service/{service}/operation/{operation}", Signers).elsewhere(),
    route("GET /subscriptions", OwnList(&["consume"])),
    route("GET /subscriptions/{id}", Owner),
    route("GET /subscriptions/{id}/checkpoint", Owner),
    route("GET /subscriptions/{id}/why", Owner),
    route("GET /subscriptions/{id}/attempts", Owner),
    route("GET /subscriptions/{id}/receipts", Owner),
    route("GET /subscriptions/{id}/evidence", Owner),
    route("GET /subscriptions/{id}/events", Owner),
    route("GET /subscriptions/{id}/stream", Owner),
    with(
        "POST /subscriptions/{id}/poll",
        Owner,
        |_| json!({ "maxEvents": 1, "returnImmediately": true, "ack": [] }),
    ),
    route("GET /subscriptions/{id}/dead-letters", Owner),
    route("GET /subscriptions/{id}/dead-letters/counts", Owner),
    route("GET /subscriptions/{id}/dead-letters/redrives", Owner),
    route("GET /subscriptions/{id}/replays", Owner),
    with(
        "PUT /subscriptions/{id}/sink-credential",
        Owner,
        |_| json!({ "headers": [{ "name": "x-pass", "value": "hunter2" }] }),
    ),
    route("DELETE /subscriptions/{id}/sink-credential", Owner),
    route("POST /subscriptions/{id}/verify", Owner),
    // Its keys are its own: a_shared_secret_rotates has one with a secret.
    route("POST /subscriptions/{id}/secret", Owner).elsewhere(),
    route("POST /subscriptions/{id}/retries/drop", Owner),
    route("POST /subscriptions/{id}/pause", Owner),
    route("POST /subscriptions/{id}/resume", Owner),
    with(
        "POST /subscriptions/{id}/dead-letters/redrive",
        Owner,
        |scene| json!({ "ids": [scene.spare_letter] }),
    ),
    with("POST /subscriptions/{id}/replays", Owner, |scene| json!({ "from": scene.event })),
    route("GET /redrives/{id}", Owner),
    route("GET /replays/{id}", Owner),
    route("GET /actions", OwnList(&["consume", "domain"])),
    route("GET /grants", OwnList(&["consume", "domain"])),
    route("GET /grants/{id}", Owner),
    route("GET /access-requests", OwnList(&["consume", "domain"])),
    route("GET /access-requests/{id}", Owner),
    with(
        "POST /grants",
        OwnScope,
        |_| json!({ "consumer": "owner", "publication": "orders/Order.Completed" }),
    ),
    with(
        "POST /access-requests",
        OwnScope,
        |_| json!({ "consumer": "owner", "publication": "orders/Order.Cancelled" }),
    ),
    with("PUT /grants/{id}", Domain, |_| json!({ "until": "2099-01-01T00:00:00Z" })),
    with("POST /access-requests/{id}/approve", Domain, |_| json!({})),
    with("POST /access-requests/{id}/refuse", Domain, |_| json!({ "reason": "no" })),
    route("DELETE /access-requests/{id}", Owner),
    route("DELETE /grants/{id}", Domain),
    route("GET /external-ids/{consumer}", OwnScope),
    route("GET /events/{id}/trace", OwnerOr("operate")),
    with("POST /subscriptions", OwnScope, |scene| scene.another.clone()),
    with("POST /events", OwnScope, |_| {
        json!({
            "specversion": "1.0", "id": "walk", "source": "order-service", "type": "OrderCreated",
            "data": { "id": 900, "amount": 100, "customer": "confidential-customer" },
        })
    }),
    route("GET /events", Scope("operate")),
    route("GET /events/{id}", DomainOr("operate")),
    route("GET /quarantine", OwnList(&["domain"])),
    route("GET /quarantine/counts", OwnList(&["domain"])),
    route("GET /quarantine/{id}", DomainOr("operate")),
    // What broke its contract still does.
    route("POST /quarantine/{id}/release", DomainOr("operate")).elsewhere(),
    with(
        "POST /quarantine/release",
        OwnList(&["domain"]),
        |_| json!({ "all": true, "dryRun": true }),
    ),
    route("GET /dead-letters/counts", Scope("operate")),
    route("GET /queues", Scope("operate")),
    with("POST /queues/drain", Scope("operate"), |_| json!({ "dryRun": true })).elsewhere(),
    route("GET /log", Scope("operate")),
    route("GET /metrics", Scope("operate")),
    route("GET /settings", Scope("operate")),
    route("DELETE /quarantine/{id}", DomainOr("operate")),
    route("DELETE /redrives/{id}", Owner),
    route("DELETE /replays/{id}", Owner),
    route("DELETE /subscriptions/{id}/dead-letters/{number}", Owner),
    with("PUT /subscriptions/{id}", Owner, |scene| scene.document.clone()),
    route("DELETE /subscriptions/{id}", Owner),
];
