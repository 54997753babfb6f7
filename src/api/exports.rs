//! How far the bundles have come that are written by schedule.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::{Caller, Code, Problem, Services};
use crate::archive::{ArchiveError, ExportSeries, ExportStanding};
use crate::event::{Blame as _, Fault, SubscriptionId, Timestamp};
use crate::telemetry::error_chain;

/// The bundles that are written by schedule.
#[derive(Serialize, ToSchema)]
#[schema(as = EvidenceExports)]
pub struct ExportList {
    /// Where they are put; null: no bundles are written by schedule.
    to: Option<String>,
    /// In the order of their subscriptions.
    exports: Vec<ShownExport>,
}

/// The bundles of a subscription.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EvidenceExport)]
struct ShownExport {
    /// The subscription.
    #[schema(value_type = String)]
    subscription: SubscriptionId,
    /// The last bundle that is in its place, by its name below `to`; null before the first.
    bundle: Option<String>,
    /// When it was begun.
    #[schema(value_type = Option<String>, format = DateTime)]
    at: Option<Timestamp>,
    /// The sequence number of its last event.
    sequence: Option<u64>,
    /// The id of its last event.
    event: Option<String>,
    /// The SHA-256 of its bytes, in unpadded base64url.
    sha256: Option<String>,
    /// Whether a bundle is gathered and waits to be put in its place.
    waiting: bool,
    /// Why the next one cannot be written; null where it can.
    problem: Option<String>,
    /// Since when.
    #[schema(value_type = Option<String>, format = DateTime)]
    failing_since: Option<Timestamp>,
}

/// `GET /evidence/exports`: how far the bundles of each subscription have come. For operators and auditors.
#[utoipa::path(
    get, path = "/evidence/exports", tag = "operate",
    operation_id = "evidence_exports_list",
    responses((status = 200, description = "Done", body = ExportList))
)]
pub async fn list(
    State(services): State<Arc<Services>>,
    caller: Caller,
) -> Result<Json<ExportList>, Problem> {
    caller.must_see_metadata()?;
    let Some(exports) = &services.exports else {
        return Ok(Json(ExportList { to: None, exports: Vec::new() }));
    };
    let begun = exports.all().await.map_err(|error| unread(&error))?;
    let begun: BTreeMap<_, _> = begun.into_iter().collect();
    let mut shown = Vec::new();
    for subscription in services.subscription_service.list().await? {
        let (id, created) = (&subscription.id, subscription.created);
        let series = begun.get(id).filter(|series| series.is_of(created));
        let standing = exports.standing(id, created);
        if exports.wants(id) && (series.is_some() || standing.is_some()) {
            shown.push(ShownExport::of(id, series, standing));
        }
    }
    shown.sort_by(|one, other| one.subscription.cmp(&other.subscription));
    Ok(Json(ExportList { to: Some(exports.target()), exports: shown }))
}

fn unread(error: &ArchiveError) -> Problem {
    if error.fault() == Fault::Ours {
        tracing::error!(error = %error_chain(error), "How far bundles have come cannot be read");
    }
    Problem::new(Code::Internal, "how far bundles have come cannot be read")
}

impl ShownExport {
    fn of(
        subscription: &SubscriptionId,
        series: Option<&ExportSeries>,
        standing: Option<ExportStanding>,
    ) -> Self {
        let last = series.and_then(|series| series.last.as_ref());
        let (failing_since, problem) = standing.and_then(|standing| standing.problem).unzip();
        Self {
            subscription: subscription.clone(),
            bundle: last.map(|bundle| bundle.name.clone()),
            at: last.map(|bundle| bundle.at),
            sequence: last.map(|bundle| bundle.place().sequence),
            event: last.map(|bundle| bundle.event().to_string()),
            sha256: last.map(|bundle| bundle.sha256().to_string()),
            waiting: series.is_some_and(|series| series.waiting.is_some()),
            problem,
            failing_since,
        }
    }
}
