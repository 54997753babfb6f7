//! The signed records of the incarnations of the log, as they are given out.

use crate::deliver::attempt::{Sealer, SealerError};
use crate::seal::sign_incarnation;
use crate::transparency::Incarnations;

impl Sealer {
    /// The incarnations of the log.
    pub fn incarnations(&self) -> &Incarnations {
        self.parts.incarnations.all()
    }

    /// The signed records of all incarnations but the first, oldest first.
    ///
    /// # Errors
    ///
    /// Later: there is no key to sign with.
    pub fn incarnation_records(&self) -> Result<Vec<String>, SealerError> {
        let parts = &self.parts;
        parts.incarnations.records(&parts.ring, |incarnation| {
            let key = parts.ring.active(parts.signature);
            let key = key.ok_or(SealerError::NoSigningKey(parts.signature))?;
            Ok(sign_incarnation(incarnation, (&parts.issuer, parts.clock.now()), &key)?)
        })
    }
}
