//! A pointer in which `*` stands for each item of an array.

use json_patch::jsonptr::{Pointer, PointerBuf};

use crate::event::is_item_index;

/// What stands for each item.
const EACH: &str = "*";

/// A pointer with one `*`, taken apart there.
#[derive(Clone, Debug)]
pub(super) struct StarredPointer {
    /// Where the array is.
    pub array: PointerBuf,
    /// Where an item has what is meant; empty for the item itself.
    pub below: PointerBuf,
}

impl StarredPointer {
    /// Takes a pointer apart; nothing: it has no `*`.
    pub fn of(pointer: &Pointer) -> Option<Self> {
        let at = pointer.tokens().position(|token| token.encoded() == EACH)?;
        let array = PointerBuf::from_tokens(pointer.tokens().take(at));
        let below = PointerBuf::from_tokens(pointer.tokens().skip(at + 1));
        Some(Self { array, below })
    }

    /// How many `*` a pointer has.
    pub fn stars_of(pointer: &Pointer) -> usize {
        pointer.tokens().filter(|token| token.encoded() == EACH).count()
    }

    /// Whether `inner` lies below `outer`, with any item for a `*`.
    pub fn lies_below(inner: &Pointer, outer: &Pointer) -> bool {
        let is_item = |token: &str| token == EACH || token == "-" || is_item_index(token);
        let leads_there = inner.tokens().zip(outer.tokens()).all(|(inner, outer)| {
            inner == outer || (outer.encoded() == EACH && is_item(inner.encoded()))
        });
        leads_there && inner.count() > outer.count()
    }

    /// The pointer to what is meant in one item.
    pub fn of_item(&self, index: usize) -> PointerBuf {
        let mut pointer = self.array.with_trailing_token(index);
        pointer.append(&self.below);
        pointer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_is_taken_apart_at_its_star() {
        let taken_apart = |text: &str| {
            StarredPointer::of(&PointerBuf::parse(text).unwrap())
                .map(|one| (one.array.to_string(), one.below.to_string()))
        };

        assert_eq!(taken_apart("/a/*/b~1/c"), Some(("/a".into(), "/b~1/c".into())));
        assert_eq!(taken_apart("/a/*"), Some(("/a".into(), String::new())));
        assert_eq!(taken_apart("/a/**/x*"), None);
        let starred = StarredPointer::of(Pointer::from_static("/a/*/b")).unwrap();
        assert_eq!(starred.of_item(7).as_str(), "/a/7/b");
    }

    #[test]
    fn what_lies_below_an_item_lies_below_all_of_them() {
        for (inner, outer, below) in [
            ("/a/b", "/a", true),
            ("/a", "/a", false),
            ("/ab", "/a", false),
            ("/a/*/x", "/a/*", true),
            ("/a/3/*", "/a/*", true),
            ("/a/b/*", "/a/*", false),
            ("/a/*/y", "/a/*/x", false),
        ] {
            let (inner, outer) = (Pointer::from_static(inner), Pointer::from_static(outer));
            assert_eq!(StarredPointer::lies_below(inner, outer), below, "{inner} {outer}");
        }
    }
}
