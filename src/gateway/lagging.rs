//! Warns of subscriptions that have been behind for so long that their events are about to expire, or
//! keep the log from being dropped.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use crate::api::Services;
use crate::deliver::{BacklogLimit, Lag};
use crate::event::{SubscriptionId, Timestamp};
use crate::eventlog::{LogError, RetentionConfig};
use crate::gateway::watching::publish;
use crate::telemetry::error_chain;

/// How often it is looked who is behind.
const TICK: Duration = Duration::from_mins(1);

/// The subscriptions that were warned of and are still behind, and when each was created.
type Told = BTreeMap<SubscriptionId, Timestamp>;

/// Looks who is behind now and then, for ever.
pub(super) async fn warn(services: &Services) {
    let mut told = Told::new();
    loop {
        services.clock.sleep(TICK).await;
        if let Err(error) = look(services, &mut told).await {
            tracing::error!(error = %error_chain(&error), "Cannot find out which subscriptions are behind");
        }
    }
}

async fn look(services: &Services, told: &mut Told) -> Result<(), LogError> {
    let now = services.clock.now();
    let mut late = services.subscription_service.lags().await?;
    late.retain(|one| now.since(one.since) > patience(one.limit, services.retention));
    let still = |id: &SubscriptionId, created: Timestamp| {
        late.iter().any(|one| one.subscription.id == *id && one.subscription.created == created)
    };
    told.retain(|id, created| still(id, *created));
    for one in late {
        let id = &one.subscription.id;
        if told.insert(id.clone(), one.subscription.created).is_none() {
            tell(services, &one).await;
        }
    }
    Ok(())
}

/// How long a subscription may be behind before it is warned of: half of what its events may wait, or
/// until it keeps the log from being dropped, if that is sooner.
fn patience(limit: BacklogLimit, retention: RetentionConfig) -> Duration {
    let half = limit.age.map(|age| age / 2);
    let dropped = retention.age.map(|age| age.0);
    half.into_iter().chain(dropped).min().unwrap_or(BacklogLimit::AGE / 2)
}

async fn tell(services: &Services, late: &Lag) {
    let (id, since) = (&late.subscription.id, late.since);
    let then = match late.expires() {
        Some(expires) => format!("what waits becomes a dead letter from {expires} on"),
        None => "what waits keeps the log from being dropped".to_owned(),
    };
    let reason = format!("nothing that came since {since} is settled; {then}");
    let shown = late.subscription.shown();
    tracing::warn!(subscription.id = %id, "Subscription {shown} is behind: {reason}");
    let about = json!({ "since": since, "reason": reason });
    publish(services, "Subscription Behind", (&late.subscription, since), about).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient::HumanDuration;

    #[test]
    fn a_warning_comes_before_anything_expires_and_no_later_than_the_log_is_held() {
        let days = |days: u64| Duration::from_hours(days * 24);
        let told = |waits: Option<u64>, kept: Option<u64>| {
            let limit = BacklogLimit { age: waits.map(days), events: None };
            let age = kept.map(|kept| HumanDuration(days(kept)));
            patience(limit, RetentionConfig { age, ..RetentionConfig::default() })
        };

        assert_eq!(told(Some(14), Some(30)), days(7));
        assert_eq!(told(Some(90), Some(30)), days(30));
        assert_eq!(told(Some(90), None), days(45));
        assert_eq!(told(None, Some(30)), days(30));
        assert_eq!(told(None, None), days(7));
    }
}
