//! Tells the id of an event that cannot be read, so that its producer finds it.

use http::HeaderMap;
use serde::Deserialize;

use crate::source::intake::attributes::check_id;
use crate::source::intake::binary;

/// What is looked for in a body.
#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    id: Option<String>,
}

/// The id of an event that cannot be read: of its header in binary mode, else the `id` of a body that
/// is a JSON object, however deep, long or repeated the rest of it is; nothing if it cannot be told.
pub fn told_id(headers: &HeaderMap, body: &[u8]) -> Option<String> {
    let id = match binary::id(headers) {
        Some(id) => Some(id),
        None => serde_json::from_slice::<Named>(body).ok().and_then(|named| named.id),
    };
    id.and_then(|id| check_id(id).ok())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_id_is_told_of_a_header_or_of_a_body_that_is_refused_for_another_reason() {
        let none = HeaderMap::new();
        let deep = format!(r#"{{"id":"a","data":{}{}}}"#, "[".repeat(5000), "]".repeat(5000));
        let repeated = r#"{"data":{"x":1,"x":2},"id":"a","type":1,"type":2}"#;
        for body in [deep.as_str(), repeated] {
            assert_eq!(told_id(&none, body.as_bytes()).as_deref(), Some("a"));
        }
        for body in [r#"{"id":"a""#, r#"{"id":7}"#, r#"{"id":""}"#, r#"{"id":"a\nb"}"#, "[]", ""] {
            assert_eq!(told_id(&none, body.as_bytes()), None, "{body}");
        }
        let header = HeaderValue::from_static("order%201");
        let binary = HeaderMap::from_iter([("ce-id".parse().unwrap(), header)]);
        assert_eq!(told_id(&binary, b"{").as_deref(), Some("order 1"));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = told_id(&HeaderMap::new(), &body);
        }
    }
}
