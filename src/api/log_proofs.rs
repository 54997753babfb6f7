//! Proofs over the log: that an event is in its tree, and that the tree of today begins with an older
//! one.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tokio::sync::SemaphorePermit;
use utoipa::ToSchema;

use crate::api::lists::{ConsistencyQuery, InclusionQuery};
use crate::api::log_trees::{survived, tree_of};
use crate::api::publication_sight::MaybeCaller;
use crate::api::query::{Query, parse};
use crate::api::{Code, Problem, Services};
use crate::event::{EventDigest, EventId};
use crate::eventlog::{Position, ProofAccess};
use crate::transparency::{ProofPlan, TreeHash, TreeHead, TreeRoot};

/// The tree over the log when it had so many leaves.
#[derive(Serialize, ToSchema)]
pub struct Tree {
    /// How many leaves it has.
    size: u64,
    /// Its root: 32 bytes, in unpadded base64url, as all hashes here.
    #[schema(value_type = String)]
    root: TreeHash,
}

/// A proof that an event is in the tree (RFC 6962, section 2.1.1).
#[derive(Serialize, ToSchema)]
pub struct Inclusion {
    /// The position of the tree's first leaf.
    first: u64,
    /// The position of the event.
    position: u64,
    /// The index of its leaf: its position, less the first one.
    index: u64,
    /// The event, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    event: Option<String>,
    /// Its digest, in hexadecimal digits, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    digest: Option<String>,
    /// The hash of its leaf.
    #[schema(value_type = String)]
    leaf: TreeHash,
    /// The tree that it is in.
    tree: Tree,
    /// The hashes beside its path, from the leaf to the root.
    #[schema(value_type = Vec<String>)]
    proof: Vec<TreeHash>,
}

/// A proof that a tree begins with an older one (RFC 6962, section 2.1.2).
#[derive(Serialize, ToSchema)]
pub struct Consistency {
    /// The position of the first leaf of both.
    first: u64,
    /// The older tree.
    from: Tree,
    /// The newer tree.
    to: Tree,
    /// What leads from one to the other.
    #[schema(value_type = Vec<String>)]
    proof: Vec<TreeHash>,
}

impl From<TreeRoot> for Tree {
    fn from(TreeRoot { size, root }: TreeRoot) -> Self {
        Self { size, root }
    }
}

/// Refuses who may not have proofs; gives others their turn to read.
pub(super) async fn enter<'a>(
    services: &'a Services,
    caller: &MaybeCaller,
) -> Result<SemaphorePermit<'a>, Problem> {
    if services.log_proofs.access == ProofAccess::Granted && caller.0.is_none() {
        return Err(Problem::new(Code::Unauthorized, "proofs are for callers with a key here"));
    }
    services.log_proofs.reading.acquire().await.map_err(|error| Problem::internal(&error))
}

/// `GET /log/proof/inclusion?event=`: a proof that an event is in the tree over the log.
#[utoipa::path(
    get, path = "/log/proof/inclusion", tag = "public",
    operation_id = "log_prove_inclusion",
    params(InclusionQuery),
    responses((status = 200, description = "A proof", body = Inclusion))
)]
pub async fn inclusion(
    State(services): State<Arc<Services>>,
    caller: MaybeCaller,
    Query(query): Query<InclusionQuery>,
) -> Result<Json<Inclusion>, Problem> {
    let _turn = enter(&services, &caller).await?;
    let head = head_of(&services, query.incarnation).await?;
    let (index, entry) = match (&query.event, query.index) {
        (Some(event), None) => {
            let (position, id, digest) = entry(&services, parse("event", event)?).await?;
            let index = position.0.checked_sub(head.first).ok_or_else(|| before(head))?;
            (index, Some((id, digest)))
        }
        (None, Some(index)) => (index, None),
        _ => return Err(Problem::new(Code::Invalid, "give an event, or the index of its leaf")),
    };
    let size = size(query.size, (head, query.incarnation))?;
    let plan = ProofPlan::inclusion(index, size).ok_or_else(|| {
        Problem::new(Code::Invalid, format!("a tree of {size} leaves has none at index {index}"))
    })?;
    let tree = &services.store.tree;
    let leaf = ProofPlan::leaf(index);
    let leaf = tree.make_proof(&leaf).await?.first().copied();
    Ok(Json(Inclusion {
        first: head.first,
        position: head.first.saturating_add(index),
        index,
        event: entry.map(|(id, _)| id.to_string()),
        digest: entry.map(|(_, digest)| digest.to_string()),
        leaf: leaf.ok_or(crate::eventlog::LogError::TreeHole)?,
        tree: tree.tree_root(size).await?.into(),
        proof: tree.make_proof(&plan).await?,
    }))
}

/// `GET /log/proof/consistency?from=`: a proof that the tree over the log begins with an older one.
#[utoipa::path(
    get, path = "/log/proof/consistency", tag = "public",
    operation_id = "log_prove_consistency",
    params(ConsistencyQuery),
    responses((status = 200, description = "A proof", body = Consistency))
)]
pub async fn consistency(
    State(services): State<Arc<Services>>,
    caller: MaybeCaller,
    Query(query): Query<ConsistencyQuery>,
) -> Result<Json<Consistency>, Problem> {
    let _turn = enter(&services, &caller).await?;
    let head = head_of(&services, query.incarnation).await?;
    let to = size(query.to, (head, query.incarnation))?;
    // A restore may have taken back what the older tree had.
    if let Some(number) = query.incarnation.filter(|_| query.from > head.tree.size) {
        return Err(Problem::new(Code::NotFound, survived(number, head.tree)));
    }
    let plan = ProofPlan::consistency(query.from, to).ok_or_else(|| {
        Problem::new(Code::Invalid, format!("from: use a size up to {to}, that of the newer tree"))
    })?;
    let tree = &services.store.tree;
    Ok(Json(Consistency {
        first: head.first,
        from: tree.tree_root(query.from).await?.into(),
        to: tree.tree_root(to).await?.into(),
        proof: tree.make_proof(&plan).await?,
    }))
}

/// The tree of the present incarnation, or what survived of that of another.
async fn head_of(services: &Services, incarnation: Option<u64>) -> Result<TreeHead, Problem> {
    let head = services.store.tree.tree_head().await?;
    match incarnation {
        Some(number) => Ok(TreeHead { tree: tree_of(services, number, head)?, ..head }),
        None => Ok(head),
    }
}

/// The size that is wanted, of those that the tree has had.
fn size(wanted: Option<u64>, (head, incarnation): (TreeHead, Option<u64>)) -> Result<u64, Problem> {
    let most = head.tree.size;
    match (wanted.unwrap_or(most), incarnation) {
        (size, _) if size <= most => Ok(size),
        (_, Some(number)) => Err(Problem::new(Code::NotFound, survived(number, head.tree))),
        (size, None) => {
            let problem = format!("the tree has {most} leaves, not yet {size}");
            Err(Problem::new(Code::Invalid, problem))
        }
    }
}

fn before(head: TreeHead) -> Problem {
    let first = head.first;
    let problem = format!("the event was taken before the tree began, at position {first}");
    Problem::new(Code::NotFound, problem)
}

async fn entry(
    services: &Services,
    id: EventId,
) -> Result<(Position, EventId, EventDigest), Problem> {
    let found = services.store.log.find(&[id]).await?.pop().flatten();
    let entry =
        found.ok_or_else(|| Problem::not_found("event here; ask by the index of its leaf"))?;
    Ok((entry.position, id, entry.event.digest))
}
