//! The log as others' tools read it: a signed note and tiles, as C2SP tlog-tiles has them.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use crate::api::cached::{ASK_AGAIN, FOR_EVER, FOR_ONE};
use crate::api::log_proofs::enter;
use crate::api::publication_sight::MaybeCaller;
use crate::api::{Code, Problem, Services};
use crate::eventlog::{LogError, ProofAccess};
use crate::transparency::{LeafData, LogNote, SignedNote, Tile, TreeRoot};

/// What stands before the name of a tile.
const TILES: &str = "/log/tile/";

/// `GET /log/checkpoint`: the tree over the log, as a note that the log has signed.
///
/// Where witnesses are set, it is the newest tree that one of them has cosigned, with all cosignatures; while
/// there is none of the last ten intervals, it is the newest tree.
#[utoipa::path(
    get, path = "/log/checkpoint", tag = "public",
    operation_id = "log_checkpoint",
    responses((status = 200, description = "A signed note (C2SP tlog-checkpoint)",
        content_type = "text/plain", body = String))
)]
pub async fn checkpoint(
    State(services): State<Arc<Services>>,
    caller: MaybeCaller,
) -> Result<Response, Problem> {
    let _turn = enter(&services, &caller).await?;
    note_of_now(&services).await
}

/// The newest tree that witnesses have cosigned, or that of now.
pub(super) async fn note_of_now(services: &Services) -> Result<Response, Problem> {
    let witnesses = &services.log_proofs.witnesses;
    let note = match witnesses.newest() {
        Some(cosigned) => cosigned,
        None => witnesses.note_of_now().await.map_err(|error| Problem::internal(&error))?.0,
    };
    Ok(served(services, &note))
}

/// What survived of the tree of an incarnation that has ended; no witness is asked for it any more.
pub(super) fn note_of_ended(
    services: &Services,
    incarnation: u64,
    tree: TreeRoot,
) -> Result<Response, Problem> {
    let origin = LogNote::origin_of_issuer(&services.log_proofs.began, incarnation);
    let note = services.log_proofs.witnesses.sign(&LogNote { origin, tree });
    Ok(served(services, &note.map_err(|error| Problem::internal(&error))?))
}

fn served(services: &Services, note: &SignedNote) -> Response {
    let media_type = (CONTENT_TYPE, "text/plain; charset=utf-8");
    let policy = (CACHE_CONTROL, kept(services, ASK_AGAIN));
    ([media_type, policy], note.to_string()).into_response()
}

/// `GET /log/tile/{path}`: hashes of the tree, or the data of its leaves, 256 at a time.
///
/// `0/x001/234` are the leaves' hashes 256 * 1234 to 256 * 1235 - 1; `1/000` the roots of 256 of these
/// each; `entries/000.p/7` the data of the first seven leaves.
#[utoipa::path(
    get, path = "/log/tile/{path}", tag = "public",
    operation_id = "log_tile",
    params(("path" = String, Path, description = "Which tile, as C2SP tlog-tiles names them")),
    responses(
        (status = 200, description = "Hashes of 32 bytes; or entries of 48 bytes, each behind its length in two bytes",
            content_type = "application/octet-stream"),
        (status = 404, description = "The tree has no such tile, or not yet"),
        (status = 410, description = "Retention has dropped these entries"),
    )
)]
pub async fn tile(
    State(services): State<Arc<Services>>,
    caller: MaybeCaller,
    uri: Uri,
) -> Result<Response, Problem> {
    let _turn = enter(&services, &caller).await?;
    // As it is written: what a path decodes to has other names, too, and caches would keep each.
    let path = uri.path().strip_prefix(TILES).unwrap_or_default();
    let head = services.store.tree.tree_head().await?;
    piece(&services, path, head.tree).await
}

/// A tile of a tree, by its name.
pub(super) async fn piece(
    services: &Services,
    path: &str,
    within: TreeRoot,
) -> Result<Response, Problem> {
    let tile: Tile = path.parse().map_err(|_| Problem::not_found("tile"))?;
    let tree = &services.store.tree;
    if !tile.is_in(within.size) {
        return Err(Problem::not_found("tile"));
    }
    let span = tile.span();
    let bytes: Vec<u8> = if tile.level.is_some() {
        let hashes = tree.tree_hashes(vec![span]).await?.ok_or(LogError::TreeHole)?;
        hashes.iter().flatten().flat_map(|hash| hash.to_bytes()).collect()
    } else {
        let leaves = tree.tree_leaves(span.start..span.start + span.count).await?;
        let leaves = leaves.ok_or_else(|| {
            Problem::new(Code::Gone, "retention has dropped these entries; their hashes are kept")
        })?;
        leaves.iter().flat_map(entry).collect()
    };
    let media_type = (CONTENT_TYPE, "application/octet-stream");
    let policy = (CACHE_CONTROL, kept(services, FOR_EVER));
    Ok(([media_type, policy], bytes).into_response())
}

/// An entry of a bundle: its length in two bytes, most significant first, and its data.
fn entry(leaf: &LeafData) -> Vec<u8> {
    let length = u16::try_from(LeafData::LENGTH).unwrap_or(u16::MAX);
    [length.to_be_bytes().as_slice(), leaf.as_bytes()].concat()
}

/// For how long caches may keep what was answered, if they may at all.
const fn kept(services: &Services, policy: &'static str) -> &'static str {
    match services.log_proofs.access {
        ProofAccess::Public => policy,
        ProofAccess::Granted => FOR_ONE,
    }
}
