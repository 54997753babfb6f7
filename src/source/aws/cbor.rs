//! The answer to SDKs of custom event buses (EventBridgeV2), which speak Smithy RPC v2 CBOR and not the
//! classic protocol: an error that they can read.

use http::{HeaderMap, header};

use crate::source::aws::Refused;

/// The value of the header `smithy-protocol`, in requests and in answers.
pub const RPC_V2_CBOR: &str = "rpc-v2-cbor";
/// The media type of bodies in CBOR.
pub const CBOR_MEDIA_TYPE: &str = "application/cbor";

/// What such a client is told.
pub(super) const CLASSIC_ONLY: &str = "This gateway speaks the classic protocol only (AWS JSON 1.1), not that of custom event buses \
     (EventBridgeV2, Smithy RPC v2 CBOR). Publish with PutEvents of your SDK's client for classic \
     EventBridge (boto3 and CLI: `events`; other SDKs: EventBridge), with the same endpoint.";

/// Whether a request is in the protocol of custom event buses, by its headers.
pub fn speaks_cbor(headers: &HeaderMap) -> bool {
    let is = |name: &str, expected: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let value = value.split(';').next().unwrap_or_default().trim();
        value.eq_ignore_ascii_case(expected)
    };
    is("smithy-protocol", RPC_V2_CBOR) || is(header::CONTENT_TYPE.as_str(), CBOR_MEDIA_TYPE)
}

impl Refused {
    /// The body that carries the error in CBOR (RFC 8949): a map of two texts.
    pub fn to_cbor(&self) -> Vec<u8> {
        let mut body = vec![MAP | 2];
        for text in ["__type", self.kind.code(), "message", &self.message] {
            push_text(&mut body, text);
        }
        body
    }
}

/// The major types of RFC 8949, section 3.1.
const TEXT: u8 = 3 << 5;
const MAP: u8 = 5 << 5;

/// Writes a text with its length before it, in the shortest form (RFC 8949, section 4.2.1).
fn push_text(body: &mut Vec<u8>, text: &str) {
    let length = (text.len() as u64).to_be_bytes();
    match length {
        [0, 0, 0, 0, 0, 0, 0, short @ 0..24] => body.push(TEXT | short),
        [0, 0, 0, 0, 0, 0, 0, _] => extend(body, 24, length.last_chunk::<1>()),
        [0, 0, 0, 0, 0, 0, ..] => extend(body, 25, length.last_chunk::<2>()),
        [0, 0, 0, 0, ..] => extend(body, 26, length.last_chunk::<4>()),
        _ => extend(body, 27, Some(&length)),
    }
    body.extend_from_slice(text.as_bytes());
}

fn extend<const N: usize>(body: &mut Vec<u8>, additional: u8, length: Option<&[u8; N]>) {
    body.push(TEXT | additional);
    body.extend(length.into_iter().flatten());
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;
    use crate::source::aws::AwsErrorKind;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (http::HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn the_protocol_is_known_by_either_header() {
        for yes in [
            &[("smithy-protocol", "rpc-v2-cbor")][..],
            &[("content-type", "application/cbor")],
            &[("content-type", "Application/CBOR; a=b"), ("smithy-protocol", "rpc-v2-json")],
        ] {
            assert!(speaks_cbor(&headers(yes)), "{yes:?}");
        }
        for no in [
            &[][..],
            &[("smithy-protocol", "rpc-v2-json")],
            &[("content-type", "application/x-amz-json-1.1")],
            &[("content-type", "application/cbor-seq")],
        ] {
            assert!(!speaks_cbor(&headers(no)), "{no:?}");
        }
    }

    proptest! {
        #[test]
        fn any_message_is_read_by_another_decoder(message in "\\PC{0,80}", times in 0..1000_usize) {
            let message = message.repeat(times);
            let refused = Refused::new(AwsErrorKind::UnknownOperation, message.clone());
            let read: BTreeMap<String, String> =
                ciborium::from_reader(&*refused.to_cbor()).unwrap();
            let expected = BTreeMap::from([
                ("__type".to_owned(), "UnknownOperationException".to_owned()),
                ("message".to_owned(), message),
            ]);
            prop_assert_eq!(read, expected);
        }
    }
}
