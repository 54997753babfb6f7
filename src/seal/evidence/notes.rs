//! Holds the checkpoints of a bundle, which witnesses have cosigned, against its trees and dates.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::event::{EventId, Timestamp};
use crate::seal::evidence::examiner::{Checked, parsed, wrong};
use crate::seal::evidence::{BundleCosignature, BundleTrust, Examiner, Header};
use crate::transparency::{LogNote, SignedNote, TreeHash, TreeRoot, verify_consistency};

/// A bundle has no more: one for each tree that one of at most 16 witnesses cosigned last.
const MOST_NOTES: u64 = 16;
/// How long after its log has made a checkpoint a witness may cosign it, with clocks that differ: what the
/// log takes meanwhile is not in it.
const ASKING: Duration = Duration::from_mins(2);

impl Examiner<'_> {
    /// Checkpoints that fit the trees of the bundle, whoever has cosigned them.
    pub const fn notes(&self) -> u64 {
        self.notes.count
    }

    /// What witnesses that are believed have cosigned.
    pub fn cosignatures(&self) -> &[BundleCosignature] {
        &self.notes.cosignatures
    }

    /// Takes a checkpoint: behind the last place, whose tree it begins with or goes on from.
    pub(super) fn take_note(&mut self, members: &Map<String, Value>) -> Checked<()> {
        let (Some(told), Some(header)) = (self.tree.head, &self.header) else {
            return wrong("the head of the bundle has no tree");
        };
        if self.notes.count == MOST_NOTES {
            return wrong("there are too many checkpoints with cosignatures");
        }
        let note: SignedNote = parsed(members, "note")?;
        let said: LogNote = note.text.parse().map_err(|_| "`note` is no checkpoint of a log")?;
        if !self.is_own(header, &said.origin) {
            return Err(format!(
                "the checkpoint is of the log {}, not of this gateway: if it was called so, name it with \
                 --issuer, or give the log's key",
                said.origin
            ));
        }
        let proof = members.get("proof").cloned().unwrap_or_default();
        let proof: Vec<TreeHash> =
            serde_json::from_value(proof).map_err(|_| "`proof` is malformed")?;
        let is_newer = said.tree.size >= told.tree.size;
        let (old, new) = if is_newer { (told.tree, said.tree) } else { (said.tree, told.tree) };
        verify_consistency(&old, &new, &proof).map_err(|error| {
            format!("the checkpoint does not fit the tree of the bundle: {error}")
        })?;
        self.compare_with_kept(&said.tree)?;
        self.notes.count += 1;
        let Some(trust) = self.trust.witnesses else { return Ok(()) };
        let cosigners = trust
            .cosigners(&note)
            .map_err(|error| format!("the checkpoint is not to be believed: {error}"))?;
        for (witness, at) in cosigners {
            self.take_cosignature(BundleCosignature { witness, size: said.tree.size, at });
        }
        Ok(())
    }

    /// Whether a log is this gateway's: below its name, or below one that it had before. What it was called is
    /// its own word, so that whoever believes witnesses has to name it or to know the log's key: an operator
    /// could have two logs.
    fn is_own(&self, header: &Header, origin: &str) -> bool {
        let is_of =
            |issuer: &String| LogNote::origin_of_issuer(issuer, header.incarnation) == origin;
        let is_known = self.trust.witnesses.is_none_or(|trust| trust.origin() == Some(origin));
        is_of(&header.issuer)
            || self.trust.issuers.iter().any(is_of)
            || (is_known && header.aliases.iter().any(is_of))
    }

    fn take_cosignature(&mut self, one: BundleCosignature) {
        let name = one.witness.name();
        if self
            .trust
            .witnesses
            .is_some_and(|trust| trust.goes_back(&one.witness, (one.size, one.at)))
        {
            self.find(format!(
                "the witness {name} has cosigned a smaller tree after a larger one: it is not honest, \
                 or was set back"
            ));
        }
        if one.at > self.trust.now.after(BundleTrust::LEEWAY) {
            self.find(format!("the witness {name} has cosigned at {}, which is to come", one.at));
        }
        self.notes.cosignatures.push(one);
    }

    /// Finds that a tree has another root than one of its size that a witness has cosigned.
    pub(super) fn compare_with_kept(&self, tree: &TreeRoot) -> Checked<()> {
        if self.trust.witnesses.is_some_and(|trust| trust.contradicts(tree)) {
            return Err(format!(
                "a tree of {} leaves with another root was cosigned: two histories",
                tree.size
            ));
        }
        Ok(())
    }

    /// Holds an event, once it is found in the tree, against the one before and against the checkpoints that
    /// were kept.
    pub(super) fn date_leaf(&mut self, index: u64, id: EventId) {
        if self.notes.last.is_some_and(|(_, before)| before >= id) {
            self.find(
                "its id is not behind that of the event before: a log gives ids in growing order, so \
                 one of the two has a false date"
                    .to_owned(),
            );
        }
        self.notes.last = Some((index, id));
        let Some(trust) = self.trust.witnesses else { return };
        let accepted = accepted(id);
        self.not_before_witnesses("the event", accepted, index.saturating_add(1));
        if let Some(cosigned) = trust.earliest_with(index) {
            self.not_after(accepted, cosigned);
        }
    }

    fn not_after(&mut self, accepted: Timestamp, cosigned: Timestamp) {
        if accepted > cosigned.after(BundleTrust::LEEWAY) {
            self.find(format!(
                "the event is dated {accepted}, and a witness has cosigned a tree with it at {cosigned}: \
                 the date is false, or the gateway's clock had gone ahead"
            ));
        }
    }

    /// Finds that something that speaks of a tree of some size is dated before a moment at which a
    /// witness saw the log smaller.
    pub(super) fn not_before_witnesses(&mut self, what: &str, dated: Timestamp, size: u64) {
        let Some(trust) = self.trust.witnesses else { return };
        let Some((at, then)) = size.checked_sub(1).and_then(|last| trust.latest_without(last))
        else {
            return;
        };
        if dated.after(ASKING) < at {
            self.find(format!(
                "{what} is dated {dated}, and at {at} the log had {then} leaves, fewer than it speaks of, \
                 as a witness has cosigned: the date is false, or the gateway's clock was behind"
            ));
        }
    }

    /// Says at the end what the cosignatures do not show.
    pub(super) fn finish_notes(&mut self, closed: Option<Timestamp>) {
        let (Some(trust), Some(header)) = (self.trust.witnesses, &self.header) else { return };
        if let Some(other) = trust.origin().filter(|origin| !self.is_own(header, origin)) {
            let own = LogNote::origin_of_issuer(&header.issuer, header.incarnation);
            self.find(format!(
                "the bundle is of the log {own}, and what is known is of the log {other}"
            ));
        }
        self.finish_dates(closed);
        let unproved = self.tree.unproved;
        if unproved > 0 && trust.quorum() > 0 {
            self.find(format!(
                "{unproved} events have no proof that they are in a tree over the log: no witness has \
                 cosigned one with them"
            ));
        }
        let last = self.notes.last;
        let covers = |one: &&BundleCosignature| last.is_none_or(|(index, _)| one.size > index);
        let (all, asked) = (&self.notes.cosignatures, trust.quorum());
        let (covering, found) = (distinct(all.iter().filter(covers)), distinct(all.iter()));
        if covering >= asked {
            return;
        }
        self.find(if found >= asked {
            let seen = all.iter().map(|one| one.size).max().unwrap_or_default();
            format!(
                "{covering} of the witnesses that are believed have cosigned a tree with the last event, \
                 and {asked} are asked for; the largest that was cosigned has {seen} leaves"
            )
        } else {
            format!(
                "{found} of the witnesses that are believed have cosigned the tree, and {asked} are \
                 asked for: others may have been shown another history"
            )
        });
    }

    /// A bundle was closed after everything in it was signed, and its last event is no younger than a tree
    /// with it.
    fn finish_dates(&mut self, closed: Option<Timestamp>) {
        for BundleCosignature { witness, size, at } in self.notes.cosignatures.clone() {
            if closed.is_some_and(|closed| closed.after(BundleTrust::LEEWAY) < at) {
                self.find(format!(
                    "the closing line is dated before the witness {} has cosigned ({at}) what stands in \
                     front of it: the date is false",
                    witness.name()
                ));
            }
            if let Some((_, id)) = self.notes.last.filter(|(index, _)| *index < size) {
                self.not_after(accepted(id), at);
            }
        }
    }
}

/// When an event was accepted, as its id says.
fn accepted(id: EventId) -> Timestamp {
    Timestamp::from_unix_ms(i64::try_from(id.unix_ms()).unwrap_or(i64::MAX))
}

/// How many witnesses there are among cosignatures.
fn distinct<'a>(cosignatures: impl Iterator<Item = &'a BundleCosignature>) -> usize {
    let mut names: Vec<_> = cosignatures.map(|one| one.witness.to_string()).collect();
    names.sort_unstable();
    names.dedup();
    names.len()
}
