//! Places at which readers go on, as texts that only the gateway reads.

use crate::ambient::Entropy;
use crate::api::{Code, Problem};
use crate::deliver::ReadAfter;
use crate::event::SubscriptionId;
use crate::eventlog::Position;
use crate::keys::DataKey;

/// What such a text begins with, which no id of an event does.
const MARK: &str = "at.";

/// A place of the log for the readers of one subscription. How far the log has come with events that the
/// reader may not hear is not for it to know, so the text is sealed, as long as any other, and new each time.
pub(super) fn write(
    (data_key, entropy): (&DataKey, &dyn Entropy),
    subscription: &SubscriptionId,
    place: Position,
) -> String {
    let salt = format!("{:032x}", entropy.next_u128());
    let sealed = key(data_key, &salt).seal(&context(subscription), &place.0.to_be_bytes());
    format!("{MARK}{salt}.{sealed}")
}

/// Reads where a reader wants to go on: after an event, or at a place that it was told.
///
/// # Errors
///
/// The caller's turn: it is neither, or a place of another subscription.
pub(super) fn read(
    data_key: &DataKey,
    (name, text): (&str, &str),
    subscription: &SubscriptionId,
) -> Result<ReadAfter, Problem> {
    let Some(rest) = text.strip_prefix(MARK) else {
        let event = text.parse();
        return event.map(ReadAfter::Event).map_err(|error| invalid(format!("{name}: {error}")));
    };
    let place = rest.split_once('.').and_then(|(salt, sealed)| {
        let opened = key(data_key, salt).open(&context(subscription), sealed).ok()?;
        Some(Position(u64::from_be_bytes(opened.as_slice().try_into().ok()?)))
    });
    let unknown = || invalid(format!("{name}: this is no place of this subscription"));
    place.map(ReadAfter::Place).ok_or_else(unknown)
}

fn invalid(detail: String) -> Problem {
    Problem::new(Code::Invalid, detail)
}

/// A key for one place, so that no key seals more than it may.
fn key(data_key: &DataKey, salt: &str) -> DataKey {
    data_key.derived(&format!("reading place {salt}"))
}

fn context(subscription: &SubscriptionId) -> String {
    format!("reading-place/{subscription}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ambient::SeededEntropy;

    fn data_key() -> DataKey {
        DataKey::generate(&SeededEntropy::new(1))
    }

    fn id(text: &str) -> SubscriptionId {
        text.parse().unwrap()
    }

    #[test]
    fn a_place_is_read_for_its_subscription_alone_and_never_looks_the_same_twice() {
        let (key, entropy) = (data_key(), SeededEntropy::new(2));
        let [one, again] = [7, 7].map(|at| write((&key, &entropy), &id("a"), Position(at)));
        let far = write((&key, &entropy), &id("a"), Position(u64::MAX));

        assert!(one != again && one.len() == far.len());
        for text in [&one, &again] {
            let read = read(&key, ("after", text), &id("a"));
            assert!(matches!(read, Ok(ReadAfter::Place(Position(7)))));
        }
        assert!(read(&key, ("after", &one), &id("b")).is_err());
        let mut altered = one.clone();
        let last = altered.pop();
        altered.push('A');
        assert!(last == Some('A') || read(&key, ("after", &altered), &id("a")).is_err());
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in "(at\\.)?[0-9a-f]{0,40}\\.?[A-Za-z0-9_-]{0,60}|.{0,80}") {
            let read = read(&data_key(), ("after", &text), &id("a"));
            if text.starts_with(MARK) {
                prop_assert!(read.is_err());
            }
        }
    }
}
