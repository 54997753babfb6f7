//! The places of a bundle of evidence.

use crate::api::evidence::{Broken, Export};
use crate::event::EventId;
use crate::eventlog::{Position, SequenceCheckpoint};
use crate::transparency::TreeHead;

impl Export {
    /// Says how far the subscription had come at a place.
    pub(super) async fn checkpoint(
        &mut self,
        place: SequenceCheckpoint,
        at: (Option<EventId>, Option<TreeHead>),
    ) -> Result<(), Broken> {
        let sealer = self.services.subscription_service.sealer();
        let token = self.epochs.sign(sealer, place, at)?;
        self.keys().await?;
        let line = self.bundle.checkpoint(&token);
        self.say(line).await
    }

    /// Says what the subscription asked for else, as far as that began up to a position.
    pub(super) async fn asked_up_to(
        &mut self,
        position: Position,
        (place, head): (SequenceCheckpoint, Option<EventId>),
    ) -> Result<(), Broken> {
        while let Some(asked) = self.epochs.next_up_to(position) {
            let sealer = self.services.subscription_service.sealer();
            let token = self.epochs.sign(sealer, place, (head, self.header.tree))?;
            self.keys().await?;
            let line = self.bundle.change(&asked, &token);
            self.say(line).await?;
        }
        Ok(())
    }
}
