//! A signature that a producer asks for over the answer to its request.

use axum::http::HeaderMap;

use crate::api::signed_answer::SignedAnswer;
use crate::api::{Caller, Services};
use crate::event::{EventProducer, SentDigest};
use crate::source::intake::sent_digests;
use crate::source::{Admitted, BodyRoom, EntryAnswer, SignAnswers, prefers_receipt};

/// A signature that is to be made over the answer to a request.
pub(super) struct AskedReceipt<'a> {
    signer: &'a dyn SignAnswers,
    producer: EventProducer,
    sent: Vec<SentDigest>,
    is_preferred: bool,
}

impl<'a> AskedReceipt<'a> {
    /// What is to be signed for a request; nothing if it does not ask, and need not. Nothing is hashed
    /// where nothing is signed.
    pub(super) fn of(
        services: &'a Services,
        caller: &Caller,
        (headers, body, is_batch): (&HeaderMap, &[u8], bool),
        room: &dyn BodyRoom,
    ) -> Option<Self> {
        let is_preferred = prefers_receipt(headers);
        if !is_preferred && !services.source.sign_answers {
            return None;
        }
        let sent = sent_digests(headers, body, is_batch, (&services.source, room))?;
        Some(Self { signer: &*services.signer, producer: caller.producer(), sent, is_preferred })
    }

    /// Signs what became of the entries, or the code of the reason for which nothing was stored.
    pub(super) async fn sign(
        self,
        outcomes: Vec<Result<Admitted, &'static str>>,
    ) -> Option<SignedAnswer> {
        // A signature that leaves an entry out would be a false one.
        if outcomes.len() != self.sent.len() {
            return None;
        }
        let entries = self.sent.into_iter().zip(outcomes);
        let entries = entries.map(|(sent, outcome)| EntryAnswer { sent, outcome }).collect();
        let token = self.signer.sign(&self.producer, entries).await?;
        Some(SignedAnswer { token, is_preferred: self.is_preferred })
    }
}
