//! How many bytes on disk something takes that is kept, told from its texts.

/// A page of the database.
const PAGE: u64 = 8192;
/// What rows can take of a page that is a leaf.
const LEAF: u64 = PAGE - 12;
/// The longest row that lies in a leaf as a whole.
const WHOLE: u64 = PAGE - 35;
/// What a longer row leaves in a leaf at the least.
const LEAST: u64 = 1003;
/// What a page takes of the rest of a longer row.
const REST: u64 = PAGE - 4;

/// The most bytes that an entry takes whose texts have so many, whatever lies beside it.
///
/// A row that does not fit beside another one may leave half of its page empty, and its keys stand
/// in indexes.
pub(super) fn most_bytes(texts: usize) -> u64 {
    /// Its keys in tables and indexes.
    const KEYS: u64 = 768;
    let texts = texts as u64;
    texts + texts.min(PAGE / 2) + KEYS
}

/// What a dead letter or an entry of the quarantine may take beside its data: names, the reason, keys and
/// half a page.
pub const MOST_BESIDE: u64 = 8 * 1024;

/// The bytes that an event takes whose texts have so many, beside events of about its size.
///
/// It is what is there, not a bound: what is counted too high here is dropped too soon, and what is
/// counted too low takes more of the disk than `log.retention.size` says.
pub(super) const fn event_bytes(texts: u64) -> u64 {
    /// The numbers and digests of a row.
    const NUMBERS: u64 = 100;
    /// The keys of an event in indexes and in the tables that recognize repeats.
    const KEYS: u64 = 160;
    row_bytes(texts.saturating_add(NUMBERS)).saturating_add(KEYS)
}

/// The bytes that a row takes of its pages.
const fn row_bytes(row: u64) -> u64 {
    if row <= WHOLE {
        return share_of_leaf(row);
    }
    let (pages, in_leaf) = ((row - LEAST) / REST, LEAST + (row - LEAST) % REST);
    if in_leaf <= WHOLE {
        pages.saturating_mul(PAGE).saturating_add(share_of_leaf(in_leaf))
    } else {
        pages.saturating_add(1).saturating_mul(PAGE).saturating_add(share_of_leaf(LEAST))
    }
}

/// The share of a leaf that is full of rows of this length.
const fn share_of_leaf(row: u64) -> u64 {
    /// What a leaf says about a row of it.
    const ABOUT: u64 = 10;
    match PAGE.checked_div(LEAF / (row + ABOUT)) {
        Some(share) => share,
        None => PAGE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_share_leaves_and_long_ones_have_pages_of_their_own() {
        assert_eq!(row_bytes(4000), PAGE / 2);
        assert_eq!(row_bytes(4200), PAGE);
        assert_eq!(row_bytes(WHOLE), PAGE);
        assert_eq!(row_bytes(WHOLE + 1), share_of_leaf(LEAST) + PAGE);
        assert_eq!(row_bytes(LEAST + 10 * REST + 100), share_of_leaf(LEAST + 100) + 10 * PAGE);
    }

    #[test]
    fn no_length_is_too_long_to_be_counted() {
        assert!(event_bytes(u64::MAX) > u64::MAX / 2);
        assert_eq!(most_bytes(100), 968);
    }
}
