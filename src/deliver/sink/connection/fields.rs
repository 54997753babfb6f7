//! The headers and parameters that a credential adds to a request.

use http::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::ambient::Secret;
use crate::deliver::sink::connection::unusable::Unusable;
use crate::subscriptions::{Parameter, SecretText};

/// Adds parameters to the query of an address.
pub(super) fn with_query(address: &Url, query: &[(String, Secret)]) -> Url {
    let mut address = address.clone();
    if !query.is_empty() {
        let mut pairs = address.query_pairs_mut();
        for (name, value) in query {
            pairs.append_pair(name, value.expose());
        }
    }
    address
}

/// Adds headers from a list.
pub(super) fn add_all(headers: &mut HeaderMap, list: &[Parameter]) -> Result<(), Unusable> {
    list.iter().try_for_each(|header| add(headers, &header.name, header.value.as_ref()))
}

/// Adds one header.
pub(super) fn add(
    headers: &mut HeaderMap,
    name: &str,
    value: Option<&SecretText>,
) -> Result<(), Unusable> {
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Unusable::Part)?;
    let value = value.and_then(SecretText::text).ok_or(Unusable::Part)?;
    headers.insert(name, sensitive(value)?);
    Ok(())
}

/// A header's value that no log shows.
pub(super) fn sensitive(text: &str) -> Result<HeaderValue, Unusable> {
    let mut value = HeaderValue::from_str(text).map_err(|_| Unusable::Part)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Names and values of a list.
pub(super) fn pairs(list: &[Parameter]) -> Vec<(String, Secret)> {
    let text = |one: &Parameter| one.value.as_ref().and_then(SecretText::text).map(str::to_owned);
    list.iter().filter_map(|one| Some((one.name.clone(), Secret::new(text(one)?)))).collect()
}

/// A text as it stands in a form or a query.
pub(super) fn url_encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
