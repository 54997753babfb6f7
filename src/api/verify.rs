//! The handshake over HTTP: have a sink asked, or tell the nonce in its place.

use axum::response::Response;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::api::Problem;
use crate::api::find_subscription::{problem, verify_problem};
use crate::api::found::FoundSubscription;
use crate::api::json_object::JsonObject;
use crate::api::subscription_shown::{Known, answer};

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
    FoundSubscription { services, caller, subscription }: FoundSubscription,
    response: Option<JsonObject<ChallengeResponse>>,
) -> Result<Response, Problem> {
    let nonce = response.and_then(|JsonObject(response)| response.challenge);
    let proved = match nonce {
        None => {
            let _place = services.readers.enter(&caller, &subscription.id)?;
            services.handshakes.verify(&subscription).await.map_err(|e| verify_problem(&e))?
        }
        Some(nonce) => services
            .subscription_service
            .answer_challenge(&subscription, &nonce)
            .await
            .map_err(problem)?,
    };
    Ok(answer((&services, &caller), &proved, None))
}
