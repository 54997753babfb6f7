//! Warns of types through which a subscription hears nothing, and names those that may have been meant.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::api::Services;
use crate::event::nearest_of_all;
use crate::subscriptions::{Subscription, SubscriptionDocument, may_want};

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
    let hears = |wanted: &&str| {
        let wanted = [(*wanted).to_owned()];
        names.iter().any(|name| may_want(&wanted, name))
    };
    let documents = services.documents.load();
    let publications = documents.publications.iter();
    let heard = publications.filter(|one| access.hears(&subscription.consumer, one.name()));
    let fixed: BTreeSet<&str> = heard
        .filter_map(|one| Some(documents.catalog.message_of(one)?.fixed_type()?.as_str()))
        .collect();
    // A filter compares text: `*` at its end stands for nothing else.
    let is_made = |wanted: &&str| {
        let rest = |name: &Arc<str>| wanted.strip_prefix(&**name);
        fixed.contains(wanted)
            || names.iter().filter_map(rest).any(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let SubscriptionDocument { types, filters, .. } = subscription.whole_document();
    let of_types = types.iter().map(String::as_str).filter(|wanted| !hears(wanted));
    let of_filters = filters.iter().flat_map(exact_types).filter(|wanted| !is_made(wanted));
    let unheard: BTreeSet<&str> = of_types.chain(of_filters).collect();
    unheard.into_iter().map(|wanted| warning(wanted, &names)).collect()
}

/// The types that a filter names in the dialect `exact`, also below `all` and `any`. What stands below `not` is
/// not wanted.
fn exact_types(filter: &Value) -> Vec<&str> {
    let exact = filter.pointer("/exact/type").and_then(Value::as_str);
    let lists = ["all", "any"].into_iter().filter_map(|dialect| filter.get(dialect)?.as_array());
    exact.into_iter().chain(lists.flatten().flat_map(exact_types)).collect()
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
    use serde_json::json;

    use super::*;

    #[test]
    fn a_filter_names_the_types_that_it_compares_with_and_wants() {
        let filter = json!({"any": [
            {"exact": {"type": "A"}}, {"all": [{"exact": {"type": "B", "subject": "x"}}]},
            {"not": {"exact": {"type": "C"}}}, {"prefix": {"type": "D"}},
        ]});

        assert_eq!(exact_types(&filter), ["A", "B"]);
    }

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
