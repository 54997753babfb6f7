//! The incarnations of the log that a gateway runs on, with the records that were signed of them.

use crate::eventlog::{KeptIncarnation, Position};
use crate::keys::KeyRing;
use crate::seal::signer_of;
use crate::subscriptions::Subscription;
use crate::transparency::{Incarnation, Incarnations};

/// The incarnations of a log, with the records that were signed of them.
#[derive(Clone, Debug, Default)]
pub struct LogIncarnations {
    all: Incarnations,
    /// Of all but the first; nothing where none was signed yet.
    records: Vec<Option<String>>,
}

impl LogIncarnations {
    /// Those that a log keeps, oldest first.
    pub fn new(kept: Vec<KeptIncarnation>) -> Self {
        let (all, records): (Vec<_>, _) =
            kept.into_iter().map(|kept| (kept.incarnation, kept.token)).unzip();
        Self { all: Incarnations::new(all), records }
    }

    /// All of them.
    pub const fn all(&self) -> &Incarnations {
        &self.all
    }

    /// The incarnation in which a subscription's event at a position was given its number, also when it
    /// is sent again later: that of its entry, or the one in which the subscription was created, which
    /// numbers older entries from 1 on.
    pub fn of(&self, subscription: &Subscription, position: Position) -> u64 {
        self.all.at(position.0).max(self.all.when(subscription.created))
    }

    /// The records of all but the first, oldest first. One whose key is not published any more is signed
    /// anew.
    ///
    /// # Errors
    ///
    /// As `sign`.
    pub fn records<E>(
        &self,
        ring: &KeyRing,
        sign: impl Fn(&Incarnation) -> Result<String, E>,
    ) -> Result<Vec<String>, E> {
        let published = ring.keys();
        let is_published = |kid: &str| published.iter().any(|key| key.key.kid() == kid);
        let record = |(incarnation, kept): (&Incarnation, &Option<String>)| match kept {
            Some(token) if signer_of(token).is_some_and(|kid| is_published(&kid)) => {
                Ok(token.clone())
            }
            _ => sign(incarnation),
        };
        self.all.records().iter().zip(&self.records).map(record).collect()
    }
}
