//! What a bundle says of the tree over the log: its places against its head, and its events against the
//! tree.

use serde_json::{Map, Value};

use crate::event::{EventDigest, EventId};
use crate::transparency::{
    LeafData, LeafProof, TreeHash, TreeHead, verify_consistency, verify_inclusion,
};

/// What was read of the tree.
#[derive(Debug, Default)]
pub(super) struct ToldTree {
    /// As it was told last.
    pub(super) head: Option<TreeHead>,
    /// Events of which it is not proved that they are in it: those from before its first leaf.
    pub(super) unproved: u64,
    /// What is to lead from there to the last place.
    proof: Option<Vec<TreeHash>>,
    /// The index of the last event.
    pub(super) index: Option<u64>,
}

/// Says what is wrong.
fn wrong(problem: &str) -> Result<(), String> {
    Err(problem.to_owned())
}

impl ToldTree {
    /// The position in the log of the last event whose place in the tree was told.
    pub(super) fn position(&self) -> Option<u64> {
        Some(self.head?.first.saturating_add(self.index?))
    }

    /// Takes the tree of the head; a bundle of before there was one has none.
    pub(super) fn begin(&mut self, tree: Option<&Value>) -> Result<Option<TreeHead>, String> {
        let read = |tree: &Value| serde_json::from_value(tree.clone());
        self.head = tree.map(read).transpose().map_err(|_| "`tree` is malformed".to_owned())?;
        Ok(self.head)
    }

    /// Takes what leads from the tree of the head to that of the last place.
    pub(super) fn take_proof(&mut self, members: &Map<String, Value>) -> Result<(), String> {
        let proof = members.get("proof").cloned().unwrap_or_default();
        let proof = serde_json::from_value(proof).map_err(|_| "`proof` is malformed".to_owned())?;
        match self.proof.replace(proof) {
            None => Ok(()),
            Some(_) => wrong("a proof of consistency was there before"),
        }
    }

    /// Whether a proof of consistency waits for the last place.
    pub(super) const fn has_proof(&self) -> bool {
        self.proof.is_some()
    }

    /// Takes the tree of a place: it is the one before, or that one has grown.
    pub(super) fn follow(&mut self, tree: Option<TreeHead>) -> Result<(), String> {
        let Some(before) = self.head else {
            return if tree.is_none() {
                Ok(())
            } else {
                wrong("the head of the bundle has no tree")
            };
        };
        let Some(now) = tree else { return wrong("the tree over the log is missing here") };
        if now.first != before.first || now.tree.size < before.tree.size {
            return wrong("the tree over the log is older than before, or another");
        }
        if now.tree.size == before.tree.size && now.tree.root != before.tree.root {
            return wrong("the tree over the log has one size and two roots: two histories");
        }
        let proof = self.proof.take().unwrap_or_default();
        verify_consistency(&before.tree, &now.tree, &proof).map_err(|error| {
            format!("it is not proved that the tree over the log has only grown: {error}")
        })?;
        self.head = Some(now);
        Ok(())
    }

    /// Holds an event against the tree of the head.
    pub(super) fn find(
        &mut self,
        members: &Map<String, Value>,
        (id, digest): (EventId, EventDigest),
    ) -> Result<(), String> {
        let Some(inclusion) = members.get("inclusion") else {
            if self.index.is_some() {
                return wrong("the proof that it is in the tree is missing");
            }
            if self.head.is_some_and(|head| head.first <= 1) {
                return wrong(
                    "the tree has every event from the first on, and the proof is missing",
                );
            }
            // An event from before the first leaf, or a bundle from before there were trees.
            self.unproved += 1;
            return Ok(());
        };
        let Some(head) = self.head else { return wrong("the head of the bundle has no tree") };
        let LeafProof { index, proof } = serde_json::from_value(inclusion.clone())
            .map_err(|_| "`inclusion` is malformed".to_owned())?;
        if self.index.replace(index).is_some_and(|before| before >= index) {
            return wrong("its leaf does not come behind that of the event before");
        }
        verify_inclusion(&LeafData::new(id, digest), index, &proof, &head.tree)
            .map_err(|error| format!("it is not proved that it is in the tree: {error}"))
    }
}
