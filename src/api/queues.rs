//! The queues that the gateway reads: how they stand, and their dead letters let in.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::acting::{Actor, PlannedAction};
use crate::api::json_object::JsonObject;
use crate::api::{Caller, Code, Problem, Services};
use crate::event::{QueueArn, Timestamp};
use crate::eventlog::ActionKind;
use crate::source::queue::{DrainError, Drained, FailedDelivery, QueueFailure, QueueStatus};

/// The queues that the gateway reads.
#[derive(Serialize, ToSchema)]
pub struct AllQueues {
    /// In the order of the settings.
    queues: Vec<ShownQueue>,
}

/// How a queue stands.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Queue)]
struct ShownQueue {
    /// Its ARN.
    #[schema(value_type = String)]
    arn: QueueArn,
    /// How many batches are asked for at once.
    pollers: u8,
    /// When it was last asked and answered; missing before the first answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    polled: Option<Timestamp>,
    /// When the newest message was received; missing before the first one since the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    received: Option<Timestamp>,
    /// How many messages wait in it, about, as SQS said within the last minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting: Option<u64>,
    /// Why it cannot be read at the moment; missing if it can.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<ShownFailure>,
}

/// Why a queue cannot be read.
#[derive(Serialize, ToSchema)]
#[schema(as = QueueFailure)]
struct ShownFailure {
    /// Since when every attempt has failed.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// What AWS said, or why it cannot be reached.
    reason: String,
}

/// Which dead-letter queue is drained.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DrainRequest {
    /// The ARN of a dead-letter queue that the settings name, or of the queue whose only one it
    /// is; may be missing if the settings name only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub queue: Option<QueueArn>,
    /// Count only.
    #[serde(default)]
    pub dry_run: bool,
}

/// What became of the messages of a dead-letter queue.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Drained)]
pub struct ShownDrained {
    /// The dead-letter queue.
    #[schema(value_type = String)]
    queue: QueueArn,
    /// Messages received: at most 1,000, or about those of ten seconds.
    received: u64,
    /// Those that became new events in the log.
    admitted: u64,
    /// Those that the log had already.
    repeated: u64,
    /// Those that are in quarantine.
    quarantined: u64,
    /// Those that no publication wants, or that were the gateway's own.
    unwanted: u64,
    /// Those that stay in the queue: they could not be taken now, or were only counted.
    left: u64,
    /// Whether the queue had nothing more to give at the end; otherwise ask again.
    is_empty: bool,
    /// Why the messages were there, the most frequent reason first.
    failures: Vec<ShownFailedDelivery>,
}

/// Why messages came to a dead-letter queue, as their attributes say. Those that came by the redrive of a
/// queue have none.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = FailedDelivery)]
struct ShownFailedDelivery {
    /// How many messages.
    count: u64,
    /// `ERROR_CODE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// `ERROR_MESSAGE` of the first of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// `RULE_ARN`: the rule that could not deliver.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    /// `TARGET_ARN`: where it could not deliver.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    /// `EXHAUSTED_RETRY_CONDITION`: which bound was reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<String>,
}

/// `GET /queues`: how the queues stand that the gateway reads, for operators and
/// auditors.
#[utoipa::path(
    get, path = "/queues", tag = "operate",
    operation_id = "queues_list",
    responses((status = 200, description = "Done", body = AllQueues))
)]
pub async fn list(
    State(services): State<Arc<Services>>,
    caller: Caller,
) -> Result<Json<AllQueues>, Problem> {
    caller.must_see_metadata()?;
    let queues = services.queues.status().into_iter().map(ShownQueue::from).collect();
    Ok(Json(AllQueues { queues }))
}

/// `POST /queues/drain`: lets the messages of a dead-letter queue in by the rules of its queue, each
/// deleted once what it became is durable; for operators.
#[utoipa::path(
    post, path = "/queues/drain", tag = "operate",
    operation_id = "queues_drain",
    request_body = DrainRequest,
    responses(
        (status = 200, description = "Done, as far as one request goes", body = ShownDrained),
        (status = 503, description = "A problem; AWS refuses, or cannot be reached")
    )
)]
pub async fn drain(
    State(services): State<Arc<Services>>,
    actor: Actor,
    JsonObject(request): JsonObject<DrainRequest>,
) -> Result<Json<ShownDrained>, Problem> {
    actor.caller.must_operate()?;
    let drain = Box::pin(async {
        let drained = services.queues.drain(request.queue.as_ref(), request.dry_run).await;
        drained.map_err(|error| undrained(&error))
    });
    let drained = if request.dry_run {
        drain.await?
    } else {
        let of = request.queue.as_ref().map_or("queues".to_owned(), |arn| format!("queues/{arn}"));
        let planned = PlannedAction::new(ActionKind::DrainQueue, of);
        actor.act(&services, planned, drain).await?
    };
    Ok(Json(drained.into()))
}

fn undrained(error: &DrainError) -> Problem {
    let code = match error {
        DrainError::Unknown => Code::NotFound,
        DrainError::Several(_) => Code::Invalid,
        DrainError::Aws(_) => Code::QueueUnavailable,
    };
    Problem::new(code, error.to_string())
}

impl From<QueueStatus> for ShownQueue {
    fn from(status: QueueStatus) -> Self {
        let QueueStatus { arn, pollers, polled, received, waiting, failure } = status;
        let failure = failure.map(|QueueFailure { since, reason }| ShownFailure { since, reason });
        Self { arn, pollers, polled, received, waiting, failure }
    }
}

impl From<Drained> for ShownDrained {
    fn from(drained: Drained) -> Self {
        let Drained { queue, received, admitted, repeated, quarantined, unwanted, .. } = drained;
        let (left, is_empty) = (drained.left, drained.is_empty);
        let failures = drained.failures.into_iter().map(ShownFailedDelivery::from).collect();
        Self {
            queue,
            received,
            admitted,
            repeated,
            quarantined,
            unwanted,
            left,
            is_empty,
            failures,
        }
    }
}

impl From<FailedDelivery> for ShownFailedDelivery {
    fn from(failed: FailedDelivery) -> Self {
        let FailedDelivery { count, code, message, rule, target, condition } = failed;
        Self { count, code, message, rule, target, condition }
    }
}
