//! The incarnations of the log: their signed records, and what is left of the tree of each, as others'
//! tools read it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::log_files::{note_of_ended, note_of_now, piece};
use crate::api::log_proofs::enter;
use crate::api::log_trees::{survived, tree_of};
use crate::api::publication_sight::MaybeCaller;
use crate::api::{Code, Problem, Services};

/// The incarnations of the log.
#[derive(Serialize, ToSchema)]
pub struct ShownIncarnations {
    /// The number of the present one.
    incarnation: u64,
    /// A signed record of each but the first, oldest first: JWS of the type `incarnation+jwt`, as
    /// docs/transparency.md describes them.
    records: Vec<String>,
}

/// `GET /log/incarnations`: signed records of the restores that the log has gone through.
#[utoipa::path(
    get, path = "/log/incarnations", tag = "public",
    operation_id = "log_incarnations",
    responses((status = 200, description = "Done", body = ShownIncarnations))
)]
pub async fn list(
    State(services): State<Arc<Services>>,
    caller: MaybeCaller,
) -> Result<Json<ShownIncarnations>, Problem> {
    let _turn = enter(&services, &caller).await?;
    let sealer = services.subscription_service.sealer();
    let records = sealer.incarnation_records().map_err(|error| Problem::internal(&error))?;
    Ok(Json(ShownIncarnations { incarnation: sealer.incarnations().current(), records }))
}

/// `GET /log/{incarnation}/checkpoint`: the tree of an incarnation, as far as it survived, as a note that
/// the log has signed.
#[utoipa::path(
    get, path = "/log/{incarnation}/checkpoint", tag = "public",
    operation_id = "log_incarnation_checkpoint",
    params(("incarnation" = u64, Path, description = "The number of the incarnation")),
    responses(
        (status = 200, description = "A signed note (C2SP tlog-checkpoint)",
            content_type = "text/plain", body = String),
        (status = 404, description = "The log has no such incarnation"),
    )
)]
pub async fn checkpoint(
    State(services): State<Arc<Services>>,
    caller: MaybeCaller,
    Path(number): Path<String>,
) -> Result<Response, Problem> {
    let _turn = enter(&services, &caller).await?;
    let number = named(&number)?;
    if number == services.subscription_service.sealer().incarnations().current() {
        return note_of_now(&services).await;
    }
    let head = services.store.tree.tree_head().await?;
    note_of_ended(&services, number, tree_of(&services, number, head)?)
}

/// `GET /log/{incarnation}/tile/{path}`: a tile of the tree of an incarnation, as far as it survived.
#[utoipa::path(
    get, path = "/log/{incarnation}/tile/{path}", tag = "public",
    operation_id = "log_incarnation_tile",
    params(
        ("incarnation" = u64, Path, description = "The number of the incarnation"),
        ("path" = String, Path, description = "Which tile, as C2SP tlog-tiles names them"),
    ),
    responses(
        (status = 200, description = "As of `GET /log/tile/{path}`",
            content_type = "application/octet-stream"),
        (status = 404, description = "What survived of the tree has no such tile, or it has not yet"),
        (status = 410, description = "Retention has dropped these entries"),
    )
)]
pub async fn tile(
    State(services): State<Arc<Services>>,
    caller: MaybeCaller,
    Path((number, _)): Path<(String, String)>,
    uri: Uri,
) -> Result<Response, Problem> {
    let _turn = enter(&services, &caller).await?;
    let number = named(&number)?;
    let head = services.store.tree.tree_head().await?;
    let tree = tree_of(&services, number, head)?;
    let path = uri.path().strip_prefix(&format!("/log/{number}/tile/")).unwrap_or_default();
    piece(&services, path, tree).await.map_err(|problem| {
        let is_present = number == services.subscription_service.sealer().incarnations().current();
        if is_present || problem.code() != Code::NotFound {
            return problem;
        }
        Problem::new(Code::NotFound, survived(number, tree))
    })
}

/// The number of an incarnation, in its one form: caches keep no other names of one thing.
fn named(text: &str) -> Result<u64, Problem> {
    let number = text.parse().ok().filter(|number: &u64| *number > 0 && number.to_string() == text);
    number.ok_or_else(|| Problem::not_found("incarnation of the log"))
}
