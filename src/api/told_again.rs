//! Takes back what an answer has told of a subscription: what a `PUT` does not change must be as it is.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::api::subscription_shown::show_whole;
use crate::api::{Caller, Code, Problem, Services};
use crate::subscriptions::Subscription;

/// What stays the same as long as the subscription does, and what changes it instead. Whatever else is
/// told changes by itself: it is passed over.
const STEADY: [(&str, &str); 6] = [
    ("state", "pause it with `POST …/pause`, deliver again with `POST …/resume`"),
    ("created", "nothing changes it"),
    ("reason", "nothing changes it"),
    ("externalId", "nothing changes it"),
    ("subDigest", "it follows from the document"),
    ("asked", "it follows from the document"),
];

/// Refuses a document that says of its subscription what is not so: whoever has written it may think
/// that it becomes so. A shared secret may be the one that was shown, and no other.
pub(super) fn must_be_as_told(
    of: (&Services, &Caller),
    subscription: &Subscription,
    told: &BTreeMap<String, Value>,
) -> Result<(), Problem> {
    if told.is_empty() {
        return Ok(());
    }
    let now = serde_json::to_value(show_whole(of, subscription)).unwrap_or_default();
    for (name, instead) in STEADY {
        let (Some(told), now) = (told.get(name), now.get(name)) else { continue };
        if Some(told) != now && !(told.is_null() && now.is_none()) {
            let detail = format!("/{name}: leave it out, or as it is: {instead}");
            return Err(Problem::new(Code::Invalid, detail));
        }
    }
    let (services, _) = of;
    let secret = told.get("sharedSecret").filter(|secret| !secret.is_null());
    if secret.is_some_and(|told| !services.subscription_service.has_secret(subscription, told)) {
        let detail = "/sharedSecret: leave it out: the gateway makes it, and another with \
                      `POST …/secret`";
        return Err(Problem::new(Code::Invalid, detail));
    }
    Ok(())
}
