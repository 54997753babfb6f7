//! Reads every subscription and every grant of a running gateway, for commands that hold files against them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::api::ListAnswer;
use crate::cli::answer::{all, text};
use crate::cli::{Client, Failure};
use crate::event::{QualifiedName, SubscriptionId};
use crate::subscriptions::{SubscriptionDocument, SubscriptionState};

/// How many of a list are asked for at once.
const PAGE: &[(&str, u16)] = &[("limit", 1000)];

/// A subscription of the gateway.
pub(super) struct KnownSubscription {
    pub(super) id: SubscriptionId,
    /// Its document as a file may have it: with its name, and without its id.
    pub(super) document: SubscriptionDocument,
    pub(super) state: SubscriptionState,
    /// Since when its credential holds, and more that is shown of that.
    pub(super) credential: Value,
}

/// Subscriptions by what their consumers call them.
pub(super) type KnownSubscriptions = BTreeMap<QualifiedName, KnownSubscription>;

/// A subscription as the gateway shows it: its document, and more that is not applied.
#[derive(Deserialize)]
struct Shown {
    #[serde(flatten)]
    document: SubscriptionDocument,
    state: SubscriptionState,
    #[serde(default)]
    credential: Value,
}

/// The subscriptions that the caller may see.
///
/// # Errors
///
/// As [`Client::read`].
pub(super) async fn subscriptions(client: &Client) -> Result<KnownSubscriptions, Failure> {
    known(all(client, "/subscriptions", PAGE, ListAnswer::SUBSCRIPTIONS).await?)
}

/// The grants that the caller may see, by their ids.
///
/// # Errors
///
/// As [`Client::read`].
pub(super) async fn grants(client: &Client) -> Result<BTreeMap<String, Value>, Failure> {
    let grants = all(client, "/grants", PAGE, ListAnswer::GRANTS).await?;
    Ok(grants.into_iter().map(|grant| (text(&grant, "/id"), grant)).collect())
}

/// A document without its id, which a file need not know.
pub(super) fn by_name(document: &SubscriptionDocument) -> SubscriptionDocument {
    SubscriptionDocument { id: None, name: document.given_name(), ..document.without_secrets() }
}

/// Subscriptions as the gateway shows them, by the names that their consumers give them.
pub(super) fn known(shown: Vec<Value>) -> Result<KnownSubscriptions, Failure> {
    let mut known = BTreeMap::new();
    for one in shown {
        let Shown { document, state, credential } =
            serde_json::from_value(one).map_err(|error| {
                Failure::ours(error).context("the gateway shows a subscription that cannot be read")
            })?;
        if let Some((id, name)) = document.id.clone().zip(document.given_name()) {
            let name = QualifiedName { consumer: document.consumer.clone(), name };
            let document = by_name(&document);
            known.insert(name, KnownSubscription { id, document, state, credential });
        }
    }
    Ok(known)
}
