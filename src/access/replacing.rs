//! Puts other publications in place while consumers hear.

use crate::access::{Access, PublicationAccess};
use crate::event::ConsumerId;
use crate::eventlog::Position;

impl Access {
    /// Those of other publications that everyone hears now and that would be heard by grant only.
    pub fn closed_by(&self, others: &[PublicationAccess]) -> Vec<PublicationAccess> {
        let known = self.known();
        let closes =
            |one: &&PublicationAccess| one.by_grant && known.public.contains_key(&one.name);
        others.iter().filter(closes).cloned().collect()
    }

    /// Whether a consumer hears something of a publication by grants, or would if it were not public.
    pub fn holds_grant(&self, consumer: &ConsumerId, publication: &str) -> bool {
        let at = (Position(u64::MAX), self.now());
        self.known().grants_let(consumer, publication, at)
    }

    /// Puts other publications in place of those of the files, for everyone from this moment on. What was
    /// heard by grant only and is published no more stays heard by grant only, as after a start.
    pub fn replace_publications(&self, others: &[PublicationAccess]) {
        self.change(|known| known.publish(others));
    }
}
