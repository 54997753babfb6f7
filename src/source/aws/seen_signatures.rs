//! Decides what a signature may bring that was seen before.
//!
//! A request that somebody recorded on its way verifies for as long as its signature is current. Its
//! events are named after its invocation id, which many SDKs do not sign: under another one, the
//! recording would bring the same events anew. So a signature is remembered with the invocation that it
//! came with first.
//!
//! Honest producers use a signature again too, since it names only the second: an SDK that repeats a
//! request, under the same invocation id, and a producer that sends the same bytes twice within a
//! second, under another one. Both are taken for what they are.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::event::Timestamp;
use crate::source::AdmitRefusal;
use crate::source::aws::repeats::Invocation;
use crate::source::aws::signature::{ALLOWED_SKEW, Signed};
use crate::source::aws::{AwsErrorKind, Refused};

/// How far from the moment that it names a signature may bring new events under another invocation.
const FRESH: Duration = Duration::from_secs(5);
/// Of all signatures that are remembered, one access key leaves one of so many parts to others.
const PARTS: usize = 4;

/// An invocation that came under a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenSignature {
    /// The access key id.
    pub access_key: Arc<str>,
    /// The moment that the signature names, in seconds since the epoch.
    pub signed_at: u64,
    /// The signature, shortened.
    pub signature: [u8; 16],
    /// The name of the invocation.
    pub invocation: [u8; 32],
    /// Whether no other invocation came under the signature before.
    pub is_first: bool,
}

/// Keeps what came under which signature, so that a gateway that starts again knows it.
#[async_trait]
pub trait KeepSignatures: Send + Sync {
    /// Keeps an invocation, if it is not kept already. It becomes durable with or before every event
    /// that the gateway is offered afterwards.
    ///
    /// # Errors
    ///
    /// Later: there is no room. Ours: the store failed.
    async fn keep(&self, seen: SeenSignature) -> Result<(), AdmitRefusal>;
}

/// For how long a signature is kept, after the moment that it names: twice the skew, since it may name
/// a moment ahead of ours by as much.
pub const SIGNATURES_KEPT_FOR: Duration = ALLOWED_SKEW.saturating_mul(2);

/// The signatures of the last minutes.
pub(super) struct SeenSignatures {
    /// The most invocations that are remembered.
    most: usize,
    keeper: Option<Arc<dyn KeepSignatures>>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// The invocation that came first, by signature; the oldest signatures are the first ones.
    first: BTreeMap<Signed, Use>,
    /// Others, which came soon enough.
    others: BTreeMap<(Signed, Invocation), Use>,
    /// How many of both an access key has.
    of_key: HashMap<Arc<str>, usize>,
}

struct Use {
    access_key: Arc<str>,
    invocation: Invocation,
    is_kept: bool,
}

/// The invocation as which a request is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recognized {
    pub(super) invocation: Invocation,
    /// What has to be kept before the request is answered.
    unkept: Option<SeenSignature>,
}

impl SeenSignatures {
    /// Remembers so many invocations, in memory alone.
    pub(super) fn new(most: usize) -> Self {
        Self { most, keeper: None, held: Mutex::default() }
    }

    /// Remembers what was kept, the first invocation of each signature first, and keeps what comes.
    pub(super) fn kept_by(
        self,
        keeper: Arc<dyn KeepSignatures>,
        kept: impl IntoIterator<Item = SeenSignature>,
    ) -> Self {
        let mut held = Held::default();
        for seen in kept {
            let signed = Signed { at: seen.signed_at, signature: seen.signature };
            let invocation = Invocation::from_bytes(seen.invocation);
            let is_first = !held.first.contains_key(&signed);
            held.insert(signed, (&seen.access_key, invocation), (is_first, true));
        }
        Self { keeper: Some(keeper), held: Mutex::new(held), ..self }
    }

    /// Says as which invocation a request is done that came under a signature and names this
    /// invocation, or none.
    ///
    /// # Errors
    ///
    /// Later: too many signatures are remembered to take another one in.
    pub(super) fn recognize(
        &self,
        signed: Signed,
        (access_key, named): (&Arc<str>, Option<Invocation>),
        now: Timestamp,
    ) -> Result<Recognized, Refused> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.forget(seconds(now.before(ALLOWED_SKEW)));
        let first = held.first.get(&signed).map(|first| first.invocation);
        let is_known = |named| held.others.contains_key(&(signed, named));
        let is_fresh = seconds(now).abs_diff(signed.at) <= FRESH.as_secs();
        let invocation = match (first, named) {
            (None, named) => named.unwrap_or_else(|| Invocation::of_signature(access_key, signed)),
            (Some(_), Some(named)) if is_known(named) || is_fresh => named,
            (Some(first), _) => first,
        };
        let is_first = first.is_none_or(|first| first == invocation);
        if held.find(signed, invocation, is_first).is_none() {
            let all = held.first.len() + held.others.len();
            let own = held.of_key.get(access_key).copied().unwrap_or_default();
            if all >= self.most || own >= self.most - self.most / PARTS {
                return Err(Refused::new(AwsErrorKind::ServiceUnavailable, TOO_MANY));
            }
            held.insert(signed, (access_key, invocation), (is_first, self.keeper.is_none()));
        }
        let is_kept = held.find(signed, invocation, is_first).is_some_and(|found| found.is_kept);
        let unkept = (!is_kept).then(|| SeenSignature {
            access_key: Arc::clone(access_key),
            signed_at: signed.at,
            signature: signed.signature,
            invocation: invocation.to_bytes(),
            is_first,
        });
        Ok(Recognized { invocation, unkept })
    }

    /// Makes durable what was recognized, unless it is. A repeat that comes meanwhile does the same
    /// again, and whoever comes after a failure tries again.
    ///
    /// # Errors
    ///
    /// As for [`KeepSignatures::keep`].
    pub(super) async fn keep(&self, recognized: &Recognized) -> Result<(), AdmitRefusal> {
        let (Some(seen), Some(keeper)) = (&recognized.unkept, &self.keeper) else { return Ok(()) };
        keeper.keep(seen.clone()).await?;
        let signed = Signed { at: seen.signed_at, signature: seen.signature };
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = held.find(signed, recognized.invocation, seen.is_first) {
            found.is_kept = true;
        }
        Ok(())
    }
}

impl Held {
    fn find(&mut self, signed: Signed, of: Invocation, is_first: bool) -> Option<&mut Use> {
        if is_first { self.first.get_mut(&signed) } else { self.others.get_mut(&(signed, of)) }
    }

    fn insert(
        &mut self,
        signed: Signed,
        (access_key, invocation): (&Arc<str>, Invocation),
        (is_first, is_kept): (bool, bool),
    ) {
        let used = Use { access_key: Arc::clone(access_key), invocation, is_kept };
        let replaced = if is_first {
            self.first.insert(signed, used)
        } else {
            self.others.insert((signed, invocation), used)
        };
        if replaced.is_none() {
            *self.of_key.entry(Arc::clone(access_key)).or_default() += 1;
        }
    }

    /// Forgets signatures that name a moment before this one, and are refused for it.
    fn forget(&mut self, before: u64) {
        let mut forgotten = Vec::new();
        while let Some(oldest) = self.first.first_entry().filter(|entry| entry.key().at < before) {
            forgotten.push(oldest.remove().access_key);
        }
        while let Some(oldest) = self.others.first_entry().filter(|entry| entry.key().0.at < before)
        {
            forgotten.push(oldest.remove().access_key);
        }
        for key in forgotten {
            if let Some(count) = self.of_key.get_mut(&key) {
                *count = count.saturating_sub(1);
            }
        }
    }
}

const TOO_MANY: &str = "More signed requests came in the last minutes than are remembered; repeat \
    the request later.";

fn seconds(moment: Timestamp) -> u64 {
    u64::try_from(moment.unix_seconds()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Fault;

    const AT: u64 = 1_795_283_489;

    fn signed(signature: u8) -> Signed {
        Signed { at: AT, signature: [signature; 16] }
    }

    fn named(id: &str) -> Invocation {
        Invocation::new("AKIA", id, b"{}")
    }

    fn after(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(AT.cast_signed() + seconds)
    }

    /// The invocation as which a request is done.
    fn done_as(
        seen: &SeenSignatures,
        signature: u8,
        id: Option<Invocation>,
        age: i64,
    ) -> Invocation {
        let sender = (&Arc::from("AKIA"), id);
        seen.recognize(signed(signature), sender, after(age)).unwrap().invocation
    }

    #[test]
    fn a_signature_brings_something_new_only_soon_and_under_another_invocation() {
        let seen = SeenSignatures::new(100);
        let [first, second, third] = ["1", "2", "3"].map(|id| Some(named(id)));

        assert_eq!(Some(done_as(&seen, 1, first, 0)), first);
        assert_eq!(Some(done_as(&seen, 1, second, 5)), second, "the same bytes within a second");
        assert_eq!(Some(done_as(&seen, 1, third, 6)), first, "a recording");
        assert_eq!(Some(done_as(&seen, 1, None, 0)), first, "a recording without its id");
        // Honest repeats, of which one is late.
        assert_eq!(Some(done_as(&seen, 1, first, 299)), first);
        assert_eq!(Some(done_as(&seen, 1, second, 299)), second);
        // A repeat that is signed anew has a signature of its own.
        assert_eq!(Some(done_as(&seen, 2, first, 30)), first);
        assert_eq!(Some(done_as(&seen, 2, third, 30)), first, "and what recorded it has too");
        // A first request may come late.
        assert_eq!(Some(done_as(&seen, 3, third, 200)), third);
    }

    #[test]
    fn a_producer_that_names_no_invocation_is_known_by_its_signature() {
        let seen = SeenSignatures::new(100);

        let first = done_as(&seen, 1, None, 0);

        assert_eq!(done_as(&seen, 1, None, 0), first);
        assert_ne!(done_as(&seen, 2, None, 0), first);
        assert_eq!(done_as(&seen, 1, Some(named("1")), 6), first);
    }

    #[test]
    fn a_signature_is_forgotten_once_it_is_refused_for_its_age() {
        let seen = SeenSignatures::new(2);
        let fill = |age| {
            let sender = |id: &str| (Arc::from(id), Some(named("1")));
            let ask = |signature, (key, named): (Arc<str>, _)| {
                seen.recognize(signed(signature), (&key, named), after(age)).map(drop)
            };
            [ask(1, sender("A")), ask(2, sender("B")), ask(3, sender("C"))]
        };
        let full = fill(0);
        assert_eq!(full[2].as_ref().unwrap_err().kind, AwsErrorKind::ServiceUnavailable);
        assert!(full[0].is_ok() && full[1].is_ok());
        let later = Signed { at: AT + 301, signature: [7; 16] };

        assert!(seen.recognize(later, (&Arc::from("C"), None), after(301)).is_ok());
        assert_eq!(seen.held.lock().unwrap().of_key.values().sum::<usize>(), 1);
    }

    #[test]
    fn one_access_key_leaves_room_for_others() {
        let seen = SeenSignatures::new(8);
        let ask = |signature, key: &str| {
            seen.recognize(signed(signature), (&Arc::from(key), None), after(0)).is_ok()
        };

        assert_eq!((0..9).filter(|signature| ask(*signature, "A")).count(), 6);
        assert!(ask(10, "B") && ask(11, "B") && !ask(12, "B"));
    }

    /// Keeps in memory, or fails.
    #[derive(Default)]
    struct Notebook(Mutex<Vec<SeenSignature>>, Mutex<bool>);

    #[async_trait]
    impl KeepSignatures for Notebook {
        async fn keep(&self, seen: SeenSignature) -> Result<(), AdmitRefusal> {
            if *self.1.lock().unwrap() {
                let message = "full".to_owned();
                let violations = Vec::new();
                return Err(AdmitRefusal { fault: Fault::Later, code: "x", message, violations });
            }
            self.0.lock().unwrap().push(seen);
            Ok(())
        }
    }

    #[tokio::test]
    async fn what_was_kept_is_known_again_after_a_start() {
        let notebook = Arc::new(Notebook::default());
        let keeper = || Arc::clone(&notebook) as Arc<dyn KeepSignatures>;
        let seen = SeenSignatures::new(100).kept_by(keeper(), []);
        let sender = |id: &str| (Arc::from("AKIA"), Some(named(id)));
        let send = async |seen: &SeenSignatures, (key, named): (Arc<str>, _), age| {
            let recognized = seen.recognize(signed(1), (&key, named), after(age)).unwrap();
            seen.keep(&recognized).await.map(|()| recognized.invocation)
        };
        *notebook.1.lock().unwrap() = true;
        assert!(send(&seen, sender("1"), 0).await.is_err());
        *notebook.1.lock().unwrap() = false;
        for id in ["1", "1", "2"] {
            send(&seen, sender(id), 0).await.unwrap();
        }
        let kept = notebook.0.lock().unwrap().clone();
        assert_eq!(kept.iter().map(|seen| seen.is_first).collect::<Vec<_>>(), [true, false]);

        let seen = SeenSignatures::new(100).kept_by(keeper(), kept);

        assert_eq!(send(&seen, sender("3"), 60).await.unwrap(), named("1"));
        assert_eq!(send(&seen, sender("2"), 60).await.unwrap(), named("2"));
        assert_eq!(notebook.0.lock().unwrap().len(), 2, "nothing is kept twice");
    }
}
