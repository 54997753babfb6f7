//! Stands in for event buses in a build that speaks to no AWS service.

use std::sync::Arc;

use async_trait::async_trait;

use crate::aws::WITHOUT_AWS;
use crate::deliver::sink::{
    AttemptFailure, ChallengeAnswer, ChallengeError, Destination, Parcel, SinkAnswer, SinkTarget,
};
use crate::subscriptions::Challenge;

/// Refuses every attempt: what was subscribed with another build waits for one.
pub struct NoEventBuses;

#[async_trait]
impl Destination for NoEventBuses {
    async fn tell(&self, _: &Arc<SinkTarget>, _: Parcel) -> bool {
        false
    }

    async fn deliver(&self, _: &Arc<SinkTarget>, _: Parcel) -> SinkAnswer {
        SinkAnswer::failed(AttemptFailure::Refused, WITHOUT_AWS)
    }

    async fn prove(
        &self,
        _: &Arc<SinkTarget>,
        _: Parcel,
        _: &Challenge,
    ) -> Result<ChallengeAnswer, ChallengeError> {
        Err(ChallengeError::NoAnswer(WITHOUT_AWS.into()))
    }
}
