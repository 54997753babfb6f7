//! The result of `PutEvents`, signed where its producer asks for it.

use std::sync::Arc;

use http::HeaderMap;

use crate::event::EventProducer;
use crate::source::aws::answer::{EntryResult, put_events_json};
use crate::source::aws::entries::sent_digests;
use crate::source::aws::entry_outcome::SettledEntry;
use crate::source::{Admitted, EntryAnswer, SignAnswers, prefers_receipt};

/// Writes results, and has those signed that are to be.
pub(super) struct SignedResults {
    /// Whether all are signed, asked for or not.
    are_all: bool,
    signer: Option<Arc<dyn SignAnswers>>,
}

impl SignedResults {
    /// Signs nothing yet.
    pub(super) const fn new(are_all: bool) -> Self {
        Self { are_all, signer: None }
    }

    /// Signs from now on.
    pub(super) fn signed_by(self, signer: Arc<dyn SignAnswers>) -> Self {
        Self { signer: Some(signer), ..self }
    }

    /// Whether the answer to a request is to be signed.
    pub(super) fn are_asked(&self, headers: &HeaderMap) -> bool {
        self.signer.is_some() && (self.are_all || prefers_receipt(headers))
    }

    /// Writes what became of the entries of a body; with a signature for the producer that is given.
    pub(super) async fn answer(
        &self,
        entries: Vec<SettledEntry>,
        signed: Option<(&[u8], &EventProducer)>,
    ) -> String {
        let receipt = match (signed, &self.signer) {
            (Some((body, producer)), Some(signer)) => {
                signer.sign(producer, answers(&entries, body)).await
            }
            _ => None,
        };
        let results: Vec<&EntryResult> = entries.iter().map(|entry| &entry.result).collect();
        put_events_json(&results, receipt)
    }
}

/// What an entry became that was set aside as bytes.
pub(super) fn set_aside(_: u64) -> Admitted {
    Admitted { quarantined: 1, ..Admitted::default() }
}

fn answers(entries: &[SettledEntry], body: &[u8]) -> Vec<EntryAnswer> {
    let outcome = |entry: &SettledEntry| match entry.result.error_code() {
        Some(code) => Err(code),
        None => Ok(entry.admitted.clone().unwrap_or_default()),
    };
    let sent = sent_digests(body);
    sent.into_iter()
        .zip(entries)
        .map(|(sent, entry)| EntryAnswer { sent, outcome: outcome(entry) })
        .collect()
}
