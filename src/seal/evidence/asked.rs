//! What a subscription asks for, as a bundle tells it: in its head, and wherever that changes.

use serde_json::{Map, Value};

use crate::event::{Asked, AskedDigest, DocumentAsk, GatewayAsk};
use crate::seal::evidence::Examiner;
use crate::seal::evidence::examiner::{Checked, text_of, wrong};

/// So many of those that a bundle tells are kept to be shown; the others are counted.
const MOST_SHOWN: usize = 100;
/// The most bytes of those, as they are written.
const MOST_BYTES: usize = 1024 * 1024;

/// What a subscription asked for in a part of a bundle.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AskedFrom {
    /// The number of the first event that it may be for; nothing where the bundle begins.
    pub sequence: Option<u64>,
    /// What was asked for.
    pub asked: Asked,
    /// Its digest.
    pub digest: AskedDigest,
}

/// What was told of it.
#[derive(Debug, Default)]
pub struct ToldAsks {
    now: Option<(Asked, AskedDigest)>,
    /// Each that was told, as much of it as is shown.
    pub shown: Vec<AskedFrom>,
    /// How many were told.
    pub count: u64,
    bytes: usize,
}

impl ToldAsks {
    /// What is asked for at the present line, and its digest; nothing in a bundle of before that was said.
    pub const fn now(&self) -> Option<&(Asked, AskedDigest)> {
        self.now.as_ref()
    }

    fn put(&mut self, asked: Asked, (sequence, bytes): (Option<u64>, usize)) {
        let digest = asked.digest();
        self.count += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        if self.shown.len() < MOST_SHOWN && self.bytes <= MOST_BYTES {
            self.shown.push(AskedFrom { sequence, asked: asked.clone(), digest });
        }
        self.now = Some((asked, digest));
    }
}

/// What is wrong with a digest next to the consumer's own documents; nothing if it is that of one of them, or
/// there is none. `told` is what the digest is said to be of.
pub fn unlike_documents(
    digest: AskedDigest,
    (known, told): (&GatewayAsk, Option<&Asked>),
    documents: &[DocumentAsk],
) -> Option<String> {
    let expected: Vec<Asked> = documents.iter().map(|document| document.with(known)).collect();
    if expected.iter().any(|own| own.digest() == digest) {
        return None;
    }
    let differences = |own: &Asked| told.map(|told| own.differences(told)).unwrap_or_default();
    let nearest = expected.iter().min_by_key(|own| differences(own).len())?;
    let what = match differences(nearest).as_slice() {
        [] => String::new(),
        members => format!(", which has other {}", members.join(" and ")),
    };
    let own = nearest.digest();
    Some(format!(
        "the subscription asks for {digest}, and the document that was given for {own}{what}"
    ))
}

impl Examiner<'_> {
    /// What the subscription asks for at the present line; nothing in a bundle of before that was said.
    pub fn asked(&self) -> Option<&Asked> {
        self.asked.now().map(|(asked, _)| asked)
    }

    /// Takes what the head says of it.
    pub(super) fn take_asked(&mut self, members: &Map<String, Value>) -> Checked<Option<Asked>> {
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
}

fn read(told: &Value) -> Checked<Asked> {
    serde_json::from_value(told.clone()).map_err(|_| "`asked` is malformed".to_owned())
}
