//! Takes what a bundle tells of what was asked for, and of what became of its events.

use serde_json::{Map, Value};

use crate::event::{AskedDigest, EventId, SubscriptionAsk};
use crate::seal::evidence::examiner::{Checked, text_of, wrong};
use crate::seal::evidence::{EventState, Examiner, unlike_documents};

impl Examiner<'_> {
    /// What the subscription asks for at the present line; nothing in a bundle of before that was said.
    pub fn asked(&self) -> Option<&SubscriptionAsk> {
        self.asked.now().map(|(asked, _)| asked)
    }

    /// Takes what the head says of it.
    pub(super) fn take_asked(
        &mut self,
        members: &Map<String, Value>,
    ) -> Checked<Option<SubscriptionAsk>> {
        let (told, digest) = (members.get("asked"), members.get("sub_digest"));
        let (Some(told), Some(digest)) = (told, digest) else {
            if told.is_some() || digest.is_some() {
                return wrong("of `asked` and `sub_digest`, only one is there");
            }
            if !self.trust.documents.is_empty() {
                self.find("the bundle does not say what the subscription asks for".to_owned());
            }
            return Ok(None);
        };
        let asked = read(told)?;
        self.asked.put(asked.clone(), (None, told.to_string().len()));
        if digest.as_str() != Some(&*asked.digest().to_string()) {
            self.find("`sub_digest` is not the digest of `asked`".to_owned());
        }
        self.hold_against_documents();
        Ok(Some(asked))
    }

    /// Takes a change of it, with the place at which it changes.
    pub(super) fn take_change(&mut self, members: &Map<String, Value>) -> Checked<()> {
        let told = members.get("asked").unwrap_or(&Value::Null);
        let asked = read(told)?;
        let Some((before, _)) = self.asked.now() else {
            return wrong("the head of the bundle does not say what the subscription asks for");
        };
        let (epoch, is_later) = (asked.epoch, asked.epoch > before.epoch);
        let next = self.next.map(|next| next.sequence);
        self.asked.put(asked, (next, told.to_string().len()));
        if !is_later {
            self.find("it does not begin behind what was asked for before".to_owned());
        }
        if self.tree.position().is_some_and(|last| epoch <= last) {
            self.find("it begins at or before the event in front of it".to_owned());
        }
        self.hold_against_documents();
        let place = self.read_checkpoint(text_of(members, "token")?)?;
        self.stands_here(&place, "the events go on behind this place")
    }

    /// Notes that a place was signed for another digest.
    pub(super) fn hold_against_asked(&mut self, signed: Option<AskedDigest>) {
        let told = self.asked.now().map(|(_, digest)| *digest);
        let problem = match (signed, told) {
            (signed, told) if signed == told => return,
            (Some(signed), Some(told)) => {
                format!("the place was signed for {signed}, and the bundle says {told}")
            }
            (None, Some(told)) => format!("the place does not say `sub_digest`: {told}"),
            (Some(signed), None) => {
                format!(
                    "the place was signed for {signed}, and the bundle does not say what that is"
                )
            }
            (None, None) => return,
        };
        self.find(problem);
    }

    /// Notes that an event lies before what was asked for when it was numbered.
    pub(super) fn hold_against_epoch(&mut self) {
        let Some((position, (asked, _))) = self.tree.position().zip(self.asked.now()) else {
            return;
        };
        let epoch = asked.epoch;
        if position < epoch {
            self.find(format!(
                "it is at position {position} of the log, and what is asked for begins at {epoch}"
            ));
        }
    }

    fn hold_against_documents(&mut self) {
        let Some((asked, digest)) = self.asked.now() else { return };
        let of = (&asked.of_gateway(), Some(asked));
        if let Some(problem) = unlike_documents(*digest, of, self.trust.documents) {
            let problem = format!("from position {} of the log on, {problem}", asked.epoch);
            self.find(problem);
        }
    }

    /// Takes what became of an event, after its receipts; `receipts` says how many of them are good.
    pub(super) fn take_state(
        &mut self,
        members: &Map<String, Value>,
        (id, receipts): (EventId, u64),
    ) -> Checked<Option<EventState>> {
        let state = EventState::read(members).map_err(str::to_owned)?;
        let has_receipts =
            members.get("receipts").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
        match &state {
            None => {
                self.states.untold += 1;
                // Whoever says what was asked for says this, too.
                if self.asked.now().is_some() {
                    return wrong("`state` is missing");
                }
            }
            Some(EventState::Taken) => {
                self.states.taken += 1;
                self.states.taken_by_receipt += u64::from(receipts > 0);
            }
            Some(EventState::Offered) => self.states.offered += 1,
            Some(EventState::GivenUp { at, .. }) => {
                self.states.given_up += 1;
                if let Some(at) = at {
                    self.hold_date("the dead letter", *at, Some(id));
                }
            }
        }
        if let Some(other) = state.as_ref().filter(|state| **state != EventState::Taken)
            && has_receipts
        {
            let word = other.word();
            self.find(format!("it is said to be {word}, and there is a receipt for it"));
        }
        Ok(state)
    }
}

fn read(told: &Value) -> Checked<SubscriptionAsk> {
    serde_json::from_value(told.clone()).map_err(|_| "`asked` is malformed".to_owned())
}
