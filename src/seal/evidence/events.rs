//! Checks the events of a bundle: the chain, the form of the tokens, what is in them, and receipts.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use crate::event::{ChainValue, EventDigest, EventId, Timestamp, TokenDigest, json};
use crate::keys::{VerifyingKey, VerifyingKeys};
use crate::seal::evidence::dates::{too_early, too_late};
use crate::seal::evidence::examiner::{Checked, parsed, text_of, wrong};
use crate::seal::evidence::{BundleTrust, Examiner, Header, MOST_RECEIPTS, OpenedEvent};
use crate::seal::open::is_addressed;
use crate::seal::receipt::LONGEST_RECEIPT;
use crate::seal::{
    ChainCheck, Link, OpenLimits, Opened, Opening, PlaceClaims, Receipt, ReceiptFault,
    ReceiptReader, open, text,
};

impl Examiner<'_> {
    /// Takes an event; gives what was in its token, if that was opened.
    pub(super) fn take_event(
        &mut self,
        members: &Map<String, Value>,
    ) -> Checked<Option<OpenedEvent>> {
        let id: EventId = parsed(members, "id")?;
        if text_of(members, "id")? != id.to_string() {
            return wrong("`id` is not in its one form, 26 upper-case characters");
        }
        let sequence = members.get("seq").and_then(Value::as_u64);
        let Some(sequence) = sequence else { return wrong("`seq` is missing or no number") };
        self.event = Some((sequence, id));
        self.events += 1;
        let place = PlaceClaims { sequence, previous: parsed(members, "prv")? };
        let digest: EventDigest = parsed(members, "digest")?;
        // That there is no first checkpoint is a flaw already; what follows can be held together.
        let next = self.next.unwrap_or(place);
        let check = ChainCheck::of(next, [Link { id, place, digest }]);
        if check.earlier > 0 {
            return Err(format!("out of order: number {} was expected", next.sequence));
        }
        self.next = Some(check.next);
        self.newest = self.newest.max(Some(id));
        self.hold_range(id);
        self.hold_kept(members);
        for finding in &check.findings {
            self.find(finding.to_string());
        }
        let found = self.tree.find(members, (id, digest));
        match (found, self.tree.index.filter(|_| members.contains_key("inclusion"))) {
            (Err(problem), _) => self.find(problem),
            (Ok(()), Some(index)) => {
                self.hold_against_epoch();
                self.date_leaf(index, id);
            }
            (Ok(()), None) => {}
        }
        let token = text_of(members, "token")?;
        if parsed::<TokenDigest>(members, "token_sha256")? != TokenDigest::of(token) {
            return wrong("the token is not the one whose digest stands beside it");
        }
        let outer = text::parts::<5>(token, OpenLimits::default().token)
            .and_then(|[header, ..]| text::object(header, json::Limits::new(4096, 8)));
        if outer.is_none_or(|header| header.get("cty") != Some(&json!("JWT"))) {
            return wrong("the token does not have the form of a nested JWT");
        }
        let before = self.receipts;
        self.take_receipts(members, (id, place, check.next.previous));
        let state = self.take_state(members, (id, self.receipts - before));
        let state = state.unwrap_or_else(|problem| {
            self.find(problem);
            None
        });
        let opened = match self.open(token, &self.keys) {
            Ok(Some(opened)) => opened,
            Ok(None) => return Ok(None),
            Err(problem) => {
                let signer = self.signer_within(token);
                return Err(signer.map_or(problem, |kid| self.unbelieved(&kid)));
            }
        };
        if opened.id() != id.to_string() || opened.place() != Some(place) {
            return wrong("the token is for another event or another place");
        }
        if opened.digest() != Some(digest) {
            return wrong("the event in the token is not the one that the chain covers");
        }
        self.opened += 1;
        if let Err(problem) = self.incarnations.hold(opened.incarnation(), id) {
            self.find(problem);
        }
        if let Some(claims) = opened.claims().as_object()
            && let Some(issued) = self.issued("the token", claims)
        {
            self.hold_date("the token", issued, Some(id));
        }
        let is_in_tree = members.contains_key("inclusion");
        Ok(Some(OpenedEvent { opened, is_in_tree, digest, event: (sequence, id), state }))
    }

    /// Notes an event that was not asked for.
    fn hold_range(&mut self, id: EventId) {
        let Some(header) = &self.header else { return };
        let (is_before, is_beyond) =
            (header.from.is_some_and(|from| id < from), header.to.is_some_and(|to| id > to));
        // Everything up to the head of a place was looked at there.
        let is_stale = self.place_head.is_some_and(|head| head >= id);
        self.place_head = None;
        if is_stale {
            self.find("the place before it has a `head` that is not older".to_owned());
        }
        if is_before || is_beyond {
            let bound = if is_before { "before `from`" } else { "behind `to`" };
            self.find(format!("the event lies {bound} of the head"));
        }
    }

    /// Notes a contract that is said not to be kept: those of events in the tree are. Whoever opens tokens
    /// sees which events name it.
    fn hold_kept(&mut self, members: &Map<String, Value>) {
        let is_unkept = std::mem::take(&mut self.is_unkept) && self.trust.opening_keys.is_none();
        if is_unkept && members.contains_key("inclusion") {
            self.find("its contract is left out, and it is no event of before".to_owned());
        }
    }

    /// The key of the bundle that has signed what is in a token, if it is not believed.
    fn signer_within(&self, token: &str) -> Option<String> {
        let has_signed = |key: &&VerifyingKey| {
            let alone = std::iter::once((*key).clone()).collect();
            self.open(token, &alone).is_ok_and(|opened| opened.is_some())
        };
        self.bundled.without(&self.keys).find(has_signed).map(|key| key.kid().to_owned())
    }

    fn open(&self, token: &str, issuer_keys: &VerifyingKeys) -> Checked<Option<Opened>> {
        let (Some(keys), Some(header)) = (self.trust.opening_keys, &self.header) else {
            return Ok(None);
        };
        let (issuer, audience) = (&header.issuer, &header.audience);
        let opening = Opening::new(keys, issuer_keys, issuer, audience, self.trust.now);
        let opened = open(token, &Opening { stored: true, ..opening });
        let opened = opened.map_err(|error| match error.claim() {
            Some(fault) => format!("the token is signed and cannot be true: {fault}"),
            None => "the token cannot be opened with these keys".to_owned(),
        })?;
        if opened.subscription() != Some(header.subscription.as_str()) {
            return wrong("the token is of another subscription");
        }
        Ok(Some(opened))
    }

    fn take_receipts(
        &mut self,
        members: &Map<String, Value>,
        at: (EventId, PlaceClaims, ChainValue),
    ) {
        let Some(receipts) = members.get("receipts").and_then(Value::as_array) else {
            return self.find("`receipts` is missing or no list".to_owned());
        };
        if receipts.len() > MOST_RECEIPTS {
            self.find(format!("there are more than {MOST_RECEIPTS} receipts"));
        }
        let before = self.receipts;
        let mut statements = HashSet::new();
        for receipt in receipts.iter().take(MOST_RECEIPTS) {
            // A signature can have two forms (ECDSA's `s` and `n - s`); what is signed has one.
            let statement = receipt.as_str().and_then(|text| text.rsplit_once('.'));
            if !statements.insert(statement.map(|(signed, _)| signed)) {
                self.find("a receipt stands here twice".to_owned());
                continue;
            }
            match self.judge(receipt.as_str().unwrap_or_default(), at) {
                Ok(Word::Kept { chained }) => {
                    self.receipts += 1;
                    self.receipts_without_chain += u64::from(!chained);
                }
                Ok(Word::Unknown) => self.unchecked_receipts += 1,
                Ok(Word::Doubtful) => {
                    self.unchecked_receipts += 1;
                    self.doubtful_receipts += 1;
                }
                Err(problem) => self.find(problem),
            }
        }
        self.events_without_receipt += u64::from(self.receipts == before);
    }

    /// Reads a receipt under each set of keys; of what is wrong, that it does not fit a key of its name says
    /// most. To which name of the gateway it is addressed is read before any signature is verified: there may
    /// be many of both.
    fn read_receipt(&self, receipt: &str, header: &Header) -> Result<Receipt, ReceiptFault> {
        let claims = text::parts::<3>(receipt, LONGEST_RECEIPT)
            .and_then(|[_, claims, _]| text::object(claims, json::Limits::new(LONGEST_RECEIPT, 8)));
        let audience = claims.and_then(|claims| {
            let mut names = self.trust.addressees(&header.issuer, &header.aliases);
            names.find(|name| is_addressed(&claims, &header.audience, name))
        });
        let mut said = Err(ReceiptFault::UnknownKey);
        for keys in self.receipt_keys.iter().chain(&self.kept_receipt_keys) {
            let reader = ReceiptReader {
                keys,
                issuer: &header.audience,
                audience: audience.unwrap_or(&header.issuer),
                // Its date is judged elsewhere, so that a false one is called so.
                now: Timestamp::MAX,
                leeway: BundleTrust::LEEWAY,
            };
            let read = reader.read(receipt.as_bytes());
            if read.is_ok() {
                return read;
            }
            if said == Err(ReceiptFault::UnknownKey) {
                said = read;
            }
        }
        said
    }

    fn judge(
        &self,
        receipt: &str,
        (id, place, after): (EventId, PlaceClaims, ChainValue),
    ) -> Checked<Word> {
        let Some(header) = &self.header else { return Ok(Word::Unknown) };
        let receipt = match self.read_receipt(receipt, header) {
            Ok(receipt) => receipt,
            Err(ReceiptFault::UnknownKey) if self.trust.receipt_keys.is_none() => {
                return Ok(Word::Unknown);
            }
            // The bundle's own keys are those that the consumer gives today, with the names and the
            // audience that it likes: what it signed before must not turn into a flaw of the bundle.
            Err(ReceiptFault::Invalid) if !self.bundled_receipt_keys.is_empty() => {
                return Ok(Word::Doubtful);
            }
            Err(fault) => return Err(format!("a receipt is no valid one: {fault}")),
        };
        let dated = receipt.issued_at;
        let misdated = too_early("a receipt", dated, Some(id));
        if let Some(problem) = misdated.or_else(|| too_late("a receipt", dated, self.trust.now)) {
            return Err(problem);
        }
        // A receipt of a replay has no place.
        let place = receipt.sequence.map(|_| (place.sequence, after));
        receipt
            .concerns(id, &header.subscription, place)
            .map_err(|fault| format!("a receipt is for something else: {fault}"))?;
        // A replay has no place in the chain, so its receipt cannot say one.
        Ok(Word::Kept { chained: receipt.chain.is_some() || receipt.sequence.is_none() })
    }
}

/// What a receipt without a flaw is worth.
enum Word {
    /// The consumer's key has signed it; `chained` unless it could say the chain value and does not.
    Kept { chained: bool },
    /// The bundle has no copy of the key that it names.
    Unknown,
    /// It does not fit the key that the bundle itself brings under that name.
    Doubtful,
}
