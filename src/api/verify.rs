//! The handshake over HTTP: have a sink asked, or tell the nonce in its place.

use axum::response::Response;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::api::Problem;
use crate::api::acting::PlannedAction;
use crate::api::find_subscription::{problem, verify_problem};
use crate::api::found::SubscriptionToChange;
use crate::api::json_object::JsonObject;
use crate::api::subscription_shown::{Known, answer};
use crate::eventlog::ActionKind;

/// The answer to a challenge, from the consumer itself.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChallengeResponse {
    /// The nonce of the opened challenge; without it, the sink is asked.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub challenge: Option<String>,
}

/// `null` is what a script finds in the wrong place, and no wish to have the sink asked.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}

/// `POST /subscriptions/{id}/verify`: without a body, asks the sink to prove itself now; with one, takes
/// the nonce from the consumer, whose sink cannot answer.
///
/// The first waits for the attempt, and has a reader's place meanwhile. A sink that has taken the
/// challenge and cannot answer leaves the subscription `pending`, which is no failure.
#[utoipa::path(
    post, path = "/subscriptions/{id}/verify", tag = "subscriptions",
    operation_id = "subscriptions_verify",
    params(("id" = String, Path, description = "The subscription")),
    request_body(content = Option<ChallengeResponse>, description = "An answer, or nothing"),
    responses((status = 200, description = "Done", body = Known))
)]
pub async fn verify(
    SubscriptionToChange { services, actor, subscription }: SubscriptionToChange,
    response: Option<JsonObject<ChallengeResponse>>,
) -> Result<Response, Problem> {
    let nonce = response.and_then(|JsonObject(response)| response.challenge);
    let _place = match nonce {
        None => Some(services.readers.enter(&actor.caller, &subscription.id)?),
        Some(_) => None,
    };
    let planned = PlannedAction::of_subscription(ActionKind::VerifySubscription, &subscription);
    let change = async {
        match nonce {
            None => {
                let asked = services.handshakes.verify(&subscription).await;
                asked.map_err(|error| verify_problem(&error))
            }
            Some(nonce) => {
                let told = services.subscription_service.answer_challenge(&subscription, &nonce);
                told.await.map_err(problem)
            }
        }
    };
    let proved = actor.act(&services, planned, Box::pin(change)).await?;
    Ok(answer((&services, &actor.caller), &proved, None))
}
