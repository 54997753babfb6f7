//! Checks who has signed a bundle: the keys that it brings, its checkpoints and its closing line.

use serde_json::{Map, Value};

use crate::event::{ChainValue, Timestamp};
use crate::keys::VerifyingKeys;
use crate::seal::evidence::dates::too_early;
use crate::seal::evidence::examiner::{Checked, Stage, wrong};
use crate::seal::evidence::{BUNDLE_TYPE, BundleTrust, Examiner};
use crate::seal::open::check_parties;
use crate::seal::{
    ChainCheck, ChainStanding, Checkpoint, CheckpointReader, OpenLimits, PlaceClaims, signed,
    signer_of,
};

/// Keys that are told to be missing.
const MOST_MISSING: usize = 32;
/// Keys of the gateway, those that have left its set included.
const MOST_KEYS: usize = 1_000;
/// Sets of keys for receipts beside that of now.
const MOST_KEPT_SETS: usize = 128;
/// Characters that a bundle may say about why it has no keys for receipts.
const LONGEST_PROBLEM: usize = 300;

impl Examiner<'_> {
    pub(super) fn take_keys(&mut self, members: &Map<String, Value>) -> Checked<()> {
        if self.bundled_keys.len() > MOST_KEYS {
            return wrong("there are too many keys of the gateway");
        }
        let jwks = members.get("jwks").unwrap_or(&Value::Null);
        let own = VerifyingKeys::from_json(jwks.to_string().as_bytes())
            .map_err(|error| format!("the key set cannot be used: {error}"))?;
        let is_new = own.without(&self.bundled).next().is_some();
        self.bundled
            .join(own.clone())
            .map_err(|_| "a key of the set has the name of another key of the bundle")?;
        if let Some(kid) = own.misnamed() {
            self.find(format!("the key `{kid}` is not named by its RFC 7638 thumbprint"));
        }
        if !is_new {
            return Ok(());
        }
        self.bundled_keys = self.bundled.thumbprints();
        if self.trust.issuer_keys.is_none() {
            self.keys = self.bundled.clone();
        }
        Ok(())
    }

    pub(super) fn take_receipt_keys(&mut self, members: &Map<String, Value>) -> Checked<()> {
        if let Some(Value::String(problem)) = members.get("problem") {
            self.receipt_keys_problem = Some(problem.chars().take(LONGEST_PROBLEM).collect());
            return Ok(());
        }
        let jwks = members.get("jwks").unwrap_or(&Value::Null).to_string();
        let own = VerifyingKeys::from_json(jwks.as_bytes())
            .map_err(|error| format!("the keys for receipts cannot be used: {error}"))?;
        if members.get("kept") == Some(&Value::Bool(true)) {
            return self.take_kept_receipt_keys(own);
        }
        if self.receipt_keys.is_none() {
            self.bundled_receipt_keys.extend(own.thumbprints());
            self.receipt_keys = Some(own);
        }
        Ok(())
    }

    /// Takes keys under which receipts were checked when they came, and which the consumer may have
    /// replaced since.
    fn take_kept_receipt_keys(&mut self, keys: VerifyingKeys) -> Checked<()> {
        if self.trust.receipt_keys.is_some() {
            return Ok(());
        }
        if self.kept_receipt_keys.len() == MOST_KEPT_SETS {
            return wrong("there are too many lines with keys for receipts");
        }
        self.bundled_receipt_keys.extend(keys.thumbprints());
        self.bundled_receipt_keys.sort();
        self.bundled_receipt_keys.dedup();
        self.kept_receipt_keys.push(keys);
        Ok(())
    }

    pub(super) fn read_checkpoint(&mut self, token: &str) -> Checked<Checkpoint> {
        let Some(header) = &self.header else { return wrong("there is no header") };
        let reader = CheckpointReader {
            issuer_keys: &self.keys,
            issuer: &header.issuer,
            audience: &header.audience,
            // Its date is judged below, so that a false one is called so.
            now: Timestamp::MAX,
            leeway: BundleTrust::LEEWAY,
        };
        let Ok(checkpoint) = reader.read_place(token) else {
            let foreign = "the checkpoint is not signed by its key, or for somebody else";
            return Err(self.signer(token).unwrap_or_else(|| foreign.to_owned()));
        };
        if checkpoint.subscription != header.subscription {
            return wrong("the checkpoint is of another subscription");
        }
        if checkpoint.incarnation != header.incarnation {
            return wrong("the checkpoint is of another incarnation of the log than the head");
        }
        let newest = checkpoint.head.max(self.newest);
        self.hold_order("the checkpoint", checkpoint.issued_at, newest);
        if checkpoint.head < self.newest {
            self.find("the checkpoint has an older `head` than an event before it".to_owned());
        }
        self.place_head = checkpoint.head;
        self.hold_against_asked(checkpoint.sub_digest);
        self.tree.follow(checkpoint.tree)?;
        if let Some(head) = checkpoint.tree {
            self.compare_with_kept(&head.tree)?;
            self.not_before_witnesses("the checkpoint", checkpoint.issued_at, head.tree.size);
        }
        Ok(checkpoint)
    }

    pub(super) fn take_first(&mut self, token: &str) -> Checked<()> {
        self.must_be_declared();
        let checkpoint = self.read_checkpoint(token)?;
        if checkpoint.sequence == 0
            && checkpoint.chain != ChainValue::start(&checkpoint.subscription)
        {
            return wrong("the chain does not begin where that of the subscription does");
        }
        self.first_place = Some((checkpoint.sequence, checkpoint.chain));
        let sequence = checkpoint.sequence.saturating_add(1);
        self.next = Some(PlaceClaims { sequence, previous: checkpoint.chain });
        Ok(())
    }

    pub(super) fn take_last(&mut self, token: &str) -> Checked<()> {
        let checkpoint = self.read_checkpoint(token)?;
        self.stands_here(&checkpoint, "the events go on behind the last checkpoint")
    }

    /// Whether a place is the one that the events before it lead to; `beyond` says that they go on behind it.
    pub(super) fn stands_here(&self, place: &Checkpoint, beyond: &str) -> Checked<()> {
        // That the first is no good is a flaw already.
        let Some(next) = self.next else { return Ok(()) };
        let mut check = ChainCheck::of(next, []);
        let standing = check.compare(place);
        if let Some(finding) = check.findings.first() {
            return Err(finding.to_string());
        }
        if standing == ChainStanding::Newest { Ok(()) } else { wrong(beyond) }
    }

    pub(super) fn take_closing(&mut self, token: &str) -> Checked<()> {
        self.stage = Stage::Done;
        let limits =
            OpenLimits { token: 16 * 1024, inflated: 0, depth: 8, ..OpenLimits::default() };
        let Some(claims) = signed::verify(token, BUNDLE_TYPE, &self.keys, &limits) else {
            let foreign = "the closing line is not signed by its key";
            return Err(self.signer(token).unwrap_or_else(|| foreign.to_owned()));
        };
        let Some(header) = &self.header else { return wrong("there is no header") };
        let (at, newest, head) = (header.at, self.newest, header.tree);
        let of = signed::statement(&claims).map(|(_, subscription)| subscription);
        if check_parties(&claims, &header.issuer, &header.audience).is_none()
            || of.as_ref() != Some(&header.subscription)
        {
            return wrong("the closing signature is of another bundle");
        }
        let (lines, hash) = self.before();
        if claims.get("lines").and_then(Value::as_u64) != Some(lines)
            || claims.get("sha256").and_then(Value::as_str) != Some(&hash)
        {
            return wrong("lines before this one were added, removed or altered");
        }
        if let Some(problem) = too_early("the bundle", at, newest) {
            self.find(problem);
        }
        if let Some(head) = head {
            self.not_before_witnesses("the bundle", at, head.tree.size);
        }
        let closed = self.issued("the closing line", &claims);
        self.finish_notes(closed);
        if let Some(issued) = closed {
            self.hold_order("the closing line", issued, newest);
        }
        Ok(())
    }

    /// Names the key of a JWS, if it is not among those that are believed.
    pub(super) fn signer(&mut self, token: &str) -> Option<String> {
        let kid = signer_of(token)?;
        self.keys.get(&kid).is_none().then(|| self.unbelieved(&kid))
    }

    /// Notes that a key has signed which is not believed; gives what to say of that.
    pub(super) fn unbelieved(&mut self, kid: &str) -> String {
        if self.missing_keys.len() < MOST_MISSING {
            self.missing_keys.insert(kid.to_owned());
        }
        format!("it is signed with the key `{kid}`, which is not among those that are believed")
    }
}
