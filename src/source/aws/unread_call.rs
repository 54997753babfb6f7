//! What the embedded bus answers to a call whose body was not read.

use crate::source::aws::{Answered, AwsErrorKind, Bus, Refused};

impl Bus {
    /// Refuses a call whose body was not read because it is longer than [`max_body`](Self::max_body).
    pub fn refuse_long_body(&self) -> Answered {
        let message = format!("The request body is over the limit of {}.", self.config.max_body);
        let refused = Refused::new(AwsErrorKind::RequestEntityTooLarge, message);
        Answered { request_id: self.random_id(), outcome: Err(refused) }
    }

    /// Refuses a call for whose body there is no room.
    pub fn refuse_crowded(&self) -> Answered {
        let message = "Too many request bodies are being read; repeat the request later.";
        let refused = Refused::new(AwsErrorKind::ServiceUnavailable, message);
        Answered { request_id: self.random_id(), outcome: Err(refused) }
    }

    /// Refuses a call whose body broke off.
    pub fn refuse_broken_body(&self) -> Answered {
        let message = "The request body did not come to its end.";
        let refused = Refused::new(AwsErrorKind::Serialization, message);
        Answered { request_id: self.random_id(), outcome: Err(refused) }
    }
}
