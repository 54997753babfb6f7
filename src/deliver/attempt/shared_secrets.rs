//! Opens the shared secrets of a subscription.

use crate::deliver::attempt::secret_overlap::for_challenge;
use crate::deliver::attempt::{Sealer, SealerError};
use crate::keys::SharedSecret;
use crate::subscriptions::{Subscription, shared_secret_context};

impl Sealer {
    /// The secret that a token is made with now, or a challenge in its attempt: the first in its order that
    /// opens, because one that does not keeps none of the others from being used.
    ///
    /// # Errors
    ///
    /// Ours: none opens.
    pub(super) fn first_secret(
        &self,
        subscription: &Subscription,
        newest: &str,
        challenge: Option<u32>,
    ) -> Result<SharedSecret, SealerError> {
        let now = self.parts.clock.now();
        let order = match challenge {
            Some(attempt) => for_challenge(subscription, newest, (now, attempt)),
            None => self.overlap.in_order(subscription, newest, now),
        };
        let first = order.into_iter().find_map(|kept| self.opened(subscription, kept).ok());
        first.map_or_else(|| self.opened(subscription, newest), Ok)
    }

    /// Opens one of the shared secrets of a subscription.
    ///
    /// # Errors
    ///
    /// Ours: it does not open.
    pub(super) fn opened(
        &self,
        subscription: &Subscription,
        kept: &str,
    ) -> Result<SharedSecret, SealerError> {
        let jwks = self.parts.data_key.open(&shared_secret_context(&subscription.id), kept)?;
        Ok(SharedSecret::from_jwks(&jwks)?)
    }
}
