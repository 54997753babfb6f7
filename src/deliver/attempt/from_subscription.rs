//! What of a subscription goes into its tokens and checkpoints.

use crate::access::EndedAccess;
use crate::seal::{AccessEnd, Options};
use crate::subscriptions::Subscription;

/// What a checkpoint tells of publications that a consumer cannot hear any more.
pub(super) fn ends(subscription: &Subscription) -> Vec<AccessEnd> {
    let end = |one: &EndedAccess| AccessEnd {
        publication: one.publication.clone(),
        reason: one.why.word().to_owned(),
        at: one.at.unix_seconds(),
        detail: one.reason.clone(),
    };
    subscription.ended.iter().map(end).collect()
}

/// How its tokens are encrypted.
pub(super) fn options(subscription: &Subscription) -> Options {
    let settings = &subscription.document.config;
    let content_encryption = settings.encryption.as_deref().and_then(|name| name.parse().ok());
    Options {
        content_encryption: content_encryption.unwrap_or_default(),
        compress: settings.compress,
    }
}
