//! What a subscription asks for, as a bundle tells it: in its head, and wherever that changes.

use crate::event::{AskedDigest, DocumentAsk, GatewayAsk, SubscriptionAsk};

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
    pub asked: SubscriptionAsk,
    /// Its digest.
    pub digest: AskedDigest,
}

/// What was told of it.
#[derive(Debug, Default)]
pub struct ToldAsks {
    now: Option<(SubscriptionAsk, AskedDigest)>,
    /// Each that was told, as much of it as is shown.
    pub shown: Vec<AskedFrom>,
    /// How many were told.
    pub count: u64,
    bytes: usize,
}

impl ToldAsks {
    /// What is asked for at the present line, and its digest; nothing in a bundle of before that was said.
    pub const fn now(&self) -> Option<&(SubscriptionAsk, AskedDigest)> {
        self.now.as_ref()
    }

    pub(super) fn put(&mut self, asked: SubscriptionAsk, (sequence, bytes): (Option<u64>, usize)) {
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
    (known, told): (&GatewayAsk, Option<&SubscriptionAsk>),
    documents: &[DocumentAsk],
) -> Option<String> {
    let expected: Vec<SubscriptionAsk> =
        documents.iter().map(|document| document.with(known)).collect();
    if expected.iter().any(|own| own.digest() == digest) {
        return None;
    }
    let differences =
        |own: &SubscriptionAsk| told.map(|told| own.differences(told)).unwrap_or_default();
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
