//! Turns at work that is done one at a time, which go round by who asks.

use crate::ambient::turns::{Turn, Turns};

/// One turn at a time, for many who ask: whoever asks much waits for itself, and others wait for one
/// turn of it.
///
/// Each who asks has a line of its own, and the first of each line stands in the line for the turn.
#[derive(Debug)]
pub struct FairTurns<K> {
    turn: Turns<()>,
    lines: Turns<K>,
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub struct FairTurn<K: Ord> {
    _own: Turn<K>,
    _turn: Turn<()>,
}

impl<K: Clone + Ord> FairTurns<K> {
    /// Nobody asks yet.
    pub fn new() -> Self {
        Self { turn: Turns::default(), lines: Turns::default() }
    }

    /// Waits for a turn.
    ///
    /// Cancel safe: whoever does not wait any more leaves the line.
    pub async fn take(&self, who: &K) -> FairTurn<K> {
        let own = self.lines.take(who).await;
        FairTurn { _own: own, _turn: self.turn.take(&()).await }
    }
}

impl<K: Clone + Ord> Default for FairTurns<K> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use futures_util::stream::{FuturesUnordered, StreamExt as _};

    use super::*;

    #[tokio::test]
    async fn who_asks_much_is_waited_for_once_by_each_other() {
        let turns = FairTurns::new();
        let held = turns.take(&"much").await;
        let ask = async |who: &'static str| {
            drop(turns.take(&who).await);
            who
        };
        let mut asking: FuturesUnordered<_> =
            ["much"; 100].into_iter().chain(["some", "some", "one"]).map(ask).collect();
        assert!(asking.next().now_or_never().is_none(), "the turn is taken");
        drop(held);

        let served: Vec<&str> = asking.collect().await;

        assert_eq!(served.len(), 103);
        let place = |who: &str| served.iter().position(|served| *served == who).unwrap();
        assert!(place("some") < 3 && place("one") < 4, "{:?}", &served[..8]);
        assert!(served.iter().rposition(|served| *served == "some").unwrap() < 6);
    }

    #[tokio::test]
    async fn who_does_not_wait_any_more_holds_nobody_up_and_is_forgotten() {
        let turns = FairTurns::new();
        let held = turns.take(&1).await;
        let (mut gone, mut also_gone) = (Box::pin(turns.take(&1)), Box::pin(turns.take(&2)));
        assert!((&mut gone).now_or_never().is_none() && (&mut also_gone).now_or_never().is_none());
        drop((gone, also_gone, held));

        drop(turns.take(&1).now_or_never().expect("nobody is in front"));

        assert!(turns.lines.is_idle() && turns.turn.is_idle(), "of lines nothing is left");
    }
}
