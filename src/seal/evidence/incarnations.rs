//! What a bundle says of the incarnations of the log: their records, against its head, its places and its
//! events.

use serde_json::{Map, Value};

use crate::event::{EventId, Timestamp};
use crate::seal::IncarnationReader;
use crate::seal::evidence::examiner::{Checked, text_of, wrong};
use crate::seal::evidence::{BundleTrust, Examiner};
use crate::transparency::{Incarnation, TreeHash, verify_consistency};

/// No log was restored more often.
const MOST_RECORDS: usize = 1_000;

impl Examiner<'_> {
    /// Takes the record of an incarnation, and what proves that the tree of the head begins with what it
    /// says to have survived.
    pub(super) fn take_incarnation(&mut self, members: &Map<String, Value>) -> Checked<()> {
        let token = text_of(members, "token")?;
        let proof = members.get("proof").cloned().unwrap_or_default();
        let proof: Vec<TreeHash> =
            serde_json::from_value(proof).map_err(|_| "`proof` is malformed".to_owned())?;
        let record = self.read_record(token)?;
        if self.incarnations.records.len() == MOST_RECORDS {
            return wrong("there are too many incarnations");
        }
        let (number, parent) = (record.number, record.survivors.incarnation);
        if parent != self.incarnations.declared() {
            return Err(format!(
                "incarnation {number} goes on from {parent}, which is not the one declared before it"
            ));
        }
        let (survived, began, newest) =
            (record.survivors.tree, record.began, record.survivors.event);
        let before = self.incarnations.records.last().map(|one| one.began);
        self.incarnations.records.push(record);
        self.hold_began(number, (before, began), newest);
        let (Some(survived), Some(head)) = (survived, self.tree.head) else {
            return wrong("the head of the bundle has no tree");
        };
        if survived.first != head.first {
            return wrong("the tree over the log began with another event before the restore");
        }
        verify_consistency(&survived.tree, &head.tree, &proof).map_err(|error| {
            format!(
                "it is not proved that the log of incarnation {number} begins with what it says to have \
                 survived: {error}"
            )
        })
    }

    /// Holds the moment at which an incarnation began against what it survived with, the one in front of it and
    /// the bundle, which tells of it.
    fn hold_began(
        &mut self,
        number: u64,
        (before, began): (Option<Timestamp>, Timestamp),
        newest: Option<EventId>,
    ) {
        self.hold_date("the record of an incarnation", began, newest);
        let at = self.header.as_ref().map(|header| header.at);
        if at.is_some_and(|at| at.after(BundleTrust::LEEWAY) < began) {
            self.find(format!(
                "the bundle is dated before incarnation {number} of the log began ({began})"
            ));
        }
        if before.is_some_and(|before| began.after(BundleTrust::LEEWAY) < before) {
            self.find(format!(
                "incarnation {number} of the log began before the one in front of it"
            ));
        }
    }

    fn read_record(&mut self, token: &str) -> Checked<Incarnation> {
        let Some(header) = &self.header else { return wrong("there is no header") };
        let latest = self.trust.now.after(BundleTrust::LEEWAY);
        let mut issuers = self.trust.addressees(&header.issuer, &header.aliases);
        let read = issuers.find_map(|issuer| {
            IncarnationReader { issuer_keys: &self.keys, issuer, latest }.read(token).ok()
        });
        drop(issuers);
        read.ok_or_else(|| {
            let foreign = "the record of an incarnation is not signed by its key, or is none";
            self.signer(token).unwrap_or_else(|| foreign.to_owned())
        })
    }

    /// Notes that the incarnation of the head is not declared.
    pub(super) fn must_be_declared(&mut self) {
        let (head, declared) = (self.incarnations.head, self.incarnations.declared());
        if head != declared {
            self.find(format!(
                "the bundle is of incarnation {head} of the log, and the last that a record in it declares \
                 is {declared}"
            ));
        }
    }
}
