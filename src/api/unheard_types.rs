//! Warns of types through which a subscription hears nothing, and names those that may have been meant.

use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use crate::api::Services;
use crate::event::nearest_of_all;
use crate::subscriptions::{Subscription, may_want};

/// How many types are named that may have been meant.
const MOST_MEANT: usize = 3;

/// A type of a document through which nothing is heard.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SubscriptionWarning)]
pub(super) struct UnheardType {
    /// The type, as it was asked for.
    r#type: String,
    /// What is to be looked at, for people.
    message: String,
    /// Types that its consumer may hear and that are most like it.
    nearest: Vec<String>,
}

/// The types of a subscription through which its consumer hears nothing. Whether nothing is published so
/// or the consumer is not entitled to it is not told, and only what it may hear is named.
pub(super) fn unheard_types(services: &Services, subscription: &Subscription) -> Vec<UnheardType> {
    let access = services.subscription_service.access();
    let names = access.event_names_heard(&subscription.consumer);
    let hears = |wanted: &String| {
        let wanted = std::slice::from_ref(wanted);
        names.iter().any(|name| may_want(wanted, name))
    };
    let unheard = subscription.document.types.iter().filter(|wanted| !hears(wanted));
    unheard.map(|wanted| warning(wanted, &names)).collect()
}

fn warning(wanted: &str, names: &[Arc<str>]) -> UnheardType {
    let nearest = meant(wanted, names);
    let quoted: Vec<String> = nearest.iter().map(|name| format!("`{name}`")).collect();
    let names = if quoted.is_empty() { "" } else { &format!("; nearest: {}", quoted.join(", ")) };
    let message = format!("its consumer hears no event of the type `{wanted}`{names}");
    UnheardType { r#type: wanted.to_owned(), message, nearest }
}

/// The types that a person may have meant: hierarchies for a hierarchy, and names for a name.
fn meant(wanted: &str, names: &[Arc<str>]) -> Vec<String> {
    let Some(parent) = wanted.strip_suffix(".*") else {
        let names = names.iter().map(|name| &**name);
        return nearest_of_all(wanted, names, MOST_MEANT).into_iter().map(str::to_owned).collect();
    };
    let parents = names.iter().flat_map(|name| {
        let dots = name.match_indices('.').map(|(at, _)| at);
        dots.filter_map(move |at| name.get(..at))
    });
    let nearest = nearest_of_all(parent, parents, MOST_MEANT);
    nearest.into_iter().map(|parent| format!("{parent}.*")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_finds_names_and_a_hierarchy_finds_hierarchies() {
        let names = ["Order.Created", "Order.Line.Added", "Payment.Failed"].map(Arc::from);
        for (wanted, expected) in [
            ("Order.Creatd", vec!["Order.Created", "Order.Line.Added"]),
            ("OrderCreated", vec!["Order.Created", "Order.Line.Added"]),
            ("Ordr.*", vec!["Order.*", "Order.Line.*"]),
            ("Paymant.*", vec!["Payment.*"]),
            ("zzz", vec![]),
        ] {
            let found = meant(wanted, &names);
            assert_eq!(found.first().map(String::as_str), expected.first().copied(), "{wanted}");
        }
        let told = warning("Order.Creatd", &names).message;
        assert!(told.contains("`Order.Creatd`; nearest: `Order.Created`"), "{told}");
        assert!(warning("zzz", &names).message.ends_with("type `zzz`"));
    }
}
