//! Names each entry of a request by the bytes in which it was sent.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::CONTENT_TYPE;

use crate::event::SentDigest;
use crate::source::body::without_byte_order_mark;
use crate::source::intake::batch::split;
use crate::source::intake::posting::is_binary;
use crate::source::{BodyRoom, CodingError, Config, ContentCoding};

/// The digest of each entry of a request, in order; nothing where there is no room to undo its coding.
///
/// | What was sent | What is hashed |
/// |---|---|
/// | a batch | each element alone, from its first character to its last, without white space around it |
/// | an event in binary mode | `content-type` and each `ce-` header, then the body: see below |
/// | any other body | the whole body |
///
/// The content coding is undone first, if it can be. In binary mode each of the headers gives a line `name:value`
/// with its name in lower case, its value as sent and a line feed at its end; the lines are sorted by name, those
/// of one name stay in their order; an empty line and the body follow.
pub fn sent_digests(
    headers: &HeaderMap,
    body: &[u8],
    is_batch: bool,
    (config, room): (&Config, &dyn BodyRoom),
) -> Option<Vec<SentDigest>> {
    let coding = ContentCoding::of(headers);
    let body = match coding.and_then(|coding| coding.decode(body, config.max_body.bytes(), room)) {
        Ok(body) => body,
        Err(CodingError::NoRoom) => return None,
        Err(_) => Cow::Borrowed(body),
    };
    if is_batch {
        let items = split(without_byte_order_mark(&body), config.max_batch).ok()?;
        return Some(items.first.iter().map(|item| SentDigest::of(item)).collect());
    }
    let one = if is_binary(headers) { binary(headers, &body) } else { SentDigest::of(&body) };
    Some(vec![one])
}

fn binary(headers: &HeaderMap, body: &[u8]) -> SentDigest {
    let is_attribute = |name: &str| name == CONTENT_TYPE.as_str() || name.starts_with("ce-");
    let mut lines: Vec<(&str, &[u8])> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .filter(|(name, _)| is_attribute(name))
        .collect();
    // The order of values of one name is theirs, so the sort is a stable one.
    lines.sort_by_key(|(name, _)| *name);
    let head = lines.iter().flat_map(|(name, value)| [name.as_bytes(), b":", value, b"\n"]);
    SentDigest::of_pieces(head.chain([&b"\n"[..], body]))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use http::HeaderValue;
    use http::header::{CONTENT_ENCODING, HeaderName};
    use proptest::prelude::*;

    use super::*;
    use crate::event::Timestamp;
    use crate::source::intake::read;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn digests(headers: &HeaderMap, body: &[u8], is_batch: bool) -> Vec<SentDigest> {
        sent_digests(headers, body, is_batch, (&Config::default(), &())).unwrap()
    }

    #[test]
    fn each_element_of_a_batch_is_hashed_as_it_stands_there() {
        let headers = headers(&[("content-type", "application/cloudevents-batch+json")]);
        let body = b"\xef\xbb\xbf [ {\"a\": 1} ,\n{\"a\":1}, nonsense ] ";

        let expected = [&b"{\"a\": 1}"[..], b"{\"a\":1}", b"nonsense"];
        assert_eq!(digests(&headers, body, true), expected.map(SentDigest::of));
    }

    #[test]
    fn a_single_event_is_its_body_with_its_coding_undone() {
        let plain = headers(&[("content-type", "application/cloudevents+json")]);
        let body = b" {\"id\": \"e\"}\n";
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(body).unwrap();
        let packed = packed.finish().unwrap();
        let mut coded = plain.clone();
        coded.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));

        assert_eq!(digests(&plain, body, false), [SentDigest::of(body)]);
        assert_eq!(digests(&coded, &packed, false), [SentDigest::of(body)]);
        assert_eq!(digests(&coded, b"no gzip", false), [SentDigest::of(b"no gzip")]);
    }

    #[test]
    fn in_binary_mode_the_attributes_are_in_the_digest_whatever_their_order() {
        let pairs = [
            ("content-type", "application/json"),
            ("ce-type", "T"),
            ("ce-specversion", "1.0"),
            ("ce-id", "e\u{20}1"),
            ("x-other", "y"),
        ];
        let mut turned = pairs;
        turned.reverse();
        let written =
            "ce-id:e 1\nce-specversion:1.0\nce-type:T\ncontent-type:application/json\n\n{}";

        let expected = [SentDigest::of(written.as_bytes())];
        assert_eq!(digests(&headers(&pairs), b"{}", false), expected);
        assert_eq!(digests(&headers(&turned), b"{}", false), expected);
        let structured =
            [("content-type", "application/cloudevents+json"), ("ce-specversion", "1.0")];
        assert_eq!(digests(&headers(&structured), b"{}", false), [SentDigest::of(b"{}")]);
    }

    proptest! {
        #[test]
        fn there_is_a_digest_for_each_event_that_is_answered(
            body in prop_oneof!["\\PC{0,40}", "\\[(\\{\"a\":[0-9]\\}|7|x)(,(\\{\\}|\"b\"|NaN)){0,4}\\]"],
            is_batch in any::<bool>(),
        ) {
            let media_type =
                if is_batch { "application/cloudevents-batch+json" } else { "application/json" };
            let headers = headers(&[("content-type", media_type)]);
            let config = Config::default();
            if let Ok(posting) = read(&headers, body.as_bytes(), &config, Timestamp::EPOCH) {
                let sent = digests(&headers, body.as_bytes(), posting.is_batch);
                prop_assert_eq!(sent.len(), posting.events.len());
            }
        }
    }
}
