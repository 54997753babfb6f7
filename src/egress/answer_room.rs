//! How much room the fields of an address's answers need: most have a dozen, and a few have thousands.
//!
//! The client makes room for the most fields that an answer may have before it reads one: for thousands
//! that is a quarter of a mebibyte, twice for each delivery. So an address whose answers have few fields is
//! asked by a client with room for a hundred, which takes nothing from the heap, as long as that does.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use url::Url;

/// An answer with at most so many fields says that a hundred will do for the next.
const FEW: usize = 64;
/// The most addresses that are remembered.
const MOST_ADDRESSES: usize = 20_000;

/// What the answers of an address were like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// The last one had few fields.
    Few,
    /// One had more than a hundred after others had few: nobody relies on that again.
    TooMany,
}

/// What is known of the answers of addresses.
#[derive(Debug, Default)]
pub(super) struct AnswerRooms(Mutex<HashMap<Box<str>, Seen>>);

impl AnswerRooms {
    /// Whether the next answer of an address is expected to have few fields.
    pub fn is_small(&self, url: &Url) -> bool {
        self.known().get(url.authority()) == Some(&Seen::Few)
    }

    /// Notes how many fields an answer had.
    pub fn note(&self, url: &Url, fields: usize) {
        let mut known = self.known();
        match known.get(url.authority()) {
            Some(Seen::Few) if fields > FEW => {
                known.remove(url.authority());
            }
            None if fields <= FEW && known.len() < MOST_ADDRESSES => {
                known.insert(url.authority().into(), Seen::Few);
            }
            _ => {}
        }
    }

    /// Notes that an answer did not find room.
    pub fn overflowed(&self, url: &Url) {
        if let Some(seen) = self.known().get_mut(url.authority()) {
            *seen = Seen::TooMany;
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Box<str>, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_small_only_for_an_address_that_has_answered_with_few_fields() {
        let rooms = AnswerRooms::default();
        let url: Url = "https://shop.example:8443/hook?of=1".parse().unwrap();

        assert!(!rooms.is_small(&url));
        rooms.note(&url, FEW + 1);
        assert!(!rooms.is_small(&url));
        rooms.note(&url, 3);
        assert!(rooms.is_small(&url));
        assert!(rooms.is_small(&url.join("/other").unwrap()));
        assert!(!rooms.is_small(&"https://shop.example/hook".parse().unwrap()));
        rooms.note(&url, FEW + 1);
        assert!(!rooms.is_small(&url));
    }

    #[test]
    fn an_answer_that_found_no_room_is_never_forgotten() {
        let rooms = AnswerRooms::default();
        let url: Url = "https://shop.example/hook".parse().unwrap();
        rooms.note(&url, 3);

        rooms.overflowed(&url);
        rooms.note(&url, 3);

        assert!(!rooms.is_small(&url));
    }
}
