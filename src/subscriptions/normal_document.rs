//! Gives the addresses of a document their normal form, in which they are kept, shown and compared.

use crate::subscriptions::bounds::normal_address;
use crate::subscriptions::{Invalid, Protocol, SubscriptionDocument, SubscriptionError};

impl SubscriptionDocument {
    /// The document with each of its addresses in its normal form.
    ///
    /// # Errors
    ///
    /// The caller's turn: an address has none.
    pub fn normalised(mut self) -> Result<Self, SubscriptionError> {
        if self.protocol == Protocol::Http {
            normalise("/sink", self.sink.as_mut())?;
        }
        normalise("/config/keys/jwksUri", self.config.keys.jwks_uri.as_mut())?;
        if let Some(receipts) = &mut self.config.receipts {
            normalise("/config/receipts/jwksUri", receipts.jwks_uri.as_mut())?;
        }
        let credential = self.sinkcredential.as_mut();
        if let Some(oauth) = credential.and_then(|credential| credential.oauth.as_mut()) {
            normalise("/sinkcredential/oauth/endpoint", Some(&mut oauth.endpoint))?;
        }
        Ok(self)
    }
}

fn normalise(pointer: &str, address: Option<&mut String>) -> Result<(), Invalid> {
    if let Some(address) = address {
        *address = normal_address(pointer, address)?;
    }
    Ok(())
}
