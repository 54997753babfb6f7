//! Recognises a request that an SDK repeats, and gives it the first answer again.
//!
//! SDKs repeat a failed request under the same `amz-sdk-invocation-id`. The ids of the events are
//! derived from it, so the log swallows what it has already, for as long as it remembers origins;
//! the answers kept here add that a repeat within minutes gets the same words, errors included.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::source::aws::Refused;
use crate::source::aws::signature::Signed;

/// The most bytes of answers that are kept.
const CAPACITY: u64 = 16 * 1024 * 1024;

/// Names one invocation of an operation by one producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Invocation([u8; 32]);

impl Invocation {
    /// Names an invocation. The body is part of the name, because the id is only the client's word:
    /// two different requests under one id must not swallow each other.
    pub(super) fn new(access_key: &str, id: &str, body: &[u8]) -> Self {
        let hash = Sha256::new_with_prefix("sealway invocation 1\n")
            .chain_update(Sha256::digest(access_key))
            .chain_update(Sha256::digest(id))
            .chain_update(Sha256::digest(body));
        Self(hash.finalize().into())
    }

    /// Names the invocation of a client that sends no id, by what it signed.
    pub(super) fn of_signature(access_key: &str, signed: Signed) -> Self {
        let hash = Sha256::new_with_prefix("sealway invocation of a signature 1\n")
            .chain_update(Sha256::digest(access_key))
            .chain_update(signed.at.to_be_bytes())
            .chain_update(signed.signature);
        Self(hash.finalize().into())
    }

    /// Takes the bytes of a name.
    pub(super) const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Gives the bytes of the name.
    pub(super) const fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// The id of the event of one entry: a UUID of version 8, the same for every repeat.
    pub(super) fn event_id(self, entry: usize) -> Uuid {
        let digest: [u8; 32] =
            Sha256::new_with_prefix(self.0).chain_update(entry.to_string()).finalize().into();
        let (head, _) = digest.split_at(16);
        let bytes = head.try_into().unwrap_or_default();
        uuid::Builder::from_custom_bytes(bytes).into_uuid()
    }
}

/// Recent answers, by invocation and by whether they are signed.
pub(super) struct Answers(Cache<(Invocation, bool), Arc<str>>);

impl Answers {
    pub(super) fn new(keep: Duration) -> Self {
        let weigh = |_: &(Invocation, bool), answer: &Arc<str>| {
            u32::try_from(answer.len() + size_of::<Invocation>()).unwrap_or(u32::MAX)
        };
        Self(Cache::builder().weigher(weigh).max_capacity(CAPACITY).time_to_live(keep).build())
    }

    /// Gives the first answer to an invocation, making it if there is none; a repeat that comes
    /// while the first is being made waits for it. Refusals of the whole request are not kept.
    ///
    /// # Errors
    ///
    /// Whatever making the answer gives.
    pub(super) async fn first(
        &self,
        invocation: (Invocation, bool),
        make: impl Future<Output = Result<String, Refused>>,
    ) -> Result<String, Refused> {
        self.0
            .try_get_with(invocation, async { make.await.map(Arc::from) })
            .await
            .map(|answer| answer.as_ref().to_owned())
            .map_err(Arc::unwrap_or_clone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::aws::AwsErrorKind;

    #[test]
    fn an_event_id_depends_on_key_invocation_body_and_entry_and_on_nothing_else() {
        let id = |key, invocation, body: &[u8], entry| {
            Invocation::new(key, invocation, body).event_id(entry)
        };
        let first = id("AKIA", "i", b"{}", 0);

        assert_eq!(first, id("AKIA", "i", b"{}", 0));
        assert_eq!(first.get_version_num(), 8);
        let others = [
            id("AKIB", "i", b"{}", 0),
            id("AKIA", "j", b"{}", 0),
            id("AKIA", "i", b"[]", 0),
            id("AKIA", "i", b"{}", 1),
        ];
        assert!(others.iter().all(|other| *other != first));
    }

    #[tokio::test]
    async fn the_first_answer_is_kept_and_a_refusal_is_not() {
        let answers = Answers::new(Duration::from_mins(5));
        let invocation = (Invocation::new("AKIA", "i", b"{}"), false);
        let busy = Refused::new(AwsErrorKind::ServiceUnavailable, "busy");

        let refused = answers.first(invocation, async { Err(busy.clone()) }).await;
        let first = answers.first(invocation, async { Ok("first".into()) }).await;
        let second = answers.first(invocation, async { Ok("second".into()) }).await;
        let signed = answers.first((invocation.0, true), async { Ok("signed".into()) }).await;

        assert_eq!(refused, Err(busy));
        assert_eq!(first.as_deref(), Ok("first"));
        assert_eq!(second.as_deref(), Ok("first"));
        assert_eq!(signed.as_deref(), Ok("signed"), "whoever asks for a signature is given one");
    }
}
