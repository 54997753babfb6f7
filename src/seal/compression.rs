//! Deflate, where a subscription asked for it and it is worth it, and inflate with a bound.

use std::io::Read as _;

use flate2::bufread::DeflateDecoder;
use flate2::{Compress, Compression, FlushCompress, Status};

/// Smaller events gain little, and a length that depends on the content tells something of it.
const SMALLEST_EVENT: usize = 2048;
/// What receivers inflate without complaint.
const LARGEST_CONTENT: usize = 128_000;

/// Compresses a content if its event is large enough, the receiver will inflate it, and it saves a
/// fifth.
pub(super) fn deflate_if_worth_it(event_length: usize, content: &[u8]) -> Option<Vec<u8>> {
    if event_length < SMALLEST_EVENT || content.len() > LARGEST_CONTENT {
        return None;
    }
    // More than this is not worth it, so the compressor never gets more room.
    let mut output = Vec::with_capacity(content.len() / 5 * 4);
    let mut compress = Compress::new(Compression::default(), false);
    let status = compress.compress_vec(content, &mut output, FlushCompress::Finish).ok()?;
    let saves = output.len() * 5 <= content.len() * 4;
    (status == Status::StreamEnd && saves).then_some(output)
}

/// Inflates at most `limit` bytes; nothing if there is more, or if the input is no whole stream.
pub(super) fn inflate(content: &[u8], limit: usize) -> Option<Vec<u8>> {
    let mut decoder = DeflateDecoder::new(content);
    let mut output = Vec::new();
    let bound = u64::try_from(limit).ok()?.checked_add(1)?;
    decoder.by_ref().take(bound).read_to_end(&mut output).ok()?;
    let whole = usize::try_from(decoder.total_in()).is_ok_and(|read| read == content.len());
    (output.len() <= limit && whole).then_some(output)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ambient::{Entropy, SeededEntropy};

    #[test]
    fn only_large_content_that_shrinks_by_a_fifth_is_compressed() {
        let text = "orders ".repeat(1000).into_bytes();
        let mut noise = vec![0; 7000];
        SeededEntropy::new(1).fill(&mut noise);

        assert!(deflate_if_worth_it(2047, &text).is_none());
        assert!(deflate_if_worth_it(2048, &text).is_some());
        assert!(deflate_if_worth_it(7000, &noise).is_none());
        assert!(deflate_if_worth_it(7000, &vec![b'x'; 128_000]).is_some());
        assert!(deflate_if_worth_it(7000, &vec![b'x'; 128_001]).is_none());
    }

    #[test]
    fn a_bomb_a_torn_stream_and_a_longer_one_are_refused() {
        let bomb = deflate_if_worth_it(7000, &vec![0; 100_000]).unwrap();
        let longer = [bomb.as_slice(), b"x"].concat();

        assert_eq!(inflate(&bomb, 100_000).unwrap().len(), 100_000);
        assert!(inflate(&bomb, 99_999).is_none());
        assert!(inflate(&bomb[..bomb.len() - 1], 100_000).is_none());
        assert!(inflate(&longer, 100_000).is_none());
        assert!(inflate(&[], 100_000).is_none());
    }

    proptest! {
        #[test]
        fn what_is_compressed_inflates_to_itself(text in "[a-f]{0,400}") {
            let content = text.repeat(12).into_bytes();
            if let Some(small) = deflate_if_worth_it(content.len(), &content) {
                prop_assert!(small.len() * 5 <= content.len() * 4);
                prop_assert_eq!(inflate(&small, content.len()).unwrap(), content);
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Some(output) = inflate(&bytes, 1000) {
                prop_assert!(output.len() <= 1000);
            }
        }
    }
}
