//! Refuses subscriptions whose addresses can never be dialed.

use url::Url;

use crate::egress::Egress;
use crate::subscriptions::{Invalid, Protocol, SubscriptionDocument, SubscriptionError};

impl Egress {
    /// Judges the addresses of a subscription as far as that goes without a resolver.
    ///
    /// # Errors
    ///
    /// The caller's turn: an address is refused, at its pointer.
    pub fn check(&self, document: &SubscriptionDocument) -> Result<(), SubscriptionError> {
        let jwks_uri = document.config.keys.jwks_uri.as_deref();
        let receipts = document.config.receipts.as_ref();
        let oauth = document.sinkcredential.as_ref().and_then(|one| one.oauth.as_ref());
        // No consumer chooses where a bus is reached: its ARN names the region, and its operator the bus.
        let dialed = |_: &&str| document.protocol != Protocol::EventBridge;
        let addresses = [
            ("/sink", document.sink.as_deref().filter(dialed)),
            ("/config/keys/jwksUri", jwks_uri),
            ("/sinkcredential/oauth/endpoint", oauth.map(|oauth| &*oauth.endpoint)),
            ("/config/receipts/jwksUri", receipts.and_then(|keys| keys.jwks_uri.as_deref())),
        ];
        for (pointer, text) in addresses {
            let Some(text) = text else { continue };
            let invalid = |problem: String| Invalid { pointer: pointer.to_owned(), problem };
            let url = Url::parse(text).map_err(|error| invalid(error.to_string()))?;
            self.judge_url(&url).map_err(|refused| invalid(refused.to_string()))?;
        }
        Ok(())
    }
}
