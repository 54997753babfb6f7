//! What the bytes of a body say: its content coding is undone, and a byte order mark passed over.

use std::borrow::Cow;
use std::io::Read as _;

use flate2::bufread::MultiGzDecoder;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use crate::source::BodyRoom;

/// How much is decompressed at once.
const STEP: usize = 16 * 1024;

/// How a body was compressed on its way (RFC 9110, section 8.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentCoding {
    /// Not at all.
    Identity,
    /// As gzip (RFC 1952).
    Gzip,
}

/// Why a content coding cannot be undone.
#[derive(Debug, thiserror::Error)]
pub enum CodingError {
    /// The coding is not one that is read.
    #[error("the header Content-Encoding: send the body as it is, or compressed once as `gzip`")]
    Unsupported,
    /// The bytes are not what the header says.
    #[error("the header Content-Encoding says `gzip`, and the body is not whole or not gzip")]
    Damaged,
    /// The body becomes longer than allowed.
    #[error("the decompressed body is over the limit of {limit} bytes")]
    TooLong {
        /// The longest body, in bytes.
        limit: usize,
    },
    /// There is no room for what the body becomes.
    #[error("too many bodies are being read; send the request again later")]
    NoRoom,
}

impl ContentCoding {
    /// Reads the coding of a body off its headers. `identity` and empty list items count as absent.
    ///
    /// # Errors
    ///
    /// The caller's turn: the coding is another than gzip, or there are several.
    pub fn of(headers: &HeaderMap) -> Result<Self, CodingError> {
        let mut coding = Self::Identity;
        for value in headers.get_all(CONTENT_ENCODING) {
            let list = value.to_str().map_err(|_| CodingError::Unsupported)?;
            for item in list.split(',').map(|item| item.trim().to_ascii_lowercase()) {
                match (item.as_str(), coding) {
                    ("" | "identity", _) => {}
                    ("gzip" | "x-gzip", Self::Identity) => coding = Self::Gzip,
                    _ => return Err(CodingError::Unsupported),
                }
            }
        }
        Ok(coding)
    }

    /// Undoes the coding of a whole body. Decompression stops at `limit`, so a small body that would
    /// become a huge one costs no more than the limit, and where there is no `room` for more.
    ///
    /// # Errors
    ///
    /// The caller's turn: the body is not what its coding says, or becomes longer than `limit` bytes.
    /// Later: there is no room.
    pub fn decode<'a>(
        self,
        body: &'a [u8],
        limit: usize,
        room: &dyn BodyRoom,
    ) -> Result<Cow<'a, [u8]>, CodingError> {
        // A client that compresses all bodies may leave one without content as it is.
        if self == Self::Identity || body.is_empty() {
            return Ok(Cow::Borrowed(body));
        }
        let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        let mut decoded = Vec::new();
        let mut decoder = MultiGzDecoder::new(body).take(bound);
        loop {
            let (length, capacity) = (decoded.len(), decoded.capacity());
            if capacity - length < STEP {
                // Twice as much each time, as a vector grows, and counted before it is there.
                let wanted = (capacity * 2).min(limit).max(length + STEP);
                if !room.take(wanted - capacity) {
                    return Err(CodingError::NoRoom);
                }
                decoded.reserve_exact(wanted - length);
            }
            let step = decoder.by_ref().take(STEP as u64).read_to_end(&mut decoded);
            let step = step.map_err(|_| CodingError::Damaged)?;
            if decoded.len() > limit {
                return Err(CodingError::TooLong { limit });
            }
            if step == 0 {
                return Ok(decoded.into());
            }
        }
    }
}

/// Passes over the byte order mark that some editors and libraries put before UTF-8: a reader of JSON
/// may do so (RFC 8259, section 8.1).
pub(super) fn without_byte_order_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

/// Whether a body is UTF-16, which JSON between systems never is.
pub(super) fn is_utf16(body: &[u8]) -> bool {
    matches!(body, [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, 0, ..] | [_, 0, _, 0, ..])
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    fn coding(values: &[&'static str]) -> Option<ContentCoding> {
        let values = values.iter().map(|value| HeaderValue::from_static(value));
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_ENCODING, value);
        }
        ContentCoding::of(&headers).ok()
    }

    #[test]
    fn gzip_is_the_one_coding_and_identity_is_none() {
        let none: [&[&str]; 4] = [&[], &["identity"], &[""], &["identity, Identity", ","]];
        for values in none {
            assert_eq!(coding(values), Some(ContentCoding::Identity), "{values:?}");
        }
        let once: [&[&str]; 4] =
            [&["gzip"], &["GZIP"], &["x-gzip"], &["identity", " identity , gzip "]];
        for values in once {
            assert_eq!(coding(values), Some(ContentCoding::Gzip), "{values:?}");
        }
        let others: [&[&str]; 8] = [
            &["br"],
            &["zstd"],
            &["deflate"],
            &["compress"],
            &["aws-chunked"],
            &["gzip, gzip"],
            &["gzip", "x-gzip"],
            &["gzip, br"],
        ];
        for values in others {
            assert_eq!(coding(values), None, "{values:?}");
        }
    }

    #[test]
    fn concatenated_members_are_one_body_and_what_follows_them_is_an_error() {
        let both = [gzip(b"{\"a\":"), gzip(b""), gzip(b"1}")].concat();
        assert_eq!(&*ContentCoding::Gzip.decode(&both, 7, &()).unwrap(), b"{\"a\":1}");
        assert_eq!(&*ContentCoding::Gzip.decode(b"", 7, &()).unwrap(), b"");

        let whole = gzip(b"{\"a\":1}");
        let mut wrong_sum = whole.clone();
        let at = wrong_sum.len() - 8;
        wrong_sum[at] ^= 1;
        let damaged = [
            [whole.as_slice(), b"x"].concat(),
            [whole.as_slice(), b"\0\0\0\0"].concat(),
            [whole.as_slice(), &whole[..9]].concat(),
            wrong_sum,
            b"{\"a\":1}".to_vec(),
            whole[..whole.len() - 1].to_vec(),
        ];
        for body in damaged {
            let error = ContentCoding::Gzip.decode(&body, 100, &()).unwrap_err();
            assert!(matches!(error, CodingError::Damaged), "{error} {body:?}");
        }
    }

    #[test]
    fn decompression_stops_at_the_limit() {
        let bomb = gzip(&vec![b' '; 50_000_000]);
        let limit = 1_000_000;

        let error = ContentCoding::Gzip.decode(&bomb, limit, &()).unwrap_err();
        assert!(matches!(error, CodingError::TooLong { limit: 1_000_000 }), "{error}");
        // The end of the bomb, which is missing here, was never asked for.
        let error = ContentCoding::Gzip.decode(&bomb[..bomb.len() / 2], limit, &()).unwrap_err();
        assert!(matches!(error, CodingError::TooLong { .. }), "{error}");

        let fits = gzip(&vec![b' '; limit]);
        assert_eq!(ContentCoding::Gzip.decode(&fits, limit, &()).unwrap().len(), limit);
        assert!(ContentCoding::Gzip.decode(&fits, limit - 1, &()).is_err());
    }

    /// Room for so many bytes.
    struct Room(std::sync::atomic::AtomicUsize);

    impl BodyRoom for Room {
        fn take(&self, bytes: usize) -> bool {
            use std::sync::atomic::Ordering::Relaxed;
            self.0.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(bytes)).is_ok()
        }

        fn trust(&self) {}
    }

    #[test]
    fn decompression_stops_where_there_is_no_room() {
        let body = gzip(&vec![b' '; 1_000_000]);
        let decode = |room: usize| ContentCoding::Gzip.decode(&body, 2_000_000, &Room(room.into()));

        assert!(matches!(decode(900_000), Err(CodingError::NoRoom)));
        assert_eq!(decode(2_000_000).unwrap().len(), 1_000_000);
    }

    #[test]
    fn a_byte_order_mark_is_passed_over_and_utf_16_is_known() {
        assert_eq!(without_byte_order_mark(b"\xef\xbb\xbf{}"), b"{}");
        assert_eq!(without_byte_order_mark(b"{}"), b"{}");
        let utf16 = |little: bool, text: &str| -> Vec<u8> {
            let bytes = |unit: u16| if little { unit.to_le_bytes() } else { unit.to_be_bytes() };
            text.encode_utf16().flat_map(bytes).collect()
        };
        for text in ["\u{feff}{}", "{\"a\":1}"] {
            assert!(is_utf16(&utf16(true, text)) && is_utf16(&utf16(false, text)), "{text}");
            assert!(!is_utf16(text.as_bytes()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_body_survives_its_coding(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let compressed = gzip(&body);
            let decoded = ContentCoding::Gzip.decode(&compressed, body.len(), &()).unwrap();
            prop_assert_eq!(&*decoded, &*body);
            if let Some(less) = body.len().checked_sub(1) {
                prop_assert!(ContentCoding::Gzip.decode(&compressed, less, &()).is_err());
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(
            head in prop::sample::select(vec![vec![], vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]]),
            rest in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let body = [head, rest].concat();
            let _ = is_utf16(without_byte_order_mark(&body));
            if let Ok(decoded) = ContentCoding::Gzip.decode(&body, 50, &()) {
                prop_assert!(decoded.len() <= 50);
            }
        }
    }
}
